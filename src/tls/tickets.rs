//! Session tickets without a store: what the server would have to remember, the client keeps, sealed.
//!
//! ```text
//!  ticket = epoch 4 | salt 16 | sealed state | tag 16
//!  key    = HKDF(secret, epoch, salt)              a key of its own for every ticket
//! ```
//!
//! The epoch changes every six hours and takes the old key with it: a ticket is good for its own
//! epoch and the next. Nodes that share a file of secrets understand each other's tickets without a
//! word between them. Whoever steals the secret can resume sessions, but not read those recorded:
//! resumption here always makes a fresh key exchange.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// The keys of tickets. One for all workers.
pub struct Tickets {
    /// The first seals, all open: so that a secret can be replaced without a gap.
    secrets: Vec<Prk>,
    now_s: AtomicU64,
}

/// What is wrong with a file of ticket secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKeyError {
    /// No line holds a secret.
    Empty,
    /// The line of this number is too short to be one.
    TooShort(usize),
    /// More lines than anybody rotates through.
    TooMany,
}

impl Tickets {
    /// Tickets that only this process understands, and only until it ends.
    #[must_use]
    pub fn for_this_process() -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rand::fill(&mut *secret).expect(RANDOM_IS_THERE);
        Self::new(vec![extract(&*secret)])
    }

    /// Tickets that every node with the same file understands. A line is a secret of at least 32
    /// characters, as `openssl rand -base64 48` writes it; empty ones and those that begin with `#`
    /// say nothing. The first line seals. To replace it, put a new one second on every node, then
    /// first, then remove the old one.
    pub fn from_shared_file(text: &[u8]) -> Result<Self, TicketKeyError> {
        let mut secrets = Vec::new();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            match line.trim_ascii() {
                [] | [b'#', ..] => {}
                line if line.len() < SECRET_CHARS_MIN => {
                    return Err(TicketKeyError::TooShort(number));
                }
                line => secrets.push(extract(line)),
            }
        }
        match secrets.len() {
            0 => Err(TicketKeyError::Empty),
            count if count > SECRETS_MAX => Err(TicketKeyError::TooMany),
            _ => Ok(Self::new(secrets)),
        }
    }

    fn new(secrets: Vec<Prk>) -> Self {
        Self {
            secrets,
            now_s: AtomicU64::new(0),
        }
    }

    /// Tells what time it is, in seconds since 1970. Once a minute is often enough.
    pub fn set_now(&self, now_s: u64) {
        self.now_s.store(now_s, Ordering::Relaxed);
    }

    fn epoch(&self) -> u32 {
        (self.now_s.load(Ordering::Relaxed) / u64::from(EPOCH_S)) as u32
    }

    /// Seals what has to be remembered.
    pub(super) fn seal(&self, state: &[u8]) -> Option<Vec<u8>> {
        let mut ticket = Vec::with_capacity(HEAD_LEN + state.len() + TAG_LEN);
        ticket.extend_from_slice(&self.epoch().to_be_bytes());
        ticket.resize(HEAD_LEN, 0);
        rand::fill(&mut ticket[EPOCH_LEN..]).ok()?;
        ticket.extend_from_slice(state);
        let (head, sealed) = ticket.split_at_mut(HEAD_LEN);
        let key = key(&self.secrets[0], head);
        let tag = key.seal_in_place_separate_tag(only_nonce(), Aad::from(head), sealed);
        ticket.extend_from_slice(tag.ok()?.as_ref());
        Some(ticket)
    }

    /// What a ticket of ours holds, if it is one and not too old.
    pub(super) fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (head, sealed) = ticket.split_at_checked(HEAD_LEN)?;
        let epoch = u32::from_be_bytes(*head.first_chunk()?);
        // The next one is that of a node whose clock is ahead.
        let age = self.epoch().checked_add(1)?.checked_sub(epoch)?;
        if age > 2 {
            return None;
        }
        self.secrets.iter().find_map(|secret| {
            let mut state = sealed.to_vec();
            let opened = key(secret, head).open_in_place(only_nonce(), Aad::from(head), &mut state);
            let length = opened.ok()?.len();
            state.truncate(length);
            Some(state)
        })
    }
}

impl fmt::Debug for Tickets {
    /// Everything but the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Tickets({} secrets, epoch {})",
            self.secrets.len(),
            self.epoch()
        )
    }
}

fn extract(secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, b"throng session tickets").extract(secret)
}

