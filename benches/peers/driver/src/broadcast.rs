//! The fan-out load: a closed loop with one publication in flight. The first subscriber publishes,
//! everybody, itself included, receives, and when the last one has, it publishes again.

use std::hint;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::audience::Told;
use crate::crowd::Crowd;
use crate::json;
use crate::wire::{self, Exchange};

/// Different messages in turn, so that nothing is learnt by heart.
const VARIANTS: u32 = 16;
/// Nobody hearing anything for this long is a broken server, not a slow one.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Time for the server to be done with what opening connections brought: the last of them may not
/// be subscribed yet when it is told that it is connected.
const SETTLE: Duration = Duration::from_millis(500);

/// Pause when few had news: asking more often only fights the server for the lock of the ready list,
/// in its own `send`.
const PAUSE: Duration = Duration::from_micros(20);
const NEWS_FEW: u64 = 32;

/// What is told to how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) payload_bytes: usize,
    pub(crate) subscribers: usize,
    /// JSON, to subscribers who all have agreed on permessage-deflate.
    pub(crate) is_deflated: bool,
    /// Text messages; JSON always is.
    pub(crate) text: bool,
}

impl Case {
    pub(crate) fn label(&self) -> String {
        let what = if self.is_deflated {
            " B of JSON, deflated,"
        } else {
            " B"
        };
        format!("{}{what} to {}", self.payload_bytes, self.subscribers)
    }

    fn exchange(&self, variant: u32) -> Exchange {
        match self.is_deflated {
            true => Exchange::of(&json::object(self.payload_bytes, variant), true, variant),
            false => Exchange::new(self.payload_bytes, self.text, variant),
        }
    }
}

/// The subscribers and what they are told.
pub(crate) struct Broadcast {
    case: Case,
    crowd: Crowd,
    exchanges: Vec<Exchange>,
    published: u32,
    told: Told,
}

/// Publications that everybody has received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
}

impl Broadcast {
    /// Connects the subscribers, so many to a descriptor table.
    pub(crate) fn open(address: SocketAddr, case: Case, per_table: usize) -> Result<Self> {
        let request = wire::subscription(case.is_deflated);
        let crowd = Crowd::open(address, case.subscribers, per_table, &request)?;
        std::thread::sleep(SETTLE);
        Ok(Self {
            case,
            crowd,
            exchanges: (0..VARIANTS)
                .map(|variant| case.exchange(variant))
                .collect(),
            published: 0,
            told: Told::default(),
        })
    }

    /// Publishes again and again for this long; nothing is in flight afterwards.
    pub(crate) fn run_for(&mut self, duration: Duration) -> Result<Delivered> {
        let deadline = Instant::now() + duration;
        let before = self.told;
        while Instant::now() < deadline {
            self.publish()?;
        }
        Ok(self.since(before))
    }

    /// Publishes so many times.
    pub(crate) fn run_count(&mut self, publications: u64) -> Result<Delivered> {
        let before = self.told;
        for _ in 0..publications {
            self.publish()?;
        }
        Ok(self.since(before))
    }

    fn since(&self, before: Told) -> Delivered {
        Delivered {
            deliveries: self.told.messages - before.messages,
            bytes: self.told.bytes - before.bytes,
        }
    }

    fn publish(&mut self) -> Result<()> {
        let exchange = &self.exchanges[(self.published % VARIANTS) as usize];
        self.published += 1;
        let expected = u64::from(self.published) * self.case.subscribers as u64;
        let mut sent = 0;
        let mut heard = (self.told.messages, Instant::now());
        while self.told.messages < expected {
            if sent < exchange.request.len() {
                sent += self.crowd.say(&exchange.request[sent..])?;
            }
            self.told = self.crowd.listen(self.published)?;
            let (news, now) = (self.told.messages - heard.0, Instant::now());
            if news > 0 {
                heard = (self.told.messages, now);
            }
            if news < NEWS_FEW.min(self.case.subscribers as u64 / 8) {
                while now.elapsed() < PAUSE {
                    hint::spin_loop();
                }
            }
            ensure!(
                heard.1.elapsed() < SILENCE_MAX,
                "after {SILENCE_MAX:?} a publication is still missing {} of {} subscribers",
                expected - self.told.messages,
                self.case.subscribers
            );
        }
        let witnessed = self.crowd.take_witnessed();
        match self.case.is_deflated {
            true => ensure!(
                self.told.deflated == self.told.messages,
                "a message was not deflated"
            ),
            false => ensure!(witnessed == exchange.echo, "a publication differs"),
        }
        Ok(())
    }
}
