//! The official clients, unmodified: npm `centrifuge` and PyPI `centrifuge-python`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{Folder, token};
use crate::harness::{Http, Server, centrifuge_js, centrifuge_python};

/// A run of the script, and what it says.
struct Script {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Script {
    fn start(modules: &Path, server: &Server, scenario: &str, words: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/service/official.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(modules)
            .arg(format!("ws://{}", server.addr()))
            .arg(scenario)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn wait_for(&mut self, line: &str) {
        let mut text = String::new();
        self.said.read_line(&mut text).unwrap();
        assert_eq!(text.trim_end(), line);
    }

    fn finish(mut self) {
        self.wait_for("all of it");
        assert!(self.child.wait().unwrap().success());
    }
}

fn run(modules: &Path, server: &Server, scenario: &str, words: &[&str]) {
    Script::start(modules, server, scenario, words).finish();
}

#[test]
fn the_client_for_javascript_talks_and_recovers() {
    let Some(modules) = centrifuge_js() else {
        return;
    };
    let folder = Folder::new("js");
    let server = folder.open().workers(3).start();
    for scenario in ["talk", "crowd"] {
        run(modules, &server, scenario, &[]);
    }
}

#[test]
fn the_client_for_javascript_fetches_tokens_when_it_needs_them() {
    let Some(modules) = centrifuge_js() else {
        return;
    };
    let folder = Folder::new("js-tokens");
    let server = folder.closed("").workers(3).start();
    let (short, long) = (token("bob", 2, None), token("bob", 3600, None));
    let channel = token("bob", 3600, Some("secret"));
    run(modules, &server, "tokens", &[&short, &long, &channel]);
    let (forged, old) = (format!("{long}x"), token("bob", -100, None));
    run(modules, &server, "refused", &[&forged, &old, &long]);
    let output = server.output();
    for secret in [short, long, channel, old] {
        assert!(!output.contains(&secret), "a token is in the log");
    }
}

#[test]
fn the_client_for_javascript_is_told_what_a_restart_has_lost() {
    let Some(modules) = centrifuge_js() else {
        return;
    };
    let folder = Folder::new("js-restart");
    let mut server = folder.open().flag("drain-secs", "0").start();
    let mut script = Script::start(modules, &server, "restart", &["lost"]);
    script.wait_for("ready");
    let address = server.addr();
    server.signal("TERM");
    server.wait_exit();
    let _server = folder.open().listen(&address.to_string()).start();
    script.finish();
}

const KEY: &str = "a-key-of-the-tests-0123456789";

/// Plays a scenario with bob: at each of these lines of its, the API is asked for this.
fn direct(modules: &Path, scenario: &str, steps: &[(&str, &str, &str)]) {
    let folder = Folder::new(&format!("js-{scenario}"));
    let launch = folder.closed("").workers(3).admin("127.0.0.1:0");
    let server = launch.env("THRONG_ADMIN_KEY", KEY).start();
    let mut backend = Http::connect(server.admin_addr());
    let mut script = Script::start(modules, &server, scenario, &[&token("bob", 3600, None)]);
    for (line, path, body) in steps {
        script.wait_for(line);
        let answer = backend.post(path, &format!("X-API-Key: {KEY}\r\n"), body);
        assert_eq!(answer.status, 200, "{line}");
        assert!(answer.body.starts_with(r#"{"result""#), "{}", answer.body);
    }
    script.finish();
}

#[test]
fn the_client_for_javascript_is_told_what_comes_with_a_subscription() {
    let Some(modules) = centrifuge_js() else {
        return;
    };
    let steps = [
        (
            "subscribe",
            "/api/subscribe",
            r#"{"user":"bob","channel":"news","data":{"hello":["bob"]}}"#,
        ),
        ("publish", "/api/publish", r#"{"channel":"news","data":1}"#),
    ];
    direct(modules, "greeted", &steps);
}

#[test]
fn the_client_for_javascript_is_told_why_it_is_thrown_out() {
    let Some(modules) = centrifuge_js() else {
        return;
    };
    let steps = [
        (
            "unsubscribe",
            "/api/unsubscribe",
            r#"{"user":"bob","channel":"news"}"#,
        ),
        (
            "send away for a moment",
            "/api/disconnect",
            r#"{"user":"bob","disconnect":{"code":4000,"reason":"we move"}}"#,
        ),
        ("disconnect", "/api/disconnect", r#"{"user":"bob"}"#),
        (
            "ban",
            "/api/disconnect",
            r#"{"user":"bob","disconnect":{"code":4501,"reason":"banned"}}"#,
        ),
    ];
    direct(modules, "thrown_out", &steps);
}

#[test]
fn the_client_for_python_talks_and_recovers() {
    let Some(python) = centrifuge_python() else {
        return;
    };
    let folder = Folder::new("python");
    let server = folder.open().workers(3).start();
    let output = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/service/official.py"
        ))
        .arg(format!("ws://{}/connection/websocket", server.addr()))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all of it\n");
}
