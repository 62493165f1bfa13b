//! The black-box tests of the load generator: one binary, the real `loadgen`, servers whose truth is known.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bundles;
mod harness;
mod known;
mod misbehaving;
mod peers;
mod report;
mod rooms;
mod secured;
