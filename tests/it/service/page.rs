//! The page at `/` in two browsers, with a restart of the server in between.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::Folder;
use crate::harness::{Http, centrifuge_js, chromium};

#[test]
fn two_browsers_talk_and_survive_a_restart() {
    let (Some(modules), Some(chromium)) = (centrifuge_js(), chromium()) else {
        return;
    };
    let folder = Folder::new("page");
    let mut server = folder.open().workers(2).flag("drain-secs", "0").start();
    let address = server.addr();
    let mut script = Command::new("node");
    script
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/service/page.mjs"
        ))
        .args([modules, chromium, &folder.0])
        .arg(format!("http://{address}/"))
        .args(std::env::var_os("THRONG_SCREENSHOT"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let said = BufReader::new(script.stdout.take().unwrap());
    let mut said = said.lines().map(Result::unwrap);
    assert_eq!(said.next().as_deref(), Some("restart"));
    server.signal("TERM");
    server.wait_exit();
    let again = folder.open().workers(2).listen(&address.to_string());
    let _server = again.start();
    script.stdin.take().unwrap().write_all(b"go\n").unwrap();
    // The history was in memory; both pages say that they may have missed something.
    let expected = ["recovered false", "recovered false", "all of it"];
    assert_eq!(said.collect::<Vec<_>>(), expected);
    assert!(script.wait().unwrap().success());
}

#[test]
fn the_page_can_be_switched_off() {
    let folder = Folder::new("no-page");
    let status = |page: &str, path: &str| {
        let server = folder.open().flag("page", page).start();
        Http::connect(server.addr()).get(path).status
    };
    assert_eq!(status("on", "/"), 200);
    assert_eq!(status("on", "/page/page.js"), 200);
    assert_eq!(status("off", "/"), 404);
    assert_eq!(status("off", "/page/page.js"), 404);
    assert_eq!(status("off", "/healthz"), 200);
}
