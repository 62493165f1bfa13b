//! Where the connections go: `ws://host:port/path`, or a range of ports in one target.
//!
//! A listener is one (address, port): every listener multiplies the number of connections one source
//! address can hold, which is why a report says how many connections came *per listener*.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// One `--target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `wss` instead of `ws`.
    pub tls: bool,
    /// Host as written, without the brackets of an IPv6 address.
    pub host: String,
    /// First and last port, the same for a single one.
    pub ports: (u16, u16),
    /// Path and query, at least `/`.
    pub path: String,
}

/// Why a target was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    /// Not `ws://` or `wss://`.
    Scheme,
    /// Nothing between the scheme and the port.
    Host,
    /// Not a port or a rising range of ports.
    Port,
    /// A fragment, which a WebSocket URI may not have, or a byte that would break the request line.
    Path,
    /// The name has no address.
    Unresolved,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "a target starts with ws:// or wss://",
            Self::Host => "a target needs a host: ws://HOST:PORT/PATH",
            Self::Port => "a port is 1 to 65535, a range of ports is written 9000-9009",
            Self::Path => "a path has no fragment, blank or control byte",
            Self::Unresolved => "the host has no address",
        })
    }
}

impl std::error::Error for TargetError {}

impl Target {
    /// Reads `ws://host[:port[-port]][/path]`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (tls, rest) = match (text.strip_prefix("ws://"), text.strip_prefix("wss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(TargetError::Scheme),
        };
        let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        if path.bytes().any(|b| b <= b' ' || b == b'#' || b == 0x7f) {
            return Err(TargetError::Path);
        }
        let (host, ports) = authority_of(authority, if tls { 443 } else { 80 })?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            tls,
            host,
            ports,
            path,
        })
    }

    /// The addresses behind this target, one per port. Asks the resolver when the host is a name.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, TargetError> {
        let ip = match self.host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => (self.host.as_str(), self.ports.0)
                .to_socket_addrs()
                .ok()
                .and_then(|mut found| found.next())
                .ok_or(TargetError::Unresolved)?
                .ip(),
        };
        Ok((self.ports.0..=self.ports.1)
            .map(|port| SocketAddr::new(ip, port))
            .collect())
    }

    /// The `Host` header for this port.
    #[must_use]
    pub fn authority(&self, port: u16) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if port == default {
            host
        } else {
            format!("{host}:{port}")
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}", self.authority(self.ports.0))?;
        if self.ports.1 > self.ports.0 {
            write!(f, "-{}", self.ports.1)?;
        }
        f.write_str(&self.path)
    }
}

fn authority_of(authority: &str, default_port: u16) -> Result<(String, (u16, u16)), TargetError> {
    let (host, ports) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(TargetError::Host)?;
        (host, after.strip_prefix(':'))
    } else {
        match authority.split_once(':') {
            Some((host, ports)) => (host, Some(ports)),
            None => (authority, None),
        }
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(TargetError::Host);
    }
    let ports = ports.map_or(Ok((default_port, default_port)), ports_of)?;
    Ok((host.to_owned(), ports))
}

fn ports_of(text: &str) -> Result<(u16, u16), TargetError> {
    let port = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|&p| p > 0)
            .ok_or(TargetError::Port)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = (port(first)?, port(last)?);
    if ports.0 > ports.1 {
        Err(TargetError::Port)
    } else {
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for (text, host, ports, path, shown) in [
            (
                "ws://127.0.0.1:9000/echo",
                "127.0.0.1",
                (9000, 9000),
                "/echo",
                "ws://127.0.0.1:9000/echo",
            ),
            ("ws://h", "h", (80, 80), "/", "ws://h/"),
            ("wss://h?x=1", "h", (443, 443), "/?x=1", "wss://h/?x=1"),
            (
                "ws://[::1]:9000-9003/a",
                "::1",
                (9000, 9003),
                "/a",
                "ws://[::1]:9000-9003/a",
            ),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(
                (target.host.as_str(), target.ports, target.path.as_str()),
                (host, ports, path),
                "{text}"
            );
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn what_is_not_a_target_is_refused() {
        for (text, error) in [
            ("http://h", TargetError::Scheme),
            ("h:9000", TargetError::Scheme),
            ("ws://", TargetError::Host),
            ("ws://:9000", TargetError::Host),
            ("ws://[::1", TargetError::Host),
            ("ws://a b", TargetError::Host),
            ("ws://h:0", TargetError::Port),
            ("ws://h:9001-9000", TargetError::Port),
            ("ws://h:70000", TargetError::Port),
            ("ws://h/a#b", TargetError::Path),
            ("ws://h/a\r\nX: y", TargetError::Path),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_range_of_ports_is_a_listener_each() {
        let listeners = Target::parse("ws://10.0.0.1:9000-9002/")
            .unwrap()
            .resolve()
            .unwrap();
        let ports: Vec<u16> = listeners.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [9000, 9001, 9002]);
    }
}
