// A small chat over Throng, with the official client of Centrifugo (`centrifuge-5.8.0.js`, unmodified).
//
// Who is who: a user with a token has the name the server vouches for. Without one, a name is what somebody
// says it is: everybody publishes a `hello` with theirs, and the history tells it to those who come later.
//
// In the address, behind `#` so that no server logs it: `room=chat:ops`, `token=eyJ..`, `name=Ann`.
'use strict';

const options = new URLSearchParams(location.hash.slice(1));
const room = options.get('room') || 'chat:lobby';
const token = options.get('token') || '';
const at = (id) => document.getElementById(id);
const HISTORY_MAX = 50; // what somebody who joins wants to read
const LINES_MAX = 500; // what a page keeps: older lines go
const STATS_MS = 1000;
const SAMPLES = 60;

// -- What is remembered between visits; a browser that remembers nothing will do. ----------------------

const memory = {
  read(key) { try { return localStorage.getItem(`throng.${key}`); } catch { return null; } },
  write(key, value) { try { localStorage.setItem(`throng.${key}`, value); } catch { /* then not */ } },
};

function someName() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(['Amber', 'Bold', 'Calm', 'Deft', 'Eager', 'Fleet', 'Keen', 'Lucid', 'Merry', 'Quiet', 'Swift', 'Warm'])} `
    + pick(['Badger', 'Crane', 'Dolphin', 'Falcon', 'Heron', 'Lynx', 'Marten', 'Otter', 'Puffin', 'Raven', 'Stoat', 'Wren']);
}

let myName = options.get('name') || memory.read('name') || someName();
let myClient = '';
const names = new Map(); // client -> what it calls itself

function nameOf(who) {
  if (!who) return 'your backend';
  return who.user || names.get(who.client) || `guest ${who.client.slice(0, 4)}`;
}

// -- Theme ---------------------------------------------------------------------------------------------

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
function paint() {
  const wanted = memory.read('theme') || (prefersDark.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = wanted;
}
at('theme').addEventListener('click', () => {
  memory.write('theme', document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  paint();
});
prefersDark.addEventListener('change', paint);
paint();

// -- The log -------------------------------------------------------------------------------------------

const log = at('log');

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function face(name) {
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  const words = name.split(/\s+/).filter(Boolean);
  const made = element('span', 'face', words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join(''));
  made.style.background = `hsl(${hue} 60% 32%)`;
  made.setAttribute('aria-hidden', 'true');
  return made;
}

function isAtEnd() { return log.scrollHeight - log.scrollTop - log.clientHeight < 60; }
function scrollToEnd() { log.scrollTop = log.scrollHeight; at('newer').hidden = true; }
log.addEventListener('scroll', () => { if (isAtEnd()) at('newer').hidden = true; });
at('newer').addEventListener('click', scrollToEnd);

function append(line) {
  const wasAtEnd = isAtEnd();
  at('empty').hidden = true;
  log.append(line);
  while (log.children.length > LINES_MAX) log.children[1].remove(); // [0] is the hint for an empty room
  if (wasAtEnd || line.classList.contains('mine')) scrollToEnd(); else at('newer').hidden = false;
}

function notice(text) {
  const line = element('p', 'notice', text);
  append(line);
  return line;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
let last = { speaker: '', time: 0 };

// `data` is whatever somebody published: through this page, an SDK, or curl.
function say(publication, isMine, waitedMs) {
  const { data, info } = publication;
  const isObject = data !== null && typeof data === 'object';
  const text = typeof data === 'string' ? data : isObject && typeof data.text === 'string' ? data.text : null;
  const claimed = isObject && typeof data.name === 'string' ? data.name.slice(0, 40) : '';
  if (info && claimed) names.set(info.client, claimed);
  const name = (info && info.user) || claimed || nameOf(info);
  const time = (isObject && Number(data.time)) || Date.now();
  const speaker = `${isMine} ${info ? info.client : ''} ${name}`;
  const line = element('article', `message${isMine ? ' mine' : ''}`);
  if (speaker === last.speaker && time - last.time < 120000) line.classList.add('same');
  last = { speaker, time };
  const bubble = element('div', 'bubble', text === null ? undefined : text);
  if (text === null) bubble.append(element('code', '', JSON.stringify(data, null, 1)));
  const spent = waitedMs === undefined ? '' : ` · ${waitedMs < 10 ? waitedMs.toFixed(1) : Math.round(waitedMs)} ms`;
  const when = element('time', 'when', clock.format(time) + spent);
  if (spent) when.title = 'From here to the server and back';
  line.append(face(name), element('span', 'who', name), bubble, when);
  append(line);
}

function complain(text) {
  at('complaint').textContent = text;
  at('complaint').hidden = !text;
}

// -- The connection ------------------------------------------------------------------------------------

const socket = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`;
const client = new Centrifuge(socket, {
  token, name: 'throng-page', minReconnectDelay: 300, maxReconnectDelay: 5000,
});
const subscription = client.newSubscription(room, { positioned: true, recoverable: true, joinLeave: true });
const underWay = new Map(); // id of a message of ours -> when it was sent
let goneSince = 0;
let isFirst = true;
let recovery = null; // { line, count } while what was missed comes in

