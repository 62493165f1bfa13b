//! The metrics, through Prometheus' own checker.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{admin, launch};
use crate::harness::{Wire, op, promtool};

#[test]
fn prometheus_finds_nothing_to_complain_about() {
    let Some(promtool) = promtool() else { return };
    let server = launch().workers(2).start();
    Wire::open(server.addr()).echo(op::TEXT, b"something to count");
    let page = admin(&server).get("/metrics").body;
    assert_eq!(check(promtool, &page), (true, String::new()));
    // The control: it would have complained.
    let (passes, said) = check(promtool, "# HELP x Something.\n# TYPE x counter\nx 1\n");
    assert!(!passes && said.contains("_total"), "{said}");
}

/// Whether Prometheus' own checker likes a page of metrics, and what it says.
pub(super) fn check(promtool: &Path, page: &str) -> (bool, String) {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
