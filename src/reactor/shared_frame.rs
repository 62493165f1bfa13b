//! A message for many: framed once, deflated once for each class of connections, shared by reference.
//!
//! What permessage-deflate makes of a message depends on the window that was agreed on and on nothing
//! else, as long as it refers to no earlier message. So each window has one deflated form, made for the
//! first connection that needs it; everybody else costs a pointer.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::ws::deflate::{Codec, Compression, Half, WINDOW_BITS};
use crate::ws::frame::{Kind, Opcode, append_frame};

/// A finished frame that any number of connections may send.
#[derive(Clone)]
pub struct SharedFrame(Arc<Shape>);

// A queue behind a slow reader holds one of these for each message.
const _: () = assert!(size_of::<SharedFrame>() == 8);

struct Shape {
    bytes: Box<[u8]>,
    kind: Kind,
    /// Where the payload begins: `payload_at <= bytes.len()`.
    payload_at: usize,
    squeezed: OnceLock<Box<Forms>>,
}

/// By window bits; `None` where deflating gains nothing.
type Forms = [OnceLock<Option<SharedFrame>>; WINDOWS];
const WINDOWS: usize = (*WINDOW_BITS.end() - *WINDOW_BITS.start() + 1) as usize;

impl SharedFrame {
    /// Frames a message for sending by a server.
    pub fn message(kind: Kind, payload: &[u8]) -> Self {
        Self::new(kind, false, payload)
    }

    fn new(kind: Kind, is_squeezed: bool, payload: &[u8]) -> Self {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, Opcode::from(kind), is_squeezed, None, payload);
        Self(Arc::new(Shape {
            payload_at: bytes.len() - payload.len(),
            bytes: bytes.into(),
            kind,
            squeezed: OnceLock::new(),
        }))
    }

    /// The frame as it goes over the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The form for a connection that has agreed on this, which is about to be sent: deflated if that
    /// is worth it.
    pub(crate) fn for_link(&self, codec: &mut Codec, link: &mut Compression) -> Self {
        let payload = &self.0.bytes[self.0.payload_at..];
        let Some(ours) = link
            .agreed
            .filter(|_| codec.worth_compressing(link, payload.len()))
            .map(|agreed| agreed.ours)
        else {
            return self.clone();
        };
        let forms = self.0.squeezed.get_or_init(Box::default);
        let form = forms[usize::from(ours.window_bits() - WINDOW_BITS.start())]
            .get_or_init(|| self.squeeze(codec, ours));
        match form {
            Some(form) => {
                link.remember_sent(payload);
                form.clone()
            }
            None => self.clone(),
        }
    }

    fn squeeze(&self, codec: &mut Codec, ours: Half) -> Option<Self> {
        let payload = &self.0.bytes[self.0.payload_at..];
        let squeezed = codec.compress_alone(ours, payload)?;
        Some(Self::new(self.0.kind, true, squeezed))
    }
}

impl fmt::Debug for SharedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedFrame").field(&self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::deflate::{Agreed, DeflateConfig, Mode};

    fn link(window_bits: u8, keeps_context: bool) -> Compression {
        let half = Half::new(window_bits, keeps_context);
        Compression::new(Some(Agreed {
            ours: half,
            theirs: half,
        }))
    }

    fn codec() -> Codec {
        Codec::new(&DeflateConfig {
            mode: Mode::Dedicated,
            ..DeflateConfig::default()
        })
    }

    fn inflated(codec: &mut Codec, link: &mut Compression, frame: &SharedFrame) -> Vec<u8> {
        assert_eq!(frame.bytes()[0] & 0x40, 0x40, "it says that it is deflated");
        let mut text = Vec::new();
        codec.refill(1 << 20);
        let input = &frame.bytes()[frame.0.payload_at..];
        codec
            .inflate(link, &mut None, input, &mut text, 1 << 20)
            .expect("it is sound");
        text
    }

    #[test]
    fn each_window_has_one_form_and_each_form_is_the_message() {
        let text = "what everybody is to be told ".repeat(100);
        let frame = SharedFrame::message(Kind::Text, text.as_bytes());
        let mut codec = codec();
        let plain = frame.for_link(&mut codec, &mut Compression::default());
        assert!(Arc::ptr_eq(&plain.0, &frame.0));
        for bits in WINDOW_BITS {
            let first = frame.for_link(&mut codec, &mut link(bits, false));
            let second = frame.for_link(&mut codec, &mut link(bits, true));
            assert!(Arc::ptr_eq(&first.0, &second.0), "made once");
            assert!(first.bytes().len() < text.len() / 4);
            let said = inflated(&mut codec, &mut link(bits, false), &first);
            assert_eq!(said, text.as_bytes());
        }
    }

    #[test]
    fn what_is_small_or_gains_nothing_stays_as_it_is() {
        let mut codec = codec();
        let noise: Vec<u8> = (0..4096_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ ((n * n) >> 7) as u8)
            .collect();
        for payload in [&b"short"[..], &noise] {
            let frame = SharedFrame::message(Kind::Binary, payload);
            let form = frame.for_link(&mut codec, &mut link(15, false));
            let is_smaller = form.bytes().len() < frame.bytes().len();
            assert!(is_smaller || Arc::ptr_eq(&form.0, &frame.0));
        }
        let frame = SharedFrame::message(Kind::Binary, b"short");
        let form = frame.for_link(&mut codec, &mut link(15, false));
        assert!(Arc::ptr_eq(&form.0, &frame.0));
    }

    /// A window that is kept has shared messages in it, too: what is compressed later refers to them.
    #[test]
    fn a_kept_context_stays_in_step() {
        let (mut codec, mut ours, mut theirs) = (codec(), link(12, true), link(12, true));
        for round in 0..20 {
            let text = format!("round {round} of a conversation that repeats itself ").repeat(5);
            let said = if round % 3 == 0 {
                let frame = SharedFrame::message(Kind::Text, text.as_bytes());
                let form = frame.for_link(&mut codec, &mut ours);
                inflated(&mut codec, &mut theirs, &form)
            } else {
                codec.refill(1 << 20);
                let squeezed = codec.compress(&mut ours, text.as_bytes());
                let squeezed = squeezed.expect("it repeats itself").to_vec();
                let frame = SharedFrame::new(Kind::Text, true, &squeezed);
                inflated(&mut codec, &mut theirs, &frame)
            };
            assert_eq!(said, text.as_bytes(), "round {round}");
        }
    }
}
