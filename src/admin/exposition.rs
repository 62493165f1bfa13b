//! The text format in which Prometheus reads figures.
//!
//! Only what cannot be got wrong by its user is offered: a family has a name, a kind and a sentence
//! before it has samples, names of counters end in `_total`, and label values are escaped. Names are
//! checked where they are written down, in the tests of those who write them.

use std::fmt::{Display, Write as _};

/// A page of figures in the making.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What a figure does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Figures of one name.
#[derive(Debug)]
pub struct Family<'e> {
    page: &'e mut Exposition,
    name: &'e str,
}

impl Exposition {
    /// The media type of the page.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Begins the figures called `name`; `meaning` is a sentence for people.
    pub fn family<'e>(&'e mut self, name: &'e str, kind: Kind, meaning: &str) -> Family<'e> {
        debug_assert!(is_name(name), "{name}");
        debug_assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let meaning = meaning.trim().replace('\\', r"\\").replace('\n', r"\n");
        let _ = write!(self.text, "# HELP {name} {meaning}\n# TYPE {name} {kind}\n");
        Family { page: self, name }
    }

    /// One figure without labels.
    pub fn figure(&mut self, name: &str, kind: Kind, meaning: &str, value: impl Display) {
        self.family(name, kind, meaning).sample(&[], value);
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// One figure of the family. Values of labels come from small sets of ours: a worker, a kind, never
    /// a channel or a user.
    pub fn sample(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) -> &mut Self {
        let text = &mut self.page.text;
        text.push_str(self.name);
        for (index, (label, value)) in labels.iter().enumerate() {
            debug_assert!(is_name(label) && !label.contains(':'), "{label}");
            text.push(if index == 0 { '{' } else { ',' });
            let value = value.to_string();
            let value = value.replace('\\', r"\\").replace('"', "\\\"");
            let _ = write!(text, "{label}=\"{}\"", value.replace('\n', r"\n"));
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
        self
    }
}

fn is_name(name: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first) && bytes.all(|b| is_first(b) || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_the_format_wants_it() {
        let mut page = Exposition::default();
        page.figure("throng_up", Kind::Gauge, " Whether it is up. ", 1);
        page.family("throng_odd_total", Kind::Counter, "Two\nlines, a \\.")
            .sample(&[("kind", &"a \"b\" \\ c\nd"), ("worker", &7)], 0.25)
            .sample(&[("kind", &"")], u64::MAX);
        assert_eq!(
            page.into_text(),
            "# HELP throng_up Whether it is up.\n# TYPE throng_up gauge\nthrong_up 1\n\
             # HELP throng_odd_total Two\\nlines, a \\\\.\n# TYPE throng_odd_total counter\n\
             throng_odd_total{kind=\"a \\\"b\\\" \\\\ c\\nd\",worker=\"7\"} 0.25\n\
             throng_odd_total{kind=\"\"} 18446744073709551615\n"
        );
    }

    #[test]
    fn names_have_a_shape() {
        for name in ["throng_x_total", "_a", "a:b", "a1"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "a-b", "a b", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
