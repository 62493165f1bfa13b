//! Why a connection or a message failed: one class per cause, whose name stands in summaries and reports.
//!
//! A number without a class is a rumour: "1 204 errors" says nothing, "1 204 refused" says that the
//! accept queue overflowed or the server is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use throng::http1::HeadError;
use throng::tls::Refusal;
use throng::ws::close::Violation;
use throng::ws::handshake::ClientRefusal;

pub mod tls;

use tls::TlsFailure;

/// One cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// RST in answer to our SYN.
    Refused,
    /// RST before the upgrade.
    ResetBeforeUpgrade,
    /// RST later.
    Reset,
    /// The peer closed the TCP connection before it answered the upgrade.
    ClosedBeforeUpgrade,
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
    /// The answer to the upgrade is not HTTP.
    BadHttp,
    /// The head of the answer does not end.
    HeadTooLong,
    /// A 101 that is not a valid WebSocket handshake.
    BadHandshake,
    /// A 101 with an extension or a subprotocol that was not offered.
    BadNegotiation,
    /// `Sec-WebSocket-Accept` does not answer our key.
    BadAcceptKey,
    /// The peer broke RFC 6455 or 7692, in this way.
    Protocol(Violation),
    /// An answer with other bytes than were sent.
    WrongEcho,
    /// An answer that had come before.
    Duplicate,
    /// Messages in another order than sent.
    OutOfOrder,
    /// An answer that came after it had been given up.
    LateAnswer,
    /// Messages that never came, found by a later sequence number.
    Gap,
    /// A close frame with this code.
    Closed(u16),
    /// TLS failed, in this way.
    Tls(TlsFailure),
    /// The server does not let us into a room, or does not pass a message on; its code, where it has codes.
    Denied(u16),
    /// What the server said is none of the dialect's messages.
    Unintelligible,
    /// The way into the room was not answered in time.
    NotJoined,
    /// Missed while away, and the server could not make up for it.
    NotRecovered,
    /// More in a room than there can be, or nobody.
    WrongPresence,
    /// Cut by ourselves, with messages under way.
    Cut,
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

    /// The class of an answer to the upgrade that is no acceptance.
    #[must_use]
    pub const fn from_refusal(refusal: ClientRefusal) -> Self {
        match refusal {
            ClientRefusal::Status(status) => Self::Status(status),
            ClientRefusal::Head(HeadError::HeadTooLong) => Self::HeadTooLong,
            ClientRefusal::Head(_) => Self::BadHttp,
            ClientRefusal::Accept => Self::BadAcceptKey,
            ClientRefusal::Protocol | ClientRefusal::Extensions => Self::BadNegotiation,
            ClientRefusal::Upgrade | ClientRefusal::Connection => Self::BadHandshake,
        }
    }

    /// The same failure, where the connection was not a WebSocket yet: who resets or closes then has
    /// other reasons.
    #[must_use]
    pub const fn before_upgrade(self) -> Self {
        match self {
            Self::Reset => Self::ResetBeforeUpgrade,
            Self::ClosedWithoutFrame => Self::ClosedBeforeUpgrade,
            other => other,
        }
    }

    /// Whether this host is to blame and not the server.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::LocalPorts
                | Self::LocalDescriptors
                | Self::LocalMemory
                | Self::LocalOther
                | Self::Tls(TlsFailure::NoRoom)
        )
    }

    /// What to look at.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Refused => {
                "nobody listens, or tcp_abort_on_overflow is set and the accept queue was full"
            }
            Self::Reset
            | Self::ClosedWithoutFrame
            | Self::ResetBeforeUpgrade
            | Self::ClosedBeforeUpgrade => "the server dropped the connection; its log may say why",
            Self::Unreachable => "no route there, or none back to our source addresses",
            Self::ConnectTimeout => {
                "SYNs are lost: accept queue (ListenOverflows), conntrack, or no route back"
            }
            Self::HandshakeTimeout => {
                "accepted by the kernel, not yet by the server: it cannot keep up with the ramp"
            }
            Self::AnswerTimeout | Self::Silent => "the connection is open and nobody is there",
            Self::Status(_) => "the server refused the upgrade; the body may say why",
            Self::BadHttp | Self::HeadTooLong | Self::BadHandshake | Self::BadAcceptKey => {
                "whoever answered is no WebSocket server, or a cache in between"
            }
            Self::BadNegotiation => "the server chose what was not offered",
            Self::Protocol(violation) => violation.reason(),
            Self::LateAnswer => "slower than --answer-timeout; it was counted as lost before",
            Self::WrongEcho | Self::Duplicate | Self::OutOfOrder | Self::Gap => {
                "answers do not match what was sent"
            }
            Self::Closed(_) => "the server said goodbye in form",
            Self::Tls(failure) => failure.hint(),
            Self::Denied(_) => {
                "the server's answer to a command: token, rights of the channel, or a limit"
            }
            Self::Unintelligible => "is this the path of --dialect?",
            Self::NotJoined => "connected, and the way into the room was not answered in time",
            Self::NotRecovered => {
                "the history of the channel is too short, too young, or switched off"
            }
            Self::WrongPresence => "the server counts others in a room than there can be",
            Self::Cut => "the scenario cut it",
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
            Self::Protocol(violation) => {
                return write!(f, "protocol_{}", snake(&format!("{violation:?}")));
            }
            Self::Status(status) => return write!(f, "status_{status}"),
            Self::Closed(code) => return write!(f, "closed_{code}"),
            Self::Tls(failure) => return failure.fmt(f),
            Self::Denied(code) => return write!(f, "denied_{code}"),
            Self::Unintelligible => "unintelligible",
            Self::NotJoined => "not_joined",
            Self::NotRecovered => "not_recovered",
            Self::WrongPresence => "wrong_presence",
            Self::Refused => "refused",
            Self::ResetBeforeUpgrade => "reset_before_upgrade",
            Self::Reset => "reset",
            Self::ClosedBeforeUpgrade => "closed_before_upgrade",
            Self::ClosedWithoutFrame => "closed_without_frame",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::AnswerTimeout => "answer_timeout",
            Self::Silent => "silent",
            Self::BadHttp => "bad_http",
            Self::HeadTooLong => "head_too_long",
            Self::BadHandshake => "bad_handshake",
            Self::BadAcceptKey => "bad_accept_key",
            Self::BadNegotiation => "bad_negotiation",
            Self::WrongEcho => "wrong_echo",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::Gap => "gap",
            Self::LateAnswer => "late_answer",
            Self::Cut => "cut",
            Self::LocalPorts => "local_ports",
            Self::LocalDescriptors => "local_descriptors",
            Self::LocalMemory => "local_memory",
            Self::LocalOther => "local_other",
        })
    }
}

