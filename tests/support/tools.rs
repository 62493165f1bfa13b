//! Programs of other people that tests drive and read with.
//!
//! Without one of them its tests are skipped, on the standard error that no test runner swallows.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// Where it is, or why it is not there.
pub(crate) type Found = Result<PathBuf, String>;

/// Looks once for something; says who is skipped if it is not there.
pub(crate) fn use_or_skip(
    what: &str,
    found: &'static OnceLock<Found>,
    find: impl FnOnce() -> Found,
) -> Option<&'static Path> {
    match found.get_or_init(find) {
        Ok(path) => Some(path),
        Err(why) => {
            skipped(&format!("it needs {what}: {why}"));
            None
        }
    }
}

/// Says that the present test proves nothing this time, and why.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // Past the capture: a skipped test that nobody hears of is a test that is gone.
    writeln!(std::io::stderr(), "\nSKIPPED {test}: {why}\n").ok();
}

/// A Chromium, by any of its names.
#[allow(dead_code, reason = "not every test binary looks at pages")]
pub(crate) fn chromium() -> Option<&'static Path> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    use_or_skip("a headless Chromium", &FOUND, || {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        on_path(&names, "chromium")
    })
}

/// The first of these programs that runs; `package` has it on Debian.
pub(crate) fn on_path(names: &[&str], package: &str) -> Found {
    let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let found = names.iter().find(runs).map(PathBuf::from);
    found.ok_or_else(|| format!("no {} (Debian: apt-get install {package})", names[0]))
}

/// The directory of a tool, beside the build's other products.
pub(crate) fn installed(tool: &str) -> Found {
    // Two tests may ask at once.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // From the root of the workspace, or from a member's directory.
    let script = "loadgen/tests/tools.sh";
    let mut scripts = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let script = scripts.find_map(|root| Some(root.join(script)).filter(|path| path.exists()));
    let script = script.ok_or("loadgen/tests/tools.sh is missing")?;
    let output = Command::new("sh").arg(script).arg(tool).arg(dir).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(dir.join(tool));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.lines().last().unwrap_or("no reason given").to_owned())
}
