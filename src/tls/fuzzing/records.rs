//! Records alone: a peer with the right keys that says what it likes.

use crate::tls::record::{self, End, OVERHEAD, RECORD_BYTES_MAX, Tail, TailBudget};
use crate::tls::{Fault, Half, KeyId, KeyStore, Role, Suite};

/// Both ends of a connection after its handshake, without one.
#[derive(Debug)]
pub struct Pair {
    /// The client's keys.
    pub client: (KeyStore, KeyId),
    /// The server's.
    pub server: (KeyStore, KeyId),
}

impl Pair {
    /// Made-up secrets of the right length.
    #[must_use]
    pub fn new(suite: Suite) -> Self {
        let secrets = [0x0C, 0x50].map(|fill| vec![fill; suite.secret_len()]);
        let half = |index: usize| Half {
            secret: &secrets[index],
            sequence: 0,
        };
        let keep = |role, read, write| {
            let mut store = KeyStore::new(role);
            let id = store.insert(suite, &half(read), &half(write));
            (store, id.expect("a few pages"))
        };
        Self {
            client: keep(Role::Client, 1, 0),
            server: keep(Role::Server, 0, 1),
        }
    }
}

/// The receiving end as a worker is it: one buffer for everything, a tail where a record is cut.
#[derive(Debug)]
pub struct Receiver {
    buffer: Vec<u8>,
    tail: Tail,
    budget: TailBudget,
    /// All plaintext so far.
    pub plaintext: Vec<u8>,
    /// How many tickets were heard of.
    pub tickets: usize,
    /// Where it ended.
    pub end: End,
}

/// Room in front of what is received, as the reactor leaves it.
const HEADROOM: usize = 16;

impl Default for Receiver {
    fn default() -> Self {
        Self {
            buffer: vec![0xEE; HEADROOM + 8 * RECORD_BYTES_MAX],
            tail: Tail::default(),
            budget: TailBudget::new(1 << 20),
            plaintext: Vec::new(),
            tickets: 0,
            end: End::Open,
        }
    }
}

impl Receiver {
    /// Receives `chunk`; whether the stream goes on.
    pub fn receive(&mut self, store: &mut KeyStore, id: KeyId, chunk: &[u8]) -> bool {
        let start = HEADROOM + self.tail.len();
        self.buffer[start..start + chunk.len()].copy_from_slice(chunk);
        let fresh = start..start + chunk.len();
        let span = self
            .tail
            .join(&mut self.buffer, fresh, &mut self.budget)
            .expect("one tail is within the budget");
        assert!(span.is_empty() || span.start == HEADROOM);
        let tickets = &mut self.tickets;
        let opened = store.open(id, &mut self.buffer, span, |_| *tickets += 1);
        self.plaintext
            .extend_from_slice(&self.buffer[opened.plaintext]);
        self.end = opened.end;
        self.tail
            .keep(&self.buffer[opened.rest], &mut self.budget)
            .expect("one tail is within the budget");
        assert!(self.tail.len() < RECORD_BYTES_MAX);
        assert!(self.budget.bytes() <= 2 * RECORD_BYTES_MAX);
        self.end == End::Open
    }

    /// Forgets the tail; nothing may be left in the budget.
    pub fn finish(&mut self) {
        self.tail.clear(&mut self.budget);
        assert_eq!(self.budget.bytes(), 0);
    }
}

