//! Why a connection or a message failed: one class per cause, whose name stands in summaries and reports.
//!
//! A number without a class is a rumour: "1 204 errors" says nothing, "1 204 refused" says that the
//! accept queue overflowed or the server is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// One cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// RST in answer to our SYN.
    Refused,
    /// RST later.
    Reset,
    /// The peer closed the TCP connection without a close frame.
    ClosedWithoutFrame,
    /// No route, or an ICMP error.
    Unreachable,
    /// No SYN-ACK in time.
    ConnectTimeout,
    /// No (whole) answer to the upgrade in time.
    HandshakeTimeout,
    /// A message was not answered in time.
    AnswerTimeout,
    /// Nothing was heard for longer than the heartbeat allows.
    Silent,
    /// An HTTP status other than 101.
    Status(u16),
    /// A 101 that is not a valid WebSocket handshake.
    BadHandshake,
    /// `Sec-WebSocket-Accept` does not answer our key.
    BadAcceptKey,
    /// The peer broke RFC 6455 or 7692.
    ProtocolError,
    /// An answer with other bytes than were sent.
    WrongEcho,
    /// An answer that had come before.
    Duplicate,
    /// Messages in another order than sent.
    OutOfOrder,
    /// Messages that never came, found by a later sequence number.
    Gap,
    /// A close frame with this code.
    Closed(u16),
    /// The TLS handshake or a record failed.
    Tls,
    /// No source port left here.
    LocalPorts,
    /// No descriptor left here.
    LocalDescriptors,
    /// No memory left here.
    LocalMemory,
    /// Another error of this host.
    LocalOther,
}

/// Failures counted by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureCounts {
    counts: BTreeMap<Failure, u64>,
}

impl Failure {
    /// The class of an operating system error on a socket.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => Self::LocalPorts,
            io::ErrorKind::OutOfMemory => Self::LocalMemory,
            io::ErrorKind::UnexpectedEof => Self::ClosedWithoutFrame,
            _ => match error.raw_os_error() {
                // ENFILE, EMFILE; ENOSPC is epoll's word for "no watch left".
                Some(23 | 24 | 28) => Self::LocalDescriptors,
                // ENOBUFS.
                Some(105) => Self::LocalMemory,
                _ => Self::LocalOther,
            },
        }
    }

    /// Whether this host is to blame and not the server.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::LocalPorts | Self::LocalDescriptors | Self::LocalMemory | Self::LocalOther
        )
    }

    /// What to look at.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Refused => {
                "nobody listens, or tcp_abort_on_overflow is set and the accept queue was full"
            }
            Self::Reset | Self::ClosedWithoutFrame => {
                "the server dropped the connection; its log may say why"
            }
            Self::Unreachable => "no route there, or none back to our source addresses",
            Self::ConnectTimeout => {
                "SYNs are lost: accept queue (ListenOverflows), conntrack, or no route back"
            }
            Self::HandshakeTimeout => {
                "accepted by the kernel, not yet by the server: it cannot keep up with the ramp"
            }
            Self::AnswerTimeout | Self::Silent => "the connection is open and nobody is there",
            Self::Status(_) => "the server refused the upgrade; the body may say why",
            Self::BadHandshake | Self::BadAcceptKey => {
                "whoever answered is no WebSocket server, or a cache in between"
            }
            Self::ProtocolError => {
                "the server broke the protocol; the first offence is in the report"
            }
            Self::WrongEcho | Self::Duplicate | Self::OutOfOrder | Self::Gap => {
                "answers do not match what was sent"
            }
            Self::Closed(_) => "the server said goodbye in form",
            Self::Tls => "certificate, version or cipher; see --ca and --insecure",
            Self::LocalPorts => {
                "source ports: `loadgen plan` shows the pool; another program may hold some"
            }
            Self::LocalDescriptors => {
                "descriptors or epoll watches: ulimit -n, --threads, max_user_watches"
            }
            Self::LocalMemory | Self::LocalOther => "this machine is the limit",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => return write!(f, "status_{status}"),
            Self::Closed(code) => return write!(f, "closed_{code}"),
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::ClosedWithoutFrame => "closed_without_frame",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::AnswerTimeout => "answer_timeout",
            Self::Silent => "silent",
            Self::BadHandshake => "bad_handshake",
            Self::BadAcceptKey => "bad_accept_key",
            Self::ProtocolError => "protocol_error",
            Self::WrongEcho => "wrong_echo",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::Gap => "gap",
            Self::Tls => "tls",
            Self::LocalPorts => "local_ports",
            Self::LocalDescriptors => "local_descriptors",
            Self::LocalMemory => "local_memory",
            Self::LocalOther => "local_other",
        })
    }
}

