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
