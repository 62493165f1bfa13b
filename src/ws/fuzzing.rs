//! The properties that fuzz targets and tests share: a fuzz target is one call of one of these,
//! and `cargo test` replays its seeds through the same function.
//!
//! A property panics when it does not hold. Nothing here is part of the API.

use super::close::{CloseCode, Violation};
use super::deflate::{Agreed, Codec, Compression, Half};
use super::frame::{HEADROOM, Kind, Opcode, Role, parse_header};
use super::inbound::{Inbound, Rules, Step};
use super::mask;
use super::message::Framed;
use super::utf8::Utf8Stream;

/// A [`Step`] that outlives its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedStep {
    /// A message.
    Message(Kind, Vec<u8>),
    /// A Ping.
    Ping(Vec<u8>),
    /// A Pong.
    Pong(Vec<u8>),
    /// A Close.
    Close(Option<(CloseCode, String)>),
}

/// What came of a whole stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// All steps, in order.
    pub steps: Vec<OwnedStep>,
    /// What ended it, if the peer broke a rule.
    pub violation: Option<Violation>,
    /// Whether it ended inside a frame or message.
    pub is_mid_message: bool,
}

/// Small enough that a fuzzer meets them.
pub const SMALL_RULES: Rules = Rules {
    role: Role::Server,
    message_bytes_max: 4096,
    empty_fragments_max: 8,
};

/// Feeds `chunks` to a fresh [`Inbound`] as a worker does: each at the front of a receive buffer
/// that held something else before, and little to inflate per turn.
pub fn run<'c>(
    chunks: impl IntoIterator<Item = &'c [u8]>,
    rules: &Rules,
    agreed: Option<Agreed>,
) -> Transcript {
    let mut stream = Stream::new(*rules, agreed);
    for chunk in chunks {
        if stream.is_over() || !stream.read(chunk) {
            break;
        }
    }
    stream.transcript()
}

/// Any bytes, to either role, in any chunks: no panic, and the chunks make no difference.
///
/// The first byte chooses: chunks of up to 63 bytes, deflate or none, with context or without.
pub fn frame_stream(bytes: &[u8]) {
    let (&choice, stream) = bytes.split_first().unwrap_or((&0, &[]));
    let size = usize::from(choice & 63).max(1);
    let half = Half::new(9, choice & 64 != 0);
    let agreed = (choice & 128 != 0).then_some(Agreed {
        ours: half,
        theirs: half,
    });
    for role in [Role::Server, Role::Client] {
        let rules = Rules {
            role,
            ..SMALL_RULES
        };
        let whole = run([stream], &rules, agreed);
        let by_byte = run(stream.chunks(1), &rules, agreed);
        assert_eq!(whole, by_byte, "{role:?}: byte by byte");
        let by_size = run(stream.chunks(size), &rules, agreed);
        assert_eq!(whole, by_size, "{role:?}: in chunks of {size}");
    }
}

/// Any bytes, cut anywhere: the stream says what std says of the whole, and no later than std can.
pub fn utf8(bytes: &[u8]) {
    let judged = str::from_utf8(bytes);
    let first_bad = match judged {
        Ok(_) => None,
        Err(error) => error.error_len().map(|_| error.valid_up_to()),
    };
    for size in [1, 2, 3, 5, 64, bytes.len().max(1)] {
        let mut stream = Utf8Stream::new();
        let mut fed = 0;
        let fed_all = bytes.chunks(size).try_for_each(|chunk| {
            stream.feed(chunk)?;
            fed += chunk.len();
            Ok::<(), Violation>(())
        });
        assert_eq!(fed_all.is_err(), first_bad.is_some(), "chunks of {size}");
        if let Some(valid_up_to) = first_bad {
            // The chunk that was refused is the one with the first impossible byte.
            let bad_at = valid_up_to + impossible_after(&bytes[valid_up_to..]);
            assert!((fed..fed + size).contains(&bad_at), "chunks of {size}");
        } else {
            assert_eq!(stream.finish().is_ok(), judged.is_ok());
        }
    }
}

/// Any bytes, key and phase: unmasking equals the definition.
pub fn unmask(bytes: &[u8], key: [u8; 4], phase: usize) {
    let naive: Vec<u8> = (phase..)
        .zip(bytes)
        .map(|(index, byte)| byte ^ key[index % 4])
        .collect();
    let mut fast = bytes.to_vec();
    let is_ascii = mask::unmask_ascii(&mut fast, key, phase);
    assert_eq!(fast, naive);
    assert_eq!(is_ascii, naive.is_ascii());
}

