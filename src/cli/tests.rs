//! Whole command lines: what is printed where, and the exit code.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::Count;

struct Ran {
    outcome: Outcome,
    out: String,
    err: String,
}

fn ran(args: &[&str]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = run(args.iter().map(OsString::from), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("we print UTF-8");
    Ran {
        outcome,
        out: text(out),
        err: text(err),
    }
}

fn code(ran: &Ran) -> Option<u8> {
    match ran.outcome {
        Outcome::Exit(code) => Some(code),
        Outcome::Serve(_) => None,
    }
}

/// A configuration file that is removed when the test is done with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("throng-cli-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("the temporary directory is writable");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the name is ASCII")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn nothing_typed_serves_with_the_defaults() {
    let ran = ran(&[]);
    let Outcome::Serve(resolved) = ran.outcome else {
        panic!("{}", ran.err);
    };
    assert_eq!(resolved.config, crate::config::Config::default());
    assert!(ran.out.is_empty() && ran.err.is_empty());
}

#[test]
fn flags_and_file_come_together() {
    let file = Scratch::new("both", "workers = 1\nbacklog = 7\n");
    let ran = ran(&["serve", "--config", file.path(), "--workers", "2"]);
    let Outcome::Serve(resolved) = ran.outcome else {
        panic!("{}", ran.err);
    };
    assert_eq!(resolved.config.workers, Count::Exactly(2));
    assert_eq!(resolved.config.backlog, 7);
}

#[test]
fn mistakes_in_flags_and_file_are_reported_together() {
    let file = Scratch::new("bad", "workers = 0\n\nport = 1\n");
    let ran = ran(&["--config", file.path(), "--max-head", "x", "--lisen", ":1"]);
    assert_eq!(code(&ran), Some(exit::USAGE));
    assert!(ran.out.is_empty());
    let path = file.path();
    for part in [
        format!("{path}:1:11: error: workers \"0\" is too small\n  help: write a value"),
        format!("{path}:3:1: error: unknown key \"port\"\n  help: did you mean listen?"),
        "error: --max-head \"x\" does not begin with a whole number\n  help: ".to_owned(),
        "error: unknown flag \"--lisen\"\n  help: did you mean --listen?".to_owned(),
    ] {
        assert!(ran.err.contains(&part), "{part}\nis not in\n{}", ran.err);
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let ran = ran(&["--config", "/nonexistent.toml"]);
    assert_eq!(code(&ran), Some(exit::USAGE));
    assert!(
        ran.err
            .starts_with("/nonexistent.toml: error: cannot be read: "),
        "{}",
        ran.err
    );
}

#[test]
fn warnings_do_not_keep_it_from_starting() {
    let ran = ran(&["--deflate", "off", "--deflate-level", "3"]);
    assert!(matches!(ran.outcome, Outcome::Serve(_)));
    assert!(
        ran.err
            .starts_with("warning: --deflate-level 3 has no effect"),
        "{}",
        ran.err
    );
}

#[test]
fn check_config_says_ok_or_where() {
    let good = Scratch::new("good", "workers = 1\n");
    let checked = ran(&["check-config", good.path()]);
    assert_eq!(code(&checked), Some(exit::OK));
    assert_eq!(checked.out, format!("{}: ok, 1 set\n", good.path()));

    let bad = Scratch::new("worse", "workers = 0\nx = 1\n");
    let checked = ran(&["check-config", bad.path()]);
    assert_eq!(code(&checked), Some(exit::USAGE));
    assert!(
        checked
            .out
            .contains(&format!("{}:1:11: error: ", bad.path()))
    );
    assert!(
        checked
            .out
            .contains(&format!("{}:2:1: error: ", bad.path()))
    );
    assert!(checked.out.ends_with(": 2 errors, 0 warnings\n"));
    assert!(checked.err.is_empty(), "the report is the answer");
}

#[test]
fn check_config_for_programs() {
    let bad = Scratch::new("json", "workers = 0\n");
    let checked = ran(&["check-config", "--json", bad.path()]);
    assert_eq!(code(&checked), Some(exit::USAGE));
    let expected = format!(
        "{{\"file\":\"{0}\",\"ok\":false,\"problems\":[{{\"severity\":\"error\",\"file\":\"{0}\",\"line\":1,\"column\":11,",
        bad.path()
    );
    assert!(checked.out.starts_with(&expected), "{}", checked.out);
    let good = Scratch::new("json-good", "");
    let checked = ran(&["check-config", "--json", good.path()]);
    assert!(
        checked.out.ends_with("\"ok\":true,\"problems\":[]}\n"),
        "{}",
        checked.out
    );
}

#[test]
fn strict_makes_warnings_fail() {
    let odd = Scratch::new("odd", "deflate = \"off\"\ndeflate_level = 2\n");
    assert_eq!(code(&ran(&["check-config", odd.path()])), Some(exit::OK));
    let strict = ran(&["check-config", "--strict", odd.path()]);
    assert_eq!(code(&strict), Some(exit::USAGE));
    assert!(strict.out.contains(":2:17: warning: "), "{}", strict.out);
}

#[test]
fn help_and_version_are_answers() {
    for args in [
        &["help"][..],
        &["--help"],
        &["serve", "--help"],
        &["help", "listen"],
    ] {
        let ran = ran(args);
        assert_eq!(code(&ran), Some(exit::OK), "{args:?}");
        assert!(ran.out.len() > 100 && ran.err.is_empty(), "{args:?}");
    }
    let version = ran(&["--version"]);
    assert_eq!(
        version.out,
        format!("throng {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_reader_that_left_is_no_failure() {
    struct Gone(io::ErrorKind);
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (kind, expected) in [
        (io::ErrorKind::BrokenPipe, exit::OK),
        (io::ErrorKind::StorageFull, exit::FAILED),
    ] {
        let outcome = run(["help".into()], &mut Gone(kind), &mut Vec::new());
        assert!(
            matches!(outcome, Outcome::Exit(code) if code == expected),
            "{kind}"
        );
    }
}
