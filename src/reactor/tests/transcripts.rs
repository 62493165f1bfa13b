//! Whole conversations of several peers, in random pieces and with random obstacles: whatever
//! happens, each peer reads exactly the echo of what it said, in order, and nothing else.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::ws::close::CloseCode;
use crate::ws::deflate::{Agreed, Codec, Compression, Mode};
use crate::ws::frame::{HEADROOM, Role, header_len, write_header};
use crate::ws::handshake::{ClientRequest, append_request, check_response};
use crate::ws::inbound::{Inbound, Rules, Step};
use crate::ws::mask::unmask;

/// What a client heard, one frame or message each.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Message(Kind, Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>),
}

impl Heard {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Message(_, payload) | Self::Pong(payload) => payload.len(),
            Self::Close(_) => 0,
        }
    }
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(kind, payload) => write!(f, "{kind:?} of {}", payload.len()),
            Self::Pong(payload) => write!(f, "pong {payload:?}"),
            Self::Close(code) => write!(f, "close {code:?}"),
        }
    }
}

/// Reads a stream as the client that agreed on this compression.
pub(super) fn decode(agreed: Option<Agreed>, stream: &[u8]) -> Vec<Heard> {
    let rules = Rules {
        role: Role::Client,
        message_bytes_max: 1 << 20,
        empty_fragments_max: 0,
    };
    let mut link = Compression::new(agreed);
    let mut codec = Codec::new(&DEFLATE);
    codec.refill(usize::MAX);
    let (mut inbound, mut heard) = (Inbound::new(), Vec::new());
    let mut input = [&[0; HEADROOM], stream].concat();
    let mut at = HEADROOM;
    loop {
        let step = inbound.step(&rules, &mut link, &mut codec, &mut input, &mut at);
        heard.push(match step.expect("a server says what is legal") {
            Step::Drained => break,
            Step::Message(message) => Heard::Message(message.kind(), message.payload().to_vec()),
            Step::Pong(payload) => Heard::Pong(payload.to_vec()),
            Step::Close(said) => Heard::Close(said.map(|(code, _)| code)),
            other => panic!("nobody asked for {other:?}"),
        });
        let closed = matches!(heard.last(), Some(Heard::Close(_)));
        assert!(!closed || at == input.len(), "bytes behind our Close");
        if closed {
            break;
        }
    }
    assert!(inbound.is_idle(), "the last frame is cut");
    heard
}

/// Bytes that do not compress.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

const DEFLATE: DeflateConfig = DeflateConfig {
    mode: Mode::Dedicated,
    window_bits: 9,
    level: 1,
    min_bytes: 100,
    inflaters_max: 1,
};

/// One thing a peer says.
#[derive(Clone, Debug)]
struct Saying {
    text: bool,
    noisy: bool,
    len: usize,
    fragments: usize,
    squeezed: bool,
    ping: bool,
}

fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let len = prop_oneof![4 => 0..300_usize, 2 => 300..9_000_usize, 1 => 9_000..300_000_usize];
    let saying = (any::<[bool; 4]>(), len, 1..4_usize).prop_map(|(bits, len, fragments)| Saying {
        text: bits[0],
        noisy: bits[1],
        len,
        fragments,
        squeezed: bits[2],
        ping: bits[3],
    });
    vec(saying, 0..12)
}

/// How a peer leaves.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Close,
    Fin,
    Violation,
}

/// A peer: what it will say, what it must hear.
struct Peer {
    script: Script,
    id: ConnId,
    agreed: Option<Agreed>,
    wire: Vec<u8>,
    expected: Vec<Heard>,
    leave: Leave,
    /// The edge the kernel owes us.
    edge: Option<Ready>,
}

impl Peer {
    fn connect(world: &mut World, compressing: bool, leave: Leave) -> Self {
        let off = DeflateConfig::default();
        let request = ClientRequest {
            host: "x",
            target: "/echo",
            key: [7; 16],
            origin: None,
            protocols: &[],
            deflate: if compressing { &DEFLATE } else { &off },
            headers: &[],
        };
        let mut head = Vec::new();
        append_request(&mut head, &request).expect("a sound request");
        let (script, id) = world.connect();
        world.say(&script, id, &head);
        let response = script.take_sent();
        let response = check_response(&response, &mut 0, &request).expect("a sound response");
        let (accepted, _) = response.expect("a whole response");
        Self {
            script,
            id,
            agreed: accepted.agreed,
            wire: Vec::new(),
            expected: Vec::new(),
            leave,
            edge: None,
        }
    }

    fn plan(&mut self, sayings: &[Saying]) {
        let mut link = Compression::new(self.agreed);
        let mut codec = Codec::new(&DEFLATE);
        for saying in sayings {
            self.say(saying, &mut link, &mut codec);
        }
        match self.leave {
            Leave::Close => {
                self.wire
                    .extend(masked(Opcode::Close, &1000_u16.to_be_bytes()));
                self.expected.push(Heard::Close(Some(CloseCode::NORMAL)));
            }
            Leave::Fin => {}
            Leave::Violation => {
                self.wire.extend(plain(Opcode::Text, b"unmasked"));
                self.wire.extend(masked(Opcode::Text, b"not to be read"));
                self.expected.push(Heard::Close(Some(CloseCode::PROTOCOL)));
            }
        }
    }

