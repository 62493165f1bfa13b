//! TLS as bytes to bytes.
//!
//! ```text
//!  certificates, tickets ──> engine (rustls) ──handshake──> keys: 128 bytes a connection
//!                                                            │
//!              ciphertext ──> record::open ──> plaintext     │ borrowed for a burst
//!              plaintext ──> record::seal ──> ciphertext  <──┘
//! ```
//!
//! rustls does the handshake; after it only keys, IVs, sequence numbers and the two traffic secrets
//! are left, and the record layer here works on them. `ARCHITECTURE.md` says what the reactor has to
//! do with it.
//!
//! Invariant: no socket, no thread, no clock.

pub mod certificates;
pub mod dev_cert;
mod engine;
mod fault;
pub mod fuzzing;
mod keys;
pub mod record;
pub mod sessions;
mod suite;
mod tickets;

pub use engine::{
    Choices, ClientAuth, ClientOptions, ClientTls, Introduction, Mode, OptionError, Refusal,
    ServerOptions, ServerTls, Trust,
};
pub use fault::{Fault, alert_name};
pub use keys::{Half, KeyId, KeyStore, Role};
pub use suite::Suite;
pub use tickets::{TicketKeyError, Tickets};
