// Two browsers, a page each, and a server that is started anew between them.
//
//   node page.mjs MODULES CHROMIUM PROFILES PAGE [SCREENSHOT]
//
// Says `restart` when the server is to be started anew, and reads a line when it has been.
import { spawn } from 'child_process';
import { createRequire } from 'module';
import { writeFileSync } from 'fs';
const [modules, chromium, profiles, page, screenshot] = process.argv.slice(2);
const WebSocket = createRequire(`${modules}/`)('ws');

// A browser and the one page it shows, driven by the protocol of its developer tools.
class Browser {
  static async open(name) {
    const made = new Browser();
    made.process = spawn(chromium, [
      '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--remote-debugging-port=0',
      '--window-size=1280,860', `--user-data-dir=${profiles}/${name}`, 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    const address = await new Promise((resolve, reject) => {
      let said = '';
      made.process.stderr.on('data', (bytes) => {
        said += bytes;
        const found = /DevTools listening on ws:\/\/([^/]+)/.exec(said);
        if (found) resolve(found[1]);
      });
      made.process.on('exit', () => reject(new Error(`the browser ended: ${said}`)));
    });
    const targets = await (await fetch(`http://${address}/json`)).json();
    made.socket = new WebSocket(targets.find(({ type }) => type === 'page').webSocketDebuggerUrl);
    await new Promise((resolve) => { made.socket.on('open', resolve); });
    made.waiting = new Map();
    made.complaints = [];
    made.socket.on('message', (text) => made.hear(JSON.parse(text)));
    await made.call('Page.enable');
    await made.call('Runtime.enable');
    await made.call('Log.enable');
    return made;
  }

  hear({ id, result, error, method, params }) {
    if (id) {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) reject(new Error(error.message)); else resolve(result);
    }
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error') this.complaints.push(params.entry.text);
  }

  call(method, params = {}) {
    this.last = (this.last || 0) + 1;
    this.socket.send(JSON.stringify({ id: this.last, method, params }));
    return new Promise((resolve, reject) => { this.waiting.set(this.last, { resolve, reject }); });
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
    return result.value;
  }

  // Waits in the page, for its document to change.
  until(condition) {
    return this.evaluate(`new Promise((resolve) => {
      const look = () => { const found = (() => ${condition})(); if (found) resolve(found); else setTimeout(look, 20); };
      look();
    })`);
  }

  async go(url) {
    await this.call('Page.navigate', { url });
    await this.until("document.readyState === 'complete' && document.getElementById('state')?.dataset.state === 'connected'");
  }

  say(text) {
    return this.evaluate(`(() => {
      document.getElementById('text').value = ${JSON.stringify(text)};
      document.getElementById('composer').requestSubmit();
    })()`);
  }

  reads(text) {
    return this.until(`[...document.querySelectorAll('.bubble')].some((bubble) => bubble.textContent === ${JSON.stringify(text)})`);
  }

  async photograph(file) {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }

  close() { this.process.kill(); }
}

const [ann, ben] = await Promise.all([Browser.open('ann'), Browser.open('ben')]);
try {
  await ann.go(`${page}#name=Ann%20Keen&room=chat:lobby`);
  await ben.go(`${page}#name=Ben%20Swift&room=chat:lobby`);
  await ann.until("document.getElementById('count').textContent === '2'");
  await ann.say('Hello, is this thing on?');
  await ben.reads('Hello, is this thing on?');
  await ben.say('Loud and clear.');
  await ann.reads('Loud and clear.');
  await ann.say('Now watch: the server restarts.');
  await ben.reads('Now watch: the server restarts.');
  for (const browser of [ann, ben]) {
    if (browser.complaints.length) throw new Error(browser.complaints.join('\n'));
  }
  process.stdout.write('restart\n');
  await new Promise((resolve) => { process.stdin.once('data', resolve); });
  const notice = "[...document.querySelectorAll('.notice')].find((line) => line.textContent.startsWith('Connected again'))";
  for (const browser of [ann, ben]) {
    // What was only in memory is gone, and nobody pretends that it is not.
    await browser.until(`${notice}?.dataset.recovered`);
    process.stdout.write(`recovered ${await browser.evaluate(`${notice}.dataset.recovered`)}\n`);
  }
  await ben.say('Still here. So are you, I see.');
  await ann.reads('Still here. So are you, I see.');
  await ann.say('Nothing to it.');
  await ben.reads('Nothing to it.');
  await ann.until("document.querySelectorAll('.figure').length >= 4");
  if (screenshot) {
    await ann.photograph(`${screenshot}-light.png`);
    await ann.evaluate("document.getElementById('theme').click()");
    await ann.photograph(`${screenshot}-dark.png`);
  }
  process.stdout.write('all of it\n');
} finally {
  ann.close();
  ben.close();
}
process.exit(0);