function show(state, text) {
  at('state').dataset.state = state;
  at('state-text').textContent = text;
  document.querySelector('.send').disabled = state !== 'connected';
}

client.on('connecting', ({ reason }) => {
  if (!isFirst && !goneSince) goneSince = performance.now();
  show('connecting', isFirst ? 'connecting' : 'reconnecting');
  at('state').title = reason || '';
});
client.on('connected', (context) => {
  myClient = context.client;
  names.set(myClient, myName);
  show('connected', 'connected');
});
client.on('disconnected', ({ code, reason }) => {
  show('disconnected', 'disconnected');
  complain(`The server ended the connection: ${reason || 'no reason given'} (${code}).`);
});
client.on('error', ({ error }) => { at('state').title = (error && error.message) || ''; });

subscription.on('subscribed', async (context) => {
  complain('');
  if (isFirst) {
    isFirst = false;
    await readHistory(context);
  } else {
    tellRecovery(context);
  }
  goneSince = 0;
  if (!token) hello();
  lookAround();
});
subscription.on('publication', (publication) => hear(publication));
subscription.on('join', lookAround);
subscription.on('leave', lookAround);
subscription.on('unsubscribed', ({ code, reason }) => complain(`Not in ${room}: ${reason} (${code}).`));
subscription.on('error', ({ error }) => complain(`${room}: ${explain(error)}`));

function explain(error) {
  if (!error) return 'something went wrong';
  return error.code ? `${error.message} (${error.code})` : String(error.message || error);
}

async function readHistory(context) {
  if (context.recoverable === false && !context.streamPosition) return;
  try {
    const page = await subscription.history({ limit: HISTORY_MAX, reverse: true });
    // Live ones may have come in meanwhile; they are shown when they come.
    const before = page.publications.filter((each) => !shown.has(each.offset)).reverse();
    for (const publication of before) hear(publication, true);
  } catch (error) {
    if (error.code !== 108) complain(`The history cannot be read: ${explain(error)}`);
  }
}

function tellRecovery(context) {
  // The history may have begun anew, and with it the numbers.
  if (!context.recovered) shown.clear();
  const gone = goneSince ? ` after ${((performance.now() - goneSince) / 1000).toFixed(1)} s` : '';
  const line = notice(`Connected again${gone}`);
  if (!context.wasRecovering) return;
  line.dataset.recovered = String(context.recovered);
  if (!context.recovered) {
    line.classList.add('bad');
    line.textContent += ': what was said meanwhile may be lost';
    return;
  }
  line.classList.add('good');
  // The client hands over what was missed right behind this event, before anything else can happen.
  recovery = { line, count: 0 };
  setTimeout(() => {
    const { count } = recovery;
    line.textContent += count ? `: ${count} missed, ${count === 1 ? 'and it is' : 'and all are'} here` : ': nothing was missed';
    recovery = null;
  });
}

const shown = new Set(); // offsets, so that nothing is shown twice

function hear(publication, isOld) {
  if (publication.offset) {
    if (shown.has(publication.offset)) return;
    shown.add(publication.offset);
  }
  const { data, info } = publication;
  const isObject = data !== null && typeof data === 'object';
  if (isObject && data.type === 'hello') {
    if (info && typeof data.name === 'string') names.set(info.client, data.name.slice(0, 40));
    drawPeople();
    return;
  }
  const id = isObject ? data.id : undefined;
  const sent = underWay.get(id);
  underWay.delete(id);
  const isMine = sent !== undefined || (isObject && data.from === myself);
  if (recovery) recovery.count += 1;
  say(publication, isMine, sent === undefined || isOld ? undefined : performance.now() - sent);
  if (info && isObject && data.name) drawPeople();
}

// -- Speaking ------------------------------------------------------------------------------------------

// This browser tab's mark on its messages: after a reload they are still mine.
let myself = '';
try {
  myself = sessionStorage.getItem('throng.tab') || '';
  if (!myself) sessionStorage.setItem('throng.tab', myself = Math.random().toString(36).slice(2));
} catch { myself = Math.random().toString(36).slice(2); }
let nextId = 0;

at('composer').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = at('text').value.trim();
  if (!text || client.state !== Centrifuge.State.Connected) return;
  const id = `${myself}-${Date.now().toString(36)}-${nextId += 1}`;
  underWay.set(id, performance.now());
  at('text').value = '';
  try {
    await subscription.publish({ text, name: myName, from: myself, id, time: Date.now() });
    complain('');
  } catch (error) {
    underWay.delete(id);
    if (!at('text').value) at('text').value = text;
    complain(`Not sent: ${explain(error)}`);
  }
});

function hello() {
  subscription.publish({ type: 'hello', name: myName }).catch(() => { /* then I am a guest */ });
}

