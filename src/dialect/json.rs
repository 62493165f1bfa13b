//! A JSON object written straight into a buffer.
//!
//! `serde_json` writes strings; the rest is four characters. Building values for its serializer
//! would parse every payload a second time, and could not keep one on its line: the Centrifuge
//! dialect separates replies by line feeds, and a payload that came in with line feeds between its
//! tokens must not cut a reply in two.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hub::{Payload, PayloadKind};

/// Appends `{..}` with what `fill` puts into it.
pub(super) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let mut object = Object {
        out,
        is_empty: true,
    };
    fill(&mut object);
    out.push(b'}');
}

/// An object in the making.
pub(super) struct Object<'b> {
    out: &'b mut Vec<u8>,
    is_empty: bool,
}

impl Object<'_> {
    /// A string.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        string(self.value(key), value);
    }

    /// A string, unless it is empty.
    pub(super) fn text_if_any(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    /// A number.
    pub(super) fn number(&mut self, key: &str, value: u64) {
        write!(self.value(key), "{value}").expect(TAKES_ALL);
    }

    /// A number, unless it is 0: what is left out is 0 to whoever reads it.
    pub(super) fn number_if_any(&mut self, key: &str, value: u64) {
        if value != 0 {
            self.number(key, value);
        }
    }

    /// `true`, or nothing: what is left out is false to whoever reads it.
    pub(super) fn flag(&mut self, key: &str, is_set: bool) {
        if is_set {
            self.value(key).extend_from_slice(b"true");
        }
    }

    /// JSON as it is, on one line.
    pub(super) fn json(&mut self, key: &str, json: &str) {
        one_line(self.value(key), json.as_bytes());
    }

    /// JSON as it is, if there is some.
    pub(super) fn json_if_any(&mut self, key: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.json(key, json);
        }
    }

    /// A payload: JSON as it is, text as a string, bytes as a string of base64.
    pub(super) fn payload(&mut self, key: &str, payload: &Payload) {
        let out = self.value(key);
        match (payload.kind, payload.text()) {
            (PayloadKind::Json, Some(json)) => one_line(out, json.as_bytes()),
            (PayloadKind::Text, Some(text)) => string(out, text),
            _ => string(out, &base64(&payload.bytes)),
        }
    }

    /// An object in this one.
    pub(super) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.value(key), fill);
    }

    /// A list of objects.
    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(&mut Object<'_>, T),
    ) {
        let out = self.value(key);
        out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            object(out, |entry| fill(entry, item));
        }
        out.push(b']');
    }

    /// The place for the value of `key`. Some keys are names of peers, so all are escaped.
    fn value(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        string(self.out, key);
        self.out.push(b':');
        self.out
    }
}

/// Appends a string literal.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect(TAKES_ALL);
}

/// Bytes as text.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Within a string a line feed is escaped, so a bare one stands between tokens, where a space does
/// as well.
fn one_line(out: &mut Vec<u8>, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json);
    if json.contains(&b'\n') {
        for byte in &mut out[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
    }
}

const TAKES_ALL: &str = "a Vec takes everything, and text is always a string";

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(kind: PayloadKind, bytes: &[u8]) -> Payload {
        Payload {
            kind,
            bytes: bytes.into(),
        }
    }

    #[test]
    fn an_object_is_what_serde_reads() {
        let mut out = Vec::new();
        object(&mut out, |object| {
            object.text("a\"\n", "b\\\u{1}\u{2028}");
            object.text_if_any("none", "");
            object.number("n", u64::MAX);
            object.number_if_any("zero", 0);
            object.flag("yes", true);
            object.flag("no", false);
            object.json("raw", "{\"x\":\n[1,\n2]}");
            object.json_if_any("nothing", None);
            object.objects("list", [1, 2], |entry, n| entry.number("n", n));
            object.object("empty", |_| {});
        });
        assert!(!out.contains(&b'\n'), "one line");
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "a\"\n": "b\\\u{1}\u{2028}", "n": u64::MAX, "yes": true, "raw": {"x": [1, 2]},
            "list": [{"n": 1}, {"n": 2}], "empty": {}
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn every_kind_of_payload_becomes_json() {
        let table = [
            (PayloadKind::Json, &b"[1,\n2]"[..], "{\"p\":[1, 2]}"),
            (PayloadKind::Text, b"a\"b\n", "{\"p\":\"a\\\"b\\n\"}"),
            (PayloadKind::Binary, b"\xff\x00", "{\"p\":\"/wA=\"}"),
        ];
        for (kind, bytes, expected) in table {
            let mut out = Vec::new();
            object(&mut out, |object| {
                object.payload("p", &payload(kind, bytes))
            });
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
