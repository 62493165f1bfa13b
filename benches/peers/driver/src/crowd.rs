//! All subscribers of a publication: as many audiences as descriptor tables hold them.
//!
//! RLIMIT_NOFILE counts per table, and a thread may have a table of its own. The first audience is the
//! caller's; each further one lives in such a thread and does one thing at a time, when it is asked to:
//! they share one core, and threads that turned by themselves would only take turns at it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use crate::audience::{Audience, Told};
use crate::sys;

/// The subscribers in numbers of at most `per_table`.
pub(crate) struct Crowd {
    first: Audience,
    others: Vec<Guest>,
}

impl Crowd {
    /// Opens that many connections.
    pub(crate) fn open(
        address: SocketAddr,
        subscribers: usize,
        per_table: usize,
        request: &[u8],
    ) -> Result<Self> {
        let end = |start: usize| (start + per_table).min(subscribers);
        let shares = (0..subscribers)
            .step_by(per_table)
            .map(|start| start..end(start));
        // Parting copies the table: what is opened before would stay open until the copies end.
        let others: Result<Vec<_>> = shares
            .skip(1)
            .map(|share| Guest::part(address, share, request))
            .collect();
        let (first, others) = (Audience::open(address, 0..end(0), request)?, others?);
        for guest in &others {
            guest.ask(0)?;
        }
        Ok(Self { first, others })
    }

    /// Has the first subscriber say something. How much of it the kernel took.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<usize> {
        self.first.say(bytes)
    }

    /// Takes what has arrived; nobody may have heard more than so many messages.
    pub(crate) fn listen(&mut self, messages_max: u32) -> Result<Told> {
        let mut told = self.first.listen(messages_max)?;
        for guest in &self.others {
            told += guest.ask(messages_max)?;
        }
        Ok(told)
    }

    /// What the first subscriber has received since this was asked last.
    pub(crate) fn take_witnessed(&mut self) -> Vec<u8> {
        self.first.take_witnessed()
    }
}

/// An audience in a thread with a descriptor table of its own.
struct Guest {
    /// Taken to end it.
    asks: Option<Sender<u32>>,
    answers: Receiver<Result<Told>>,
    thread: Option<JoinHandle<()>>,
}

impl Guest {
    /// Returns once the thread has a table of its own; opening the connections goes on.
    fn part(address: SocketAddr, numbers: Range<usize>, request: &[u8]) -> Result<Self> {
        let (asks, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let request = request.to_vec();
        let thread = std::thread::spawn(move || {
            let parted = sys::part_files().context("a descriptor table of one's own");
            let is_parted = parted.is_ok();
            if answer.send(parted.map(|()| Told::default())).is_err() || !is_parted {
                return;
            }
            let mut audience = Audience::open(address, numbers, &request);
            for messages_max in asked {
                let told = match &mut audience {
                    Ok(audience) => audience.listen(messages_max),
                    Err(error) => Err(anyhow::anyhow!("{error:#}")),
                };
                if answer.send(told).is_err() {
                    return;
                }
            }
        });
        let guest = Self {
            asks: Some(asks),
            answers,
            thread: Some(thread),
        };
        guest.answer()?;
        Ok(guest)
    }

    /// Lets it take what has arrived, and waits for the sum.
    fn ask(&self, messages_max: u32) -> Result<Told> {
        let asks = self.asks.as_ref().context("its thread has been ended")?;
        asks.send(messages_max).context("an audience is gone")?;
        self.answer()
    }

    fn answer(&self) -> Result<Told> {
        self.answers.recv().context("an audience is gone")?
    }
}

impl Drop for Guest {
    /// Its connections are closed when this returns.
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // What it panicked of it has said.
            let _ = thread.join();
        }
    }
}
