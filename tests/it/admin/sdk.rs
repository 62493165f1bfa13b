//! The API through Centrifugo's own SDK for Python, and the metrics through Prometheus' own checker.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use throng::admin::{Admin, ApiKey};
use throng::sys::{Endpoint, ListenOptions};

use super::fake::{Fake, Healthy};
use super::{KEY, admin, launch};
use crate::harness::{Wire, cent, op, promtool};

const SCRIPT: &str = include_str!("sdk.py");

#[test]
fn centrifugos_sdk_finds_everything_where_it_expects_it() {
    let Some(python) = cent() else { return };
    let address = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::claim(&address, ListenOptions::default()).unwrap();
    let (key, fake) = (ApiKey::new(KEY).unwrap(), Fake::new());
    let host = std::sync::Arc::new(Healthy);
    let admin = Admin::open(endpoint, Some(key), host, fake.clone()).unwrap();
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(format!("http://{}/api", admin.address()))
        .arg(KEY)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("all of it\n"), "{said}");
    assert_eq!(fake.refreshed(), [("bob".into(), Some(1_900_000_000))]);
}

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
