//! The header lines of a head, and a table of the few that a handshake asks for.
//!
//! `httparse` splits every line once. Keeping its table would mean to move 32 bytes per line around
//! for lines nobody asks about (cookies, `Accept-Language`); splitting again at every question cost
//! a third of a handshake. So what is asked of every head is noted while the lines are there, and
//! any other name is searched for in the text.

/// A header that has a place in the table: what framing and opening handshakes ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Host,
    Origin,
    Upgrade,
    Connection,
    ContentLength,
    TransferEncoding,
    Key,
    Accept,
    Version,
    Protocol,
    Extensions,
}

impl Known {
    const ALL: [Self; 11] = [
        Self::Host,
        Self::Origin,
        Self::Upgrade,
        Self::Connection,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::Key,
        Self::Accept,
        Self::Version,
        Self::Protocol,
        Self::Extensions,
    ];

    /// The header of that name, in any case.
    ///
    /// The lengths nearly tell them apart, so a name is compared with one candidate at most.
    #[inline]
    fn of(name: &str) -> Option<Self> {
        let candidate = match name.len() {
            4 => Self::Host,
            6 => Self::Origin,
            7 => Self::Upgrade,
            10 => Self::Connection,
            14 => Self::ContentLength,
            17 if name.starts_with(['t', 'T']) => Self::TransferEncoding,
            17 => Self::Key,
            20 => Self::Accept,
            21 => Self::Version,
            22 => Self::Protocol,
            24 => Self::Extensions,
            _ => return None,
        };
        is_named(name.as_bytes(), candidate.name().as_bytes()).then_some(candidate)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Upgrade => "upgrade",
            Self::Connection => "connection",
            Self::ContentLength => "content-length",
            Self::TransferEncoding => "transfer-encoding",
            Self::Key => "sec-websocket-key",
            Self::Accept => "sec-websocket-accept",
            Self::Version => "sec-websocket-version",
            Self::Protocol => "sec-websocket-protocol",
            Self::Extensions => "sec-websocket-extensions",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// All headers of one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'b> {
    /// The header lines, up to and including the empty one.
    lines: &'b str,
    /// The first value of each known header.
    first: [Option<&'b str>; Known::ALL.len()],
    /// Which of them came more than once.
    repeated: u16,
}

impl<'b> Fields<'b> {
    /// Notes what `parsed` holds of the known headers. `text` is the head that was parsed.
    ///
    /// `None` if a line is not part of `text`, which would be a mistake of ours.
    pub(super) fn new(text: &'b str, parsed: &[httparse::Header<'b>]) -> Option<Self> {
        let lines_at = match parsed {
            [first, ..] => offset(text, first.name.as_bytes())?,
            [] => text.len().checked_sub(2)?,
        };
        let mut fields = Self {
            lines: text.get(lines_at..)?,
            first: [None; Known::ALL.len()],
            repeated: 0,
        };
        for header in parsed {
            let Some(known) = Known::of(header.name) else {
                continue;
            };
            let at = offset(text, header.value)?;
            let value = text.get(at..at + header.value.len())?;
            if fields.first[known as usize].replace(value).is_some() {
                fields.repeated |= known.bit();
            }
        }
        Some(fields)
    }

    /// What came under that name.
    #[inline]
    pub(super) fn once(&self, known: Known) -> Once<'b> {
        match self.first[known as usize] {
            None => Once::Absent,
            Some(_) if self.is_repeated(known) => Once::Repeated,
            Some(value) => Once::Is(value),
        }
    }

    /// The values of all headers of that name, in order.
    pub(super) fn all<'n>(&self, name: &'n str) -> Values<'b, 'n> {
        match Known::of(name) {
            Some(known) => self.all_known(known),
            None => Values::search(self.headers(), name),
        }
    }

    /// As [`all`](Self::all), without looking for the name.
    #[inline]
    pub(super) fn all_known(&self, known: Known) -> Values<'b, 'static> {
        if self.is_repeated(known) {
            Values::search(self.headers(), known.name())
        } else {
            Values::one(self.first[known as usize])
        }
    }

    pub(super) fn headers(&self) -> Headers<'b> {
        Headers { lines: self.lines }
    }

    #[inline]
    fn is_repeated(&self, known: Known) -> bool {
        self.repeated & known.bit() != 0
    }
}

