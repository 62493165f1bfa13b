//! Echo servers: a faithful one, and one that takes its time.

use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{Ended, Frame, Server, Wire, hold_until, now, op};

/// Sends everything back.
pub(crate) fn echo(mut wire: Wire) -> io::Result<()> {
    wire.upgrade()?;
    echo_on(&mut wire)
}

/// The same after the upgrade.
pub(crate) fn echo_on(wire: &mut Wire) -> io::Result<()> {
    loop {
        let message = wire.read_message()?;
        wire.send_frame(op::FIN | message.opcode(), &message.payload)?;
    }
}

/// A server that sends everything back, each message so much after it came.
pub(crate) struct DelayedServer {
    server: Server,
    delay: Duration,
    held_ms: Arc<Mutex<Vec<f64>>>,
}

/// What such a server measured of itself.
pub(crate) struct Holding {
    /// For how many milliseconds each message was really held, rising.
    held_ms: Vec<f64>,
    delay: Duration,
}

impl DelayedServer {
    pub(crate) fn start(delay: Duration) -> Self {
        let held_ms = Arc::<Mutex<Vec<f64>>>::default();
        let kept = Arc::clone(&held_ms);
        let server = Server::start(move |wire, _| {
            let held_ms = delayed(wire, delay)?;
            kept.lock().unwrap().extend(held_ms);
            Ok(())
        });
        Self {
            server,
            delay,
            held_ms,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Stops; the generator must be gone.
    pub(crate) fn finish(self) -> Holding {
        self.server.finish();
        let mut held_ms = std::mem::take(&mut *self.held_ms.lock().unwrap());
        held_ms.sort_by(f64::total_cmp);
        Holding {
            held_ms,
            delay: self.delay,
        }
    }
}

impl Holding {
    /// How many messages there were.
    pub(crate) fn count(&self) -> usize {
        self.held_ms.len()
    }

    /// How long the median was held: the delay, and what this machine added.
    pub(crate) fn median_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    /// How late this machine woke its programs up in this minute, nine times in ten: the server beyond its
    /// delay, or the generator beyond its schedule.
    pub(crate) fn wake_ms(&self, ended: &Ended) -> f64 {
        let server_ms = self.quantile_ms(0.9) - self.delay.as_secs_f64() * 1e3;
        server_ms.max(ended.number("/latency_ms/lateness/p90"))
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.held_ms[((self.held_ms.len() - 1) as f64 * quantile).round() as usize]
    }
}

/// One connection of it. Messages are held each for itself, also when they come closer together.
///
/// Returns for how many milliseconds each one was held.
fn delayed(mut wire: Wire, delay: Duration) -> io::Result<Vec<f64>> {
    wire.upgrade()?;
    let mut out = wire.twin()?;
    let (sender, queue) = mpsc::channel::<(Instant, Frame)>();
    let answering = thread::spawn(move || {
        let mut held_ms = Vec::new();
        for (came, message) in queue {
            hold_until(came + delay);
            held_ms.push(came.elapsed().as_secs_f64() * 1e3);
            // A client that is gone is noticed by the reader, too.
            out.send_frame(op::FIN | message.opcode(), &message.payload)
                .ok();
        }
        held_ms
    });
    while let Ok(message) = wire.read_message() {
        sender.send((now(), message)).ok();
    }
    drop(sender);
    Ok(answering.join().expect("it only writes"))
}
