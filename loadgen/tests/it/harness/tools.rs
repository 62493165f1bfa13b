//! Programs of other people: npm `ws`, Python packages, a browser.

use std::path::Path;
use std::sync::OnceLock;

#[path = "../../../../tests/support/tools.rs"]
mod support;

use support::{Found, installed, use_or_skip};
pub(crate) use support::{chromium, skipped};

/// Where `require('ws')` finds it.
pub(crate) fn node_modules() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("npm ws", &FOUND, || {
        Ok(installed("node")?.join("node_modules"))
    })
}

/// A Python that has `websockets` and `hdrhistogram`.
pub(crate) fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("Python websockets and hdrhistogram", &FOUND, || {
        Ok(installed("python")?.join("bin/python"))
    })
}