    fn say(&mut self, saying: &Saying, link: &mut Compression, codec: &mut Codec) {
        let (kind, payload) = match (saying.text, saying.noisy) {
            (true, _) => {
                let text: String = "a\u{e9}\u{20ac}\u{1d11e}"
                    .chars()
                    .cycle()
                    .take(saying.len)
                    .collect();
                (Kind::Text, text.into_bytes())
            }
            (false, true) => (Kind::Binary, noise(saying.len)),
            (false, false) => (Kind::Binary, vec![saying.len as u8; saying.len]),
        };
        let squeezed = saying.squeezed.then(|| codec.compress(link, &payload));
        let squeezed = squeezed.flatten().map(<[u8]>::to_vec);
        let rsv1 = squeezed.is_some();
        let bytes = squeezed.as_ref().unwrap_or(&payload);
        let piece_len = bytes.len().div_ceil(saying.fragments).max(1);
        let count = bytes.len().div_ceil(piece_len).max(1);
        for index in 0..count {
            let piece = &bytes[index * piece_len..bytes.len().min((index + 1) * piece_len)];
            let opcode = if index == 0 {
                Opcode::from(kind)
            } else {
                Opcode::Continuation
            };
            let (first, last) = (index == 0, index + 1 == count);
            append_fragment(&mut self.wire, last, rsv1 && first, opcode, piece);
            if saying.ping && first {
                self.wire.extend(masked(Opcode::Ping, b"still there?"));
                let pong = Heard::Pong(b"still there?".to_vec());
                if last {
                    self.expected.push(Heard::Message(kind, payload.clone()));
                    self.expected.push(pong);
                    return;
                }
                self.expected.push(pong);
            }
        }
        self.expected.push(Heard::Message(kind, payload));
    }

    /// Sends the next piece; `true` if there was one.
    fn send(&mut self, len: usize) -> bool {
        let piece: Vec<u8> = self.wire.drain(..len.min(self.wire.len())).collect();
        if !piece.is_empty() {
            self.script.arrive_behind(&piece);
            self.note(true, false);
        }
        !piece.is_empty()
    }

    fn note(&mut self, readable: bool, writable: bool) {
        let edge = self.edge.get_or_insert(Ready {
            readable: false,
            writable: false,
            hung_up: false,
        });
        edge.readable |= readable;
        edge.writable |= writable;
    }

    /// The kernel has room for so many bytes more; `None` is for all there will be.
    fn take(&mut self, room: Option<usize>) {
        match room {
            Some(room) => self.script.block_after(room),
            None => self.script.unblock(),
        }
        if room != Some(0) && self.script.take_refused() {
            self.note(false, true);
        }
    }

    /// Nothing is in its way any more: it says the rest, and has heard everything.
    fn finish(mut self, world: &mut World) -> Script {
        self.script.take_per_send(0);
        self.take(None);
        while self.send(100_000) || self.edge.is_some() {
            self.turn(world);
        }
        if matches!(self.leave, Leave::Fin) {
            self.script.arrive_eof();
            world.settle(&[hung_up(self.id)]);
        }
        world.settle(&[]);
        assert_eq!(decode(self.agreed, &self.script.sent()), self.expected);
        assert!(self.script.fin_sent() || self.script.is_closed());
        self.script
    }

    fn turn(&mut self, world: &mut World) {
        let edge = self
            .edge
            .take()
            .map(|ready| Event::Stream { id: self.id, ready });
        world.settle(edge.as_slice());
    }
}

fn append_fragment(out: &mut Vec<u8>, fin: bool, rsv1: bool, opcode: Opcode, payload: &[u8]) {
    let at = out.len();
    out.resize(at + header_len(payload.len(), true), 0);
    write_header(&mut out[at..], fin, rsv1, opcode, Some(KEY), payload.len());
    let at = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[at..], KEY);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_peer_hears_exactly_its_echo(
        plans in vec((any::<bool>(), 0..3_u8, sayings()), 1..4),
        deeds in vec((0..4_usize, 0..6_u8, 1..200_000_usize, 0..4_u32), 0..60),
    ) {
        let limits = Limits {
            queue_bytes_high: 20_000,
            ..Limits::default()
        };
        let mut world = World::compressing(limits, 10, DEFLATE);
        let mut peers = Vec::new();
        for (compressing, leave, sayings) in &plans {
            let leave = [Leave::Close, Leave::Fin, Leave::Violation][usize::from(*leave)];
            let mut peer = Peer::connect(&mut world, *compressing, leave);
            peer.plan(sayings);
            peers.push(peer);
        }
        for (who, deed, amount, scale) in deeds {
            let who = who % peers.len();
            let amount = amount >> (4 * scale); // small pieces as often as large ones
            let peer = &mut peers[who];
            match deed {
                0 | 1 => drop(peer.send(amount.max(1))),
                2 => peer.take(Some(amount)),
                3 => peer.take(None),
                4 => peer.script.take_per_send(amount),
                _ => peer.turn(&mut world),
            }
            if deed % 2 == 0 {
                peer.turn(&mut world);
            }
        }
        // Only then time passes: it would cut off who has said Close and is still blocked.
        let finish = |peer: Peer| peer.finish(&mut world);
        let scripts: Vec<_> = peers.into_iter().map(finish).collect();
        world.pass(4000);
        prop_assert!(scripts.iter().all(Script::is_closed));
    }
}
