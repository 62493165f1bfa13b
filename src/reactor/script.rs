//! Scripted streams and hosts: a worker's whole world as plain data, for tests and fuzzing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use super::{ConnId, Host, Newcomer, Stream};

/// A stream whose peer is a script. Clones are handles to the same stream.
#[derive(Clone, Default)]
pub(crate) struct Script(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    incoming: VecDeque<Incoming>,
    sent: Vec<u8>,
    /// Bytes taken per `send`; 0 is no bound.
    per_send: usize,
    /// Bytes taken in all before the kernel says `WouldBlock`.
    room: Option<usize>,
    /// The kernel said `WouldBlock` to a write, so it owes an edge once it has room again.
    refused: bool,
    /// The peer is gone: every write fails.
    broken: bool,
    fin_sent: bool,
    peer: Option<SocketAddr>,
    sends: usize,
    recvs: usize,
}

enum Incoming {
    Bytes(Vec<u8>),
    Eof,
    Reset,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The peer sends bytes; each call arrives as a read of its own.
    pub(crate) fn arrive(&self, bytes: &[u8]) {
        self.0
            .borrow_mut()
            .incoming
            .push_back(Incoming::Bytes(bytes.to_vec()));
    }

    #[cfg(test)]
    /// The peer sends bytes that a read finds together with those not read yet, as a kernel does.
    pub(crate) fn arrive_behind(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        match state.incoming.back_mut() {
            Some(Incoming::Bytes(before)) => before.extend_from_slice(bytes),
            _ => state.incoming.push_back(Incoming::Bytes(bytes.to_vec())),
        }
    }

    /// The peer sends its FIN.
    pub(crate) fn arrive_eof(&self) {
        self.0.borrow_mut().incoming.push_back(Incoming::Eof);
    }

    /// The peer resets.
    pub(crate) fn arrive_reset(&self) {
        self.0.borrow_mut().incoming.push_back(Incoming::Reset);
    }

    #[cfg(test)]
    /// Where the peer is.
    pub(crate) fn comes_from(&self, address: &str) {
        self.0.borrow_mut().peer = address.parse().ok();
    }

    pub(crate) fn take_per_send(&self, bytes: usize) {
        self.0.borrow_mut().per_send = bytes;
    }

    /// The kernel takes so many more bytes and then blocks.
    pub(crate) fn block_after(&self, bytes: usize) {
        self.0.borrow_mut().room = Some(bytes);
    }

    pub(crate) fn unblock(&self) {
        self.0.borrow_mut().room = None;
    }

    #[cfg(test)]
    /// Every write fails from now on.
    pub(crate) fn break_sends(&self) {
        self.0.borrow_mut().broken = true;
    }