at('name').value = myName;
at('name').addEventListener('change', () => {
  const name = at('name').value.trim();
  if (!name) { at('name').value = myName; return; }
  myName = name;
  memory.write('name', name);
  names.set(myClient, name);
  drawPeople();
  if (client.state === Centrifuge.State.Connected) hello();
});
at('naming').addEventListener('submit', (event) => { event.preventDefault(); at('text').focus(); });
if (token) at('naming').hidden = true;

// -- Who is here ---------------------------------------------------------------------------------------

let people = [];
let lookTimer = 0;

// A crowd that comes at once is looked at once.
function lookAround() {
  if (lookTimer) return;
  lookTimer = setTimeout(async () => {
    lookTimer = 0;
    try {
      const { clients } = await subscription.presence();
      people = Object.values(clients);
    } catch (error) {
      people = [];
      if (error.code === 108) at('people').textContent = '';
    }
    drawPeople();
  }, 150);
}

function drawPeople() {
  const rank = (who) => (who.client === myClient ? '' : nameOf(who).toLowerCase());
  const lines = [...people].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, 100).map((who) => {
    const name = nameOf(who);
    const line = element('li');
    line.append(face(name), element('span', '', name));
    if (who.client === myClient) line.append(element('small', '', 'you'));
    return line;
  });
  if (people.length > 100) lines.push(element('li', '', `and ${people.length - 100} more`));
  at('people').replaceChildren(...lines);
  at('count').textContent = String(people.length);
}

// -- Live figures --------------------------------------------------------------------------------------

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const rate = (value) => (value >= 100000 ? short.format(value) : number.format(Math.round(value)));
const bytes = (value) => (value >= 2 ** 30 ? `${number.format(value / 2 ** 30)} GiB` : `${number.format(value / 2 ** 20)} MiB`);

// A counter that this server does not have is left out.
const FIGURES = [
  { title: 'Connections', read: (now) => now.connections, write: rate },
  { title: 'Messages in / s', counter: 'messages_in', write: rate },
  { title: 'Deliveries / s', counter: 'delivered', write: rate },
  { title: 'Memory', read: (now) => now.rss_bytes, write: bytes },
];
let before = null;

function curve(values) {
  const top = Math.max(...values, 1);
  const wide = Math.max(values.length, SAMPLES / 4); // the first quarter of a minute fills the box
  const step = 100 / (wide - 1);
  return values.map((value, index) => `${((wide - values.length + index) * step).toFixed(2)},${(24 - (value / top) * 22).toFixed(2)}`);
}

function drawFigure(figure, value) {
  if (!figure.box) {
    figure.values = [];
    figure.box = element('dl', 'figure');
    figure.value = element('dd');
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 100 26');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    [figure.area, figure.line] = ['area', 'curve'].map((name) => {
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      path.setAttribute('class', name);
      svg.append(path);
      return path;
    });
    figure.box.append(element('dt', '', figure.title), figure.value, svg);
    at('figures').append(figure.box);
  }
  figure.values = [...figure.values, value].slice(-SAMPLES);
  figure.value.textContent = figure.write(value);
  const points = curve(figure.values);
  figure.line.setAttribute('d', `M${points.join('L')}`);
  figure.area.setAttribute('d', `M${points.join('L')}V26H${points[0].split(',')[0]}Z`);
}

async function readFigures() {
  const response = await fetch('/stats', { cache: 'no-store' });
  if (response.status === 404) {
    at('figures').replaceChildren(element('p', 'off', 'This server keeps its figures to itself (--stats off).'));
    return false;
  }
  const now = await response.json();
  const counters = { ...now.counters, ...now.hub };
  const countersBefore = before && { ...before.counters, ...before.hub };
  for (const figure of FIGURES) {
    if (figure.read) drawFigure(figure, figure.read(now) || 0);
    else if (figure.counter in counters) {
      // A server that was started anew counts from 0 again.
      const spent = before ? (now.uptime_ms - before.uptime_ms) / 1000 : 0;
      const growth = spent > 0 ? counters[figure.counter] - countersBefore[figure.counter] : 0;
      drawFigure(figure, spent > 0 ? Math.max(growth, 0) / spent : 0);
    }
  }
  before = now;
  return true;
}

async function keepFigures() {
  let goesOn = true;
  try { if (!document.hidden) goesOn = await readFigures(); } catch { before = null; /* it is away */ }
  if (goesOn) setTimeout(keepFigures, STATS_MS);
}

// -- Go ------------------------------------------------------------------------------------------------

at('room').textContent = room;
at('second').href = location.pathname + location.hash;
document.title = `${room} · Throng`;
const isHere = /^(localhost|127\..*|\[::1\])$/.test(location.hostname);
at('publish-tip').hidden = !isHere;
at('curl').textContent = 'curl -H "X-API-Key: $(cat ~/.local/state/throng/admin.key)" '
  + `-d '${JSON.stringify({ channel: room, data: { text: 'Hello from curl' } })}' http://${location.hostname}:9001/api/publish`;
at('copy').addEventListener('click', async () => {
  try { await navigator.clipboard.writeText(at('curl').textContent); at('copy').textContent = 'Copied'; } catch { /* by hand, then */ }
});
subscription.subscribe();
client.connect();
keepFigures();
