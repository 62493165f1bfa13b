//! What the server says about itself, compared with what a client can count.

use std::io::Write;

use throng::sys::rlimit::raise_nofile;

use crate::harness::{Launch, Server, Wire, frame, op};

/// Answers are asked for until one fits: what is counted is published between turns.
const LOOKS_MAX: u32 = 100_000;

fn page(server: &Server) -> String {
    let mut wire = Wire::connect(server.addr());
    wire.send(b"GET /stats HTTP/1.1\r\nHost: throng.test\r\n\r\n");
    let head = wire.read_head().expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("application/json"), "{head}");
    String::from_utf8(wire.read_to_end()).unwrap()
}

/// The number of that name; `None` if it is null.
fn number(page: &str, name: &str) -> Option<u64> {
    let at = page.find(&format!("\"{name}\":"));
    let at = at.unwrap_or_else(|| panic!("no {name}: {page}")) + name.len() + 3;
    let digits = page[at..].split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().ok()
}

fn until(server: &Server, what: &str, holds: impl Fn(&str) -> bool) -> String {
    for _ in 0..LOOKS_MAX {
        let page = page(server);
        if holds(&page) {
            return page;
        }
    }
    panic!("never happened: {what}; {}", page(server));
}

#[test]
fn it_counts_what_a_client_counts() {
    let server = Launch::new().workers(2).start();
    let mut wires: Vec<_> = (0..50).map(|_| Wire::open(server.addr())).collect();
    let all = until(&server, "50 are open", |page| {
        number(page, "connections") == Some(50) && number(page, "rss_bytes") > Some(1 << 20)
    });
    assert_eq!(number(&all, "opened"), Some(50));
    assert!(number(&all, "kernel_bytes") >= Some(50 * 3_970), "{all}");
    for wire in &mut wires {
        wire.echo(op::TEXT, b"one");
    }
    wires.truncate(30);
    let left = until(&server, "20 are gone", |page| {
        number(page, "connections") == Some(30)
    });
    assert_eq!(number(&left, "opened"), Some(50));
    assert_eq!(number(&left, "ended"), Some(20));
    until(&server, "each echo is counted", |page| {
        number(page, "messages_in") == Some(50)
    });
}

#[test]
fn the_ledger_says_where_bytes_are() {
    let server = Launch::new().start();
    let mut wires: Vec<_> = (0..20).map(|_| Wire::open(server.addr())).collect();
    let empty = until(&server, "a ledger", |page| {
        number(page, "entries") >= Some(20 * 64)
    });
    assert_eq!(number(&empty, "partial"), Some(0));
    assert_eq!(number(&empty, "sessions"), Some(0));
    assert!(
        number(&empty, "workers") >= Some(128 << 10),
        "the receive buffer"
    );

    // Half a message, and half a request head.
    let whole = frame(op::FIN | op::BINARY, &[7; 40_000]);
    wires[0].send(&whole[..30_000]);
    let mut half_open = Wire::connect(server.addr());
    half_open.send(b"GET /echo HTTP/1.1\r\n");
    half_open.stream.flush().unwrap();
    let held = until(&server, "both are held", |page| {
        number(page, "partial") >= Some(29_000) && number(page, "handshakes") > Some(10)
    });
    assert!(number(&held, "partial") < Some(2 * 40_000), "{held}");
    wires[0].send(&whole[30_000..]);
    wires[0].expect(op::FIN | op::BINARY, &[7; 40_000]);
    drop(half_open);
    until(&server, "both are free again", |page| {
        number(page, "partial") == Some(0) && number(page, "handshakes") == Some(0)
    });
}

#[test]
fn sigusr1_logs_the_ledger() {
    let server = Launch::new().workers(2).start();
    let wire = Wire::open(server.addr());
    server.signal("USR1");
    let line = server.wait_log("ledger: entries");
    assert!(
        line.contains("1 connections open, 1 sockets; RSS "),
        "{line}"
    );
    assert!(line.contains("bytes a connection"), "{line}");
    drop(wire);
}

#[test]
fn it_can_be_switched_off() {
    let server = Launch::new().flag("stats", "off").start();
    let mut wire = Wire::connect(server.addr());
    wire.send(b"GET /stats HTTP/1.1\r\nHost: throng.test\r\n\r\n");
    let head = wire.read_head().unwrap();
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn beyond_max_memory_newcomers_are_told_to_come_back() {
    raise_nofile().expect("the usual hard limit is far above what is needed here");
    let server = Launch::new().flag("max-memory", "16MiB").start();
    // The kernel's share alone is 4 000 bytes each: this is more than twice what fits.
    let mut wires = Vec::new();
    let refused = (0..10_000).find_map(|_| {
        let mut wire = Wire::connect(server.addr());
        let head = wire.upgrade("");
        if head.starts_with("HTTP/1.1 101 ") {
            wires.push(wire);
            return None;
        }
        Some(head)
    });
    let refused = refused.expect("somebody is refused");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: "), "{refused}");
    assert!(wires.len() > 100, "{} fitted", wires.len());
    for wire in &mut wires {
        wire.echo(op::TEXT, b"those who are in stay");
    }
    let line = server.wait_log("new connections are refused");
    assert!(line.contains("--max-memory (16 MiB)"), "{line}");
    wires.clear();
    let is_in = |_| {
        Wire::connect(server.addr())
            .upgrade("")
            .starts_with("HTTP/1.1 101 ")
    };
    assert!(
        (0..LOOKS_MAX).any(is_in),
        "it opens again: {}",
        server.log()
    );
}
