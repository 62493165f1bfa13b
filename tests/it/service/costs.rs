//! What somebody costs who is logged in, subscribed, and idle.
//!
//! ```text
//! THRONG_TEST_BIN=target/release/throng cargo test --test it -- --ignored --nocapture session_costs
//! ```
//!
//! Each connection is a user of its own with a signed token, in a room of a hundred. What is counted is
//! the server's resident memory; the kernel's sockets are not in it.

use serde_json::json;
use throng::sys::rlimit::raise_nofile;

use super::client::Client;
use super::{Folder, token};
use crate::harness::{Server, Wire};

/// What peers of a million connections are measured with everywhere here.
const CONNECTIONS: usize = 18_000;
const ROOM_SIZE: usize = 100;

#[test]
#[ignore = "measures for a minute, against a release build"]
fn session_costs() {
    raise_nofile().expect("the usual hard limit is far above what is needed here");
    for presence in ["off", "on"] {
        let folder = Folder::new(&format!("costs-{presence}"));
        let config = format!(
            "[[namespaces]]\nname = \"room\"\nhistory_size = 10\npresence = \"{presence}\"\n"
        );
        let server = folder
            .closed(&config)
            // Nobody answers pings here; and a second worker would be charged to the connections it came for.
            .flag("ping-interval", 0)
            .flag("max-connections", 19_000)
            .start();
        let bytes = bytes_a_session(&server);
        println!("presence {presence}: {bytes} bytes of user memory a session, of {CONNECTIONS}");
    }
}

fn bytes_a_session(server: &Server) -> u64 {
    let open = |number: usize| -> Wire {
        let bearer = token(&format!("user{number:06}"), 3_600, None);
        let mut client = Client::connect(server.addr(), &bearer);
        let room = format!("room:{}", number / ROOM_SIZE);
        client.subscribe(&room, None);
        client.wire
    };
    // What is made once is made: code paths, buffers, the first of everything. These stay, so that
    // nothing that follows finds a place that was paid for before.
    let first: Vec<_> = (0..500).map(open).collect();
    let before = server.vitals();
    let all: Vec<_> = (500..500 + CONNECTIONS).map(open).collect();
    let after = server.vitals();
    // They are all still there, and so is what they cost.
    for wire in first.into_iter().chain(all).step_by(1_000) {
        let mut client = Client::again(wire);
        let answer = client.ask("ping", &json!({}));
        assert!(answer["ping"].is_object(), "{answer}");
    }
    after.rss_growth(&before) / CONNECTIONS as u64
}