/// A peer that holds the right keys and says what it likes, in any pieces: no panic, the pieces make
/// no difference, and as long as nobody tampers with its records, what it seals is what opens.
///
/// The first two bytes choose suite, role and pieces; then come instructions of two bytes, some
/// followed by what they take.
pub fn record_layer(bytes: &[u8]) {
    let &[choice, size, ref script @ ..] = bytes else {
        return;
    };
    let suite = Suite::ALL[usize::from(choice & 3) % 3];
    let is_client = choice & 4 != 0;
    let stream = Written::by(script, suite, is_client);
    let read = |size: usize| {
        let mut pair = Pair::new(suite);
        let (store, id) = pair.reader(is_client);
        let mut receiver = Receiver::default();
        for chunk in stream.wire.chunks(size) {
            if !receiver.receive(store, *id, chunk) {
                break;
            }
        }
        receiver.finish();
        (receiver.plaintext, receiver.tickets, receiver.end)
    };
    let whole = read(stream.wire.len().clamp(1, 4 * RECORD_BYTES_MAX));
    assert_eq!(whole, read(usize::from(size).max(1)), "pieces of {size}");
    if stream.wire.len() < 4096 {
        assert_eq!(whole, read(1), "byte by byte");
    }
    if stream.is_honest {
        assert_eq!(whole.0, stream.plaintext);
        assert!(!matches!(whole.2, End::Broken(_)), "{:?}", whole.2);
    }
    if let End::Broken(Fault::PeerAlert(description)) = whole.2 {
        assert!(description != 0 && description != 90);
    }
}

impl Pair {
    fn reader(&mut self, is_client: bool) -> &mut (KeyStore, KeyId) {
        if is_client {
            &mut self.client
        } else {
            &mut self.server
        }
    }
}

/// What a script made of a stream.
struct Written {
    wire: Vec<u8>,
    /// What was sealed as application bytes.
    plaintext: Vec<u8>,
    /// Whether every record is one that our own record layer writes.
    is_honest: bool,
}

impl Written {
    fn by(script: &[u8], suite: Suite, to_client: bool) -> Self {
        let mut pair = Pair::new(suite);
        let (store, id) = pair.reader(!to_client);
        let mut written = Self {
            wire: Vec::new(),
            plaintext: Vec::new(),
            is_honest: true,
        };
        let mut script = script.iter().copied();
        let mut barren = 0;
        while let (Some(verb), Some(amount)) = (script.next(), script.next()) {
            if written.wire.len() > 3 * RECORD_BYTES_MAX {
                break;
            }
            let mut take = |count: u8| script.by_ref().take(count.into()).collect::<Vec<u8>>();
            barren += 1;
            match verb % 6 {
                0 | 1 => {
                    // Pieces of one size, up to more than a record holds.
                    let pieces = 1 + usize::from(verb >> 4) * 13;
                    let piece = vec![verb; usize::from(amount)];
                    let pieces = std::iter::repeat_n(&piece[..], pieces);
                    written.seal(store, *id, pieces);
                    barren *= u8::from(amount == 0);
                }
                2 => store.refresh(*id),
                3 => {
                    let mut out = [0; 64];
                    let length = store.alert(*id, amount, &mut out);
                    written.wire.extend_from_slice(&out[..length]);
                    written.is_honest &= amount == 0;
                }
                4 => {
                    let inner = take(amount);
                    let mut out = vec![0; inner.len() + OVERHEAD];
                    let length = store.seal_inner(*id, &inner, &mut out);
                    written.wire.extend_from_slice(&out[..length]);
                    written.is_honest = false;
                }
                _ => {
                    let at = usize::from(amount) * 3;
                    if let Some(byte) = written.wire.iter_mut().rev().nth(at) {
                        *byte ^= verb | 1;
                        written.is_honest = false;
                    }
                }
            }
            // Beyond its patience even an honest peer is one too many.
            written.is_honest &= barren < 30;
        }
        written
    }

    fn seal<'p>(
        &mut self,
        store: &mut KeyStore,
        id: KeyId,
        pieces: impl Iterator<Item = &'p [u8]> + Clone,
    ) {
        let all: Vec<u8> = pieces.clone().flatten().copied().collect();
        let records = all.len() / record::PLAINTEXT_BYTES_MAX + 2;
        let mut out = vec![0; all.len() + records * OVERHEAD + 64];
        let sealed = store.seal(id, pieces, &mut out);
        assert!(sealed.plaintext == all.len() || store.has_said_close(id));
        self.plaintext.extend_from_slice(&all[..sealed.plaintext]);
        self.wire.extend_from_slice(&out[..sealed.ciphertext]);
    }
}
