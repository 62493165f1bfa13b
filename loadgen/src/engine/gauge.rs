//! The server's own count of its connections, read once a second beside the traffic.
//!
//! On a thread of its own: a server under load may answer late, and the run must not wait for it.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Reads a gauge until it is dropped.
#[derive(Debug)]
pub struct Gauge {
    latest: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where a gauge is: `http://host:port/path` and, after `#`, which number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaugeUrl {
    authority: String,
    path: String,
    name: String,
}

impl GaugeUrl {
    /// Reads `http://host:port/path[#name]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (rest, name) = rest.split_once('#').unwrap_or((rest, DEFAULT_NAME));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_sound = !authority.is_empty() && is_plain(authority) && is_plain(path);
        is_sound.then(|| Self {
            authority: authority.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Asks once, with this much patience for each step.
    pub fn read(&self, patience: Duration) -> io::Result<u64> {
        let authority = if self.authority.contains(':') && !self.authority.ends_with(']') {
            self.authority.clone()
        } else {
            format!("{}:80", self.authority)
        };
        let address = authority.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let (path, host) = (&self.path, &self.authority);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut text = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut text)?;
        number_of(&String::from_utf8_lossy(&text), &self.name)
            .ok_or_else(|| io::Error::other("no such number in the answer"))
    }
}

impl Gauge {
    /// Begins to read.
    pub fn start(url: GaugeUrl) -> io::Result<Self> {
        let (latest, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (store, stop) = (Arc::clone(&latest), Arc::clone(&is_over));
        let body = move || {
            while !stop.load(Ordering::Relaxed) {
                // No answer is no number: an old one would vouch for a server that is gone.
                let count = url.read(PATIENCE).unwrap_or(0);
                store.store(count, Ordering::Relaxed);
                thread::park_timeout(EVERY);
            }
        };
        let thread = thread::Builder::new().name("gauge".into()).spawn(body)?;
        Ok(Self {
            latest,
            is_over,
            thread: Some(thread),
        })
    }

    /// The number that was read last; 0 before the first, and where there was no answer.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}

/// The number of that name, in Prometheus text (labels are added up) or in JSON.
fn number_of(answer: &str, name: &str) -> Option<u64> {
    let body = answer
        .split_once("\r\n\r\n")
        .map_or(answer, |(_, body)| body);
    let quoted = format!("\"{name}\"");
    if let Some(at) = body.find(&quoted) {
        let rest = body[at + quoted.len()..].trim_start().strip_prefix(':')?;
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        return rest[..end].parse().ok();
    }
    let values = body.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labels) => labels.split_once('}')?.1,
            None => rest,
        };
        let value = rest.strip_prefix(' ')?.split_ascii_whitespace().next()?;
        Some(value.parse::<f64>().ok()? as u64)
    });
    values.reduce(|sum, value| sum + value)
}

const DEFAULT_NAME: &str = "connections";
const EVERY: Duration = Duration::from_secs(1);
/// Later than this, the next number is due.
const PATIENCE: Duration = Duration::from_millis(800);
/// Before the run there is time: a server that has just started may be busy with that.
pub const FIRST_PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn numbers_are_found_in_both_notations() {
        let prometheus = "HTTP/1.1 200 OK\r\n\r\n# HELP throng_connections open\nthrong_connections_total 9\nthrong_connections{worker=\"0\"} 5\nthrong_connections{worker=\"1\"} 6.0\n";
        assert_eq!(number_of(prometheus, "throng_connections"), Some(11));
        assert_eq!(
            number_of("{\"rss\": 5, \"connections\" : 42}", "connections"),
            Some(42)
        );
        assert_eq!(number_of("nothing", "connections"), None);
        assert_eq!(
            number_of("{\"connections\": \"many\"}", "connections"),
            None
        );
    }

    #[test]
    fn urls_name_host_path_and_number() {
        let url = GaugeUrl::parse("http://127.0.0.1:9100/stats#open").unwrap();
        assert_eq!(
            (url.authority.as_str(), url.path.as_str(), url.name.as_str()),
            ("127.0.0.1:9100", "/stats", "open")
        );
        assert_eq!(GaugeUrl::parse("http://host").unwrap().path, "/");
        for wrong in ["https://x/", "http://", "http:///x", "http://a b/"] {
            assert_eq!(GaugeUrl::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_gauge_is_read_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/m#open", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /m HTTP/1.1\r\n"));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nopen 17\n")
                .unwrap();
        });
        assert_eq!(
            GaugeUrl::parse(&url).unwrap().read(FIRST_PATIENCE).unwrap(),
            17
        );
        server.join().unwrap();
    }
}
