//! A scripted kernel: streams whose other end is the test, and a clock that the test moves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use throng::reactor::{ConnId, Ready, Stream};
use throng::sys::DialOptions;

use crate::engine::net::Net;

/// Both ends of one connection. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Wire(pub(super) Rc<RefCell<State>>);

pub(super) struct State {
    pub(super) id: ConnId,
    pub(super) tuple: (SocketAddr, SocketAddr),
    /// The SYN-ACK is there.
    pub(super) stands: bool,
    pub(super) left: Option<Left>,
    /// The server answered the upgrade.
    pub(super) upgraded: bool,
    /// The server sent its FIN or a reset.
    pub(super) over: bool,
    incoming: VecDeque<Incoming>,
    /// What the client sent and the server has not read.
    outgoing: Vec<u8>,
    /// Bytes the kernel still takes; `None` is no bound.
    room: Option<usize>,
    /// Bytes per call; 0 is no bound.
    per_call: usize,
    broken: Option<ErrorKind>,
    events: Ready,
}

enum Incoming {
    Bytes(Vec<u8>),
    Eof,
    Error(ErrorKind),
}

/// How the client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Closed,
    Reset,
    Vanished,
}

const NONE: Ready = Ready {
    readable: false,
    writable: false,
    hung_up: false,
};

impl Wire {
    fn new(id: ConnId, tuple: (SocketAddr, SocketAddr), kernel: &Kernel) -> Self {
        Self(Rc::new(RefCell::new(State {
            id,
            tuple,
            stands: kernel.accepts,
            left: None,
            upgraded: false,
            over: false,
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
            room: None,
            per_call: kernel.per_call,
            broken: None,
            events: NONE,
        })))
    }

    pub(super) fn is_live(&self) -> bool {
        self.0.borrow().left.is_none()
    }

    /// Whether both are handles to the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn left(&self) -> Option<Left> {
        self.0.borrow().left
    }

    /// The SYN-ACK arrives.
    pub(super) fn stand(&self) {
        let mut state = self.0.borrow_mut();
        state.stands = true;
        state.events.writable = true;
    }

    /// The server sends bytes.
    pub(super) fn arrive(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        if state.over || bytes.is_empty() {
            return;
        }
        state.events.readable = true;
        match state.incoming.back_mut() {
            Some(Incoming::Bytes(before)) => before.extend_from_slice(bytes),
            _ => state.incoming.push_back(Incoming::Bytes(bytes.to_vec())),
        }
    }

    /// The server sends bytes that no read finds together with others.
    pub(super) fn arrive_bytewise(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.events.readable = true;
        let pieces = bytes.iter().map(|&byte| Incoming::Bytes(vec![byte]));
        state.incoming.extend(pieces);
    }

    /// The server closes.
    pub(super) fn arrive_eof(&self) {
        self.end(Incoming::Eof, None);
    }

    /// The server resets, or refuses.
    pub(super) fn arrive_error(&self, kind: ErrorKind) {
        self.end(Incoming::Error(kind), Some(kind));
    }

    fn end(&self, last: Incoming, broken: Option<ErrorKind>) {
        let mut state = self.0.borrow_mut();
        if state.over {
            return;
        }
        state.over = true;
        state.broken = broken;
        state.incoming.push_back(last);
        state.events = Ready {
            readable: true,
            writable: broken.is_some(),
            hung_up: true,
        };
    }

    pub(super) fn block_after(&self, bytes: usize) {
        self.0.borrow_mut().room = Some(bytes);
    }

    pub(super) fn unblock(&self) {
        let mut state = self.0.borrow_mut();
        if state.room.take().is_some() {
            state.events.writable = true;
        }
    }

    /// What the client sent since the last call.
    pub(super) fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().outgoing)
    }

    /// Gives bytes back that are not a whole frame yet.
    pub(super) fn untake(&self, rest: &[u8]) {
        self.0
            .borrow_mut()
            .outgoing
            .splice(0..0, rest.iter().copied());
    }

    pub(super) fn take_event(&self) -> Option<(ConnId, Ready)> {
        let mut state = self.0.borrow_mut();
        let ready = std::mem::replace(&mut state.events, NONE);
        is_any(ready).then_some((state.id, ready))
    }

    /// Bytes of the server that the client has not read.
    pub(super) fn unread(&self) -> usize {
        let length = |incoming: &Incoming| match incoming {
            Incoming::Bytes(bytes) => bytes.len(),
            Incoming::Eof | Incoming::Error(_) => 0,
        };
        self.0.borrow().incoming.iter().map(length).sum()
    }

    pub(super) fn has_event(&self) -> bool {
        is_any(self.0.borrow().events)
    }
}

