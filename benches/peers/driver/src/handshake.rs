//! The handshake load: connect, upgrade, leave, again.
//!
//! A client pays more for a connection than a server does, so it does the least it can: it asks
//! for no events but reads its connections in the order in which it opened them, and reuses the
//! sockets it has reset.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::options::Close;
use crate::{sys, wire};

/// An upgrade that takes longer is a broken server.
const UPGRADE_MAX: Duration = Duration::from_secs(30);
/// Source addresses for connections that end in TIME_WAIT: a minute of them must fit.
const SOURCES: u32 = 1000;
/// Pause before asking again for a response that was not there.
const PAUSE: Duration = Duration::from_micros(5);

/// `in_flight` upgrades at a time.
pub(crate) struct Storm {
    server: SockAddr,
    in_flight: usize,
    close: Close,
    flying: VecDeque<Flight>,
    /// Sockets that were reset, ready to connect again.
    spare: Vec<Socket>,
    opened: u32,
}

struct Flight {
    socket: Socket,
    is_asked: bool,
    response: Vec<u8>,
}

impl Storm {
    pub(crate) fn new(server: SocketAddr, in_flight: usize, close: Close) -> Self {
        let flying = VecDeque::with_capacity(in_flight);
        Self {
            server: server.into(),
            in_flight,
            close,
            flying,
            spare: Vec::new(),
            opened: 0,
        }
    }

    /// Upgrades for this long and returns how many were done; others stay in flight.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Result<u64> {
        let deadline = Instant::now() + duration;
        let mut done = 0;
        while Instant::now() < deadline {
            self.fill(self.in_flight)?;
            done += self.land_oldest()?;
        }
        Ok(done)
    }

    /// Upgrades exactly this many; none is in flight afterwards.
    pub(crate) fn run_count(&mut self, upgrades: u64) -> Result<()> {
        let mut left = upgrades as usize;
        while left > 0 {
            self.fill(left.min(self.in_flight))?;
            left -= self.land_oldest()? as usize;
        }
        Ok(())
    }

    /// Lands what is still in flight.
    pub(crate) fn finish(&mut self) -> Result<()> {
        while !self.flying.is_empty() {
            self.land_oldest()?;
        }
        Ok(())
    }

    fn fill(&mut self, in_flight: usize) -> Result<()> {
        while self.flying.len() < in_flight {
            let socket = self.connect()?;
            let mut flight = Flight {
                socket,
                is_asked: false,
                response: Vec::new(),
            };
            // On loopback the connection is usually established when `connect` returns.
            flight.ask()?;
            self.flying.push_back(flight);
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<Socket> {
        let socket = match self.spare.pop() {
            Some(socket) => socket,
            None => Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?,
        };
        self.opened = self.opened.wrapping_add(1);
        if self.close == Close::Fin {
            sys::choose_port_late(&socket)?;
            let source = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + self.opened % SOURCES;
            socket.bind(&SocketAddr::from((Ipv4Addr::from(source), 0)).into())?;
        }
        match socket.connect(&self.server) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                Err(error).context("connect")
            }
            _ => Ok(socket),
        }
    }

    /// Waits for the oldest flight and ends it; the younger ones are on their way meanwhile.
    fn land_oldest(&mut self) -> Result<u64> {
        let Some(mut flight) = self.flying.pop_front() else {
            return Ok(0);
        };
        let mut deadline = None;
        while !flight.is_answered()? {
            let now = Instant::now();
            ensure!(
                now < *deadline.get_or_insert(now + UPGRADE_MAX),
                "no answer to an upgrade"
            );
            while now.elapsed() < PAUSE {
                std::hint::spin_loop();
            }
        }
        match self.close {
            Close::Rst => {
                reset(&flight.socket)?;
                self.spare.push(flight.socket);
            }
            Close::Fin => drop(flight),
        }
        Ok(1)
    }
}

impl Flight {
    fn ask(&mut self) -> Result<()> {
        match sys::send(&self.socket, wire::REQUEST) {
            Ok(sent) => {
                ensure!(
                    sent == wire::REQUEST.len(),
                    "a request did not fit into a new socket"
                );
                self.is_asked = true;
                Ok(())
            }
            // Not established yet: the listener's queue was full and the SYN is sent again.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("send request"),
        }
    }

    fn is_answered(&mut self) -> Result<bool> {
        if !self.is_asked {
            self.ask()?;
        }
        let mut bytes = [0; wire::RESPONSE_BYTES_MAX];
        match sys::recv(&self.socket, &mut bytes) {
            Ok(0) => bail!("closed instead of upgraded"),
            Ok(received) if self.response.is_empty() && wire::is_accepted(&bytes[..received]) => {
                Ok(true)
            }
            Ok(received) => {
                self.response.extend_from_slice(&bytes[..received]);
                ensure!(self.response.len() < wire::RESPONSE_BYTES_MAX, "not a 101");
                Ok(wire::is_accepted(&self.response))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("receive response"),
        }
    }
}

/// Resets the connection and leaves the socket as new: connecting to "no address" does both.
fn reset(socket: &Socket) -> Result<()> {
    sys::disconnect(socket).context("reset")
}
