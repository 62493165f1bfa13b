//! (stub)
pub mod clock;
pub mod mailbox;
pub mod wheel;