/// The client's end.
pub(super) struct ClientEnd(Wire);

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let left = &mut self.0.0.borrow_mut().left;
        *left = left.or(Some(Left::Closed));
    }
}

impl Stream for ClientEnd {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        assert!(
            !into.is_empty(),
            "a read for nothing would look like an end"
        );
        let mut state = self.0.0.borrow_mut();
        if !state.stands && !state.over {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = match state.per_call {
            0 => into.len(),
            most => most.min(into.len()),
        };
        match state.incoming.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Incoming::Eof) => {
                state.incoming.push_front(Incoming::Eof);
                Ok(0)
            }
            Some(Incoming::Error(kind)) => Err(kind.into()),
            Some(Incoming::Bytes(mut bytes)) => {
                let taken = bytes.len().min(most);
                into[..taken].copy_from_slice(&bytes[..taken]);
                if taken < bytes.len() {
                    let rest = bytes.split_off(taken);
                    state.incoming.push_front(Incoming::Bytes(rest));
                }
                if !state.incoming.is_empty() {
                    // A short read is taken for the last one: what follows comes with an edge of its own.
                    state.events.readable = true;
                }
                Ok(taken)
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.borrow_mut();
        if let Some(kind) = state.broken {
            return Err(kind.into());
        }
        if !state.stands {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut taken = match state.per_call {
            0 => bytes.len(),
            most => bytes.len().min(most),
        };
        if let Some(room) = &mut state.room {
            taken = taken.min(*room);
            *room -= taken;
        }
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if taken < bytes.len() && state.room.is_none() {
            // A short write found the socket full, so there is an event once it is not.
            state.events.writable = true;
        }
        state.outgoing.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        self.send(&all)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The host of the client.
pub(super) struct Kernel {
    pub(super) now_ns: u64,
    pub(super) wires: Vec<Wire>,
    /// Errors of the next dials.
    pub(super) dial_errors: VecDeque<ErrorKind>,
    /// Connections stand as soon as they are dialled, as on loopback.
    pub(super) accepts: bool,
    pub(super) may_vanish: bool,
    /// Bytes per call of new connections.
    pub(super) per_call: usize,
    pub(super) dials: u64,
}

/// A handle to the kernel.
#[derive(Clone)]
pub(super) struct ScriptNet(pub(super) Rc<RefCell<Kernel>>);

impl Net for ScriptNet {
    type Stream = ClientEnd;

    fn now_ns(&self) -> u64 {
        self.0.borrow().now_ns
    }

    fn dial(
        &mut self,
        id: ConnId,
        from: SocketAddr,
        to: SocketAddr,
        _: DialOptions,
    ) -> io::Result<ClientEnd> {
        let mut kernel = self.0.borrow_mut();
        kernel.dials += 1;
        if let Some(kind) = kernel.dial_errors.pop_front() {
            return Err(kind.into());
        }
        let same = |wire: &&Wire| wire.is_live() && wire.0.borrow().tuple == (from, to);
        let twice = kernel.wires.iter().find(same);
        assert!(twice.is_none(), "{from} -> {to} was given out twice");
        let wire = Wire::new(id, (from, to), &kernel);
        kernel.wires.push(wire.clone());
        Ok(ClientEnd(wire))
    }

    fn reset(&mut self, stream: ClientEnd) {
        stream.0.0.borrow_mut().left = Some(Left::Reset);
    }

    fn vanish(&mut self, stream: ClientEnd) -> Result<(), ClientEnd> {
        if !self.0.borrow().may_vanish {
            return Err(stream);
        }
        stream.0.0.borrow_mut().left = Some(Left::Vanished);
        Ok(())
    }
}

const fn is_any(ready: Ready) -> bool {
    ready.readable || ready.writable || ready.hung_up
}