impl FailureCounts {
    /// Counts several of a kind.
    pub fn count_many(&mut self, failure: Failure, count: u64) {
        if count > 0 {
            *self.counts.entry(failure).or_default() += count;
        }
    }

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

    /// What was counted since an earlier moment.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let then = |failure| before.counts.get(failure).copied().unwrap_or_default();
        let grown = self.counts.iter();
        let grown = grown.map(|(failure, count)| (*failure, count - then(failure)));
        Self {
            counts: grown.filter(|(_, count)| *count > 0).collect(),
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
        Failure::ResetBeforeUpgrade,
        Failure::Reset,
        Failure::ClosedBeforeUpgrade,
        Failure::ClosedWithoutFrame,
        Failure::Unreachable,
        Failure::ConnectTimeout,
        Failure::HandshakeTimeout,
        Failure::AnswerTimeout,
        Failure::Silent,
        Failure::BadHttp,
        Failure::HeadTooLong,
        Failure::BadHandshake,
        Failure::BadAcceptKey,
        Failure::BadNegotiation,
        Failure::WrongEcho,
        Failure::Duplicate,
        Failure::OutOfOrder,
        Failure::Gap,
        Failure::LateAnswer,
        Failure::Unintelligible,
        Failure::NotJoined,
        Failure::NotRecovered,
        Failure::WrongPresence,
        Failure::Cut,
        Failure::LocalPorts,
        Failure::LocalDescriptors,
        Failure::LocalMemory,
        Failure::LocalOther,
    ];
    let tls = TlsFailure::NAMED.iter().copied().map(Failure::Tls);
    let mut all = all.into_iter().chain(tls);
    let named = all.find(|failure| failure.to_string() == class);
    match named {
        Some(failure) => failure.hint(),
        None if class.starts_with("tls_alert_") => {
            TlsFailure::Handshake(Refusal::PeerAlert(0)).hint()
        }
        None if class.starts_with("status_") => Failure::Status(0).hint(),
        None if class.starts_with("denied_") => Failure::Denied(0).hint(),
        None if class.starts_with("closed_") => Failure::Closed(0).hint(),
        None if class.starts_with("protocol_") => "the server broke the protocol in this way",
        None => "",
    }
}

/// `MaskForbidden` as `mask_forbidden`: variants are named once, in the protocol.
fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
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
        assert_eq!(
            Failure::Protocol(Violation::MaskForbidden).to_string(),
            "protocol_mask_forbidden"
        );
        assert_eq!(hint_for("closed_1009"), Failure::Closed(1).hint());
        assert_eq!(hint_for("of a later version"), "");
    }
}
