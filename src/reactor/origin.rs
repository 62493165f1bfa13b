//! Who asks: what is known about the peer of a request besides its head.

use std::net::SocketAddr;

use super::Stream;
use crate::tls::Introduction;
use crate::tls::certificates::Facts;

/// What was learned before the request came; forgotten when it has been answered.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// What the TLS handshake told, if that is more than nothing.
    pub(crate) introduction: Option<Introduction>,
    /// Where it really is, if a load balancer has said so.
    pub(crate) address: Option<SocketAddr>,
}

/// The peer of a request, as the application is shown it ([`App::on_request`](super::App::on_request)).
///
/// It is lent: whoever wants to know later keeps what it needs in the connection's state.
pub struct Peer<'a> {
    pub(super) stream: &'a dyn Stream,
    pub(super) origin: Option<&'a Origin>,
    pub(super) is_tls: bool,
}

impl Peer<'_> {
    /// Where it is: what a trusted load balancer has said, or the socket's other end. `None` over a Unix
    /// socket, or if it is gone. Asks the kernel, so only ask if you want to know.
    pub fn address(&self) -> Option<SocketAddr> {
        let announced = self.origin.and_then(|origin| origin.address);
        announced.or_else(|| self.stream.peer())
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host name it asked for in the TLS handshake (SNI), in lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.introduction()?.server_name.as_deref()
    }

    /// What its certificate says, if it was asked for one (mTLS) and showed one that holds.
    pub fn certificate(&self) -> Option<&Facts> {
        self.introduction()?.peer.as_ref()
    }

    fn introduction(&self) -> Option<&Introduction> {
        self.origin?.introduction.as_ref()
    }
}

impl std::fmt::Debug for Peer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Peer");
        shown.field("origin", &self.origin);
        shown.field("is_tls", &self.is_tls).finish_non_exhaustive()
    }
}
