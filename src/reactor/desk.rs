//! What one worker lends to whichever connection is running: buffers, codec, clock, limits.

use super::app::Ending;
use super::clock::{Clock, TICK_MS};
use super::cork::Cork;
use super::tls::{TlsConfig, TlsDesk};
use crate::limits::Limits;
use crate::metrics::Counters;
use crate::tls::ServerTls;
use crate::ws::deflate::{Codec, DeflateConfig};
use crate::ws::frame::{HEADROOM, Role};
use crate::ws::inbound::Rules;

/// Bytes read from one connection in one run. It bounds how long a flooder can hold the loop
/// (128 KiB of smallest frames are about 1 ms of parsing), and fits the L2 cache.
pub(crate) const RECV_BYTES: usize = 128 << 10;

/// What a worker inflates, and what it compresses, per turn before it looks at its other
/// connections: about 1 ms each at the speed of zlib.
const DEFLATE_BYTES_PER_TURN: usize = 512 << 10;

/// Empty fragments one message may have. Nobody needs any; 65 536 non-empty ones pass.
const EMPTY_FRAGMENTS_MAX: u32 = 1024;

/// The limits in ticks, as the timers use them.
pub(crate) struct Ticks {
    pub(crate) handshake: u32,
    pub(crate) message: u32,
    /// 0: no pings.
    pub(crate) ping: u32,
    pub(crate) pong: u32,
    pub(crate) close: u32,
}

impl Ticks {
    fn new(limits: &Limits) -> Self {
        // Rounded up, and one more for the tick that has already begun: never early.
        let up = |ms: u32| ms.div_ceil(TICK_MS as u32) + 1;
        Self {
            handshake: up(limits.handshake_timeout_ms),
            message: up(limits.message_time_ms),
            ping: if limits.ping_interval_ms == 0 {
                0
            } else {
                up(limits.ping_interval_ms)
            },
            pong: up(limits.pong_timeout_ms),
            close: up(limits.close_timeout_ms),
        }
    }
}

/// The worker's workbench.
pub(crate) struct Desk {
    /// `recv[..HEADROOM]` stays free: replies grow into it.
    pub(crate) recv: Box<[u8]>,
    pub(crate) cork: Cork,
    pub(crate) codec: Codec,
    /// If there is a listener for it.
    pub(crate) tls: Option<Box<TlsDesk>>,
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) ticks: Ticks,
    pub(crate) clock: Clock,
    pub(crate) now_tick: u32,
    pub(crate) counters: Counters,
    /// Going down: no new upgrades.
    pub(crate) leaving: bool,
}

impl Desk {
    pub(crate) fn new(limits: &Limits, deflate: &DeflateConfig, tls: Option<&TlsConfig>) -> Self {
        Self {
            recv: receive_buffer(),
            cork: Cork::default(),
            codec: Codec::new(deflate),
            tls: tls.map(|config| Box::new(TlsDesk::new(config))),
            rules: Rules {
                role: Role::Server,
                message_bytes_max: limits.message_bytes_max,
                empty_fragments_max: EMPTY_FRAGMENTS_MAX,
            },
            limits: limits.clone(),
            ticks: Ticks::new(limits),
            clock: Clock::new(0),
            now_tick: 0,
            counters: Counters::default(),
            leaving: false,
        }
    }

    /// Other limits from now on.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        self.rules.message_bytes_max = limits.message_bytes_max;
        self.ticks = Ticks::new(limits);
        self.limits = limits.clone();
    }

    /// Other certificates from now on, if there is a listener that shows any.
    pub(crate) fn set_tls(&mut self, server: ServerTls) {
        if let Some(tls) = &mut self.tls {
            tls.set_server(server);
        }
    }

    /// Puts the bench in order after a panic left it as it was.
    pub(crate) fn recover(&mut self) {
        self.cork = Cork::default();
        if let Some(tls) = &mut self.tls {
            tls.out.clear(); // whose it was is over
        }
        if self.recv.is_empty() {
            self.recv = receive_buffer();
        }
    }

    /// What the bench takes, whatever connections there are.
    pub(crate) fn held_bytes(&self) -> usize {
        let tls = self.tls.as_ref().map_or(0, |tls| tls.held_bytes());
        self.recv.len() + self.cork.held_bytes() + self.codec.held_bytes() + tls
    }

    /// Memory of all TLS sessions.
    pub(crate) fn tls_bytes(&self) -> usize {
        let tls = self.tls.as_ref();
        tls.map_or(0, |tls| tls.sessions.held_bytes())
    }

    /// A new turn: its inflate allowance and its time.
    pub(crate) fn begin_turn(&mut self, raw_ms: u64, intended_wait_ms: u64) {
        self.now_tick = self.clock.advance(raw_ms, intended_wait_ms);
        self.codec.refill(DEFLATE_BYTES_PER_TURN);
        if let Some(tls) = &mut self.tls {
            tls.begin_turn();
        }
    }
}

fn receive_buffer() -> Box<[u8]> {
    vec![0; HEADROOM + RECV_BYTES].into_boxed_slice()
}

/// What the worker has to do after a connection ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Wait for events.
    Wait,
    /// It has more to do without an event: run it again next turn.
    Again,
    /// It waits for something the others use up: run it next turn, before them.
    First,
    /// It is shaking hands, or would like to: run it when its turn comes.
    InLine,
    /// It is over; reap it at the end of the turn.
    Over(Ending),
}
