//! Peers that do not read, flood, vanish or come in numbers: what each may cost, and nobody else.

use std::io::{ErrorKind, Write};
use std::process::Command;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::harness::{Launch, PATIENCE, Server, Vitals, Wire, frame, op};

/// Waits for one keep-alive ping on `wire` and gives the CPU ticks (10 ms) the server spent
/// meanwhile: with `--ping-interval 2s`, a window of about two seconds that no clock had to end.
fn ticks_until_ping(server: &Server, wire: &mut Wire) -> u64 {
    let before = server.vitals().cpu_ticks;
    let ping = wire.read_frame().expect("a keep-alive ping");
    assert_eq!(ping.first, op::FIN | op::PING);
    wire.send_frame(op::FIN | op::PONG, &ping.payload);
    server.vitals().cpu_ticks - before
}

/// Two seconds with nothing to do: 5 % of them, and two ticks for the reading of `/proc` itself.
const IDLE_TICKS_MAX: u64 = 12;

fn server_that_pings() -> Server {
    Launch::new()
        .flag("ping-interval", "2s")
        .flag("pong-timeout", "1m")
        .start()
}

/// A client whose kernel holds little, so that a stalled reader is felt at once.
fn small_reader(server: &Server) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&server.addr().into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    let mut wire = Wire::over(std::net::TcpStream::from(socket));
    wire.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = wire.upgrade("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    wire
}

/// Writes `frame` over and over until the server takes no more; gives the bytes it took.
fn flood_until_it_stalls(wire: &mut Wire, frame: &[u8], bytes_max: usize) -> usize {
    // Only says "it does not move": a write that waits this long is not on its way.
    let stalled = Duration::from_secs(1);
    wire.stream.set_write_timeout(Some(stalled)).unwrap();
    let mut taken = 0;
    while taken < bytes_max {
        match wire.stream.write(&frame[taken % frame.len()..]) {
            Ok(count) => taken += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return taken;
            }
            Err(error) => panic!("{error} after {taken} bytes"),
        }
    }
    panic!("{taken} bytes were taken from a client that reads nothing");
}

#[test]
fn a_client_that_never_reads_is_not_read_from() {
    let server = server_that_pings();
    let mut other = Wire::open(server.addr());
    let before = server.vitals();
    let mut wire = small_reader(&server);
    let message: Vec<u8> = (0..16_384u32).map(|at| (at * 7) as u8).collect();
    let sent = frame(op::FIN | op::BINARY, &message);
    let taken = flood_until_it_stalls(&mut wire, &sent, 256 << 20);
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 2 << 20, "{growth} bytes after {taken} were taken");
    let ticks = ticks_until_ping(&server, &mut other);
    assert!(
        ticks <= IDLE_TICKS_MAX,
        "{ticks} ticks beside a peer that does not read"
    );

    // It was only paused: once it reads, every message it got rid of comes back.
    let whole = taken / sent.len();
    for _ in 0..whole {
        let got =
            std::iter::from_fn(|| wire.read_frame()).find(|got| got.first == op::FIN | op::BINARY);
        assert!(got.unwrap().payload == message);
    }
}

#[test]
fn pings_of_a_client_that_never_reads_share_the_same_bound() {
    let server = Server::start();
    let before = server.vitals();
    let mut wire = small_reader(&server);
    let burst = frame(op::FIN | op::PING, &[b'p'; 125]).repeat(100);
    flood_until_it_stalls(&mut wire, &burst, 256 << 20);
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 2 << 20, "{growth} bytes");
    Wire::open(server.addr()).echo(op::TEXT, b"others are served");
}

#[test]
fn a_message_beyond_the_queue_limit_is_not_kept_for_ever() {
    // One echo may be larger than the high-water mark; ten clients that leave theirs unread
    // cost ten messages, not more.
    let server = Launch::new().flag("max-message", 1 << 20).start();
    let before = server.vitals();
    let message = frame(op::FIN | op::BINARY, &vec![3; 1 << 20]);
    let wires: Vec<_> = (0..10)
        .map(|_| {
            let mut wire = small_reader(&server);
            flood_until_it_stalls(&mut wire, &message, 64 << 20);
            wire
        })
        .collect();
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 10 * (3 << 20), "{growth} bytes");
    drop(wires);
}

#[test]
fn dead_and_stuck_peers_leave_the_loop_idle() {
    let server = server_that_pings();
    let mut other = Wire::open(server.addr());
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let half_closed = Wire::open(server.addr());
        half_closed
            .stream
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        let half_closed_early = Wire::connect(server.addr());
        half_closed_early
            .stream
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        let reset = Wire::open(server.addr());
        SockRef::from(&reset.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(reset);
        let mut unfinished = Wire::open(server.addr());
        unfinished.send(&[0x81, 0xfe]);
        stuck.extend([half_closed, half_closed_early, unfinished]);
    }
    let mut never_reads = small_reader(&server);
    let message = frame(op::FIN | op::BINARY, &[1; 60_000]);
    flood_until_it_stalls(&mut never_reads, &message, 256 << 20);
    // Half-closed while the server still has bytes for it that it cannot write.
    never_reads
        .stream
        .shutdown(std::net::Shutdown::Write)
        .unwrap();

    let ticks = ticks_until_ping(&server, &mut other);
    assert!(
        ticks <= IDLE_TICKS_MAX,
        "{ticks} ticks of CPU with nothing to do"
    );
    drop((stuck, never_reads));
}

