//! The client's half (RFC 6455 4.1): the request, and what the response has to say.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::accept::{KEY_BYTES, accept_key};
use super::joined;
use crate::http1::{
    HeadError, InvalidHeader, ResponseHead, append_request_head, has_token, is_token,
    parse_response_head,
};
use crate::ws::deflate::DeflateConfig;
use crate::ws::extension::{self, Agreed};

/// The longest response head read; the same bound a server has for requests.
pub const RESPONSE_BYTES_MAX: usize = 16 << 10;

/// What a client asks for. Cheap to build again for each of many connections: it borrows everything.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'r> {
    /// `Host`: name or address, with the port unless it is the scheme's own.
    pub host: &'r str,
    /// Path and query.
    pub target: &'r str,
    /// Random, and new for every connection; the randomness is the caller's.
    pub key: [u8; 16],
    /// `Origin`, as browsers send it.
    pub origin: Option<&'r str>,
    /// Subprotocols, the preferred first.
    pub protocols: &'r [&'r str],
    /// Which compression to offer and to accept.
    pub deflate: &'r DeflateConfig,
    /// Further headers: cookies, tokens.
    pub headers: &'r [(&'r str, &'r str)],
}

/// Appends the request.
///
/// # Errors
///
/// Something in it would break the head apart, or is no valid target or token; nothing was written.
pub fn append_request(out: &mut Vec<u8>, request: &ClientRequest<'_>) -> Result<(), InvalidHeader> {
    if !request.protocols.iter().all(|protocol| is_token(protocol)) {
        return Err(InvalidHeader);
    }
    let key = encoded(&request.key);
    let protocols = request.protocols.join(", ");
    let offer = extension::offer(request.deflate);
    let optional = [
        ("Origin", request.origin),
        (
            "Sec-WebSocket-Protocol",
            Some(&*protocols).filter(|list| !list.is_empty()),
        ),
        ("Sec-WebSocket-Extensions", offer.as_deref()),
    ];
    let fixed = [
        ("Host", request.host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", text(&key)),
        ("Sec-WebSocket-Version", "13"),
    ];
    let optional = optional
        .iter()
        .filter_map(|&(name, value)| Some((name, value?)));
    let headers = fixed
        .into_iter()
        .chain(optional)
        .chain(request.headers.iter().copied());
    append_request_head(out, "GET", request.target, headers)
}

/// A connection that is open.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'b> {
    /// The subprotocol the server chose.
    pub protocol: Option<&'b str>,
    /// The compression both ends agreed on.
    pub agreed: Option<Agreed>,
    /// The response, for its other headers.
    pub head: ResponseHead<'b>,
}

/// Reads the response to `request`. `None` asks for more bytes, with `scanned` as in
/// [`parse_head`](crate::http1::parse_head); on success also says how long the head is: what follows
/// is the server's first frame.
///
/// # Errors
///
/// Every reason for which RFC 6455 4.1 has a client fail the connection.
pub fn check_response<'b>(
    bytes: &'b [u8],
    scanned: &mut usize,
    request: &ClientRequest<'_>,
) -> Result<Option<(Accepted<'b>, usize)>, ClientRefusal> {
    let parsed = parse_response_head(bytes, scanned, RESPONSE_BYTES_MAX);
    let Some((head, length)) = parsed.map_err(ClientRefusal::Head)? else {
        return Ok(None);
    };
    if head.status != 101 {
        return Err(ClientRefusal::Status(head.status));
    }
    if !head
        .header("upgrade")
        .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    {
        return Err(ClientRefusal::Upgrade);
    }
    if !has_token(head.header_all("connection"), "upgrade") {
        return Err(ClientRefusal::Connection);
    }
    let accept = accept_key(&encoded(&request.key));
    if head.header("sec-websocket-accept").map(str::as_bytes) != Some(&accept) {
        return Err(ClientRefusal::Accept);
    }
    let protocol = chosen_protocol(&head, request.protocols)?;
    let answer = joined(head.header_all("sec-websocket-extensions"));
    let agreed = extension::accept_answer(&answer, request.deflate)
        .map_err(|extension::BadAnswer| ClientRefusal::Extensions)?;
    let accepted = Accepted {
        protocol,
        agreed,
        head,
    };
    Ok(Some((accepted, length)))
}

/// Why a client gives a connection up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// The response is not HTTP.
    Head(HeadError),
    /// Any status but 101.
    Status(u16),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not name `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not belong to our key: whoever answers did not read the question.
    Accept,
    /// A subprotocol that was not offered, or several.
    Protocol,
    /// Extensions that were not offered, or not like that.
    Extensions,
}

impl fmt::Display for ClientRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => write!(f, "the response is malformed: {error}"),
            Self::Status(status) => write!(f, "the server answered {status}, not 101"),
            Self::Upgrade => f.write_str("the response does not upgrade to websocket"),
            Self::Connection => f.write_str("the response's Connection does not name Upgrade"),
            Self::Accept => f.write_str("Sec-WebSocket-Accept does not match our key"),
            Self::Protocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::Extensions => f.write_str("the server chose extensions that were not offered"),
        }
    }
}

impl std::error::Error for ClientRefusal {}

fn chosen_protocol<'b>(
    head: &ResponseHead<'b>,
    offered: &[&str],
) -> Result<Option<&'b str>, ClientRefusal> {
    let mut chosen = head.header_all("sec-websocket-protocol");
    let first = chosen.next();
    let is_offered = first.is_none_or(|protocol| offered.contains(&protocol));
    if is_offered && chosen.next().is_none() {
        Ok(first)
    } else {
        Err(ClientRefusal::Protocol)
    }
}

fn encoded(key: &[u8; 16]) -> [u8; KEY_BYTES] {
    let mut encoded = [0; KEY_BYTES];
    let written = STANDARD.encode_slice(key, &mut encoded);
    debug_assert_eq!(
        written.ok(),
        Some(24),
        "16 bytes are 24 characters of base64"
    );
    encoded
}

fn text(base64: &[u8]) -> &str {
    str::from_utf8(base64).expect("base64 is ASCII")
}

#[cfg(test)]
mod tests;
