// Plays a transcript to the official client, as the server in it, and prints the transcript with
// what the client really said.
//
//   node tests/dialect/record.js tests/dialect/centrifuge.txt > new.txt    (needs npm: centrifuge, ws)
//
//   ! subscribe()          is done by the client's application, with the functions below
//   > {"id":1,..}          a frame of the client; a line that goes on with >+ is another of its lines
//   < {"id":1,..}          a frame of the server
//   = connected client=ab  an event of the client
//
// `cargo test` reads every > and writes every < ; a diff of this script's output says what a new
// version of the client says differently.
'use strict';
const fs = require('fs');
const { WebSocketServer, WebSocket } = require('ws');
const { Centrifuge } = require('centrifuge');

const script = fs.readFileSync(process.argv[2], 'utf8').split('\n').filter((line) => line);
const frames = [];
const events = [];
let wake = () => {};
let socket;

function arrive(queue, what) {
  queue.push(what);
  wake();
}

async function next(queue, what) {
  const limit = setTimeout(() => {
    console.error(`the client owes ${what}`);
    process.exit(1);
  }, 10000);
  while (!queue.length) await new Promise((resolve) => { wake = resolve; });
  clearTimeout(limit);
  return queue.shift();
}

function shown(values) {
  return Object.entries(values).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`).join('');
}

function hear(emitter, names, pick) {
  for (const name of names) {
    emitter.on(name, (context) => arrive(events, `= ${name}${shown(pick(context, name))}`));
  }
}

const wanted = ['channel', 'code', 'reason', 'data', 'recovered', 'wasRecovering', 'client', 'publications'];
const pick = (context) => Object.fromEntries(
  wanted.filter((key) => context[key] !== undefined).map((key) => [key, context[key]]),
);
const who = (context) => ({ user: context.info.user, connInfo: context.info.connInfo });

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (it) => {
  socket = it;
  it.on('message', (message) => arrive(frames, message.toString()));
});

server.on('listening', async () => {
  const client = new Centrifuge(`ws://127.0.0.1:${server.address().port}/connection/websocket`, {
    websocket: WebSocket, token: 'a.b.c', data: { x: 1 }, name: 'js', version: '1.0',
    minReconnectDelay: 1, maxReconnectDelay: 2, getToken: async () => 'd.e.f',
  });
  hear(client, ['connected', 'disconnected', 'message'], pick);
  const options = {
    data: [1], positioned: true, recoverable: true, joinLeave: true, minResubscribeDelay: 1, maxResubscribeDelay: 2,
    token: 'g.h.i', getToken: async () => 'j.k.l',
  };
  const sub = client.newSubscription('chat:room', options);
  hear(sub, ['subscribed', 'unsubscribed', 'publication'], pick);
  hear(sub, ['join', 'leave'], who);
  const answer = (promise) => promise.then(
    (result) => arrive(events, `= answer${shown(result)}`),
    (error) => arrive(events, `= error${shown({ code: error.code, message: error.message, temporary: error.temporary })}`),
  );
  const actions = {
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    drop: () => socket.terminate(),
    close: (code, reason) => socket.close(code, reason),
    subscribe: () => sub.subscribe(),
    unsubscribe: () => sub.unsubscribe(),
    publish: () => answer(sub.publish({ text: 'hi' })),
    history: () => answer(sub.history({ limit: 2, reverse: true, since: { offset: 9, epoch: '0000000a' } })),
    presence: () => answer(sub.presence()),
    presenceStats: () => answer(sub.presenceStats()),
    rpc: () => answer(client.rpc('method', { a: 1 })),
    send: () => client.send({ fire: 'and forget' }),
    batch: () => {
      client.startBatching();
      answer(client.publish('a', 1));
      answer(client.presenceStats('a'));
      client.stopBatching();
    },
  };
  for (const line of script) {
    const [mark, rest] = [line[0], line.slice(2)];
    if (line.startsWith('>+')) continue;
    if (mark === '#') console.log(line);
    if (mark === '!') {
      console.log(line);
      const [, name, args] = rest.match(/^(\w+)\((.*)\)$/);
      actions[name](...JSON.parse(`[${args}]`));
    }
    if (mark === '<') {
      console.log(line);
      socket.send(rest);
    }
    if (mark === '>') {
      const frame = await next(frames, 'a frame');
      console.log(`> ${frame.split('\n').join('\n>+ ')}`);
    }
    if (mark === '=') console.log(await next(events, 'an event'));
  }
  process.exit(frames.length + events.length ? (console.error(frames, events), 1) : 0);
});
