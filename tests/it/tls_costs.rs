//! What a TLS session costs, in memory: bytes on the heap, bytes of the process, time per message.
//!
//! The figures come from
//! `cargo test --release --test it -- --ignored --nocapture tls_costs`; the rules run always.

use std::fs;
use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use throng::tls::fuzzing::server_options;
use throng::tls::sessions::{SessionId, SessionLimits, Sessions};
use throng::tls::{
    Choices, ClientOptions, ClientTls, Mode, Role, ServerOptions, ServerTls, Tickets,
};

const HEADROOM: usize = 16;

/// Both ends of any number of connections, and the buffers they share.
struct World {
    server: Sessions,
    client: Sessions,
    server_tls: ServerTls,
    client_tls: ClientTls,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl World {
    fn new(mode: Mode, resumes: bool) -> Self {
        let choices = Choices {
            mode,
            ..Choices::default()
        };
        let tickets = resumes.then(|| Tickets::for_this_process().into());
        let server_tls = ServerTls::new(&ServerOptions {
            choices,
            tickets,
            ..server_options()
        });
        let options = ClientOptions {
            resumes,
            ..ClientOptions::default()
        };
        Self {
            server: Sessions::new(Role::Server, SessionLimits::default()),
            client: Sessions::new(Role::Client, SessionLimits::default()),
            server_tls: server_tls.unwrap(),
            client_tls: ClientTls::new(&options, "localhost").unwrap(),
            buffer: vec![0; 64 << 10],
            out: Vec::new(),
        }
    }

    /// A whole handshake; the two ends, and the nanoseconds the server worked.
    fn connect(&mut self) -> (SessionId, SessionId, u64) {
        let mut flight = Vec::new();
        let mut client = self.client.connect(&self.client_tls, &mut flight).unwrap();
        let begun = cpu_ns();
        let mut server = self.server.accept(&self.server_tls).unwrap();
        let mut spent = cpu_ns() - begun;
        for _ in 0..3 {
            let begun = cpu_ns();
            let done = carry(
                &mut self.server,
                server,
                &flight,
                &mut self.buffer,
                &mut self.out,
            );
            spent += cpu_ns() - begun;
            server = done.unwrap_or(server);
            flight.clear();
            let answer = std::mem::take(&mut self.out);
            let done = carry(
                &mut self.client,
                client,
                &answer,
                &mut self.buffer,
                &mut flight,
            );
            client = done.unwrap_or(client);
            self.out = answer;
            self.out.clear();
            if flight.is_empty() {
                break;
            }
        }
        assert_eq!((self.server.handshakes(), self.client.handshakes()), (0, 0));
        (server, client, spent)
    }

    /// The record of a client's message.
    fn record(&mut self, client: SessionId, message: &[u8]) -> Vec<u8> {
        let mut record = vec![0; message.len() + 64];
        let sealed = self.client.seal(client, [message], &mut record);
        record.truncate(sealed.ciphertext);
        record
    }

    /// The server reads a record and sends back what it says.
    fn echo(&mut self, server: SessionId, record: &[u8], scratch: &mut [u8]) -> usize {
        let start = HEADROOM + self.server.pending_len(server);
        let fresh = start..start + record.len();
        self.buffer[fresh.clone()].copy_from_slice(record);
        let received = self
            .server
            .receive(server, &mut self.buffer, fresh, &mut self.out);
        let said = &self.buffer[received.plaintext];
        self.server.seal(server, [said], scratch).ciphertext
    }
}

/// Hands `bytes` over; the new id, if that ended the handshake.
fn carry(
    sessions: &mut Sessions,
    id: SessionId,
    bytes: &[u8],
    buffer: &mut [u8],
    out: &mut Vec<u8>,
) -> Option<SessionId> {
    if bytes.is_empty() {
        return None;
    }
    let start = HEADROOM + sessions.pending_len(id);
    let fresh = start..start + bytes.len();
    buffer[fresh.clone()].copy_from_slice(bytes);
    let received = sessions.receive(id, buffer, fresh, out);
    received.established.map(|done| done.id)
}

#[test]
fn an_idle_session_owns_nothing_on_the_heap_and_a_message_allocates_nothing() {
    let mut world = World::new(Mode::Compact, true);
    let (server, client, _) = world.connect();
    let counted = measure(|| {
        for _ in 0..100 {
            world.connect();
        }
    });
    assert_eq!(counted.count_current, 0, "{counted:?}");
    assert_eq!(
        (world.server.len(), world.server.kept_by_rustls()),
        (101, 0)
    );
    let record = world.record(client, &[7; 64]);
    let mut scratch = [0; 256];
    let counted = measure(|| {
        assert_eq!(world.echo(server, &record, &mut scratch), 64 + 22);
    });
    assert_eq!(counted, AllocationInfo::default());
}

#[test]
#[ignore = "measures for a minute"]
fn tls_costs() {
    for mode in [Mode::Compact, Mode::Rustls] {
        let (mut world, sessions) = (World::new(mode, false), 18_000);
        world.connect();
        let before = resident_bytes();
        let mut spent = 0;
        for _ in 0..sessions {
            let (_, client, ns) = world.connect();
            world.client.remove(client);
            spent += ns;
        }
        let bytes = resident_bytes().saturating_sub(before) / sessions;
        let us = spent / sessions as u64 / 1000;
        eprintln!("{mode:?}: {bytes} bytes a session, {us} us of server CPU a handshake");
        eprintln!(
            "{mode:?}: {} ns an echoed message of 64 bytes",
            echo_ns(mode)
        );
    }
    let (mut world, mut spent, sessions) = (World::new(Mode::Compact, true), 0, 2000);
    world.connect();
    for _ in 0..sessions {
        spent += world.connect().2;
    }
    eprintln!(
        "resumed: {} us of server CPU a handshake",
        spent / sessions / 1000
    );
}

/// Server CPU per message, over so many sessions that no cache holds them, in no order.
fn echo_ns(mode: Mode) -> u64 {
    const SESSIONS: usize = 10_000;
    const ROUNDS: usize = 20;
    let mut world = World::new(mode, false);
    let ends: Vec<_> = (0..SESSIONS).map(|_| world.connect()).collect();
    let mut scratch = [0; 256];
    let mut spent = 0;
    for _ in 0..ROUNDS {
        let records: Vec<_> = ends
            .iter()
            .map(|(_, client, _)| world.record(*client, &[7; 64]))
            .collect();
        let begun = cpu_ns();
        for step in 0..SESSIONS {
            let index = step * 7919 % SESSIONS; // a prime: every one once
            black_box(world.echo(ends[index].0, &records[index], &mut scratch));
        }
        spent += cpu_ns() - begun;
    }
    spent / (SESSIONS * ROUNDS) as u64
}

/// Nanoseconds this thread has been on a core, as of the scheduler's last tick: right over many.
fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
