//! One connection in rustls' hands: the handshake of every one, and the whole life of some.
//!
//! ```text
//!  new ──hello, flights──> Handshaking ──finished──> Ready ──close_notify──> Closed
//!                              │ refused               │ broken
//!                              └───────> an alert in `out`, and nothing more <┘
//! ```

use std::fmt;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, Error, HandshakeKind, ProtocolVersion};

use super::drive::{Writes, Written, run, write_to};
use super::handover::{Catch, Caught, Handover, TicketSink};
use super::{ClientTls, Refusal, ServerTls};
use crate::tls::certificates::Facts;
use crate::tls::record::{Gather, PLAINTEXT_BYTES_MAX, Sealed};

/// What two peers have learned about each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The host name the client asked for (SNI), as a server hears it.
    pub server_name: Option<String>,
    /// What the peer's certificate says, if it showed one and it holds.
    pub peer: Option<Facts>,
    /// Whether both agreed on `http/1.1`, rather than saying nothing about it.
    pub has_alpn: bool,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// Whether it is TLS 1.3, and not 1.2.
    pub is_tls13: bool,
}

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tls) enum Stage {
    /// The peer's turn.
    Handshaking,
    /// Application bytes flow.
    Ready,
    /// The peer said close_notify.
    Closed,
}

/// A connection of rustls and the bytes it has not understood yet.
pub(in crate::tls) struct Link {
    connection: Connection,
    /// Bytes that are no whole message yet.
    held: Vec<u8>,
    /// What rustls shows only while it works; empty if a panic cut that short.
    caught: Option<Box<Caught>>,
    stage: Stage,
    /// How many bytes may be held back.
    held_bytes_max: usize,
    is_compact: bool,
    wants_tickets: bool,
    has_heard: bool,
    has_said_close: bool,
    /// The keys are to be changed with the next record.
    owes_refresh: bool,
    /// Why rustls must not be asked any more: it would panic.
    refusal: Option<Refusal>,
}

enum Connection {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl fmt::Debug for Link {
    /// How far it is, never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?})", self.stage)
    }
}

