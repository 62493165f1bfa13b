//! Echo servers: a faithful one, and one that takes its time.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Frame, Wire, hold_until, now, op};

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

/// Sends everything back, each message so much after it came, also when they come closer together.
///
/// Returns for how many milliseconds each one was really held: the delay, and the time until this machine
/// woke the thread up.
pub(crate) fn delayed(mut wire: Wire, delay: Duration) -> io::Result<Vec<f64>> {
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
