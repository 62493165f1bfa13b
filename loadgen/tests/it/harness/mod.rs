//! What the black-box tests stand on: the real `loadgen` binary, and servers whose truth is known.
//!
//! No byte of the protocol goes through code of ours on both sides: the servers have a frame codec of
//! their own, and `tungstenite` computes the accept key. Nothing here waits for time to pass, except where
//! a delay is the very behaviour that is being measured.

mod echo;
mod generator;
mod scratch;
mod server;
mod tools;
mod wire;

pub(crate) use echo::{DelayedServer, echo, echo_on};
pub(crate) use generator::{Ended, Generator, loadgen};
pub(crate) use scratch::Scratch;
pub(crate) use server::{Curtain, Server};
#[allow(
    unused_imports,
    reason = "the tests that run alone have this harness, too"
)]
pub(crate) use tools::skipped;
pub(crate) use tools::{chromium, node_modules, python};
pub(crate) use wire::{Frame, Wire, accept_head, frame, op};

use std::time::{Duration, Instant};

/// How long any single wait may take before a test is called hung. A run of four seconds with its report
/// takes six, and has taken half a minute on two cores with five compilers beside it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The server's own clock.
#[allow(
    clippy::disallowed_methods,
    reason = "a server whose delay is the truth must measure it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Holds a server back. Never used to wait for something that could announce itself.
#[allow(
    clippy::disallowed_methods,
    reason = "the delay is the behaviour under test, not a wait for something"
)]
pub(crate) fn hold_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(now()));
}