/// So little that a message of [`SMALL_RULES`] takes several turns.
const INFLATED_BYTES_PER_TURN: usize = 1000;

/// How many bytes of an invalid sequence could still have become valid.
fn impossible_after(sequence: &[u8]) -> usize {
    (1..sequence.len())
        .find(|&end| {
            let error = str::from_utf8(&sequence[..end]).err();
            error.is_some_and(|error| error.error_len().is_some())
        })
        .unwrap_or(sequence.len())
        - 1
}

/// A connection that is being read, and what came of it so far.
struct Stream {
    rules: Rules,
    inbound: Inbound,
    link: Compression,
    codec: Codec,
    received: usize,
    steps: Vec<OwnedStep>,
    violation: Option<Violation>,
}

impl Stream {
    fn new(rules: Rules, agreed: Option<Agreed>) -> Self {
        Self {
            rules,
            inbound: Inbound::new(),
            link: Compression::new(agreed),
            codec: Codec::default(),
            received: 0,
            steps: Vec::new(),
            violation: None,
        }
    }

    fn is_over(&self) -> bool {
        self.violation.is_some() || matches!(self.steps.last(), Some(OwnedStep::Close(_)))
    }

    /// Whether the stream goes on.
    fn read(&mut self, chunk: &[u8]) -> bool {
        self.received += chunk.len();
        let mut input = vec![0xEE; HEADROOM];
        input.extend_from_slice(chunk);
        let mut at = HEADROOM;
        while !self.is_over() {
            let before = at;
            let step = self.inbound.step(
                &self.rules,
                &mut self.link,
                &mut self.codec,
                &mut input,
                &mut at,
            );
            assert!(before <= at && at <= HEADROOM + chunk.len());
            match step {
                Ok(Step::Drained) => {
                    assert_eq!(at, HEADROOM + chunk.len());
                    self.check_memory();
                    return true;
                }
                Ok(Step::Yield) => {
                    self.check_memory();
                    self.codec.refill(INFLATED_BYTES_PER_TURN);
                }
                Ok(Step::Message(message)) => {
                    let (kind, payload) = (message.kind(), message.payload().to_vec());
                    let key = (self.rules.role == Role::Client).then_some([1, 0x80, 3, 0xFF]);
                    let framed = message.into_frame(key);
                    check_reply(&framed, &input, before, kind, &payload);
                    self.steps.push(OwnedStep::Message(kind, payload));
                }
                Ok(Step::Ping(payload)) => self.steps.push(OwnedStep::Ping(payload.to_vec())),
                Ok(Step::Pong(payload)) => self.steps.push(OwnedStep::Pong(payload.to_vec())),
                Ok(Step::Close(close)) => {
                    let close = close.map(|(code, reason)| (code, reason.to_owned()));
                    self.steps.push(OwnedStep::Close(close));
                }
                Err(violation) => self.violation = Some(violation),
            }
        }
        false
    }

    /// Nothing is held that did not arrive.
    fn check_memory(&self) {
        let held = self.inbound.held_bytes();
        let limit = self.rules.message_bytes_max;
        let text = if self.link.agreed.is_some() { limit } else { 0 };
        assert!(held <= 2 * self.received + text + 1024, "{held} bytes held");
        assert!(held <= 2 * limit + text + (64 << 10), "{held} bytes held");
        assert!(held == 0 || !self.inbound.is_idle());
    }

    fn transcript(self) -> Transcript {
        Transcript {
            is_mid_message: !self.is_over() && self.inbound.is_mid_message(),
            steps: self.steps,
            violation: self.violation,
        }
    }
}

/// The frame made of a message is legal, says the same, and leaves what came before it alone.
fn check_reply(framed: &Framed, input: &[u8], floor: usize, kind: Kind, payload: &[u8]) {
    let frame = match framed {
        Framed::InPlace { start, end } => {
            assert!(*start >= floor, "an earlier reply is overwritten");
            &input[*start..*end]
        }
        Framed::Owned { buffer, start } => &buffer[*start..],
    };
    let is_masked = frame[1] & 0x80 != 0;
    let reader = if is_masked {
        Role::Server
    } else {
        Role::Client
    };
    let header = parse_header(frame, reader)
        .expect("our own frame is legal")
        .expect("our own frame is whole");
    assert!(header.fin && !header.rsv1);
    assert_eq!(header.opcode, Opcode::from(kind));
    let mut sent = frame[usize::from(header.header_len)..].to_vec();
    mask::unmask(&mut sent, header.key.unwrap_or_default());
    assert_eq!(sent, payload);
}
