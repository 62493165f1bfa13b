//! Programs of other people: PyPI `cent`, Prometheus' `promtool`, a browser.

use std::path::Path;
use std::sync::OnceLock;

#[path = "../../support/tools.rs"]
mod support;

use support::{Found, installed, on_path, use_or_skip};

/// A Python that has `cent`, the SDK of Centrifugo's HTTP API.
pub(crate) fn cent() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("PyPI cent", &FOUND, || {
        Ok(installed("cent")?.join("bin/python"))
    })
}

/// What Prometheus checks pages of metrics with.
pub(crate) fn promtool() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("promtool", &FOUND, || on_path(&["promtool"], "prometheus"))
}
