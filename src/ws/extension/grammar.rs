//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 9.1), read once from left to right.
//!
//! ```text
//!  list      = [ extension ] *( "," [ extension ] )        empty elements are skipped
//!  extension = token *( ";" parameter )
//!  parameter = token [ "=" ( token | quoted-string whose content is a token ) ]
//! ```

use std::borrow::Cow;

use crate::http1::is_token;

/// The value does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One extension of a list; its parameters have been read once and follow the grammar.
#[derive(Debug)]
pub(super) struct Extension<'b> {
    pub(super) name: &'b str,
    /// From the first `;` to the last parameter's end.
    parameters: &'b str,
}

impl<'b> Extension<'b> {
    /// The parameters, in order.
    pub(super) fn parameters(&self) -> impl Iterator<Item = Parameter<'b>> {
        let mut reader = Reader {
            rest: self.parameters,
        };
        // `Err` cannot come: the reader took the same bytes when it found the extension.
        std::iter::from_fn(move || reader.parameter().ok().flatten())
    }
}

/// Name and, if there is one, value.
pub(super) type Parameter<'b> = (&'b str, Option<Cow<'b, str>>);

/// Reads a list; ends at the first fault.
#[derive(Debug)]
pub(super) struct Reader<'b> {
    rest: &'b str,
}

impl<'b> Reader<'b> {
    pub(super) fn new(list: &'b str) -> Self {
        Self { rest: list }
    }

    fn extension(&mut self) -> Result<Extension<'b>, Malformed> {
        let name = self.token()?;
        let before = self.rest;
        while self.parameter()?.is_some() {}
        let parameters = &before[..before.len() - self.rest.len()];
        // A list goes on with a comma or ends.
        if self.rest.is_empty() || self.rest.starts_with(',') {
            Ok(Extension { name, parameters })
        } else {
            Err(Malformed)
        }
    }

    /// The next parameter, if a `;` says there is one.
    fn parameter(&mut self) -> Result<Option<Parameter<'b>>, Malformed> {
        self.skip_blanks();
        if !self.eat(';') {
            return Ok(None);
        }
        self.skip_blanks();
        let name = self.token()?;
        self.skip_blanks();
        let mut value = None;
        if self.eat('=') {
            self.skip_blanks();
            value = Some(match self.eat('"') {
                true => self.quoted()?,
                false => Cow::Borrowed(self.token()?),
            });
            self.skip_blanks();
        }
        Ok(Some((name, value)))
    }

    fn token(&mut self) -> Result<&'b str, Malformed> {
        let ends = |c: char| !c.is_ascii() || !is_token(c.encode_utf8(&mut [0; 4]));
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        if length == 0 {
            return Err(Malformed);
        }
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(token)
    }

    /// A quoted string whose opening quote is behind us. Copied only if it holds a backslash.
    fn quoted(&mut self) -> Result<Cow<'b, str>, Malformed> {
        let mut escaped = false;
        let length = self.rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (quoted, rest) = self.rest.split_at(length.ok_or(Malformed)?);
        self.rest = &rest[1..];
        let content = if quoted.contains('\\') {
            Cow::Owned(unescape(quoted))
        } else {
            Cow::Borrowed(quoted)
        };
        // RFC 6455 9.1: what a quoted value says must be a token, too.
        if is_token(&content) {
            Ok(content)
        } else {
            Err(Malformed)
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

impl<'b> Iterator for Reader<'b> {
    type Item = Result<Extension<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return None;
        }
        let extension = self.extension();
        if extension.is_err() {
            self.rest = "";
        }
        Some(extension)
    }
}

/// Drops the backslash of every `\x`.
fn unescape(quoted: &str) -> String {
    let mut escaped = false;
    let is_content = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    quoted.chars().filter(is_content).collect()
}
