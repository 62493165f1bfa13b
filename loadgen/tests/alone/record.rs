//! The record in small: 50 000 connections to the real server, both ends here, proven alive.
//!
//! More than one descriptor table holds on either side with the usual limit of 20 000, so both programs add
//! threads with tables of their own; `benches/million.sh` does the same with twenty times as many.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::alone;
use crate::harness::{Generator, Scratch, skipped};

const CONNECTIONS: u64 = 50_000;
/// Proven alive: heard from within this. Three heartbeats, so that one that a busy machine delays is no death.
const WINDOW_S: usize = 15;

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
            .args(["--app", "echo", "--listen", "127.0.0.1:0"])
            .args(["--max-connections", "52000"])
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
    let _alone = alone();
    let Some(server) = Throng::start() else {
        return skipped("it needs target/*/throng: cargo build -p throng");
    };
    let scratch = Scratch::new("record");
    let words = format!(
        "--scenario idle --connections {CONNECTIONS} --heartbeat 5s --ramp 25k/s --duration 10m \
         --connect-timeout 60s --answer-timeout 60s --alive-window {WINDOW_S}s --server-pid {} \
         --gauge http://{}/stats#connections --fail-if proven_alive<100%",
        server.child.id(),
        server.address
    );
    let url = format!("ws://{}/echo", server.address);
    let generator = Generator::told(&url, &words, scratch.at("bundle"));
    // A line a second. After a window of them, everybody was heard of since the ramp; how long that takes is
    // this machine's affair.
    let all_alive = format!("proven alive {CONNECTIONS} of {CONNECTIONS}");
    generator.wait_until_told(&all_alive, WINDOW_S + 3);
    generator.signal("INT");
    let ended = generator.end();
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
