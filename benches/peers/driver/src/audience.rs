//! The subscribers of the fan-out load: connections that count what they hear.
//!
//! Like the echo load it never sleeps, or the server would pay for waking it. It copies only the
//! beginning of what it receives, and throws the rest of a long frame away unseen.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::ops::{AddAssign, Range};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::frames::{Frames, Heard};
use crate::{link, sys};

const EVENTS_MAX: usize = 1024;
/// What one `recv` copies at most: small messages whole, of large ones the beginning.
const COPIED_BYTES_MAX: usize = 2048;

/// Some of the subscribers, and a poll of their own.
pub(crate) struct Audience {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    scratch: Box<[u8]>,
    /// What subscriber 0, if it is here, has received since it was asked last, byte for byte.
    witnessed: Option<Vec<u8>>,
    told: Told,
}

struct Member {
    stream: TcpStream,
    frames: Frames,
    /// Messages so far.
    messages: u32,
}

/// What all of them have received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) messages: u64,
    pub(crate) deflated: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.deflated += other.deflated;
        self.bytes += other.bytes;
    }
}

impl Audience {
    /// Opens the connections of these numbers.
    pub(crate) fn open(address: SocketAddr, numbers: Range<usize>, request: &[u8]) -> Result<Self> {
        let poll = Poll::new()?;
        let witnessed = (numbers.start == 0).then(Vec::new);
        let mut members = Vec::with_capacity(numbers.len());
        for (index, number) in numbers.enumerate() {
            let stream = link::open(address, number, request)?;
            let fd = stream.as_raw_fd();
            poll.registry()
                .register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
            members.push(Member {
                stream,
                frames: Frames::default(),
                messages: 0,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            members,
            scratch: vec![0; COPIED_BYTES_MAX].into(),
            witnessed,
            told: Told::default(),
        })
    }

    /// Has the first member say something. How much of it the kernel took.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Result<usize> {
        match sys::send(&self.members[0].stream, bytes) {
            Ok(sent) => Ok(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error).context("publish"),
        }
    }

    /// Takes what has arrived; nobody may have heard more than so many messages.
    pub(crate) fn listen(&mut self, messages_max: u32) -> Result<Told> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            self.receive(event.token().0, messages_max)?;
        }
        std::mem::swap(&mut self.events, &mut events);
        Ok(self.told)
    }

    /// What subscriber 0 has received since this was asked last.
    pub(crate) fn take_witnessed(&mut self) -> Vec<u8> {
        self.witnessed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Receives until a message is through: there is one in flight, so nothing is behind it.
    fn receive(&mut self, index: usize, messages_max: u32) -> Result<()> {
        let member = &mut self.members[index];
        let mut witnessed = self.witnessed.as_mut().filter(|_| index == 0);
        loop {
            let left = member.frames.payload_left() as usize;
            let is_copied = witnessed.is_some() || left <= COPIED_BYTES_MAX;
            let received = match is_copied {
                true => sys::recv(&member.stream, &mut self.scratch),
                false => sys::discard(&member.stream, left),
            };
            let received = match received {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("a subscriber's connection broke"),
            };
            ensure!(received > 0, "the server closed a subscriber's connection");
            self.told.bytes += received as u64;
            let Heard { messages, deflated } = match is_copied {
                true => member.frames.feed(&self.scratch[..received])?,
                false => member.frames.skip(received),
            };
            if let Some(witnessed) = &mut witnessed {
                witnessed.extend_from_slice(&self.scratch[..received]);
            }
            member.messages += messages;
            self.told.messages += u64::from(messages);
            self.told.deflated += u64::from(deflated);
            ensure!(
                member.messages <= messages_max,
                "a subscriber heard a publication twice"
            );
            if messages > 0 && member.frames.is_between() {
                return Ok(());
            }
        }
    }
}
