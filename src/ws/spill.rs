//! The beginning of a frame that did not arrive whole: less than a header, or less than a control
//! frame. At most one control frame fits, and is lent to the caller from here.

use super::close::Violation;
use super::frame::{CONTROL_PAYLOAD_MAX, Opcode, Role, parse_header};
use super::mask::unmask;

/// Bytes of one frame, as received.
#[derive(Debug)]
pub(super) struct Spill {
    bytes: [u8; SPILL_BYTES_MAX],
    /// `len <= SPILL_BYTES_MAX`
    len: u8,
    /// A whole control frame that the previous step lent to the caller.
    is_delivered: bool,
}

impl Spill {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn is_delivered(&self) -> bool {
        self.is_delivered
    }

    /// Whether nothing in here is still needed.
    pub(super) fn is_spent(&self) -> bool {
        self.is_empty() || self.is_delivered
    }

    /// Appends bytes of the same frame.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let start = self.len();
        let end = start + bytes.len();
        self.bytes[start..end].copy_from_slice(bytes);
        self.len = end as u8;
    }

    /// Takes what is missing of `wanted` bytes from the input, or all of it; whether it was enough.
    pub(super) fn top_up(&mut self, wanted: usize, input: &[u8], at: &mut usize) -> bool {
        let missing = wanted - self.len();
        let rest = &input[*at..];
        let taken = &rest[..missing.min(rest.len())];
        self.push(taken);
        *at += taken.len();
        taken.len() == missing
    }

    /// Unmasks the whole control frame in here and lends its payload.
    pub(super) fn deliver_control(&mut self, role: Role) -> Result<(Opcode, &[u8]), Violation> {
        let header = parse_header(self.bytes(), role)?.expect("the spilled frame is whole");
        self.is_delivered = true;
        let payload = &mut self.bytes[usize::from(header.header_len)..usize::from(self.len)];
        if let Some(key) = header.key {
            unmask(payload, key);
        }
        Ok((header.opcode, payload))
    }
}

impl Default for Spill {
    fn default() -> Self {
        Self {
            bytes: [0; SPILL_BYTES_MAX],
            len: 0,
            is_delivered: false,
        }
    }
}

/// The longest control frame; every header is shorter.
const SPILL_BYTES_MAX: usize = 2 + 4 + CONTROL_PAYLOAD_MAX;

const _: () = assert!(SPILL_BYTES_MAX <= u8::MAX as usize);
