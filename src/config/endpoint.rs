//! Where the server listens: a TCP address or the path of a Unix socket.
//!
//! Host names are not resolved. A listener bound to whatever a resolver said today is a surprise
//! tomorrow; `localhost` is the one name everybody agrees on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// One place to accept connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An IPv4 or IPv6 address; port 0 lets the kernel choose one.
    Tcp(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
}

/// Why an address cannot be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// Neither an address nor a path.
    NotAnAddress,
    /// An address without a port.
    NoPort,
    /// A port alone: on which addresses?
    OnlyAPort,
    /// The part after the last colon is no port.
    BadPort,
    /// `unix:` and nothing behind it.
    NoPath,
    /// The kernel keeps at most `UNIX_PATH_BYTES_MAX` bytes of a socket's path.
    PathTooLong,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some(("", port)) => (Ipv4Addr::UNSPECIFIED, port),
            Some(("localhost", port)) => (Ipv4Addr::LOCALHOST, port),
            _ => return Err(diagnose(text)),
        };
        let port = port.parse().map_err(|_| EndpointError::BadPort)?;
        Ok(Self::Tcp((host, port).into()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress => f.write_str("is not an address (host names are not resolved)"),
            Self::NoPort => f.write_str("has no port"),
            Self::OnlyAPort => f.write_str("is a port without an address"),
            Self::BadPort => f.write_str("does not end in a port from 0 to 65535"),
            Self::NoPath => f.write_str("names no path"),
            Self::PathTooLong => {
                write!(f, "has a path of more than {UNIX_PATH_BYTES_MAX} bytes")
            }
        }
    }
}

impl EndpointError {
    /// What to write instead of `text`.
    pub fn cure(self, text: &str) -> String {
        match self {
            Self::NotAnAddress => {
                "write 127.0.0.1:9000, [::1]:9000, :9000 (every IPv4 address) or unix:/path"
                    .to_owned()
            }
            // IPv6 needs brackets before a port can follow.
            Self::NoPort if text.contains(':') && !text.starts_with('[') => {
                format!("write [{text}]:9000")
            }
            Self::NoPort => format!("write {text}:9000"),
            Self::OnlyAPort => {
                format!("write 127.0.0.1:{text} (this machine only) or :{text} (every address)")
            }
            Self::BadPort => "write a port from 1 to 65535, or 0 to let the kernel choose".into(),
            Self::NoPath => "write unix:/run/throng.sock".to_owned(),
            Self::PathTooLong => "choose a shorter path; the kernel sets this limit".to_owned(),
        }
    }
}

fn unix(path: &str) -> Result<Endpoint, EndpointError> {
    match path.len() {
        0 => Err(EndpointError::NoPath),
        1..=UNIX_PATH_BYTES_MAX => Ok(Endpoint::Unix(PathBuf::from(path))),
        _ => Err(EndpointError::PathTooLong),
    }
}

/// Names the mistake in something that is no socket address.
fn diagnose(text: &str) -> EndpointError {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() || text == "localhost" {
        EndpointError::NoPort
    } else if text.parse::<u16>().is_ok() {
        EndpointError::OnlyAPort
    } else if let Some((host, _)) = text.rsplit_once(':')
        && host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    {
        EndpointError::BadPort
    } else {
        EndpointError::NotAnAddress
    }
}

/// `sockaddr_un.sun_path` has 108 bytes on Linux, 104 elsewhere, one of them for the final NUL.
const UNIX_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address() {
        let table = [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:9000", "[::1]:9000"),
            (":9000", "0.0.0.0:9000"),
            ("localhost:80", "127.0.0.1:80"),
            ("unix:/run/throng.sock", "unix:/run/throng.sock"),
            ("unix:rel.sock", "unix:rel.sock"),
        ];
        for (text, shown) in table {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(shown.parse(), Ok(endpoint), "{shown} reads back");
        }
    }

    #[test]
    fn every_mistake_is_named_and_cured() {
        use EndpointError::*;
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        let table = [
            ("", NotAnAddress),
            ("example.org:80", NotAnAddress),
            ("127.0.0.1", NoPort),
            ("::1", NoPort),
            ("localhost", NoPort),
            ("9000", OnlyAPort),
            ("127.0.0.1:99999", BadPort),
            ("[::1]:http", BadPort),
            (":-1", BadPort),
            ("unix:", NoPath),
            (&long, PathTooLong),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text:?}");
            assert!(!error.cure(text).is_empty());
        }
        assert_eq!(NoPort.cure("::1"), "write [::1]:9000");
    }
}
