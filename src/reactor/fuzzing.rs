//! The property behind the `connection` fuzz target: whatever a peer sends, in whatever pieces,
//! the worker rests, answers only what is legal, and forgets the connection in the end.

use super::script::{Script, ScriptHost};
use super::{
    Answer, App, ConnId, Event, House, Mail, Outbox, Peer, Ready, Turn, Worker, WorkerConfig,
    mailbox,
};
use crate::http1::Head;
use crate::limits::Limits;
use crate::metrics::Board;
use crate::proxy::Trusted;
use crate::ws::deflate::{DeflateConfig, Mode};
use crate::ws::message::Message;

/// Turns for what needs time rather than bytes: a peer that blocks, a close that is not answered.
/// On top of these, each byte may arrive and leave in turns of its own.
const TURNS_SPARE: usize = 10_000;

const REQUEST: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Serves one connection whose peer is `bytes`: the first byte says how it behaves, the second
/// how its stream is cut, the rest is what it sends (behind a request, if the first bit says so).
pub fn connection(bytes: &[u8]) {
    let [manners, cut, stream @ ..] = bytes else {
        return;
    };
    let host = ScriptHost::new();
    let peer = host.connect();
    if manners & 1 != 0 {
        peer.arrive(REQUEST);
    }
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        peer.arrive(piece);
    }
    if manners & 2 != 0 {
        peer.take_per_send(1 + usize::from(manners >> 4));
    }
    if manners & 4 != 0 {
        peer.block_after(usize::from(*cut) * 8);
    }
    match manners & 8 {
        0 => peer.arrive_eof(),
        _ => peer.arrive_reset(),
    }
    serve(&host, &peer, TURNS_SPARE + 4 * stream.len());
}

/// Sends everything back.
struct Mirror;

impl App for Mirror {
    type Conn = ();
    type Letter = ();

    fn on_request(&mut self, _: &Head<'_>, _: &Peer<'_>) -> Answer<()> {
        Answer::Upgrade {
            conn: (),
            protocol: None,
        }
    }

    fn on_message(&mut self, _: &mut (), message: Message<'_>, out: &mut Outbox<'_, Self>) {
        out.reply(message);
    }
}

/// Runs the worker until the connection is gone, `turns_max` turns at most.
fn serve(host: &ScriptHost, peer: &Script, turns_max: usize) {
    let waker = std::sync::Arc::new(waker());
    let (post, mailbox) = mailbox::mailbox::<Mail<_>>(waker, 1);
    let config = WorkerConfig {
        limits: Limits {
            message_bytes_max: 1 << 16,
            ..Limits::default()
        },
        deflate: DeflateConfig {
            mode: Mode::Dedicated,
            ..DeflateConfig::default()
        },
        tls: None,
        proxy_from: Trusted::default(),
        connections_max: 4,
        connections_expected: 4,
        house: House::new(4),
        board: Board::new(1),
    };
    let mut worker = Worker::new(Mirror, host.clone(), mailbox, vec![post], &config);
    let mut now_ms = 0;
    let mut turn = worker.turn(now_ms, 0, std::iter::once(Event::Listener(0)));
    // Everything is there from the start, so only time and readiness drive it.
    for _ in 0..turns_max {
        if worker.connections() == 0 {
            break;
        }
        if let Turn::Wait(wait_ms) = turn {
            now_ms += wait_ms.max(5); // the events repeat for ever, so time must not stand still
        }
        let events = host.registered().into_iter().flat_map(ready);
        turn = worker.turn(now_ms, 250, events);
        if now_ms > 5_000 {
            peer.unblock();
        }
    }
    assert_eq!(
        worker.connections(),
        0,
        "a peer that is gone must be forgotten"
    );
    assert!(peer.is_closed());
    assert_eq!(worker.counters().panics, 0, "peer bytes never panic");
}

fn ready(id: ConnId) -> [Event; 1] {
    [Event::Stream {
        id,
        ready: Ready {
            readable: true,
            writable: true,
            hung_up: true,
        },
    }]
}

/// A waker nobody waits for.
pub(super) fn waker() -> mio::Waker {
    let poll = mio::Poll::new().expect("a fuzzer has descriptors");
    mio::Waker::new(poll.registry(), mio::Token(0)).expect("a fuzzer has descriptors")
}