#[test]
fn descriptors_running_out_costs_nobody_a_connection() {
    let server = server_that_pings();
    let mut watch = server.watch();
    let mut established: Vec<_> = (0..10).map(|_| Wire::open(server.addr())).collect();
    let limit = server.vitals().descriptors_max + 10;
    set_descriptor_limit(&server, limit);

    // Ten fit; the others are told to come back, and do not hang in the kernel's queue.
    let newcomers: Vec<_> = (0..40)
        .map(|_| {
            let mut wire = Wire::connect(server.addr());
            wire.send(crate::harness::upgrade_request("").as_bytes());
            wire
        })
        .collect();
    watch.until("the limit is reached", |now| now.descriptors_max >= limit);
    for wire in &mut established {
        wire.echo(op::TEXT, b"nothing happened to me");
    }
    let ticks = ticks_until_ping(&server, &mut established[0]);
    assert!(
        ticks <= 2 * IDLE_TICKS_MAX,
        "{ticks} ticks while nobody can be accepted"
    );
    for wire in &mut established {
        // Their keep-alive pings may be ahead of the echo.
        wire.send_frame(op::FIN | op::TEXT, b"still nothing");
        let echo =
            std::iter::from_fn(|| wire.read_frame()).find(|got| got.first == op::FIN | op::TEXT);
        assert_eq!(echo.unwrap().payload, b"still nothing");
    }
    server.wait_log("Too many open files");
    let log = server.log();
    let complaints = log.matches("Too many open files").count();
    assert!((1..=5).contains(&complaints), "{complaints} lines: {log}");

    let (mut served, mut refused) = (Vec::new(), 0);
    for mut wire in newcomers {
        let head = wire.read_head().expect("an answer, also without room");
        if head.starts_with("HTTP/1.1 101 ") {
            served.push(wire);
        } else {
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            assert!(head.contains("Retry-After: "), "{head}");
            wire.expect_end();
            refused += 1;
        }
    }
    assert!((8..=10).contains(&served.len()), "{} served", served.len());
    assert_eq!(served.len() + refused, 40);
    drop(served);
    watch.until("there is room again", |now| now.descriptors_max < limit - 5);
    Wire::open(server.addr()).echo(op::TEXT, b"better late");
}

fn set_descriptor_limit(server: &Server, limit: usize) {
    let pid = server.pid().to_string();
    let nofile = format!("--nofile={limit}:{limit}");
    // util-linux: part of every Linux system that has a shell to run the tests in.
    let status = Command::new("prlimit")
        .args(["--pid", &pid, &nofile])
        .status();
    assert!(status.unwrap().success(), "prlimit {nofile}");
}

#[test]
fn a_low_limit_at_start_still_serves() {
    let server = Launch::new().descriptors_max(128).start();
    let mut watch = server.watch();
    let mut wires: Vec<_> = (0..16).map(|_| Wire::open(server.addr())).collect();
    let before = server.vitals();
    // Far beyond it: refused or kept waiting, but the first ones do not notice.
    let beyond: Vec<_> = (0..200).map(|_| Wire::connect(server.addr())).collect();
    for wire in &mut wires {
        wire.echo(op::TEXT, b"within 128 descriptors");
    }
    drop(beyond);
    watch.until("the crowd is gone", |now| {
        now.descriptors <= before.descriptors
    });
    Wire::open(server.addr()).echo(op::TEXT, b"room again");
}

#[test]
fn unfinished_messages_cost_what_arrived() {
    let server = Launch::new().flag("max-message", 16 << 20).start();
    let before = server.vitals();
    let mut beside = Wire::open(server.addr());
    let arrived = frame(op::BINARY, &[5; 1_000]).len() as u64;
    let wires: Vec<_> = (0..100)
        .map(|_| {
            let mut wire = Wire::open(server.addr());
            // The header promises 16 MiB; one kilobyte comes.
            let header = [
                &[0x82, 0xff][..],
                &(16u64 << 20).to_be_bytes(),
                &[1, 2, 3, 4],
            ]
            .concat();
            wire.send(&[&header[..], &[5; 1_000]].concat());
            beside.echo(op::TEXT, b"next turn");
            wire
        })
        .collect();
    let growth = server.vitals().rss_growth(&before);
    assert!(growth < 100 * (2 * arrived + (64 << 10)), "{growth} bytes");
    drop(wires);
}

/// Connects, upgrades, echoes and leaves, `count` times, each third time in another way.
fn churn(server: &Server, count: u32) {
    for number in 0..count {
        let mut wire = Wire::open(server.addr());
        wire.echo(op::TEXT, b"hello");
        if number % 3 == 0 {
            wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe8]);
            assert_eq!(wire.expect_close(), 1000);
            wire.expect_end();
        } else {
            // A reset leaves no TIME_WAIT behind: the ports last for half a million of these.
            let abrupt = (number % 3 == 1).then_some(Duration::ZERO);
            SockRef::from(&wire.stream).set_linger(abrupt).unwrap();
        }
    }
}

/// Descriptors and memory are back where they were after `count` connections.
fn churn_returns(count: u32) -> (Vitals, Vitals) {
    let server = Server::start();
    let mut watch = server.watch();
    let settled = server.vitals().descriptors;
    churn(&server, 2_000);
    let before = watch.until("warm", |now| now.descriptors <= settled);
    churn(&server, count);
    let after = watch.until("every descriptor is back", |now| now.descriptors <= settled);
    let growth = after.rss_growth(&before);
    assert!(
        growth <= 512 << 10,
        "{growth} bytes after {count} connections"
    );
    (before, after)
}

#[test]
fn churn_leaves_nothing_behind() {
    churn_returns(20_000);
}

/// `cargo test --release --test it -- --ignored --nocapture half_a_million`
#[test]
#[ignore = "minutes"]
fn churn_of_half_a_million_leaves_nothing_behind() {
    let (before, after) = churn_returns(500_000);
    println!("before: {before:?}\nafter:  {after:?}");
}
