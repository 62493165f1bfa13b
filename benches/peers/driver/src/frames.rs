//! Counts a server's messages, in whatever pieces the kernel hands them over: bytes in, counts out.
//! What they say is not looked at.

use anyhow::{Result, ensure};

/// A header of 2 bytes and a length of 8; a server does not mask.
const HEADER_BYTES_MAX: usize = 10;
const FIN: u8 = 0x80;
const DEFLATED: u8 = 0x40;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 8;

/// Where in its frames one connection is.
#[derive(Clone, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    /// `header[..held]` has arrived; 0 between frames. While payload is expected it is all of it.
    held: u8,
    payload_left: u64,
    /// Whether the message that has begun said that it is deflated.
    is_deflated: bool,
}

// There are as many as there are subscribers.
const _: () = assert!(size_of::<Frames>() <= 24);

/// Messages that came to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) messages: u32,
    /// Those of them that were deflated.
    pub(crate) deflated: u32,
}

impl Frames {
    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<Heard> {
        let mut heard = Heard::default();
        while !bytes.is_empty() {
            let taken = match self.payload_left {
                0 => self.take_header(bytes)?,
                left => {
                    let taken =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    self.payload_left -= taken as u64;
                    taken
                }
            };
            bytes = &bytes[taken..];
            self.end_frame(&mut heard);
        }
        Ok(heard)
    }

    /// Payload that is still to come in the frame that has begun. It may be thrown away unseen, as
    /// long as [`skip`](Self::skip) hears of it.
    pub(crate) fn payload_left(&self) -> u64 {
        self.payload_left
    }

    /// The same as feeding so many bytes of payload: at most `payload_left` of them.
    pub(crate) fn skip(&mut self, bytes: usize) -> Heard {
        self.payload_left -= bytes as u64;
        let mut heard = Heard::default();
        self.end_frame(&mut heard);
        heard
    }

    /// Whether no frame has begun.
    pub(crate) fn is_between(&self) -> bool {
        self.held == 0
    }

    /// Copies what is missing of the header, as far as it is there.
    fn take_header(&mut self, bytes: &[u8]) -> Result<usize> {
        let held = usize::from(self.held);
        let wanted = self.header_len() - held;
        let taken = wanted.min(bytes.len());
        self.header[held..held + taken].copy_from_slice(&bytes[..taken]);
        self.held += taken as u8;
        if usize::from(self.held) == self.header_len() {
            self.begin_payload()?;
        }
        Ok(taken)
    }

    /// How long the header is, as far as what is there can tell.
    fn header_len(&self) -> usize {
        match (self.held, self.header[1] & !MASKED) {
            (0 | 1, _) => 2,
            (_, 126) => 4,
            (_, 127) => HEADER_BYTES_MAX,
            _ => 2,
        }
    }

    fn begin_payload(&mut self) -> Result<()> {
        let [first, second, length @ ..] = self.header;
        ensure!(second & MASKED == 0, "the server masks its frames");
        let opcode = first & 0x0f;
        ensure!(opcode != CLOSE, "the server says Close");
        if opcode == 1 || opcode == 2 {
            self.is_deflated = first & DEFLATED != 0;
        }
        self.payload_left = match second {
            126 => u16::from_be_bytes([length[0], length[1]]).into(),
            127 => u64::from_be_bytes(length),
            short => short.into(),
        };
        Ok(())
    }

    /// Counts, if the frame is through and the last of a message.
    fn end_frame(&mut self, heard: &mut Heard) {
        let is_through = self.payload_left == 0 && self.held > 0;
        if !is_through || usize::from(self.held) < self.header_len() {
            return;
        }
        self.held = 0;
        let is_control = self.header[0] & 0x08 != 0;
        if self.header[0] & FIN != 0 && !is_control {
            heard.messages += 1;
            heard.deflated += u32::from(self.is_deflated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload_len: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload_len {
            0..=125 => bytes.push(payload_len as u8),
            126..=0xffff => {
                bytes.push(126);
                bytes.extend_from_slice(&(payload_len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(127);
                bytes.extend_from_slice(&(payload_len as u64).to_be_bytes());
            }
        }
        // Bytes that would be headers, taken for any.
        bytes.extend((0..payload_len).map(|at| [0x81, 0x7e, 0x00, 0xc2][at % 4]));
        bytes
    }

    /// Four messages, the second in three fragments with a ping between, one and a half of them
    /// deflated: both halves of the second.
    fn conversation() -> Vec<u8> {
        [
            frame(0x82, 0),
            frame(0x41, 130),
            frame(0x89, 4),
            frame(0x00, 1),
            frame(0x80, 0),
            frame(0xc2, 70_000),
            frame(0x8a, 125),
            frame(0x81, 126),
        ]
        .concat()
    }

    fn sum(heard: impl Iterator<Item = Heard>) -> Heard {
        heard.fold(Heard::default(), |sum, more| Heard {
            messages: sum.messages + more.messages,
            deflated: sum.deflated + more.deflated,
        })
    }

    #[test]
    fn the_count_is_the_same_however_the_bytes_are_split() {
        let bytes = conversation();
        let expected = Heard {
            messages: 4,
            deflated: 2,
        };
        for step in [1, 2, 3, 7, 11, 1024, bytes.len()] {
            let mut frames = Frames::default();
            let heard = bytes.chunks(step).map(|piece| frames.feed(piece).unwrap());
            assert_eq!(sum(heard), expected, "{step} at a time");
            assert!(frames.is_between());
        }
        for border in 0..400 {
            let (mut frames, (front, back)) = (Frames::default(), bytes.split_at(border));
            let heard = [frames.feed(front).unwrap(), frames.feed(back).unwrap()];
            assert_eq!(sum(heard.into_iter()), expected, "split at {border}");
        }
    }

    #[test]
    fn payload_may_be_skipped_in_any_pieces() {
        let bytes = conversation();
        for step in [1, 5, 1000, 100_000] {
            let (mut frames, mut at, mut all) = (Frames::default(), 0, Vec::new());
            while at < bytes.len() {
                let taken = match frames.payload_left() as usize {
                    0 => {
                        all.push(frames.feed(&bytes[at..=at]).unwrap());
                        1
                    }
                    left => {
                        all.push(frames.skip(left.min(step)));
                        left.min(step)
                    }
                };
                at += taken;
            }
            assert_eq!(sum(all.into_iter()).messages, 4, "{step} at a time");
        }
    }

    #[test]
    fn a_server_that_masks_or_leaves_is_an_error() {
        assert!(Frames::default().feed(&[0x81, 0x80]).is_err());
        assert!(Frames::default().feed(&[0x88, 0x00]).is_err());
    }
}