    #[cfg(test)]
    /// Whether a write was refused since the last call: then room comes with an edge.
    pub(crate) fn take_refused(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().refused)
    }

    #[cfg(test)]
    /// Whether bytes of the peer were never read: closing would send a reset.
    pub(crate) fn has_unread(&self) -> bool {
        !self.0.borrow().incoming.is_empty()
    }

    #[cfg(test)]
    /// Everything sent so far.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.0.borrow().sent.clone()
    }

    #[cfg(test)]
    /// What was sent since the last call.
    pub(crate) fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().sent)
    }

    #[cfg(test)]
    pub(crate) fn fin_sent(&self) -> bool {
        self.0.borrow().fin_sent
    }

    #[cfg(test)]
    /// System calls made: (recv, send).
    pub(crate) fn calls(&self) -> (usize, usize) {
        let state = self.0.borrow();
        (state.recvs, state.sends)
    }

    /// The worker holds no handle any more: the descriptor would be closed.
    pub(crate) fn is_closed(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

impl Stream for Script {
    fn peer(&self) -> Option<SocketAddr> {
        self.0.borrow().peer
    }

    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        state.recvs += 1;
        match state.incoming.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Incoming::Eof) => {
                state.incoming.push_front(Incoming::Eof); // a FIN is seen again by each read
                Ok(0)
            }
            Some(Incoming::Reset) => Err(ErrorKind::ConnectionReset.into()),
            Some(Incoming::Bytes(mut bytes)) => {
                let taken = bytes.len().min(into.len());
                into[..taken].copy_from_slice(&bytes[..taken]);
                if taken < bytes.len() {
                    state
                        .incoming
                        .push_front(Incoming::Bytes(bytes.split_off(taken)));
                }
                Ok(taken)
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        state.sends += 1;
        if state.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut taken = match state.per_send {
            0 => bytes.len(),
            limit => bytes.len().min(limit),
        };
        if let Some(room) = &mut state.room {
            taken = taken.min(*room);
            *room -= taken;
        }
        if taken == 0 && !bytes.is_empty() {
            state.refused = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        state.sent.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        self.send(&all)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().fin_sent = true;
        Ok(())
    }
}

/// Listener 1 of [`ScriptHost`].
pub(crate) const TLS_LISTENER: usize = 1;

/// A host with a listener, and one for TLS, whose newcomers the test lines up.
#[derive(Clone, Default)]
pub(crate) struct ScriptHost(Rc<RefCell<HostState>>);

#[derive(Default)]
struct HostState {
    waiting: VecDeque<io::Result<Script>>,
    /// The same at the listener for TLS.
    waiting_tls: VecDeque<Script>,
    /// What other workers hand over.
    hatch: VecDeque<Newcomer<Script>>,
    /// Given to other workers: to whom, and what.
    handed: Vec<(usize, Newcomer<Script>)>,
    /// The others take nothing for now.
    is_behind: bool,
    /// Descriptors set aside.
    spares: usize,
    registered: Vec<ConnId>,
    listening: bool,
}

impl ScriptHost {
    pub(crate) fn new() -> Self {
        let host = Self::default();
        host.0.borrow_mut().listening = true;
        host
    }

    /// A peer connects.
    pub(crate) fn connect(&self) -> Script {
        let script = Script::new();
        self.0.borrow_mut().waiting.push_back(Ok(script.clone()));
        script
    }

    #[cfg(test)]
    /// A peer connects to the listener for TLS.
    pub(crate) fn connect_tls(&self) -> Script {
        let script = Script::new();
        self.0.borrow_mut().waiting_tls.push_back(script.clone());
        script
    }

    #[cfg(test)]
    /// The next accept fails.
    pub(crate) fn fail_accept(&self, error: io::Error) {
        self.0.borrow_mut().waiting.push_back(Err(error));
    }

    #[cfg(test)]
    /// Another worker hands a peer over.
    pub(crate) fn hand_in(&self, is_tls: bool) -> Script {
        let script = Script::new();
        let stream = script.clone();
        let newcomer = Newcomer { stream, is_tls };
        self.0.borrow_mut().hatch.push_back(newcomer);
        script
    }

    #[cfg(test)]
    /// Who was given to whom since the last call.
    pub(crate) fn take_handed(&self) -> Vec<(usize, Newcomer<Script>)> {
        std::mem::take(&mut self.0.borrow_mut().handed)
    }

    #[cfg(test)]
    /// Whether other workers are too busy to take anybody over.
    pub(crate) fn set_behind(&self, is_behind: bool) {
        self.0.borrow_mut().is_behind = is_behind;
    }

    #[cfg(test)]
    /// Sets one descriptor aside, for when the others have run out.
    pub(crate) fn keep_spare(&self) {
        self.0.borrow_mut().spares = 1;
    }

    /// The ids registered so far, in order.
    pub(crate) fn registered(&self) -> Vec<ConnId> {
        self.0.borrow().registered.clone()
    }

    #[cfg(test)]
    pub(crate) fn is_listening(&self) -> bool {
        self.0.borrow().listening
    }
}

impl Host for ScriptHost {
    type Stream = Script;

    fn listeners(&self) -> usize {
        2
    }

    fn accept(&mut self, listener: usize) -> io::Result<Script> {
        let mut host = self.0.borrow_mut();
        let waiting = match listener {
            TLS_LISTENER => host.waiting_tls.pop_front().map(Ok),
            _ => host.waiting.pop_front(),
        };
        waiting.unwrap_or(Err(ErrorKind::WouldBlock.into()))
    }

    fn is_tls(&self, listener: usize) -> bool {
        listener == TLS_LISTENER
    }

    fn register(&mut self, _: &Script, id: ConnId) -> io::Result<()> {
        self.0.borrow_mut().registered.push(id);
        Ok(())
    }

    fn close_listeners(&mut self) {
        self.0.borrow_mut().listening = false;
    }

    fn hand_over(&mut self, to: usize, newcomer: &Newcomer<Script>) -> io::Result<()> {
        let mut host = self.0.borrow_mut();
        if host.is_behind {
            return Err(ErrorKind::WouldBlock.into());
        }
        host.handed.push((to, newcomer.clone()));
        Ok(())
    }

    fn take_over(&mut self) -> io::Result<Newcomer<Script>> {
        let taken = self.0.borrow_mut().hatch.pop_front();
        taken.ok_or(ErrorKind::WouldBlock.into())
    }

    fn accept_spare(&mut self, listener: usize) -> io::Result<Script> {
        let spares = std::mem::take(&mut self.0.borrow_mut().spares);
        match spares {
            0 => Err(ErrorKind::NotFound.into()),
            _ => self.accept(listener),
        }
    }

    fn restock(&mut self) {
        self.0.borrow_mut().spares = 1;
    }
}
