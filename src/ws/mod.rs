//! (stub)
pub mod handshake;
