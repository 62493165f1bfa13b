//! Letters from other threads: a bounded queue in front of a worker's poll.
//!
//! Every sender pays for the letter; only the first of a batch pays for the wake-up, a system call
//! of about a microsecond. An `announced` flag remembers that a wake-up is on its way:
//!
//! ```text
//!  sender:    S1 put the letter in the queue      receiver:  R1 queue empty, and not announced? sleep
//!             S2 was announced? announced <- true            R2 announced <- false
//!             S3 if it was not: wake                         R3 queue empty? sleep
//! ```
//!
//! **No letter is left behind.** Suppose the receiver goes to sleep on a letter. The changes of the
//! flag (S2 and R2 are read-modify-writes) have one order; let R be the receiver's last R2 in it.
//! If the letter's S2 came before R, then R read what S2 wrote (or a later link of the same release
//! sequence), so S1 happened before the R3 after R, and R3 saw the letter: a contradiction. So S2
//! came after R. If it found `false`, its sender wakes the poll. If it found `true`, another sender
//! had set that after R, and *it* wakes the poll; the receiver, awake, begins at R1 again, where it
//! sees the letter or an announced flag, and the argument applies to its next R. A wake-up that
//! comes before the receiver sleeps is kept by the poll.
//!
//! The queue is `std`'s bounded channel: an array with a stamp per slot, no allocation per letter,
//! and a sender and the receiver that do not meet unless it is nearly empty. (It is not wait-free: a
//! sender that loses its core between claiming a slot and filling it makes the worker spin. Under a
//! mutex the window would be wider.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mio::Waker;

/// A mailbox for `capacity` letters whose owner waits in the poll `waker` wakes.
///
/// A descriptor number means something only in its own table, so the wakers of all workers must
/// exist before the first worker parts its table (`sys::fdtable`): a wake-up through a number from
/// somebody else's table would be written into whatever that number is there.
pub fn mailbox<M: Send>(waker: Arc<Waker>, capacity: usize) -> (Post<M>, Mailbox<M>) {
    // A channel of 0 would make senders wait for the receiver.
    let (sender, receiver) = sync_channel(capacity.max(1));
    let announced = Arc::new(AtomicBool::new(false));
    (
        Post {
            sender,
            waker,
            announced: Arc::clone(&announced),
        },
        Mailbox {
            receiver,
            announced,
        },
    )
}

/// The senders' end; clone it for every thread.
#[derive(Debug)]
pub struct Post<M> {
    sender: SyncSender<M>,
    waker: Arc<Waker>,
    announced: Arc<AtomicBool>,
}

/// The mailbox is full (or its worker has gone for good): the letter comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<M>(pub M);

impl<M> Post<M> {
    /// Leaves a letter, without ever waiting, and wakes the worker if nobody has.
    pub fn post(&self, letter: M) -> Result<(), Full<M>> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full as NoRoom};
        match self.sender.try_send(letter) {
            Ok(()) => {}
            // No wake-up: those who filled it have woken the worker.
            Err(NoRoom(letter) | Disconnected(letter)) => return Err(Full(letter)),
        }
        if !self.announced.swap(true, Ordering::AcqRel) && self.waker.wake().is_err() {
            // The letter is in the box and the worker looks there once a turn anyway. Let the next
            // sender try again.
            self.announced.store(false, Ordering::Release);
        }
        Ok(())
    }
}

impl<M> Clone for Post<M> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            waker: Arc::clone(&self.waker),
            announced: Arc::clone(&self.announced),
        }
    }
}

/// The worker's end.
#[derive(Debug)]
pub struct Mailbox<M> {
    receiver: Receiver<M>,
    announced: Arc<AtomicBool>,
}

impl<M> Mailbox<M> {
    /// The next letter, in the order each sender posted them.
    ///
    /// Only `None` arms the next wake-up. A worker that stops earlier, because its budget for this
    /// turn is spent, must not sleep: its next poll has a timeout of 0.
    pub fn take(&mut self) -> Option<M> {
        self.take_between(|| {})
    }

    /// `pause` is where another thread may be in between; the tests put one there.
    fn take_between(&self, mut pause: impl FnMut()) -> Option<M> {
        if let Ok(letter) = self.receiver.try_recv() {
            return Some(letter);
        }
        pause();
        // An empty box costs a load per turn, not a locked write. If the flag is up, the wake-up for
        // it has come or will; if it is down, the next letter raises it.
        if !self.announced.load(Ordering::Acquire) {
            return None;
        }
        pause();
        self.announced.swap(false, Ordering::AcqRel);
        pause();
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests;
