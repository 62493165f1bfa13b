//! Events as each dialect says them, framed once for all who speak it.

use std::sync::Arc;

use crate::dialect::centrifuge::{Push, append_push};
use crate::dialect::raw::Frame;
use crate::dialect::{chat, raw};
use crate::hub::{ChannelName, Dialect, Event, Gap, Publication};
use crate::reactor::SharedFrame;
use crate::ws::frame::Kind;

/// Whether a dialect has words for an event.
pub(super) fn has_words(dialect: Dialect, channel: &str, event: &Event) -> bool {
    match (dialect, event) {
        (_, Event::Publication(_)) => true,
        (Dialect::Centrifuge, Event::Join(_) | Event::Leave(_)) => true,
        // It is told with the publication behind it, or the client subscribes again.
        (Dialect::Centrifuge, Event::Gap(_)) => false,
        // Who reads a personal channel is one user, and knows where else it is logged in.
        (Dialect::Chat, Event::Join(_) | Event::Leave(_)) => {
            ChannelName::new(channel).is_ok_and(|name| name.personal_to().is_none())
        }
        (Dialect::Chat, Event::Gap(_)) => true,
        (Dialect::Raw, _) => false,
    }
}

/// The frame for an event; `None` if the dialect has no words for it. `scratch` is any buffer.
pub(super) fn frame(
    dialect: Dialect,
    channel: &str,
    event: &Event,
    scratch: &mut Vec<u8>,
) -> Option<SharedFrame> {
    if !has_words(dialect, channel, event) {
        return None;
    }
    scratch.clear();
    match dialect {
        Dialect::Centrifuge => append_push(scratch, channel, &push(event)?),
        Dialect::Chat => {
            chat::append_event(scratch, ChannelName::new(channel).ok()?, event);
        }
        Dialect::Raw => {
            return raw::frame(event).map(|frame| match frame {
                Frame::Text(text) => SharedFrame::message(Kind::Text, text.as_bytes()),
                Frame::Binary(bytes) => SharedFrame::message(Kind::Binary, bytes),
            });
        }
    }
    Some(text_frame(scratch))
}

/// The frame for the first publication behind a gap that [`frame`] had no frame for.
pub(super) fn frame_behind(
    dialect: Dialect,
    channel: &str,
    gap: &Gap,
    publication: &Arc<Publication>,
    scratch: &mut Vec<u8>,
) -> Option<SharedFrame> {
    if dialect == Dialect::Centrifuge {
        scratch.clear();
        append_push(scratch, channel, &Push::PublicationBehind(gap, publication));
        return Some(text_frame(scratch));
    }
    frame(
        dialect,
        channel,
        &Event::Publication(publication.clone()),
        scratch,
    )
}

fn text_frame(scratch: &mut Vec<u8>) -> SharedFrame {
    let frame = SharedFrame::message(Kind::Text, scratch);
    scratch.shrink_to(SCRATCH_BYTES_KEPT);
    frame
}

/// What a large event may leave of the buffer it needed.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;

/// A gap has no push: it is told with the publication behind it, or the client subscribes again.
fn push(event: &Event) -> Option<Push<'_>> {
    Some(match event {
        Event::Publication(publication) => Push::Publication(publication),
        Event::Join(client) => Push::Join(client),
        Event::Leave(client) => Push::Leave(client),
        Event::Gap(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{ClientId, ClientInfo};

    fn said(dialect: Dialect, channel: &str, event: &Event) -> Option<String> {
        frame(dialect, channel, event, &mut Vec::new()).map(|frame| text(&frame))
    }

    fn text(frame: &SharedFrame) -> String {
        let bytes = frame.bytes();
        let header = if bytes[1] < 126 { 2 } else { 4 };
        String::from_utf8_lossy(&bytes[header..]).into_owned()
    }

    fn said_at_7() -> Arc<Publication> {
        Arc::new(Publication {
            offset: 7,
            unix_ms: 1,
            payload: raw::text_payload("{\"text\":\"hi\"}"),
            publisher: None,
            key: None,
            tags: Box::default(),
        })
    }

    const MISSED: Gap = Gap {
        publications: 2,
        offsets: Some((5, 6)),
    };

    /// One of each kind.
    fn events() -> [Event; 4] {
        let bob = Arc::new(ClientInfo {
            user: "bob".into(),
            client: ClientId(1),
            conn_info: None,
            chan_info: None,
        });
        let (join, leave) = (Event::Join(bob.clone()), Event::Leave(bob));
        let publication = Event::Publication(said_at_7());
        [publication, join, leave, Event::Gap(MISSED)]
    }

    #[test]
    fn each_dialect_says_what_it_has_words_for() {
        let [publication, join, _, gap] = events();
        let says = |dialect, event| said(dialect, "room", event);
        let push = says(Dialect::Centrifuge, &publication);
        let expected = r#"{"push":{"channel":"room","pub":{"data":{"text":"hi"},"offset":7}}}"#;
        assert_eq!(push.as_deref(), Some(expected));
        assert!(says(Dialect::Centrifuge, &join).is_some_and(|text| text.contains("bob")));
        assert_eq!(says(Dialect::Centrifuge, &gap), None);
        for event in [&publication, &join, &gap] {
            assert!(says(Dialect::Chat, event).is_some(), "{event:?}");
        }
        assert_eq!(said(Dialect::Chat, "#bob", &join), None);
        let raw = says(Dialect::Raw, &publication);
        assert_eq!(raw.as_deref(), Some("{\"text\":\"hi\"}"));
        assert_eq!(says(Dialect::Raw, &join), None);
        assert_eq!(says(Dialect::Raw, &gap), None);

        let behind = |dialect| {
            let frame = frame_behind(dialect, "room", &MISSED, &said_at_7(), &mut Vec::new());
            text(&frame.expect("a publication is told in every dialect"))
        };
        let push = behind(Dialect::Centrifuge);
        let tags = r#""offset":7,"tags":{"missed":"2","missed_offsets":"5-6"}}}}"#;
        assert!(push.ends_with(tags), "{push}");
        assert_eq!(behind(Dialect::Raw), "{\"text\":\"hi\"}");
    }

    #[test]
    fn what_a_dialect_has_words_for_it_says() {
        for dialect in Dialect::ALL {
            for channel in ["room", "chat:room", "#bob"] {
                for event in &events() {
                    let is_said = said(dialect, channel, event).is_some();
                    let has_words = has_words(dialect, channel, event);
                    assert_eq!(is_said, has_words, "{dialect:?} {channel} {event:?}");
                }
            }
        }
    }
}