impl Link {
    pub(in crate::tls) fn server(tls: &ServerTls) -> Result<Self, Refusal> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&tls.config));
        let connection = connection.map_err(|error| Refusal::from_error(&error, None))?;
        let mut link = Self::new(Connection::Server(connection), tls.is_compact, false);
        if !tls.asks_for_certificates {
            link.held_bytes_max = HELLO_BYTES_MAX;
        }
        Ok(link)
    }

    pub(in crate::tls) fn client(tls: &ClientTls) -> Result<Self, Refusal> {
        let config = Arc::clone(&tls.config);
        let connection = UnbufferedClientConnection::new(config, tls.name.clone());
        let connection = connection.map_err(|error| Refusal::from_error(&error, None))?;
        let connection = Connection::Client(connection);
        Ok(Self::new(connection, tls.is_compact, tls.wants_tickets))
    }

    fn new(connection: Connection, is_compact: bool, wants_tickets: bool) -> Self {
        Self {
            connection,
            held: Vec::new(),
            caught: Some(Box::new(Caught::new(is_compact))),
            stage: Stage::Handshaking,
            held_bytes_max: FLIGHT_BYTES_MAX,
            is_compact,
            wants_tickets,
            has_heard: false,
            has_said_close: false,
            owes_refresh: false,
            refusal: None,
        }
    }

    pub(in crate::tls) fn stage(&self) -> Stage {
        self.stage
    }

    /// Bytes held back. What is received next makes at most so much more plaintext than itself.
    pub(in crate::tls) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// Takes what was received (nothing, to begin with, for a client). What has to be sent is
    /// appended to `out`, what the peer says to `plain`.
    pub(in crate::tls) fn receive(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<Stage, Refusal> {
        match (self.refusal, self.stage) {
            (Some(refusal), _) => return Err(refusal),
            (None, Stage::Closed) => return Ok(Stage::Closed),
            _ => {}
        }
        let first = (!self.has_heard).then(|| input.first().copied()).flatten();
        self.has_heard |= first.is_some();
        let mut used = 0;
        let result = if self.held.is_empty() {
            let result = self.run(input, &mut used, out, plain);
            self.held.extend_from_slice(&input[used..]);
            result
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(input);
            let result = self.run(&mut held, &mut used, out, plain);
            held.drain(..used);
            // Not at every byte: a hello that dribbles in would be copied as often as it has bytes.
            if held.capacity() > 2 * held.len() + HELD_SPARE_BYTES {
                held.shrink_to_fit();
            }
            self.held = held;
            result
        };
        let stage = match result {
            Ok(stage) if self.held.len() <= self.held_bytes_max => stage,
            Ok(_) => return Err(self.refuse(Refusal::TooLong)),
            Err(error) => return Err(self.refuse(Refusal::from_error(&error, first))),
        };
        self.stage = stage;
        Ok(stage)
    }

    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.held = Vec::new();
        *self.refusal.insert(refusal)
    }

    fn run(
        &mut self,
        bytes: &mut [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<Stage, Error> {
        let connection = &mut self.connection;
        Catch::during(&mut self.caught, || match connection {
            Connection::Server(server) => run(server, bytes, used, out, plain),
            Connection::Client(client) => run(client, bytes, used, out, plain),
        })
    }

    /// What the peers know of each other now.
    pub(in crate::tls) fn introduction(&self) -> Introduction {
        let common: &CommonState = match &self.connection {
            Connection::Server(server) => server,
            Connection::Client(client) => client,
        };
        let caught = self.caught.as_ref();
        let shown = common.peer_certificates();
        Introduction {
            server_name: caught.and_then(|caught| caught.server_name.clone()),
            peer: shown.and_then(|chain| Facts::of(chain.first()?)),
            has_alpn: common.alpn_protocol().is_some(),
            is_resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            is_tls13: self.is_tls13(),
        }
    }

    fn is_tls13(&self) -> bool {
        let version = match &self.connection {
            Connection::Server(server) => server.protocol_version(),
            Connection::Client(client) => client.protocol_version(),
        };
        version == Some(ProtocolVersion::TLSv1_3)
    }

    /// Whether the compact record layer takes over once it is `Ready`.
    pub(in crate::tls) fn is_to_hand_over(&self) -> bool {
        self.is_compact && self.is_tls13()
    }

    /// Frees what only the handshake needed.
    pub(in crate::tls) fn forget_handshake(&mut self) {
        self.caught = None;
        self.held_bytes_max = HELLO_BYTES_MAX;
    }

    /// Ends rustls' part: the secrets, and the beginning of a record that is not all there.
    pub(in crate::tls) fn hand_over(
        self,
    ) -> Result<(Handover, Vec<u8>, Option<TicketSink>), Refusal> {
        // A whole record would be one that rustls understood and keeps for later: part of a
        // handshake message. Its bytes are decrypted where they lie, so nobody could go on here.
        let is_whole = |header: &[u8; 5]| {
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            self.held.len() >= header.len() + length
        };
        if self.held.first_chunk().is_some_and(is_whole) {
            return Err(Refusal::Misbehaved);
        }
        let internal = |_| Refusal::Internal;
        let caught = self.caught.ok_or(Refusal::Internal)?;
        let (handover, sink) = match self.connection {
            Connection::Server(server) => {
                let given = server
                    .dangerous_into_kernel_connection()
                    .map_err(internal)?;
                (Handover::new(&given.0, &caught, true), None)
            }
            Connection::Client(client) => {
                let given = client
                    .dangerous_into_kernel_connection()
                    .map_err(internal)?;
                let sink = self.wants_tickets.then_some(TicketSink(given.1));
                (Handover::new(&given.0, &caught, false), sink)
            }
        };
        Ok((handover.ok_or(Refusal::Internal)?, self.held, sink))
    }

    /// Seals as the compact record layer does, for a connection that rustls keeps. `record` is where
    /// pieces are gathered.
    pub(in crate::tls) fn seal<'p>(
        &mut self,
        pieces: impl Iterator<Item = &'p [u8]>,
        record: &mut Vec<u8>,
        out: &mut [u8],
    ) -> Sealed {
        let mut sealed = Sealed::default();
        if self.has_said_close || self.refusal.is_some() {
            return sealed;
        }
        let mut pieces = Gather::new(pieces);
        while !pieces.is_empty() || self.owes_refresh {
            let room = (out.len() - sealed.ciphertext).saturating_sub(KEPT_OVERHEAD_MAX);
            let room = room.min(PLAINTEXT_BYTES_MAX);
            if room == 0 {
                break;
            }
            record.clear();
            while record.len() < room && !pieces.is_empty() {
                record.extend_from_slice(pieces.take(room - record.len()));
            }
            let written = self.write(&mut out[sealed.ciphertext..], |traffic, out| {
                traffic.encrypt(record, out)
            });
            sealed.ciphertext += written;
            sealed.plaintext += record.len();
        }
        sealed
    }

    /// Changes the keys with the next record, if it is TLS 1.3.
    pub(in crate::tls) fn refresh(&mut self) {
        self.owes_refresh = self.stage == Stage::Ready && self.is_tls13();
    }

    /// Says close_notify; how long its record is.
    pub(in crate::tls) fn close(&mut self, out: &mut [u8]) -> usize {
        let is_open = self.stage != Stage::Handshaking && self.refusal.is_none();
        if self.has_said_close || !is_open || out.len() < KEPT_OVERHEAD_MAX {
            return 0;
        }
        self.has_said_close = true;
        self.write(out, |traffic, out| traffic.queue_close_notify(out))
    }

    /// Writes to `out` what is owed, and then what `write` says. It has room for both.
    fn write(
        &mut self,
        out: &mut [u8],
        write: impl FnOnce(&mut dyn Writes, &mut [u8]) -> Written,
    ) -> usize {
        let (held, refresh) = (&mut self.held, &mut self.owes_refresh);
        match &mut self.connection {
            Connection::Server(server) => write_to(server, held, refresh, out, write),
            Connection::Client(client) => write_to(client, held, refresh, out, write),
        }
    }
}

/// Bytes allocated beyond what is held back, at most: a small hello is not worth a copy.
const HELD_SPARE_BYTES: usize = 2 << 10;
/// Bytes held back of somebody who only has a hello to send, or records: one record.
const HELLO_BYTES_MAX: usize = 20 << 10;
/// Bytes held back of somebody who sends certificates: the longest message rustls accepts (64 KiB),
/// in records, and one more record.
const FLIGHT_BYTES_MAX: usize = (64 << 10) + HELLO_BYTES_MAX;
/// What a record of any suite of TLS 1.2 or 1.3 adds to what it carries (29 bytes), and before it an
/// answer to a KeyUpdate, and a KeyUpdate (27 bytes each).
pub(in crate::tls) const KEPT_OVERHEAD_MAX: usize = 128;
