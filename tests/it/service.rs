//! The channels over the wire: dialects, the door, the official clients, and the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use throng::auth::{NewToken, sign};
use throng::config::tokens::Secret;

use crate::harness::{Launch, Wire, op};

mod client;
mod costs;
mod crowd;
mod dialects;
mod door;
mod official;
mod page;
mod stalled;

/// Where Centrifuge's clients connect.
const CENTRIFUGE: &str = "/connection/websocket";

/// What tokens are signed with where a key is configured.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A directory of a test's own; gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("service-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A server that nobody has configured; its development key is kept here.
    fn open(&self) -> Launch {
        Launch::new().hub().env("XDG_STATE_HOME", self.0.display())
    }

    /// A server that asks for tokens, and whatever else is written in its file.
    fn closed(&self, rest: &str) -> Launch {
        let file = self.write("throng.toml", &with_key(SECRET, rest));
        self.open().flag("config", file.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn with_key(secret: &str, rest: &str) -> String {
    format!("{rest}\n[[auth.keys]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n")
}

fn unix_s() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "tokens have dates")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token that is good for so many seconds, or was until so many ago.
fn token(user: &str, for_s: i64, channel: Option<&str>) -> String {
    signed(SECRET, user, for_s, channel)
}

fn signed(secret: &str, user: &str, for_s: i64, channel: Option<&str>) -> String {
    let token = NewToken {
        user,
        expires_at_s: unix_s().saturating_add_signed(for_s),
        channel,
        about: None,
        issuer: "",
        audience: "",
    };
    sign(&token, &Secret::new(secret.as_bytes()).unwrap(), None)
}

/// A handshake for that target, with `extra` header lines; the answer's head.
fn knock(wire: &mut Wire, target: &str, extra: &str) -> String {
    wire.send(
        format!(
            "GET {target} HTTP/1.1\r\nHost: throng.test\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{extra}\r\n"
        )
        .as_bytes(),
    );
    wire.read_head().expect("an answer")
}

/// A connection to that target.
fn enter(address: std::net::SocketAddr, target: &str) -> Wire {
    let mut wire = Wire::connect(address);
    let head = knock(&mut wire, target, "");
    assert!(head.starts_with("HTTP/1.1 101 "), "{target}: {head}");
    wire
}

/// Text in, text out.
trait Talk {
    fn say(&mut self, text: &str);
    fn hear(&mut self) -> String;
    /// The next one that has this in it; what comes before is passed over.
    fn hear_of(&mut self, part: &str) -> String;
}

impl Talk for Wire {
    fn say(&mut self, text: &str) {
        self.send_frame(op::FIN | op::TEXT, text.as_bytes());
    }

    fn hear(&mut self) -> String {
        let frame = self.read_frame().expect("a frame");
        assert_eq!(frame.first, op::FIN | op::TEXT, "{frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    fn hear_of(&mut self, part: &str) -> String {
        loop {
            let text = self.hear();
            if text.contains(part) {
                return text;
            }
        }
    }
}