/// A header that may come once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Once<'b> {
    Absent,
    Is(&'b str),
    Repeated,
}

/// Whether `name`, a token, is `known` in any case.
///
/// Known names are made of small letters and `-`, and setting the 0x20 of a token's byte makes none
/// of them out of anything but themselves and their capitals. So eight bytes compare like one; the
/// last eight may overlap those before.
#[inline]
fn is_named(name: &[u8], known: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let is_same =
        |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) | CASE == u64::from_le_bytes(*b);
    let (Some(name_end), Some(known_end)) = (name.last_chunk(), known.last_chunk()) else {
        return name.eq_ignore_ascii_case(known);
    };
    let mut words = name.as_chunks().0.iter().zip(known.as_chunks().0);
    name.len() == known.len() && is_same(name_end, known_end) && words.all(|(a, b)| is_same(a, b))
}

/// Where `part`, a piece of `text`, begins in it.
fn offset(text: &str, part: &[u8]) -> Option<usize> {
    part.as_ptr().addr().checked_sub(text.as_ptr().addr())
}

/// The values of the headers of one name: at most one that was noted, or those in the lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'b, 'n> {
    noted: Option<&'b str>,
    lines: Headers<'b>,
    name: &'n str,
}

impl<'b, 'n> Values<'b, 'n> {
    #[inline]
    fn one(noted: Option<&'b str>) -> Self {
        Self {
            noted,
            lines: Headers { lines: "" },
            name: "",
        }
    }

    fn search(lines: Headers<'b>, name: &'n str) -> Self {
        Self {
            noted: None,
            lines,
            name,
        }
    }

    /// The value, if there is one and no other.
    pub(super) fn only(mut self) -> Option<&'b str> {
        let first = self.next()?;
        self.next().is_none().then_some(first)
    }
}

impl<'b> Iterator for Values<'b, '_> {
    type Item = &'b str;

    #[inline]
    fn next(&mut self) -> Option<&'b str> {
        if let Some(value) = self.noted.take() {
            return Some(value);
        }
        if self.lines.lines.is_empty() {
            return None;
        }
        let name = self.name;
        let mut named = (&mut self.lines).filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

/// Iterates over `(name, value)`; values come without the blanks around them.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'b> {
    /// The header lines not yet visited, up to and including the empty line.
    lines: &'b str,
}

impl<'b> Iterator for Headers<'b> {
    type Item = (&'b str, &'b str);

    fn next(&mut self) -> Option<Self::Item> {
        // The scan has seen that every CR is followed by its LF, and a byte is found faster than two.
        let (line, rest) = self.lines.split_once('\r')?;
        self.lines = &rest[1..];
        let (name, value) = line.split_once(':')?;
        Some((name, value.trim_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::is_token;

    /// Fast equals naive: every token byte at every place of every name.
    #[test]
    fn no_other_token_is_taken_for_a_known_name() {
        let tokens = (0..=u8::MAX)
            .map(char::from)
            .filter(|byte| is_token(byte.encode_utf8(&mut [0; 4])));
        for (byte, known) in tokens.flat_map(|byte| Known::ALL.map(|known| (byte, known))) {
            for place in 0..known.name().len() {
                let mut name = known.name().to_owned();
                name.replace_range(place..=place, byte.encode_utf8(&mut [0; 4]));
                let expected = name.eq_ignore_ascii_case(known.name());
                assert_eq!(Known::of(&name), expected.then_some(known), "{name}");
            }
        }
    }

    #[test]
    fn each_name_is_known_by_its_own_in_any_case() {
        for (at, known) in Known::ALL.into_iter().enumerate() {
            let name = known.name();
            assert_eq!(known as usize, at, "{name} has its own place");
            assert_eq!(Known::of(name), Some(known));
            assert_eq!(Known::of(&name.to_ascii_uppercase()), Some(known));
            assert_eq!(Known::of(&name[1..]), None);
        }
    }
}
