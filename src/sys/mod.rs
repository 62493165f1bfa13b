//! The operating system, one call per function, and the only `unsafe` of the project.
//!
//! Everything above this module sees safe signatures and `io::Error`; nothing above it names
//! `libc` or `socket2` (`tests/it/tidy.rs` checks both). Linux is what is tested and tuned for.
//! Where another Unix has no such call there is a fallback or an error value, so that a kqueue
//! build stays possible: descriptor tables and affinity are optimisations, never requirements.
//!
//! Invariant: nothing here keeps state between calls, except what the kernel keeps.

#![allow(
    unsafe_code,
    reason = "this is the module the rest of the crate is denied it for"
)]

/// Calls `libc::$name(..)` and turns its `-1` into the errno as an [`io::Error`](std::io::Error).
///
/// The call stays inside an `unsafe` block of the caller, because only the caller can say why its
/// pointers and lengths are right.
macro_rules! syscall {
    ($name:ident ( $($arg:expr),* $(,)? )) => {{
        let result = libc::$name($($arg),*);
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}

pub mod activation;
pub mod affinity;
mod alarm;
pub mod clock;
mod dial;
mod endpoint;
pub mod fdtable;
pub mod klog;
pub mod ktls;
mod listener;
mod pages;
pub mod passing;
pub mod random;
pub mod ready;
pub mod rlimit;
pub mod signals;
pub mod slice;
mod socket;

#[cfg(target_os = "linux")]
pub use alarm::Alarm;
pub use dial::DialOptions;
pub use endpoint::{Address, AddressError, Endpoint};
pub use listener::{AcceptFailure, ListenOptions, Listener};
pub use pages::{Pages, keep_memory_out_of_dumps};
pub use socket::{SLICES_MAX, Socket};
