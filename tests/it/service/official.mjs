// The official client of npm, as its users have it: each scenario is what an application does.
//
//   node official.mjs MODULES URL ...    URL: ws://host:port; the rest is said by the scenario
import { createRequire } from 'module';
const [modules, url, scenario, ...words] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { Centrifuge } = require('centrifuge');
const WebSocket = require('ws');

const endpoint = `${url}/connection/websocket`;
const open = [];

function client(options = {}) {
  const made = new Centrifuge(endpoint, {
    websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200, ...options,
  });
  open.push(made);
  return made;
}

// What comes next of an event that satisfies `wanted`; nothing is waited for by time.
function next(source, event, wanted = () => true) {
  return new Promise((resolve) => {
    const hear = (context) => {
      if (!wanted(context)) return;
      source.removeListener(event, hear);
      resolve(context);
    };
    source.on(event, hear);
  });
}

function is(what, actual, expected) {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

// Why something ended.
async function told(ending) {
  const { code, reason } = await ending;
  return [code, reason];
}

async function connected(made) {
  const done = next(made, 'connected');
  made.connect();
  return done;
}

async function joined(made, channel, options = {}) {
  const subscription = made.newSubscription(channel, options);
  subscription.heard = [];
  subscription.on('publication', ({ data }) => subscription.heard.push(data));
  const done = next(subscription, 'subscribed');
  subscription.subscribe();
  subscription.first = await done;
  return subscription;
}

const scenarios = {
  // Two of them and a channel.
  async talk() {
    const [alice, bob] = [client(), client()];
    const { client: aliceId } = await connected(alice);
    await connected(bob);
    const options = { positioned: true, recoverable: true, joinLeave: true };
    const hers = await joined(alice, 'chat:talk', options);
    is('positions are kept', hers.first.recoverable, true);
    const arrival = next(hers, 'join', ({ info }) => info.client !== aliceId);
    const his = await joined(bob, 'chat:talk', options);
    await arrival;

    const said = next(his, 'publication');
    await hers.publish({ text: 'hello' });
    const { data, offset, info } = await said;
    is('what was said', [data, offset, info.client], [{ text: 'hello' }, 1, aliceId]);

    const page = await his.history({ limit: 10 });
    is('history', [page.publications.map((each) => each.data), page.offset], [[{ text: 'hello' }], 1]);
    is('positions', (await his.history()).publications, []);
    const { clients } = await his.presence();
    is('presence', Object.keys(clients).length, 2);
    is('presence stats', (await his.presenceStats()).numClients, 2);
    is('rpc', await alice.rpc('anything', {}).catch(({ code }) => code), 108);
    alice.send({ into: 'the void' });

    const departure = next(hers, 'leave');
    his.unsubscribe();
    await departure;
    await hers.publish({ text: 'nobody hears it' });
    // It comes back to where it was, and has missed nothing.
    const back = next(his, 'subscribed');
    const caughtUp = next(his, 'publication');
    his.subscribe();
    const { wasRecovering, recovered } = await back;
    is('recovered', [wasRecovering, recovered], [true, true]);
    is('caught up', (await caughtUp).data, { text: 'nobody hears it' });
    is('a bad name', await alice.publish('bad name', {}).catch(({ code }) => code), 102);
  },

  // A hundred subscriptions in one frame, and a thousand messages in order.
  async crowd() {
    const [speaker, listener] = [client(), client()];
    await Promise.all([connected(speaker), connected(listener)]);
    listener.startBatching();
    const names = Array.from({ length: 100 }, (_, index) => `crowd:${index}`);
    const all = names.map((name) => joined(listener, name));
    listener.stopBatching();
    const subscriptions = await Promise.all(all);
    const complete = Promise.all(subscriptions.map((subscription) => next(subscription, 'publication', ({ data }) => data === 9)));
    for (let number = 0; number < 10; number += 1) {
      await Promise.all(names.map((name) => speaker.publish(name, number)));
    }
    await complete;
    for (const { heard } of subscriptions) is('in order', heard, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  },

  // Named users, channels of theirs, and tokens: one, and another for the refresh.
  async tokens() {
    const [first, second, channelToken] = words;
    let asked = 0;
    const bob = client({ token: first, getToken: async () => { asked += 1; return second; } });
    const welcome = next(bob, 'connected');
    bob.connect();
    await welcome;
    const own = await joined(bob, '#bob');
    is('own channel', own.state, 'subscribed');
    const foreign = bob.newSubscription('#alice');
    const refusal = next(foreign, 'unsubscribed');
    foreign.subscribe();
    is('a foreign one', (await refusal).code, 103);
    const secret = await joined(bob, 'secret', { getToken: async () => channelToken });
    is('with a token', secret.state, 'subscribed');
    const forged = bob.newSubscription('forged', { getToken: async () => `${channelToken}x` });
    const denied = next(forged, 'unsubscribed');
    forged.subscribe();
    is('with a forged one', (await denied).code, 103);
    const nowhere = bob.newSubscription('nowhere:1');
    const closed = next(nowhere, 'unsubscribed');
    nowhere.subscribe();
    is('in no namespace', (await closed).code, 102);
    // The first token is good for a moment only.
    while (asked === 0) await bob.history('#bob', { limit: 0 }).catch(() => {});
    is('still connected', bob.state, 'connected');
  },

  // What a bad token is told, and what an expired one is.
  async refused() {
    const [bad, expired, good] = words;
    const eve = client({ token: bad });
    const gone = next(eve, 'disconnected');
    eve.connect();
    is('a bad token', (await gone).code, 3500);
    let asked = 0;
    const late = client({ token: expired, getToken: async () => { asked += 1; return good; } });
    const { client: id } = await connected(late);
    is('another one was fetched', [asked, id.length], [1, 32]);
  },

  // The server is started anew on the same port meanwhile; it says so on our standard input.
  async restart() {
    const ann = client();
    await connected(ann);
    const news = await joined(ann, 'news', { positioned: true, recoverable: true });
    await news.publish({ number: 1 });
    const back = next(news, 'subscribed');
    process.stdout.write('ready\n');
    const { wasRecovering, recovered } = await back;
    is('it wanted to recover', wasRecovering, true);
    // What only was in memory is lost, and that is admitted.
    is('recovered', recovered, words[0] === 'recovered');
    await news.publish({ number: 2 });
  },

  // The application puts it into a channel, and says something with it.
  async greeted() {
    const bob = client({ token: words[0] });
    await connected(bob);
    const into = next(bob, 'subscribed');
    process.stdout.write('subscribe\n');
    const { channel, data } = await into;
    is('greeted', [channel, data], ['news', { hello: ['bob'] }]);
    const heard = next(bob, 'publication');
    process.stdout.write('publish\n');
    is('told', (await heard).data, 1);
  },

  // Somebody else ends a subscription and connections: each line we write asks for the next of it.
  async thrown_out() {
    const bob = client({ token: words[0] });
    await connected(bob);
    const news = await joined(bob, 'news');
    const out = next(news, 'unsubscribed');
    process.stdout.write('unsubscribe\n');
    is('unsubscribed', await told(out), [2000, 'server unsubscribe']);
    is('for good', [news.state, bob.state], ['unsubscribed', 'connected']);

    // A code of the kind after which clients come back by themselves.
    const away = next(bob, 'connecting');
    const back = next(bob, 'connected');
    process.stdout.write('send away for a moment\n');
    is('away', await told(away), [4000, 'we move']);
    await back;

    // The server's own words, and a code of the kind that is final.
    for (const [line, expected] of [
      ['disconnect', [3503, 'force disconnect']],
      ['ban', [4501, 'banned']],
    ]) {
      const gone = next(bob, 'disconnected');
      process.stdout.write(`${line}\n`);
      is(line, await told(gone), expected);
      is('it stays away', bob.state, 'disconnected');
      if (line !== 'ban') await connected(bob);
    }
  },
};

await scenarios[scenario]();
process.stdout.write('all of it\n');
process.exit(0);
