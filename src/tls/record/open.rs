//! Records to plaintext, where they lie.

use std::ops::Range;

use super::{
    ALERT, APPLICATION, CIPHERTEXT_BYTES_MAX, CIPHERTEXT_BYTES_MIN, CLOSE_NOTIFY, HANDSHAKE,
    HEADER_LEN, KEY_UPDATE, NEW_SESSION_TICKET, PLAINTEXT_BYTES_MAX, USER_CANCELED,
};
use crate::tls::fault::Fault;
use crate::tls::keys::{BROKEN, HEARD_CLOSE, Keys, OWES_ANSWER, OWES_REQUEST, Role, SEQUENCE_END};
use crate::tls::suite::Crypter;

/// What came of a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Where the plaintext of all whole records lies, in one run.
    pub plaintext: Range<usize>,
    /// Where the beginning of the record lies that is not all there. Keep it, and put it in front of
    /// what comes next.
    pub rest: Range<usize>,
    /// Whether the stream goes on. It is to be looked at after the plaintext, which came before it.
    pub end: End,
    /// The peer waits for something the record layer owes it: `seal` says it, also without plaintext.
    pub owes_reply: bool,
}

/// How a burst ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may follow.
    Open,
    /// The peer said close_notify: nothing follows, and what does is ignored.
    Closed,
    /// The peer broke a rule. Its alert is to be sent, and the connection closed.
    Broken(Fault),
}

/// The read side of one connection during one burst.
pub(super) struct Opener<'a, 'k, T> {
    keys: &'a mut Keys<'k>,
    role: Role,
    /// Set up with the first record.
    crypter: Option<Crypter>,
    /// Hears the tickets a server sends (a client's business).
    on_ticket: T,
}

impl<'a, 'k, T: FnMut(&[u8])> Opener<'a, 'k, T> {
    pub(super) fn new(keys: &'a mut Keys<'k>, role: Role, on_ticket: T) -> Self {
        Self {
            keys,
            role,
            crypter: None,
            on_ticket,
        }
    }

    /// Opens every whole record in `buffer[span]` and moves their plaintexts together.
    pub(super) fn open(mut self, buffer: &mut [u8], span: Range<usize>) -> Opened {
        // Where the first record's plaintext comes to lie: it need not be moved.
        let start = (span.start + HEADER_LEN).min(span.end);
        let mut plaintext = start..start;
        let mut rest = span;
        let end = loop {
            if let Some(end) = self.over() {
                rest.start = rest.end; // whatever it is, it is ignored
                break end;
            }
            match self.record(&mut buffer[rest.clone()]) {
                Ok(None) => break End::Open,
                Ok(Some((length, content))) => {
                    let content = rest.start + content.start..rest.start + content.end;
                    let content_len = content.len();
                    if content.start != plaintext.end {
                        buffer.copy_within(content, plaintext.end);
                    }
                    plaintext.end += content_len;
                    rest.start += length;
                }
                Err(fault) => {
                    self.keys.read.word.set(BROKEN);
                    rest.start = rest.end;
                    break End::Broken(fault);
                }
            }
        };
        Opened {
            plaintext,
            rest,
            end,
            owes_reply: self.keys.write.word.has(OWES_ANSWER | OWES_REQUEST),
        }
    }

    fn over(&self) -> Option<End> {
        let word = *self.keys.read.word;
        (word.has(HEARD_CLOSE | BROKEN)).then_some(End::Closed)
    }

