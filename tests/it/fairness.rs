//! One connection at line rate beside a hundred that ping: what the hundred feel.
//!
//! A measurement, hence not part of `cargo test`:
//! `cargo test --release --test it -- --ignored --nocapture fairness`

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Server, Wire, frame, op};

const QUIET_CLIENTS: u32 = 100;
const SECONDS: u32 = 10;

#[test]
#[ignore = "a measurement: prints percentiles"]
fn fairness() {
    let server = Server::start();
    for (name, message_bytes) in [
        ("nobody", 0),
        ("16 B", 16),
        ("4 KiB", 4096),
        ("1 MiB", 1 << 20),
    ] {
        let stop = AtomicBool::new(false);
        let flooded = AtomicU64::new(0);
        let mut latencies = thread::scope(|scope| {
            if message_bytes > 0 {
                let address = server.addr();
                let (stop, flooded) = (&stop, &flooded);
                scope.spawn(move || flood(address, message_bytes, stop, flooded));
            }
            let latencies = ping_in_turn(&server);
            stop.store(true, Ordering::Relaxed);
            latencies
        });
        latencies.sort_unstable();
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        println!(
            "beside {name:>7}: p50 {:?}, p99 {:?}, max {:?} of {} pings; {} MiB echoed",
            at(0.5),
            at(0.99),
            latencies[latencies.len() - 1],
            latencies.len(),
            flooded.load(Ordering::Relaxed) >> 20,
        );
    }
}

/// Writes as fast as the server takes it, and reads as fast as it answers.
fn flood(server: SocketAddr, message_bytes: usize, stop: &AtomicBool, flooded: &AtomicU64) {
    let wire = Wire::open(server);
    let mut reader = wire.stream.try_clone().unwrap();
    let mut writer = wire.stream;
    let one = frame(op::FIN | op::BINARY, &vec![7; message_bytes]);
    let burst = one.repeat((65_536 / one.len()).max(1));
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut chunk = vec![0; 1 << 18];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                flooded.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        while !stop.load(Ordering::Relaxed) && writer.write_all(&burst).is_ok() {}
        let _ = writer.shutdown(std::net::Shutdown::Both);
    });
}

/// Each client pings once a second; sending is on schedule, whatever the answers do.
fn ping_in_turn(server: &Server) -> Vec<Duration> {
    let (report, latencies) = channel();
    let (_never, pace) = channel::<()>();
    let mut writers = Vec::new();
    let epoch = Instant::now();
    for _ in 0..QUIET_CLIENTS {
        let mut wire = Wire::open(server.addr());
        writers.push(wire.stream.try_clone().unwrap());
        let report = report.clone();
        thread::spawn(move || {
            // A pong carries the moment its ping was due: waiting in our own queue counts too.
            while let Some(pong) = wire
                .read_frame()
                .filter(|got| got.first == op::FIN | op::PONG)
            {
                let due_us = u64::from_be_bytes(*pong.payload.first_chunk().unwrap());
                let _ = report.send(
                    epoch
                        .elapsed()
                        .saturating_sub(Duration::from_micros(due_us)),
                );
            }
        });
    }
    for number in 0..QUIET_CLIENTS * SECONDS {
        let due = epoch + Duration::from_secs(1) / QUIET_CLIENTS * number;
        let _ = pace.recv_timeout(due.saturating_duration_since(Instant::now()));
        let due_us = due.duration_since(epoch).as_micros() as u64;
        let ping = frame(op::FIN | op::PING, &due_us.to_be_bytes());
        writers[(number % QUIET_CLIENTS) as usize]
            .write_all(&ping)
            .unwrap();
    }
    let all = (0..QUIET_CLIENTS * SECONDS)
        .map_while(|_| latencies.recv_timeout(Duration::from_secs(5)).ok());
    let all = all.collect();
    for writer in writers {
        let _ = writer.shutdown(std::net::Shutdown::Both);
    }
    all
}
