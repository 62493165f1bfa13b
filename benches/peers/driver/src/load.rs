//! The echo load: a closed loop, one message in flight on each connection.
//!
//! It must be cheaper than any server it drives, or it measures itself. So it never sleeps
//! (a sleeping client makes the *server* pay for waking it), sends frames masked beforehand, reads
//! large echoes without copying them, and asks for events only when a batch is likely.

use std::collections::VecDeque;
use std::hint;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::wire::{self, Exchange};
use crate::{link, sys};

/// Different messages and keys in turn, so that nothing is learnt by heart.
const VARIANTS: u32 = 16;
/// Echoes up to this size are compared byte by byte; of larger ones, every `SAMPLE`th.
const COMPARED_BYTES_MAX: usize = 2048;
const SAMPLE: u32 = 16;
const EVENTS_MAX: usize = 1024;
/// Pause when fewer than an eighth of the connections had news: while the server is behind,
/// asking more often only fights it for the locks of the ready list.
const PAUSE: Duration = Duration::from_micros(10);
/// No echo at all for this long is a broken server, not a slow one.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The connections and what is on its way on them.
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    links: Vec<Link>,
    exchanges: Vec<Exchange>,
    scratch: Vec<u8>,
    /// Links whose request the kernel did not take whole.
    unsent: VecDeque<usize>,
    /// How many more messages may be sent.
    allowance: u64,
    in_flight: usize,
    echoed: u64,
}

struct Link {
    stream: TcpStream,
    /// Counts this link's messages; picks the variant and the samples.
    turn: u32,
    is_busy: bool,
    sent: usize,
    received: usize,
}

impl Load {
    /// Opens all connections; nothing is sent yet.
    pub(crate) fn open(
        address: SocketAddr,
        links: usize,
        payload_len: usize,
        text: bool,
    ) -> Result<Self> {
        let exchanges = (0..VARIANTS).map(|variant| Exchange::new(payload_len, text, variant));
        let exchanges: Vec<Exchange> = exchanges.collect();
        let mut load = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            links: Vec::with_capacity(links),
            scratch: vec![0; exchanges[0].echo.len()],
            exchanges,
            unsent: VecDeque::new(),
            allowance: 0,
            in_flight: 0,
            echoed: 0,
        };
        for index in 0..links {
            let stream = link::open(address, index, wire::REQUEST)?;
            let fd = stream.as_raw_fd();
            load.poll
                .registry()
                .register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
            load.links.push(Link {
                stream,
                turn: index as u32,
                is_busy: false,
                sent: 0,
                received: 0,
            });
        }
        Ok(load)
    }

    /// Keeps every connection busy for this long and returns the echoes counted. Messages stay in
    /// flight, so that a following call measures a loop that is already turning.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Result<u64> {
        let deadline = Instant::now() + duration;
        self.begin(u64::MAX)?;
        while Instant::now() < deadline {
            self.step()?;
        }
        Ok(self.echoed)
    }

    /// Exchanges exactly this many messages; none is in flight afterwards.
    pub(crate) fn run_count(&mut self, messages: u64) -> Result<()> {
        self.begin(messages)?;
        let mut heard = (self.echoed, Instant::now());
        while self.in_flight > 0 {
            self.step()?;
            if heard.0 != self.echoed {
                heard = (self.echoed, Instant::now());
            }
            ensure!(
                heard.1.elapsed() < SILENCE_MAX,
                "no echo for {SILENCE_MAX:?}"
            );
        }
        ensure!(
            self.echoed == messages,
            "{} of {messages} echoes came",
            self.echoed
        );
        Ok(())
    }

    fn begin(&mut self, allowance: u64) -> Result<()> {
        self.echoed = 0;
        self.allowance = allowance;
        for index in 0..self.links.len() {
            if !self.links[index].is_busy {
                self.request(index)?;
            }
        }
        Ok(())
    }

    /// Takes the echoes that are there and answers each with the next request.
    fn step(&mut self) -> Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut news = 0;
        for event in &events {
            self.receive(event.token().0)?;
            news += 1;
        }
        std::mem::swap(&mut self.events, &mut events);
        for _ in 0..self.unsent.len() {
            let Some(index) = self.unsent.pop_front() else {
                break;
            };
            self.send_rest(index)?;
        }
        if news < self.links.len() / 8 {
            let start = Instant::now();
            while start.elapsed() < PAUSE {
                hint::spin_loop();
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let link = &mut self.links[index];
        let echo = &self.exchanges[(link.turn % VARIANTS) as usize].echo;
        let expected = &echo[link.received..];
        let is_compared = echo.len() <= COMPARED_BYTES_MAX || link.turn.is_multiple_of(SAMPLE);
        let received = if is_compared {
            sys::recv(&link.stream, &mut self.scratch[..expected.len()])
        } else {
            sys::discard(&link.stream, expected.len())
        };
        let received = match received {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("an established connection broke"),
        };
        ensure!(received > 0, "the server closed an established connection");
        if is_compared {
            ensure!(
                self.scratch[..received] == expected[..received],
                "an echo differs"
            );
        }
        link.received += received;
        if link.received == echo.len() {
            link.received = 0;
            link.sent = 0;
            link.is_busy = false;
            link.turn = link.turn.wrapping_add(1);
            self.echoed += 1;
            self.in_flight -= 1;
            self.request(index)?;
        }
        Ok(())
    }

    fn request(&mut self, index: usize) -> Result<()> {
        if self.allowance == 0 {
            return Ok(());
        }
        self.allowance -= 1;
        self.in_flight += 1;
        self.links[index].is_busy = true;
        self.send_rest(index)
    }

    fn send_rest(&mut self, index: usize) -> Result<()> {
        let link = &mut self.links[index];
        let request = &self.exchanges[(link.turn % VARIANTS) as usize].request;
        match sys::send(&link.stream, &request[link.sent..]) {
            Ok(sent) => link.sent += sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("send"),
        }
        if link.sent < request.len() {
            self.unsent.push_back(index);
        }
        Ok(())
    }
}
