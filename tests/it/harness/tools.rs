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

/// Node's modules with the official client of npm, `centrifuge`, in them.
pub(crate) fn centrifuge_js() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("npm centrifuge", &FOUND, || installed("centrifuge"))
}

/// A Python that has the official client of PyPI, `centrifuge-python`.
pub(crate) fn centrifuge_python() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("PyPI centrifuge-python", &FOUND, || {
        Ok(installed("centrifuge-python")?.join("bin/python"))
    })
}

/// What Prometheus checks pages of metrics with.
pub(crate) fn promtool() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("promtool", &FOUND, || on_path(&["promtool"], "prometheus"))
}

/// OpenSSL's program.
pub(crate) fn openssl() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("openssl", &FOUND, || on_path(&["openssl"], "openssl"))
}

/// Python, as it comes.
pub(crate) fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("Python", &FOUND, || on_path(&["python3"], "python3"))
}

/// Node, and the folder in which its programs find npm `ws`.
pub(crate) fn node() -> Option<(&'static Path, &'static Path)> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    static WS: OnceLock<Found> = OnceLock::new();
    let node = use_or_skip("Node", &FOUND, || on_path(&["node"], "nodejs"))?;
    Some((node, use_or_skip("npm ws", &WS, || installed("node"))?))
}

/// A Python that has `websockets`.
pub(crate) fn websockets() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("PyPI websockets", &FOUND, || {
        Ok(installed("python")?.join("bin/python"))
    })
}

/// GnuTLS's program.
pub(crate) fn gnutls() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("GnuTLS", &FOUND, || on_path(&["gnutls-cli"], "gnutls-bin"))
}

/// NSS's program, and the one that keeps its trust.
pub(crate) fn nss() -> Option<(&'static Path, &'static Path)> {
    static CLIENT: OnceLock<Found> = OnceLock::new();
    static TRUST: OnceLock<Found> = OnceLock::new();
    let find = |name| move || on_path(&[name], "libnss3-tools");
    let client = use_or_skip("NSS", &CLIENT, find("tstclnt"))?;
    Some((client, use_or_skip("NSS", &TRUST, find("certutil"))?))
}

/// A Java that runs programs from their source (11 and newer).
pub(crate) fn java() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    let package = "default-jdk-headless";
    use_or_skip("a JDK", &FOUND, || {
        on_path(&["javac"], package)?;
        on_path(&["java"], package)
    })
}

/// curl, which can speak as a load balancer does.
pub(crate) fn curl() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("curl", &FOUND, || on_path(&["curl"], "curl"))
}

/// What makes a core of a process that goes on.
pub(crate) fn gcore() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("gcore", &FOUND, || on_path(&["gcore"], "gdb"))
}

pub(crate) use support::chromium;
