//! Programs of other people: npm `ws`, Python packages, a browser.
//!
//! Without one of them its tests are skipped, on the standard error that no test runner swallows.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

type Found = Result<PathBuf, String>;

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

/// A Chromium, by any of its names.
pub(crate) fn chromium() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("a headless Chromium", &FOUND, || {
        let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let found = names.into_iter().find(runs);
        found
            .map(PathBuf::from)
            .ok_or_else(|| "no chromium (Debian: apt-get install chromium)".into())
    })
}

fn use_or_skip(
    what: &str,
    found: &'static OnceLock<Found>,
    find: impl FnOnce() -> Found,
) -> Option<&'static Path> {
    match found.get_or_init(find) {
        Ok(path) => Some(path),
        Err(why) => {
            let test = std::thread::current();
            let test = test.name().unwrap_or("a test");
            // Past the capture: a skipped test that nobody hears of is a test that is gone.
            writeln!(
                std::io::stderr(),
                "\nSKIPPED {test}: it needs {what}: {why}\n"
            )
            .ok();
            None
        }
    }
}

/// The directory of a tool, beside the build's other products.
fn installed(tool: &str) -> Found {
    // Two tests may ask at once.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools.sh");
    let output = Command::new("sh").arg(script).arg(tool).arg(dir).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(dir.join(tool));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().last().unwrap_or("no reason given").to_owned())
}
