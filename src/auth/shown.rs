//! Names of peers in logs.

use std::fmt::{self, Write};

/// A peer's text, for a line of a log: in quotes, escaped, and cut after [`Shown::CHARS_MAX`].
///
/// Line feeds would forge a line, escape sequences repaint the terminal, and direction marks show
/// something else than what is there; all of them come out as escapes.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'t>(pub &'t str);

impl Shown<'_> {
    /// Characters of the original that are shown: enough for a name, too few to fill a disk.
    pub const CHARS_MAX: usize = 64;
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut chars = self.0.chars();
        for letter in chars.by_ref().take(Self::CHARS_MAX) {
            write!(f, "{}", letter.escape_debug())?;
        }
        f.write_str(match chars.next() {
            Some(_) => "..\"",
            None => "\"",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_line() {
        let table = [
            ("bob", "\"bob\""),
            ("größe 🙂", "\"größe 🙂\""),
            ("a\nERROR b", "\"a\\nERROR b\""),
            ("a\r\n", "\"a\\r\\n\""),
            ("\u{1b}[2J", "\"\\u{1b}[2J\""),
            ("\u{202e}gpj.exe", "\"\\u{202e}gpj.exe\""),
            ("\u{2028}", "\"\\u{2028}\""),
            ("\u{0}\u{7f}\u{85}", "\"\\0\\u{7f}\\u{85}\""),
            ("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""),
            ("", "\"\""),
        ];
        for (text, expected) in table {
            assert_eq!(Shown(text).to_string(), expected);
        }
    }

    #[test]
    fn it_is_cut() {
        let long = "é".repeat(Shown::CHARS_MAX);
        assert_eq!(Shown(&long).to_string(), format!("\"{long}\""));
        let longer = format!("{long}x");
        assert_eq!(Shown(&longer).to_string(), format!("\"{long}..\""));
    }
}
