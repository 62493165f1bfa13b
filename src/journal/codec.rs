//! Records as bytes.
//!
//! Numbers are LEB128, texts and payloads have their length in front, what may be missing has a byte that
//! says so. Nothing here is trusted when it is read: a checksum says that the bytes are those that were
//! written, not that who wrote them was right.

use std::sync::Arc;

use crate::hub::{
    ChannelName, ClientId, ClientInfo, Epoch, Payload, PayloadKind, Position, Publication, Record,
};

/// Appends a record.
pub(crate) fn append(out: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Published {
            channel,
            epoch,
            publication,
        } => {
            out.push(PUBLISHED);
            append_bytes(out, channel.as_bytes());
            append_number(out, epoch.number().into());
            append_publication(out, publication);
        }
        Record::Stands {
            channel,
            position,
            forgotten,
            used_ms,
        } => {
            out.push(STANDS);
            append_bytes(out, channel.as_bytes());
            append_number(out, position.epoch.number().into());
            for number in [position.offset, *forgotten, *used_ms] {
                append_number(out, number);
            }
        }
        Record::Begins {
            worker,
            homes,
            epoch,
        } => {
            out.push(BEGINS);
            for number in [u32::from(*worker), u32::from(*homes), epoch.number()] {
                append_number(out, number.into());
            }
        }
    }
}

fn append_publication(out: &mut Vec<u8>, publication: &Publication) {
    append_number(out, publication.offset);
    append_number(out, publication.unix_ms);
    out.push(match publication.payload.kind {
        PayloadKind::Json => 0,
        PayloadKind::Text => 1,
        PayloadKind::Binary => 2,
    });
    append_bytes(out, &publication.payload.bytes);
    append_option(out, publication.publisher.as_ref(), |out, client| {
        append_bytes(out, client.user.as_bytes());
        out.extend_from_slice(&client.client.0.to_le_bytes());
        append_text(out, client.conn_info.as_deref());
        append_text(out, client.chan_info.as_deref());
    });
    append_text(out, publication.key.as_deref());
    append_number(out, publication.tags.len() as u64);
    for (name, value) in &publication.tags {
        append_bytes(out, name.as_bytes());
        append_bytes(out, value.as_bytes());
    }
}

fn append_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn append_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    append_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn append_text(out: &mut Vec<u8>, text: Option<&str>) {
    append_option(out, text, |out, text| append_bytes(out, text.as_bytes()));
}

fn append_option<T>(out: &mut Vec<u8>, value: Option<T>, append: impl Fn(&mut Vec<u8>, T)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        append(out, value);
    }
}

/// Bytes that are no record of ours, although they are what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// Reads the records of a batch. After a malformed one there is nothing more.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(batch: &'a [u8]) -> Self {
        Self { rest: batch }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = read(&mut self.rest);
        if record.is_none() {
            self.rest = &[];
        }
        Some(record.ok_or(Malformed))
    }
}

fn read(from: &mut &[u8]) -> Option<Record> {
    Some(match read_byte(from)? {
        PUBLISHED => Record::Published {
            channel: read_channel(from)?,
            epoch: read_epoch(from)?,
            publication: Arc::new(read_publication(from)?),
        },
        STANDS => {
            let (channel, epoch) = (read_channel(from)?, read_epoch(from)?);
            let offset = read_number(from)?;
            let forgotten = read_number(from)?;
            Record::Stands {
                channel,
                position: Position { offset, epoch },
                forgotten: (forgotten <= offset).then_some(forgotten)?,
                used_ms: read_number(from)?,
            }
        }
        BEGINS => Record::Begins {
            worker: read_number(from)?.try_into().ok()?,
            homes: read_number(from)?.try_into().ok()?,
            epoch: read_epoch(from)?,
        },
        _ => return None,
    })
}

fn read_publication(from: &mut &[u8]) -> Option<Publication> {
    let offset = read_number(from)?;
    let unix_ms = read_number(from)?;
    let kind = match read_byte(from)? {
        0 => PayloadKind::Json,
        1 => PayloadKind::Text,
        2 => PayloadKind::Binary,
        _ => return None,
    };
    let bytes: Box<[u8]> = read_bytes(from)?.into();
    let is_sound = match kind {
        PayloadKind::Json => serde_json::from_slice::<&serde_json::value::RawValue>(&bytes).is_ok(),
        PayloadKind::Text => str::from_utf8(&bytes).is_ok(),
        PayloadKind::Binary => true,
    };
    if !is_sound || offset == 0 {
        return None;
    }
    let publisher = read_option(from, |from| {
        Some(Arc::new(ClientInfo {
            user: read_text(from)?,
            client: ClientId(u128::from_le_bytes(*take_chunk(from)?)),
            conn_info: read_option(from, read_text)?,
            chan_info: read_option(from, read_text)?,
        }))
    })?;
    let key = read_option(from, read_text)?;
    let count = usize::try_from(read_number(from)?).ok()?;
    // Two lengths each: a count that the rest cannot hold is not believed.
    let tags = (count <= from.len() / 2).then_some(count)?;
    let tags = (0..tags).map(|_| Some((read_text(from)?, read_text(from)?)));
    Some(Publication {
        offset,
        unix_ms,
        payload: Payload { kind, bytes },
        publisher,
        key,
        tags: tags.collect::<Option<_>>()?,
    })
}

fn read_byte(from: &mut &[u8]) -> Option<u8> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    Some(*first)
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(from)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            // One way to write each number: what is read is written again alike.
            return (byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

fn read_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_number(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

fn read_text(from: &mut &[u8]) -> Option<Box<str>> {
    str::from_utf8(read_bytes(from)?).ok().map(Into::into)
}

fn read_channel(from: &mut &[u8]) -> Option<Arc<str>> {
    let name = str::from_utf8(read_bytes(from)?).ok()?;
    Some(ChannelName::new(name).ok()?.as_str().into())
}

fn read_epoch(from: &mut &[u8]) -> Option<Epoch> {
    let number = u32::try_from(read_number(from)?).ok()?;
    (number != 0).then(|| Epoch::new(number))
}

fn read_option<T>(from: &mut &[u8], read: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    match read_byte(from)? {
        0 => Some(None),
        1 => read(from).map(Some),
        _ => None,
    }
}

fn take_chunk<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(chunk)
}

const PUBLISHED: u8 = 1;
const STANDS: u8 = 2;
const BEGINS: u8 = 3;
