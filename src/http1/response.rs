//! Writing heads: a response in one piece with its body, a request without one.
//!
//! Everything is checked before anything is written: whatever a caller reflects into a value, no head
//! can be split with it.

use std::fmt;
use std::io::Write as _;

use super::is_token;
use super::target::{is_host, parse_target};

/// A header that would have broken the head apart: its name is no token, or its value holds CR, LF,
/// NUL or another control byte. (In a request also a target or `Host` that is none.) Nothing was
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHeader;

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header holds a byte that no header may hold")
    }
}

impl std::error::Error for InvalidHeader {}

/// Appends a whole response. `Content-Length` is ours to write, so that it is always there and always
/// true; everything else, `Connection` too, is the caller's.
pub fn append_response(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), InvalidHeader> {
    if !headers.iter().all(is_sound) {
        return Err(InvalidHeader);
    }
    // Writing to a Vec cannot fail.
    let _ = write!(out, "HTTP/1.1 {status:03} {}\r\n", reason(status));
    append_headers(out, headers.iter().copied());
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    Ok(())
}

/// Appends the head of a request without a body. `target` is in origin-form; `Host` is among the
/// headers.
pub(crate) fn append_request_head<'h>(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    headers: impl Iterator<Item = (&'h str, &'h str)> + Clone,
) -> Result<(), InvalidHeader> {
    let is_fine = |(name, value): (&str, &str)| {
        is_sound(&(name, value)) && (name != "Host" || is_host(value))
    };
    let is_origin_form = target.starts_with('/') && parse_target(method, target).is_ok();
    if !is_token(method) || !is_origin_form || !headers.clone().all(is_fine) {
        return Err(InvalidHeader);
    }
    for piece in [method, " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    append_headers(out, headers);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The phrase of the statuses that are sent here; empty, which is allowed, for any other.
pub const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

fn append_headers<'h>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'h str, &'h str)>) {
    for (name, value) in headers {
        for piece in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

fn is_sound((name, value): &(&str, &str)) -> bool {
    is_token(name) && is_value(value)
}

/// Visible bytes, blanks and tabs; the same set a head is allowed to bring in.
fn is_value(value: &str) -> bool {
    value
        .bytes()
        .all(|b| matches!(b, b'\t' | b' '..=0x7e | 0x80..))
}
