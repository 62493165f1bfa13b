//! A complete head, borrowed from the buffer it arrived in.
//!
//! `httparse` vouches for every line once; the headers that a handshake asks for are noted then
//! (see `fields`), so that no question costs a walk over the lines.

use std::mem::MaybeUninit;

use super::HeadError;
use super::fields::{Fields, Headers, Known, Once, Values};
use super::scan::{Extent, find_end};
use super::target::{is_host, parse_target};

/// The most header lines read. Browsers send about 20, proxies add a few; common servers stop at 100.
pub const HEADERS_MAX: usize = 100;

/// The head of a request: `Copy`, borrowed.
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
    fields: Fields<'b>,
}

impl<'b> Head<'b> {
    /// The value of the only header of that name. Two of them are nobody's value: then this is
    /// `None`, and whoever can make sense of several asks [`header_all`](Self::header_all).
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.fields.all(name).only()
    }

    /// The values of all headers of that name, in order.
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
        self.fields.all(name)
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        self.fields.headers()
    }

    /// As [`header`](Self::header), told apart: none, one, or several.
    #[inline]
    pub(crate) fn once(&self, known: Known) -> Once<'b> {
        self.fields.once(known)
    }

    /// As [`header_all`](Self::header_all), without a search for the name.
    #[inline]
    pub(crate) fn known(&self, known: Known) -> Values<'b, 'static> {
        self.fields.all_known(known)
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
    fields: Fields<'b>,
}

impl<'b> ResponseHead<'b> {
    /// As [`Head::header`].
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.fields.all(name).only()
    }

    /// As [`Head::header_all`].
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b str> + use<'b, 'n> {
        self.fields.all(name)
    }

    /// All headers, in order.
    pub fn headers(&self) -> Headers<'b> {
        self.fields.headers()
    }
}

/// Parses the request head at the start of `bytes`.
///
/// `None` asks for more bytes. `scanned` is where the search for the end resumes: 0 for a new head,
/// then what the last call left there (or how many bytes it was given, which is the same or more).
/// On success also says how many bytes the head took; what follows them is the peer's next words
/// and was not looked at.
pub fn parse_head<'b>(
    bytes: &'b [u8],
    scanned: &mut usize,
    head_bytes_max: usize,
) -> Result<Option<(Head<'b>, usize)>, HeadError> {
    let Some(Extent { start, end }) = find_end(bytes, scanned, head_bytes_max)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[start..end]).map_err(|_| HeadError::Encoding)?;
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let verdict = request.parse_with_uninit_headers(text.as_bytes(), &mut headers);
    verdict.map_err(|error| refuse(error, text))?;
    // A complete head cannot be `Partial`: the scan saw its last line.
    let (Some(method), Some(target), Some(version_minor)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadError::StartLine);
    };
    let parsed = parse_target(method, target)?;
    let fields = Fields::new(text, request.headers).ok_or(HeadError::HeaderLine)?;
    let head = Head {
        method,
        target,
        version_minor,
        origin_form: parsed.origin_form,
        content_length: check_framing(&fields, version_minor, parsed.authority)?,
        fields,
    };
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
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| HeadError::Encoding)?;
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let verdict = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        text.as_bytes(),
        &mut headers,
    );
    verdict.map_err(|error| refuse(error, text))?;
    let fields = Fields::new(text, response.headers).ok_or(HeadError::HeaderLine)?;
    match (response.code, response.version) {
        (Some(status @ 100..), Some(version_minor)) => {
            let head = ResponseHead {
                status,
                version_minor,
                fields,
            };
            Ok(Some((head, end)))
        }
        _ => Err(HeadError::StartLine),
    }
}

/// What `httparse` found wrong with a head, in our terms.
#[cold]
fn refuse(error: httparse::Error, head: &str) -> HeadError {
    let first_line = head.split('\r').next().unwrap_or(head);
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
    fields: &Fields<'_>,
    version_minor: u8,
    authority: Option<&str>,
) -> Result<u64, HeadError> {
    if fields.all_known(Known::TransferEncoding).next().is_some() {
        return Err(HeadError::TransferEncoding);
    }
    let is_addressed = match (fields.once(Known::Host), authority) {
        (Once::Is(host), Some(authority)) => is_host(host) && host.eq_ignore_ascii_case(authority),
        (Once::Is(host), None) => is_host(host),
        (Once::Absent, _) => version_minor == 0,
        (Once::Repeated, _) => false,
    };
    if !is_addressed {
        return Err(HeadError::Host);
    }
    match fields.once(Known::ContentLength) {
        Once::Absent => Ok(0),
        Once::Is(value) => parse_length(value),
        Once::Repeated => Err(HeadError::ContentLength),
    }
}

/// Digits only: `+1`, `0x1` and `1, 1` have each been read differently by two servers in a row.
fn parse_length(value: &str) -> Result<u64, HeadError> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HeadError::ContentLength);
    }
    value.parse().map_err(|_| HeadError::ContentLength)
}