/// The key of the one ticket with this head.
fn key(secret: &Prk, head: &[u8]) -> LessSafeKey {
    let head = [head];
    let okm = secret.expand(&head, &AES_256_GCM);
    LessSafeKey::new(UnboundKey::from(
        okm.expect("a key is shorter than 255 hashes"),
    ))
}

/// A key seals one ticket, so its nonce may as well be zero.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

impl fmt::Display for TicketKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CURE: &str = "openssl rand -base64 48 writes a good one";
        match self {
            Self::Empty => write!(f, "holds no secret; {CURE}"),
            Self::TooShort(line) => write!(f, "line {line} is too short for a secret; {CURE}"),
            Self::TooMany => write!(
                f,
                "holds more than {SECRETS_MAX} secrets; remove the old ones"
            ),
        }
    }
}

impl std::error::Error for TicketKeyError {}

/// How long a key seals. A ticket lives as long again, twice as long at most.
const EPOCH_S: u32 = 6 * 3600;
/// What clients are told: a ticket is good for at least this long.
pub(super) const LIFETIME_S: u32 = EPOCH_S;
const EPOCH_LEN: usize = 4;
const SALT_LEN: usize = 16;
const HEAD_LEN: usize = EPOCH_LEN + SALT_LEN;
const TAG_LEN: usize = 16;
/// 32 characters of base64 are 192 bits.
const SECRET_CHARS_MIN: usize = 32;
/// Every secret is tried on every ticket: strangers decide how often.
const SECRETS_MAX: usize = 4;
const RANDOM_IS_THERE: &str = "the kernel has random numbers once it has started";

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &[u8] = b"# node secrets\n\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n";

    #[test]
    fn a_ticket_opens_where_the_secret_is_known() {
        let here = Tickets::from_shared_file(SHARED).unwrap();
        let there = Tickets::from_shared_file(SHARED).unwrap();
        let ticket = here.seal(b"state").unwrap();
        assert_eq!(there.open(&ticket).unwrap(), b"state");
        assert_ne!(here.seal(b"state").unwrap(), ticket);
        let stranger = Tickets::for_this_process();
        assert_eq!(stranger.open(&ticket), None);
        let own = stranger.seal(b"").unwrap();
        assert_eq!(stranger.open(&own).unwrap(), b"");
    }

    #[test]
    fn damage_and_scraps_are_no_tickets() {
        let tickets = Tickets::for_this_process();
        let ticket = tickets.seal(b"state").unwrap();
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(tickets.open(&damaged), None, "{at}");
            assert_eq!(tickets.open(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn tickets_live_for_their_epoch_and_the_next() {
        let tickets = Tickets::for_this_process();
        let epoch = u64::from(EPOCH_S);
        tickets.set_now(100 * epoch);
        let ticket = tickets.seal(b"state").unwrap();
        for (now_s, is_good) in [
            (98 * epoch, false),
            (99 * epoch, true),
            (100 * epoch, true),
            (102 * epoch - 1, true),
            (102 * epoch, false),
            (u64::MAX, false),
        ] {
            tickets.set_now(now_s);
            assert_eq!(tickets.open(&ticket).is_some(), is_good, "{now_s}");
        }
    }

    #[test]
    fn secrets_are_replaced_without_a_gap() {
        let old = [b'o'; 40];
        let new = [b'n'; 40];
        let file = |lines: &[&[u8]]| Tickets::from_shared_file(&lines.join(&b'\n')).unwrap();
        let (first, both, last) = (file(&[&old]), file(&[&new, &old]), file(&[&new]));
        assert!(both.open(&first.seal(b"x").unwrap()).is_some());
        assert!(last.open(&both.seal(b"x").unwrap()).is_some());
        assert!(last.open(&first.seal(b"x").unwrap()).is_none());
        assert_eq!(format!("{both:?}"), "Tickets(2 secrets, epoch 0)");
    }

    #[test]
    fn a_file_without_good_secrets_is_refused() {
        let refused = |text: &[u8]| Tickets::from_shared_file(text).unwrap_err();
        assert_eq!(refused(b"# nothing\n\n"), TicketKeyError::Empty);
        assert_eq!(refused(b"\nshort\n"), TicketKeyError::TooShort(2));
        assert_eq!(refused(&SHARED.repeat(5)), TicketKeyError::TooMany);
        assert!(refused(b"x").to_string().contains("openssl rand"));
    }
}
