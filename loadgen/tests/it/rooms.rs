//! Rooms at the real server, in every dialect: who hears what, who is let in, who gets what it missed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{Ended, Generator, Scratch};

/// The server with its hub, on a port of the kernel's choice.
struct Hub {
    child: Child,
    address: String,
    scratch: Scratch,
}

impl Hub {
    /// `None` where it has not been built: `cargo test --workspace` builds it, `-p loadgen` alone does not.
    fn start() -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_BIN_EXE_loadgen")).with_file_name("throng");
        if !beside.exists() {
            skip("target/*/throng is missing: cargo build -p throng");
            return None;
        }
        let scratch = Scratch::new("hub");
        let secret = scratch.file("secret", "0123456789abcdef0123456789abcdef");
        let config = format!(
            "[auth]\nanonymous = \"off\"\n\n[[auth.keys]]\nalgorithm = \"HS256\"\nfile = \"{}\"\n\n\
             [[namespaces]]\nname = \"chat\"\nsubscribe = \"users\"\npublish = \"subscribers\"\n\
             history_size = 1000\nhistory_ttl = \"10m\"\npresence = \"on\"\nread = \"subscribers\"\n",
            secret.display()
        );
        let config = scratch.file("throng.toml", &config);
        let checked = Command::new(&beside)
            .arg("check-config")
            .arg(&config)
            .output()
            .expect("the server answers");
        if !checked.status.success() {
            skip("the server beside it has no rooms: cargo build -p throng");
            return None;
        }
        let mut child = Command::new(beside)
            .arg("--config")
            .arg(config)
            .args(["--app", "hub", "--listen", "127.0.0.1:0", "--admin", "off"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let address = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, rest) = line.split_once("://127.0.0.1:")?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            Some(format!("127.0.0.1:{digits}"))
        });
        // What it says later is not read; a closed pipe must not stop it, so somebody keeps reading.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            address: address.expect("the server says where it listens"),
            scratch,
        })
    }

    fn run(&self, path: &str, words: &str) -> Ended {
        let url = format!("ws://{}{path}", self.address);
        let secret = self.scratch.at("secret");
        let words = format!(
            "--channel chat:r{{room}} --token-secret {} --connections 60 --room-size 10 --threads 2 \
             --rate 50/s --connect-timeout 60s --answer-timeout 60s --retries 0 {words}",
            secret.display()
        );
        Generator::run(&url, &words).end()
    }
}

/// Says so where no test runner swallows it.
fn skip(why: &str) {
    writeln!(std::io::stderr(), "\nSKIPPED rooms: {why}\n").ok();
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Everybody is in a room, and what is said there reaches all of them once.
fn assert_heard(ended: &Ended) {
    ended.assert_code(0);
    ended.assert_balanced();
    let count = |at: &str| ended.count(at);
    assert_eq!(count("/rooms/joined"), 60, "{}", ended.story());
    let published = count("/rooms/publications");
    assert!(published > 20, "{}", ended.story());
    assert_eq!(count("/messages/sent"), published * 10, "{}", ended.story());
    assert_eq!(
        count("/messages/received"),
        published * 10,
        "{}",
        ended.story()
    );
}

#[test]
fn every_dialect_delivers_to_every_member_once() {
    let Some(hub) = Hub::start() else { return };
    for (path, words) in [
        ("/connection/websocket", "--scenario chat --presence"),
        ("/connection/websocket", "--scenario pubsub"),
        ("/ws/chat?token={token}", "--scenario chat --dialect chat"),
        (
            "/raw/chat:r{room}?token={token}",
            "--scenario chat --dialect raw",
        ),
    ] {
        let ended = hub.run(path, &format!("{words} --duration 8s"));
        assert_heard(&ended);
    }
}

#[test]
fn those_who_were_cut_get_what_they_missed() {
    let Some(hub) = Hub::start() else { return };
    let words = "--scenario chat --cut 50% --backoff immediate --duration 12s";
    let ended = hub.run("/connection/websocket", words);
    assert_heard(&ended);
    assert_eq!(ended.count("/storm/cut"), 30, "{}", ended.story());
    assert_eq!(ended.count("/rooms/recovered"), 30, "{}", ended.story());
    assert_eq!(ended.count("/rooms/not_recovered"), 0, "{}", ended.story());
}

#[test]
fn whoever_has_no_right_is_told_so() {
    let Some(hub) = Hub::start() else { return };
    let url = format!("ws://{}/connection/websocket", hub.address);
    let secret = hub.scratch.at("secret");
    let words = format!(
        "--scenario chat --connections 3 --retries 0 --duration 3s --channel other:{{room}} --token-secret {}",
        secret.display()
    );
    let ended = Generator::run(&url, &words).end();
    assert_eq!(ended.code, Some(1), "{}", ended.story());
    let failed = ended.classes("/connections/failed");
    assert!(
        failed.iter().all(|(class, _)| class.starts_with("denied_")),
        "{failed:?}"
    );
    assert!(!failed.is_empty(), "{}", ended.story());
}
