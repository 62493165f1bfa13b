//! A complete head, borrowed from the buffer it arrived in.
//!
//! [`Head`] keeps no table of headers: `httparse` has vouched for every line once, and the few
//! lookups of a handshake split the same bytes again for less than a table costs to move around.

use std::mem::MaybeUninit;

use super::HeadError;
use super::scan::{Extent, find_end};
use super::target::{is_host, parse_target};

/// The most header lines read. Browsers send about 20, proxies add a few; common servers stop at 100.
pub const HEADERS_MAX: usize = 100;

/// The head of a request: small, `Copy`, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Head<'b> {
    /// The method, a token; case matters.
    pub method: &'b str,
    /// The request target as it arrived. Routers want [`path`](Self::path) and [`query`](Self::query).
    pub target: &'b str,
    /// 0 or 1.
    pub version_minor: u8,
    origin_form: &'b str,
    content_length: u64,
    lines: &'b str,
}

impl<'b> Head<'b> {
    /// The value of the only header of that name. Two of them are nobody's value: then this is
    /// `None`, and whoever can make sense of several asks [`header_all`](Self::header_all).
    pub fn header(&self, name: &str) -> Option<&'b str> {
        only(self.header_all(name))
    }

    /// The values of all headers of that name, in order.
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
        named(self.headers(), name)
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        Headers { lines: self.lines }
    }

    /// The path, without the query; never empty, still percent-encoded.
    pub fn path(&self) -> &'b str {
        match self.origin_form.split('?').next() {
            Some(path) if !path.is_empty() => path,
            _ => "/",
        }
    }

    /// What follows the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&'b str> {
        Some(self.origin_form.split_once('?')?.1)
    }

    /// The length of the body that follows the head; 0 when none is announced.
    pub fn content_length(&self) -> u64 {
        self.content_length
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'b> {
    /// The status, 100 to 999.
    pub status: u16,
    /// 0 or 1.
    pub version_minor: u8,
    lines: &'b str,
}

impl<'b> ResponseHead<'b> {
    /// As [`Head::header`].
    pub fn header(&self, name: &str) -> Option<&'b str> {
        only(self.header_all(name))
    }

    /// As [`Head::header_all`].
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
        named(self.headers(), name)
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        Headers { lines: self.lines }
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

/// Parses the request head at the start of `bytes`.
///
/// `None` asks for more bytes. `scanned` is where the search for the end resumes: 0 for a new head,
/// then what the last call left there (or how many bytes it was given, which is the same or more). On success also says how many bytes the head took; what
/// follows them is the peer's next words and was not looked at.
pub fn parse_head<'b>(
    bytes: &'b [u8],
    scanned: &mut usize,
    head_bytes_max: usize,
) -> Result<Option<(Head<'b>, usize)>, HeadError> {
    let Some(Extent { start, end }) = find_end(bytes, scanned, head_bytes_max)? else {
        return Ok(None);
    };
    let (line, lines) = split_first_line(&bytes[start..end])?;
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let verdict = request.parse_with_uninit_headers(&bytes[start..end], &mut headers);
    verdict.map_err(|error| refuse(error, line))?;
    // A complete head cannot be `Partial`: the scan saw its last line.
    let (Some(method), Some(target), Some(version_minor)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadError::StartLine);
    };
    let parsed = parse_target(method, target)?;
    let mut head = Head {
        method,
        target,
        version_minor,
        origin_form: parsed.origin_form,
        content_length: 0,
        lines,
    };
    head.content_length = check_framing(head.headers(), version_minor, parsed.authority)?;
    Ok(Some((head, end)))
}

/// Parses the response head at the start of `bytes`; the arguments are those of [`parse_head`].
pub fn parse_response_head<'b>(
    bytes: &'b [u8],
    scanned: &mut usize,
    head_bytes_max: usize,
) -> Result<Option<(ResponseHead<'b>, usize)>, HeadError> {
    let Some(Extent { start, end }) = find_end(bytes, scanned, head_bytes_max)? else {
        return Ok(None);
    };
    // The forgiven empty line is a client's habit; a response has no excuse for it.
    if start != 0 {
        return Err(HeadError::EmptyLines);
    }
    let (line, lines) = split_first_line(&bytes[..end])?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let verdict = response.parse(&bytes[..end]);
    verdict.map_err(|error| refuse(error, line))?;
    match (response.code, response.version) {
        (Some(status @ 100..), Some(version_minor)) => {
            let head = ResponseHead {
                status,
                version_minor,
                lines,
            };
            Ok(Some((head, end)))
        }
        _ => Err(HeadError::StartLine),
    }
}

/// The first line, and the header lines behind it.
fn split_first_line(head: &[u8]) -> Result<(&str, &str), HeadError> {
    let text = std::str::from_utf8(head).map_err(|_| HeadError::Encoding)?;
    text.split_once("\r\n").ok_or(HeadError::StartLine)
}

fn refuse(error: httparse::Error, first_line: &str) -> HeadError {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::HeaderLine,
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        _ if first_line == "PRI * HTTP/2.0" => HeadError::Http2,
        httparse::Error::Version if is_other_version(first_line) => HeadError::Version,
        _ => HeadError::StartLine,
    }
}

/// A well-formed version that is not ours gets 505; anything else is simply malformed.
fn is_other_version(first_line: &str) -> bool {
    let mut words = first_line.split(' ');
    let version = words.nth(2).and_then(|word| word.strip_prefix("HTTP/"));
    let ends_there = words.next().is_none();
    ends_there
        && version.is_some_and(|v| matches!(v.as_bytes(), [b'0' | b'2'..=b'9', b'.', b'0'..=b'9']))
}

/// The headers on which two readers of one byte stream must not disagree: who is addressed, and
/// where the message ends. Gives the length of the body.
fn check_framing(
    headers: Headers<'_>,
    version_minor: u8,
    authority: Option<&str>,
) -> Result<u64, HeadError> {
    let (mut host, mut length) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("host") {
            if host.replace(value).is_some() || !is_host(value) {
                return Err(HeadError::Host);
            }
        } else if name.eq_ignore_ascii_case("content-length") {
            if length.replace(parse_length(value)?).is_some() {
                return Err(HeadError::ContentLength);
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(HeadError::TransferEncoding);
        }
    }
    match (host, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            Err(HeadError::Host)
        }
        (None, _) if version_minor > 0 => Err(HeadError::Host),
        _ => Ok(length.unwrap_or(0)),
    }
}

/// Digits only: `+1`, `0x1` and `1, 1` have each been read differently by two servers in a row.
fn parse_length(value: &str) -> Result<u64, HeadError> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HeadError::ContentLength);
    }
    value.parse().map_err(|_| HeadError::ContentLength)
}

fn named<'b, 'n>(
    headers: Headers<'b>,
    name: &'n str,
) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
    headers
        .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn only<'b>(mut values: impl Iterator<Item = &'b str>) -> Option<&'b str> {
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
