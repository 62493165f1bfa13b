//! The real worker with the real echo application, on streams that are memory: all of a message's
//! cost but the kernel's.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::sync::Arc;

use throng::echo::Echo;
use throng::reactor::{ConnId, Event, Host, Mail, Ready, Stream, Worker, WorkerConfig, mailbox};

/// A worker with this many open connections, each with its peer at hand.
pub struct World {
    worker: Worker<Echo, Memory>,
    wires: Rc<RefCell<Wires>>,
    events: Vec<Event>,
}

impl World {
    /// Opens the connections. Whatever arrives from then on is `frame`, once per turn and connection.
    pub fn new(connections: usize, frame: &[u8]) -> Self {
        let wires = Rc::new(RefCell::new(Wires {
            waiting: connections,
            arriving: crate::SHORT_REQUEST.as_bytes().to_vec(),
            ..Wires::default()
        }));
        let poll = mio::Poll::new().expect("a bench has descriptors");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0));
        let waker = Arc::new(waker.expect("a bench has descriptors"));
        let (post, mailbox) = mailbox::mailbox::<Mail<_>>(waker, 1);
        let config = WorkerConfig {
            connections_max: connections,
            ..WorkerConfig::default()
        };
        let host = Memory(wires.clone());
        let worker = Worker::new(Echo::default(), host, mailbox, vec![post], &config);
        let mut world = Self {
            worker,
            wires,
            events: Vec::new(),
        };
        while world.wires.borrow().registered.len() < connections {
            world.worker.turn(0, 0, std::iter::once(Event::Listener(0)));
        }
        let registered = world.wires.borrow().registered.clone();
        world.events = registered.into_iter().map(readable).collect();
        world.turn();
        assert_eq!(world.worker.counters().upgraded, connections as u64);
        world.wires.borrow_mut().arriving = frame.to_vec();
        world
    }

    /// One turn of the loop: every connection receives its bytes and is answered. Says how many
    /// bytes were sent.
    pub fn turn(&mut self) -> usize {
        let before = {
            let mut wires = self.wires.borrow_mut();
            wires.turn += 1;
            wires.sent_bytes
        };
        self.worker.turn(0, 0, self.events.iter().copied());
        self.wires.borrow().sent_bytes - before
    }
}

fn readable(id: ConnId) -> Event {
    let ready = Ready {
        readable: true,
        writable: false,
        hung_up: false,
    };
    Event::Stream { id, ready }
}

/// What all streams share.
#[derive(Default)]
struct Wires {
    /// Connections not accepted yet.
    waiting: usize,
    registered: Vec<ConnId>,
    /// What each stream receives, once per turn.
    arriving: Vec<u8>,
    turn: u64,
    /// The kernel's side of `send`: the bytes are copied out, as they would be.
    sent: Vec<u8>,
    sent_bytes: usize,
}

/// A host of memory streams.
struct Memory(Rc<RefCell<Wires>>);

impl Host for Memory {
    type Stream = Wire;

    fn listeners(&self) -> usize {
        1
    }

    fn accept(&mut self, _: usize) -> io::Result<Wire> {
        let mut wires = self.0.borrow_mut();
        wires.waiting = wires.waiting.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
        let (wires, received_turn) = (self.0.clone(), 0);
        Ok(Wire {
            wires,
            received_turn,
        })
    }

    fn register(&mut self, _: &Wire, id: ConnId) -> io::Result<()> {
        self.0.borrow_mut().registered.push(id);
        Ok(())
    }

    fn close_listeners(&mut self) {}
}

/// One stream.
struct Wire {
    wires: Rc<RefCell<Wires>>,
    received_turn: u64,
}

impl Stream for Wire {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wires = self.wires.borrow();
        if self.received_turn == wires.turn {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.received_turn = wires.turn;
        into[..wires.arriving.len()].copy_from_slice(&wires.arriving);
        Ok(wires.arriving.len())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wires = self.wires.borrow_mut();
        wires.sent.clear();
        wires.sent.extend_from_slice(bytes);
        wires.sent_bytes += bytes.len();
        Ok(bytes.len())
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        pieces.iter().map(|piece| self.send(piece)).sum()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_echoes_every_turn() {
        let payload = crate::json(200);
        let mut world = World::new(3, &crate::masked_frame(&payload));
        for _ in 0..2 {
            assert_eq!(world.turn(), 3 * (4 + payload.len()));
            assert_eq!(world.wires.borrow().sent[4..], payload);
        }
    }
}
