//! A plain HTTP/1.1 client, for the admin port and the pages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// One connection, for request after request.
pub(crate) struct Http {
    pub(crate) stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next answer, with as much body as it announces.
    pub(crate) fn read(&mut self) -> Answered {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = self.stream.read_line(&mut head).unwrap();
            assert_ne!(length, 0, "it hung up after {head:?}");
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).unwrap();
        Answered {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answered {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: throng.test\r\n\r\n"));
        self.read()
    }

    /// A POST with header lines of the caller's, each with its CRLF.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &str) -> Answered {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: throng.test\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ));
        self.read()
    }

    /// Whether the server has hung up.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {
                assert_eq!(String::from_utf8_lossy(&rest), "");
                true
            }
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
