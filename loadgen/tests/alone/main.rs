//! Tests that want the machine to themselves, one after the other: fifty thousand connections would disturb
//! what others measure, and 2 ms are not seen beside a flood. Cargo runs one test binary at a time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::{Mutex, MutexGuard, PoisonError};

#[path = "../it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "these tests need a part of what the others do"
)]
mod harness;

mod diff;
mod record;

/// Held by the test that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed is no reason for the next not to run.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