    /// Opens the record at the front of `bytes`: how long it is, and where its application bytes are.
    /// `None` if it is not all there.
    fn record(&mut self, bytes: &mut [u8]) -> Result<Option<(usize, Range<usize>)>, Fault> {
        let Some(length) = record_len(bytes)? else {
            return Ok(None);
        };
        let Some(record) = bytes.get_mut(..length) else {
            return Ok(None);
        };
        if self.keys.read.word.sequence() >= SEQUENCE_END {
            return Err(Fault::KeyWornOut);
        }
        let (header, sealed) = record
            .split_first_chunk_mut::<HEADER_LEN>()
            .expect("a record has a header");
        let nonce = self.keys.read.take_nonce();
        let Keys { suite, read, .. } = &*self.keys;
        let crypter = self.crypter.get_or_insert_with(|| read.crypter(*suite));
        let inner = crypter.open(nonce, *header, sealed).ok_or(Fault::BadMac)?;
        if self.keys.read.word.sequence() == ASK_AT {
            self.keys.write.word.set(OWES_REQUEST);
        }
        if inner.len() > PLAINTEXT_BYTES_MAX + 1 {
            return Err(Fault::RecordOverflow);
        }
        let end = inner.iter().rposition(|byte| *byte != 0);
        let (content, kind) = match end {
            Some(end) => (&inner[..end], inner[end]),
            None => return Err(Fault::InnerType),
        };
        let content_len = content.len();
        if kind == APPLICATION && content_len > 0 {
            self.keys.read.word.set_barren(0);
            return Ok(Some((length, HEADER_LEN..HEADER_LEN + content_len)));
        }
        self.count_barren()?;
        match kind {
            APPLICATION => {}
            HANDSHAKE => self.handshake(content)?,
            ALERT => self.alert(content)?,
            _ => return Err(Fault::InnerType),
        }
        Ok(Some((length, HEADER_LEN..HEADER_LEN)))
    }

    fn count_barren(&mut self) -> Result<(), Fault> {
        let count = self.keys.read.word.barren();
        if count == BARREN_MAX {
            return Err(Fault::TooManyBarren);
        }
        self.keys.read.word.set_barren(count + 1);
        Ok(())
    }

    /// Messages after the handshake. They are short and come whole from everybody; one in pieces
    /// is refused, so that none is ever kept.
    fn handshake(&mut self, mut content: &[u8]) -> Result<(), Fault> {
        if content.is_empty() {
            return Err(Fault::HandshakeMessage);
        }
        while let Some((&kind, after)) = content.split_first() {
            let (length, after) = after.split_first_chunk().ok_or(Fault::HandshakeMessage)?;
            let [high, middle, low] = *length;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let (body, after) = after
                .split_at_checked(length)
                .ok_or(Fault::HandshakeMessage)?;
            match (kind, self.role) {
                (KEY_UPDATE, _) if !after.is_empty() => return Err(Fault::KeyUpdateNotLast),
                (KEY_UPDATE, _) => self.key_update(body)?,
                (NEW_SESSION_TICKET, Role::Client) => (self.on_ticket)(body),
                _ => return Err(Fault::HandshakeMessage),
            }
            content = after;
        }
        Ok(())
    }

    fn key_update(&mut self, body: &[u8]) -> Result<(), Fault> {
        match body {
            [0] => {}
            [1] => self.keys.write.word.set(OWES_ANSWER),
            [_] => return Err(Fault::KeyUpdateValue),
            _ => return Err(Fault::Malformed),
        }
        self.keys.read.update(self.keys.suite);
        self.crypter = None;
        Ok(())
    }

    /// The level says nothing in TLS 1.3: every alert but these two is the end.
    fn alert(&mut self, content: &[u8]) -> Result<(), Fault> {
        match *content {
            [_, CLOSE_NOTIFY] => self.keys.read.word.set(HEARD_CLOSE),
            [_, USER_CANCELED] => {}
            [_, description] => return Err(Fault::PeerAlert(description)),
            _ => return Err(Fault::Malformed),
        }
        Ok(())
    }
}

/// How long the record at the front of `bytes` is, judged as early as its header allows.
pub(super) fn record_len(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    if bytes.first().is_some_and(|kind| *kind != APPLICATION) {
        return Err(Fault::NotProtected);
    }
    let Some(&[_, _, _, high, low]) = bytes.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        length if length > CIPHERTEXT_BYTES_MAX => Err(Fault::RecordOverflow),
        length if length < CIPHERTEXT_BYTES_MIN => Err(Fault::BadMac),
        length => Ok(Some(HEADER_LEN + length)),
    }
}

/// Records in a row without an application byte. rustls and BoringSSL allow 32 of each sort, too.
const BARREN_MAX: u32 = 32;
/// Records after which the peer is asked for a new key: half of what one may protect, so that it has
/// as many again to answer in.
const ASK_AT: u32 = 1 << 23;
