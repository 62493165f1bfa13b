//! The PROXY protocol, versions 1 and 2: a load balancer says in front of everything else where its
//! client really is. Bytes in, a verdict out.
//!
//! ```text
//!  1:  PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n          at most 107 bytes
//!  2:  \r\n\r\n\0\r\nQUIT\n | 0x2 command | family | length 2 | addresses | extras
//! ```
//!
//! Anybody can write such a header, so it is only read from addresses that somebody vouched for
//! ([`Trusted`]); and from those it has to come, or whoever reaches the port past the balancer would
//! have the balancer's address.
//!
//! Read as `haproxy.org/download/3.0/doc/proxy-protocol.txt` has it, with the strictness that it
//! leaves open: one space between words, no leading zeros, no datagrams. What may follow the addresses
//! in version 2 (TLVs, a checksum among them) is skipped.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

#[doc(hidden)]
pub mod fuzzing;

/// A header that is all there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How many bytes of the stream it is.
    pub length: usize,
    /// Where the client is; `None` if the balancer speaks for itself (a health check), or of a client
    /// that has no such address.
    pub client: Option<SocketAddr>,
}

/// What is wrong with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The stream does not begin with one.
    Missing,
    /// It is longer than any honest one.
    TooLong,
    /// It breaks the rules of its version.
    Malformed,
    /// It is of another version, or about something that is no stream.
    Unsupported,
}

/// Reads the header at the beginning of a stream. `None`: what is there may still become one.
///
/// It is asked again with all bytes from the first one on when more have come; what it looks at has a
/// fixed length, so that costs no more than the header has reads.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => parse_text(bytes),
        Some(_) => parse_binary(bytes),
    }
}

/// Whether a stream begins as a header does, as far as it goes: for those who send one unasked.
pub fn is_header(bytes: &[u8]) -> bool {
    let begins = |start: &[u8]| bytes.starts_with(start);
    begins(TEXT_START) || begins(&BINARY_START[..])
}

fn parse_text(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let known = bytes.len().min(TEXT_START.len());
    if bytes[..known] != TEXT_START[..known] {
        return Err(Fault::Missing);
    }
    let front = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    let Some(end) = front.windows(2).position(|pair| pair == b"\r\n") else {
        return match front.len() {
            TEXT_BYTES_MAX => Err(Fault::TooLong),
            _ => Ok(None),
        };
    };
    let line = core::str::from_utf8(&front[TEXT_START.len()..end]);
    Ok(Some(Header {
        length: end + 2,
        client: client_of_line(line.map_err(|_| Fault::Malformed)?)?,
    }))
}

/// `TCP4 203.0.113.7 198.51.100.1 40000 443`, without what comes before.
fn client_of_line(line: &str) -> Result<Option<SocketAddr>, Fault> {
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None); // the rest is to be ignored
    }
    let mut word = || words.next().ok_or(Fault::Malformed);
    let [from, to, from_port, to_port] = [word()?, word()?, word()?, word()?];
    let (from, to): (IpAddr, IpAddr) = match family {
        "TCP4" => (read::<Ipv4Addr>(from)?.into(), read::<Ipv4Addr>(to)?.into()),
        "TCP6" => (read::<Ipv6Addr>(from)?.into(), read::<Ipv6Addr>(to)?.into()),
        _ => return Err(Fault::Unsupported),
    };
    let (port, _) = (port(from_port)?, port(to_port)?);
    match (words.next(), to) {
        (None, _) => Ok(Some(SocketAddr::new(from, port))),
        (Some(_), _) => Err(Fault::Malformed),
    }
}

fn read<T: FromStr>(word: &str) -> Result<T, Fault> {
    word.parse().map_err(|_| Fault::Malformed)
}

/// Digits alone, and no zero in front of others.
fn port(word: &str) -> Result<u16, Fault> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    match word.len() > 1 && word.starts_with('0') || !is_plain {
        true => Err(Fault::Malformed),
        false => read(word),
    }
}

fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let known = bytes.len().min(BINARY_START.len());
    if bytes[..known] != BINARY_START[..known] {
        return Err(Fault::Missing);
    }
    let Some(&[command, family, high, low]) = bytes.get(BINARY_START.len()..BINARY_BYTES_MIN)
    else {
        return Ok(None);
    };
    if command >> 4 != 2 {
        return Err(Fault::Unsupported);
    }
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if rest > BINARY_REST_MAX {
        return Err(Fault::TooLong);
    }
    // Judged before it is all here: nobody waits for the rest of what is no good.
    let place = match (command & 15, family) {
        (LOCAL, _) | (PROXY, 0) => Place::Nowhere,
        (PROXY, 0x11) => Place::V4,
        (PROXY, 0x21) => Place::V6,
        (PROXY, 0x31) => Place::Unix,
        (PROXY, _) => return Err(Fault::Unsupported),
        _ => return Err(Fault::Malformed),
    };
    if rest < place.length() {
        return Err(Fault::Malformed);
    }
    let length = BINARY_BYTES_MIN + rest;
    Ok(bytes.get(BINARY_BYTES_MIN..length).map(|rest| Header {
        length,
        client: place.client(rest),
    }))
}

/// What addresses version 2 brings.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    V4,
    V6,
    Unix,
}

impl Place {
    /// Bytes of the addresses and ports of both ends.
    fn length(self) -> usize {
        match self {
            Self::Nowhere => 0,
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Unix => 216,
        }
    }

    /// The client's, of so many bytes or more.
    fn client(self, rest: &[u8]) -> Option<SocketAddr> {
        let (ip, at): (IpAddr, usize) = match self {
            Self::V4 => (Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), 8),
            Self::V6 => (Ipv6Addr::from(*rest.first_chunk::<16>()?).into(), 32),
            Self::Nowhere | Self::Unix => return None,
        };
        let port = rest.get(at..at + 2)?;
        Some(SocketAddr::new(ip, u16::from_be_bytes([port[0], port[1]])))
    }
}

/// From whom headers are believed, and demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(Vec<Source>);

impl Trusted {
    /// Those.
    pub fn new(sources: &[Source]) -> Self {
        Self(sources.to_vec())
    }

    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the peer at that address is among them; `None` has come over a Unix socket.
    pub fn has(&self, peer: Option<IpAddr>) -> bool {
        self.0.iter().any(|source| source.has(peer))
    }
}

/// One entry of the list of those who are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Whoever comes over a Unix socket.
    Unix,
    /// The network with so many leading bits in common with that address.
    Network(IpAddr, u8),
}

/// Why a text is no [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// It is no address.
    Address,
    /// The number behind the slash is none, or larger than the address has bits.
    Bits,
    /// There are bits beyond those that count.
    Rest,
}

impl Source {
    fn has(self, peer: Option<IpAddr>) -> bool {
        match (self, peer.map(|ip| ip.to_canonical())) {
            (Self::Unix, None) => true,
            (Self::Network(ip, bits), Some(peer)) => {
                ip.is_ipv4() == peer.is_ipv4() && masked(peer, bits) == masked(ip, bits)
            }
            _ => false,
        }
    }
}

/// The leading bits of an address, at the top of a number.
fn masked(ip: IpAddr, bits: u8) -> u128 {
    let number = match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    number & mask
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| SourceError::Address)?;
        let all = if ip.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) => {
                let is_plain = bits.bytes().all(|byte| byte.is_ascii_digit());
                let bits = is_plain.then(|| bits.parse().ok()).flatten();
                bits.filter(|bits| *bits <= all).ok_or(SourceError::Bits)?
            }
        };
        match masked(ip, bits) == masked(ip, 128) {
            true => Ok(Self::Network(ip, bits)),
            false => Err(SourceError::Rest),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix"),
            Self::Network(IpAddr::V4(ip), 32) => ip.fmt(f),
            Self::Network(IpAddr::V6(ip), 128) => ip.fmt(f),
            Self::Network(ip, bits) => write!(f, "{ip}/{bits}"),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "is no address",
            Self::Bits => "has more bits behind its slash than the address, or no number",
            Self::Rest => "is an address within that network, and not the network's",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no PROXY protocol header",
            Self::TooLong => "a PROXY protocol header that is too long",
            Self::Malformed => "a malformed PROXY protocol header",
            Self::Unsupported => "a PROXY protocol header of a kind that is not supported",
        })
    }
}

/// The longest header there can be.
pub const HEADER_BYTES_MAX: usize = BINARY_BYTES_MIN + BINARY_REST_MAX;
const TEXT_START: &[u8] = b"PROXY ";
/// The specification's own bound, with two addresses of 39 letters.
const TEXT_BYTES_MAX: usize = 107;
const BINARY_START: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const BINARY_BYTES_MIN: usize = BINARY_START.len() + 4;
/// Addresses take 216 bytes at most; extras are names of hosts, subjects of certificates and marks of
/// clouds, together some hundred bytes.
const BINARY_REST_MAX: usize = 4096 - BINARY_BYTES_MIN;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

#[cfg(test)]
mod tests;
