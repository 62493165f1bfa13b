//! What the black-box tests stand on: the real `throng` binary, watched from outside.
//!
//! Nothing here sleeps. A test waits for an event (a line of output, bytes, end of file), and
//! [`PATIENCE`] only turns a test that would hang into one that fails.

mod http;
mod peer;
mod server;
pub(crate) mod tls;
pub(crate) mod tools;
mod vitals;
mod wire;

pub(crate) use http::Http;
pub(crate) use peer::{Files, Peer};
pub(crate) use server::{Launch, Server, Watch};
pub(crate) use tools::{cent, centrifuge_js, centrifuge_python, chromium, promtool};
pub(crate) use vitals::Vitals;
pub(crate) use wire::{Wire, frame, op, unmasked_frame, upgrade_request};

use std::time::Duration;

/// How long any single wait may take before the test is called hung. Two cores shared with a
/// compiler, and with other tests beside, can stall a debug server for many seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
