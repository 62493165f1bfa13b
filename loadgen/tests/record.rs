//! The record in small: 50 000 connections to the real server, both ends here, proven alive.
//!
//! More than one descriptor table holds on either side with the usual limit of 20 000, so both programs add
//! threads with tables of their own; `benches/million.sh` does the same with twenty times as many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

#[path = "it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "this test needs a part of what the others do"
)]
mod harness;

use harness::{Generator, Scratch};

const CONNECTIONS: u64 = 50_000;

/// The server, on a port of the kernel's choice.
struct Throng {
    child: Child,
    address: String,
}

impl Throng {
    /// `None` where it has not been built: `cargo test --workspace` builds it, `-p loadgen` alone does not.
    fn start() -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_BIN_EXE_loadgen")).with_file_name("throng");
        if !beside.exists() {
            return None;
        }
        let mut child = Command::new(beside)
            .args(["--listen", "127.0.0.1:0", "--max-connections", "52000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let address = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, rest) = line.split_once("ws://")?;
            Some(rest.strip_suffix("/echo")?.to_owned())
        });
        // What it says later is not read; a closed pipe must not stop it, so somebody keeps reading.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            address: address.expect("the server says where it listens"),
        })
    }
}

impl Drop for Throng {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn fifty_thousand_connections_are_proven_alive() {
    let Some(server) = Throng::start() else {
        println!("SKIPPED: target/*/throng is missing: cargo build -p throng");
        return;
    };
    let scratch = Scratch::new("record");
    let words = format!(
        "--scenario idle --connections {CONNECTIONS} --heartbeat 5s --ramp 25k/s --duration 20s \
         --connect-timeout 60s --answer-timeout 60s --alive-window 30s --server-pid {} \
         --gauge http://{}/stats#connections --fail-if proven_alive<100%",
        server.child.id(),
        server.address
    );
    let url = format!("ws://{}/echo", server.address);
    let ended = Generator::report(&url, &words, scratch.at("bundle")).end();
    assert_eq!(
        (
            ended.count("/connections/upgraded"),
            ended.count("/connections/proven_alive")
        ),
        (CONNECTIONS, CONNECTIONS),
        "{}",
        ended.story()
    );
    ended.assert_code(0);
    // One cache line of the server's memory. Here 128 bytes are the bound on an entry, which the build
    // checks; the slope has the debug build's stacks and the threads that joined in it as well.
    let server_bytes = ended.number("/server/rss_bytes_per_connection");
    assert!(server_bytes <= 80.0, "server: {server_bytes}");
    let own_bytes = ended.number("/generator/rss_bytes_per_connection");
    assert!(own_bytes <= 192.0, "generator: {own_bytes}");
}