impl FailureCounts {
    /// Counts one. The map is bounded by the classes: one per status and close code at the most.
    pub fn count(&mut self, failure: Failure) {
        *self.counts.entry(failure).or_default() += 1;
    }

    /// Adds another thread's counts.
    pub fn add(&mut self, other: &Self) {
        for (&failure, count) in &other.counts {
            *self.counts.entry(failure).or_default() += count;
        }
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// By class name, as a summary holds them.
    #[must_use]
    pub fn by_class(&self) -> BTreeMap<String, u64> {
        self.counts
            .iter()
            .map(|(failure, &count)| (failure.to_string(), count))
            .collect()
    }
}

/// The hint for a class by its name; a name from a later version has none.
#[must_use]
pub fn hint_for(class: &str) -> &'static str {
    let all = [
        Failure::Refused,
        Failure::Reset,
        Failure::ClosedWithoutFrame,
        Failure::Unreachable,
        Failure::ConnectTimeout,
        Failure::HandshakeTimeout,
        Failure::AnswerTimeout,
        Failure::Silent,
        Failure::BadHandshake,
        Failure::BadAcceptKey,
        Failure::ProtocolError,
        Failure::WrongEcho,
        Failure::Duplicate,
        Failure::OutOfOrder,
        Failure::Gap,
        Failure::Tls,
        Failure::LocalPorts,
        Failure::LocalDescriptors,
        Failure::LocalMemory,
        Failure::LocalOther,
    ];
    let named = all.into_iter().find(|failure| failure.to_string() == class);
    match named {
        Some(failure) => failure.hint(),
        None if class.starts_with("status_") => Failure::Status(0).hint(),
        None if class.starts_with("closed_") => Failure::Closed(0).hint(),
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_have_a_class() {
        for (errno, class) in [
            (111, "refused"),
            (104, "reset"),
            (32, "reset"),
            (110, "connect_timeout"),
            (113, "unreachable"),
            (101, "unreachable"),
            (98, "local_ports"),
            (99, "local_ports"),
            (24, "local_descriptors"),
            (23, "local_descriptors"),
            (28, "local_descriptors"),
            (12, "local_memory"),
            (105, "local_memory"),
            (1, "local_other"),
        ] {
            let failure = Failure::from_io(&io::Error::from_raw_os_error(errno));
            assert_eq!(failure.to_string(), class, "errno {errno}");
            assert_eq!(
                failure.is_local(),
                class.starts_with("local"),
                "errno {errno}"
            );
            assert!(!hint_for(class).is_empty());
        }
    }

    #[test]
    fn counts_add_up_by_class() {
        let (mut one, mut two) = (FailureCounts::default(), FailureCounts::default());
        one.count(Failure::Closed(1009));
        one.count(Failure::Refused);
        two.count(Failure::Closed(1009));
        two.count(Failure::Closed(1011));
        one.add(&two);
        let expected = [("closed_1009", 2), ("closed_1011", 1), ("refused", 1)];
        assert_eq!(
            one.by_class(),
            expected.map(|(class, n)| (class.to_owned(), n)).into()
        );
        assert_eq!(one.total(), 4);
        assert_eq!(hint_for("closed_1009"), Failure::Closed(1).hint());
        assert_eq!(hint_for("of a later version"), "");
    }
}
