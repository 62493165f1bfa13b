//! The binary's manners: exit codes, and what goes to which stream.

use std::fs::File;
use std::process::{Command, Output, Stdio};

fn throng(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throng"));
    command.args(args).stdin(Stdio::null());
    command
}

fn ran(args: &[&str]) -> Output {
    throng(args).output().expect("the binary was just built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("we print UTF-8")
}

#[test]
fn answers_go_to_stdout_with_exit_code_0() {
    for args in [
        &["help"][..],
        &["serve", "--help"],
        &["--version"],
        &["help", "listen"],
    ] {
        let output = ran(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn mistakes_go_to_stderr_with_exit_code_2() {
    for args in [
        &["--wrokers", "2"][..],
        &["--workers", "0"],
        &["sevre"],
        &["check-config"],
        &["--config", "/nonexistent/throng.toml"],
    ] {
        let output = ran(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(text(&output.stderr).contains("\n  help: "), "{args:?}");
    }
}

#[test]
fn what_cannot_be_served_is_exit_code_1() {
    let path = "unix:/nonexistent/throng.sock";
    let output = ran(&["--listen", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(
        error.starts_with("throng: ") && error.contains(path),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "a log line, not a trace: {error}");
}

#[test]
fn a_judged_file_is_the_answer() {
    let output = ran(&["check-config", "/nonexistent/throng.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty());
    assert!(text(&output.stdout).starts_with("/nonexistent/throng.toml: error: "));
}

/// The classic of `println!`: a panic when nobody listens.
#[test]
#[cfg(target_os = "linux")]
fn a_full_or_closed_stdout_is_no_panic() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = throng(&["help"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output();
    let output = output.expect("the binary was just built");
    assert_eq!(output.status.code(), Some(1), "the answer was lost");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));

    let (reader, writer) = std::io::pipe().expect("a pipe costs two descriptors");
    drop(reader);
    let status = throng(&["help"]).stdout(writer).status();
    assert_eq!(status.expect("the binary was just built").code(), Some(0));
}

/// A directory that is removed at the end of the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("throng-it-{}-{name}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("the temporary directory is writable");
        folder
    }

    /// Writes a file below it, making the folders on the way.
    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        let parent = path.parent().expect("it is below the folder");
        std::fs::create_dir_all(parent).expect("the temporary directory is writable");
        std::fs::write(path, text).expect("the temporary directory is writable");
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(path)).ok()
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the name is ASCII")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_doctor_says_by_its_exit_code_whether_the_machine_is_ready() {
    let machine = Folder::new("doctor");
    let root = ["--root", machine.path()];
    let doctor = |args: &[&str]| ran(&[&["doctor"], args, &root[..]].concat());
    machine.write("proc/sys/fs/file-max", "9000000\n");
    let ready = doctor(&["--connections", "1M"]);
    assert_eq!(ready.status.code(), Some(0), "{}", text(&ready.stdout));
    machine.write("proc/sys/fs/file-max", "300000\n");
    let unready = doctor(&["--connections", "1M", "--json"]);
    assert_eq!(unready.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&unready.stdout).expect("it is JSON");
    assert_eq!(report["first_wall"]["name"], "fs.file-max");
    assert_eq!(report["first_wall"]["connections"], 300_000);
    for wrong in [
        &["--connections", "many"][..],
        &["--since", "/nonexistent.json"],
        &["--pid", "4000000"],
    ] {
        let output = doctor(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(text(&output.stderr).contains("\n  help: "), "{wrong:?}");
    }
}

/// The real machine, whatever it is: an answer, and never a crash.
#[test]
fn the_doctor_looks_at_this_machine() {
    let output = ran(&["doctor", "--connections", "1000", "--json"]);
    assert!(matches!(output.status.code(), Some(0 | 1)));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(report["goal"]["connections"], 1000);
    assert_eq!(report["ready"], output.status.success());
}

#[test]
fn what_tune_applies_it_takes_back() {
    let machine = Folder::new("tune");
    let root = ["--root", machine.path()];
    let tune = |args: &[&str]| ran(&[&["tune"], args, &root[..]].concat());
    machine.write("proc/sys/net/core/somaxconn", "128\n");
    let output = tune(&["--connections", "10k", "--apply"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let now = || machine.text("proc/sys/net/core/somaxconn");
    assert_eq!(now().as_deref(), Some("4096\n"));
    let kept = machine.text("etc/sysctl.d/90-throng.conf");
    assert!(kept.is_some_and(|text| text.contains("net.core.somaxconn = 4096\n")));
    assert_eq!(tune(&["--undo"]).status.code(), Some(0));
    assert_eq!(now().as_deref(), Some("128\n"));
    assert_eq!(machine.text("etc/sysctl.d/90-throng.conf"), None);
    assert_eq!(tune(&["--apply", "--undo"]).status.code(), Some(2));
}
