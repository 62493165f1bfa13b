//! Web origins: who may open a connection from a page, and how two of them compare.
//!
//! A browser names the page's origin in every handshake, and sends its cookies along; a server that
//! does not look lets any page on the web speak in its visitor's name. Origins are compared whole:
//! scheme, host and port, no wildcard and no suffix.

use std::fmt;

/// An entry of `origins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Pages from the host and port that the client asked for.
    Same,
    /// Pages from anywhere.
    Any,
    /// Pages from there.
    Exact(WebOrigin),
}

/// Scheme, host and port of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    /// In lower case; an IPv6 address with its brackets.
    host: String,
    /// The scheme's own if none is written; 0 if it has none.
    port: u16,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// It has no `scheme://`.
    NoScheme,
    /// It goes on behind host and port.
    Path,
    /// It has a `*`.
    Wildcard,
    /// Its host or its port is none.
    Host,
}

impl WebOrigin {
    /// Reads `https://app.example.com` or `http://[::1]:8080`.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::NoScheme)?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_part) {
            return Err(OriginError::NoScheme);
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err(OriginError::Path);
        }
        if rest.contains('*') {
            return Err(OriginError::Wildcard);
        }
        let (host, port) = host_and_port(rest).ok_or(OriginError::Host)?;
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self {
            port: port.unwrap_or(default_port(&scheme)),
            scheme,
            host,
        })
    }

    /// Whether a request with this `Host` was sent to where the page came from. The scheme is not
    /// compared: behind a proxy that ends TLS we do not know ours.
    pub fn is_at(&self, host_field: &str) -> bool {
        host_and_port(host_field).is_some_and(|(host, port)| {
            host == self.host && port.unwrap_or(default_port(&self.scheme)) == self.port
        })
    }
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        // A colon within brackets belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(decimal(port)?)),
        _ => (text, None),
    };
    let is_name = |host: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !host.is_empty() && host.bytes().all(is_part)
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    is_host.then(|| (host.to_ascii_lowercase(), port))
}

fn decimal(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => 0,
    }
}

impl std::str::FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "same" => Ok(Self::Same),
            "*" => Ok(Self::Any),
            _ => WebOrigin::parse(text).map(Self::Exact),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => origin.fmt(f),
        }
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port == default_port(&self.scheme) {
            true => Ok(()),
            false => write!(f, ":{}", self.port),
        }
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "has no scheme",
            Self::Path => "goes on behind host and port",
            Self::Wildcard => "has a wildcard",
            Self::Host => "has no host and port that could be",
        })
    }
}

impl OriginError {
    /// What to write instead.
    pub fn cure(self) -> &'static str {
        match self {
            Self::Wildcard => "write out every origin; only \"*\" alone is any",
            _ => "write https://app.example.com, http://localhost:8080, same or *",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_normalised() {
        let table = [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("HTTP://localhost:8080", "http://localhost:8080"),
            ("http://localhost:80", "http://localhost"),
            ("https://[::1]:9000", "https://[::1]:9000"),
            ("https://[::1]", "https://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ];
        for (text, shown) in table {
            assert_eq!(
                WebOrigin::parse(text).map(|origin| origin.to_string()),
                Ok(shown.into())
            );
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let table = [
            ("", OriginError::NoScheme),
            ("null", OriginError::NoScheme),
            ("app.example.com", OriginError::NoScheme),
            ("://a", OriginError::NoScheme),
            ("ht tp://a", OriginError::NoScheme),
            ("https://a/", OriginError::Path),
            ("https://user@a", OriginError::Path),
            ("https://*.example.com", OriginError::Wildcard),
            ("https://", OriginError::Host),
            ("https://a:", OriginError::Host),
            ("https://a:65536", OriginError::Host),
            ("https://a:+80", OriginError::Host),
            ("https://a b", OriginError::Host),
            ("https://é", OriginError::Host),
            ("https://[::1", OriginError::Host),
            ("https://[zz]", OriginError::Host),
        ];
        for (text, expected) in table {
            assert_eq!(WebOrigin::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_host_field_is_the_same_place_or_not() {
        let table = [
            ("https://a.test", "a.test", true),
            ("https://a.test", "A.TEST:443", true),
            ("https://a.test", "a.test:80", false),
            ("http://a.test:8080", "a.test:8080", true),
            ("http://a.test:8080", "a.test", false),
            ("https://a.test", "b.a.test", false),
            ("https://a.test", "a.test.evil.test", false),
            ("https://[::1]:9000", "[::1]:9000", true),
            ("https://a.test", "", false),
        ];
        for (origin, host, expected) in table {
            let origin = WebOrigin::parse(origin).unwrap();
            assert_eq!(origin.is_at(host), expected, "{origin} {host}");
        }
    }
}
