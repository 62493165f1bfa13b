//! Command lines right and wrong.

use super::*;

fn parsed(line: &str) -> Parsed {
    parse(line.split_whitespace().map(OsString::from))
}

fn causes(line: &str) -> Vec<String> {
    let problems = parsed(line).problems;
    problems.into_iter().map(|problem| problem.cause).collect()
}

fn first_cure(line: &str) -> String {
    parsed(line).problems.first().expect(line).cure.clone()
}

fn settings(line: &str) -> Vec<(&'static str, String)> {
    let parsed = parsed(line);
    assert!(parsed.problems.is_empty(), "{line}: {:?}", parsed.problems);
    let settings = parsed.settings.into_iter();
    settings
        .map(|setting| (setting.knob.name, setting.text))
        .collect()
}

#[test]
fn serving_is_the_default_command() {
    for line in [
        "",
        "serve",
        "--workers 2",
        "serve --workers 2",
        "--workers 2 serve",
    ] {
        let command = parsed(line).command;
        assert!(matches!(command, Command::Serve { file: None }), "{line}");
    }
    let Command::Serve { file: Some(path) } = parsed("--config a.toml").command else {
        panic!("a file was named");
    };
    assert_eq!(path, PathBuf::from("a.toml"));
}

#[test]
fn both_ways_to_write_a_value() {
    let expected = [("workers", "2".to_owned()), ("listen", ":1".to_owned())];
    assert_eq!(settings("--workers 2 --listen :1"), expected);
    assert_eq!(settings("--workers=2 --listen=:1"), expected);
    // Only the first equals sign parts flag and value.
    assert_eq!(settings("--listen=unix:/a=b")[0].1, "unix:/a=b");
}

#[test]
fn every_knob_is_a_flag() {
    for knob in KNOBS {
        let line = format!("--{} {}", knob.name, knob.example);
        assert_eq!(settings(&line), [(knob.name, knob.example.to_owned())]);
    }
}

#[test]
fn a_flag_is_never_taken_for_a_value() {
    assert_eq!(causes("--workers --listen :1"), ["--workers has no value"]);
    assert_eq!(causes("--workers"), ["--workers has no value"]);
    assert_eq!(causes("--config"), ["--config has no value"]);
    assert_eq!(
        first_cure("--deflate"),
        "write --deflate off|shared|dedicated"
    );
    // A negative number is a value, and refused as such later.
    assert_eq!(settings("--workers -1"), [("workers", "-1".to_owned())]);
}

#[test]
fn help_and_version_win() {
    for (line, is_expected) in [
        (
            "help",
            (|t| matches!(t, Topic::Overview)) as fn(&Topic) -> bool,
        ),
        ("--help", |t| matches!(t, Topic::Overview)),
        ("-h", |t| matches!(t, Topic::Overview)),
        ("serve --help", |t| matches!(t, Topic::Serve)),
        ("help serve", |t| matches!(t, Topic::Serve)),
        ("check-config -h", |t| matches!(t, Topic::CheckConfig)),
        ("help check-config", |t| matches!(t, Topic::CheckConfig)),
        ("help --markdown", |t| matches!(t, Topic::Markdown)),
        (
            "help max-message",
            |t| matches!(t, Topic::Knob(k) if k.name == "max-message"),
        ),
        (
            "help max_message",
            |t| matches!(t, Topic::Knob(k) if k.name == "max-message"),
        ),
    ] {
        let parsed = parsed(line);
        let Command::Help(topic) = &parsed.command else {
            panic!("{line}: {:?}", parsed.command);
        };
        assert!(is_expected(topic), "{line}: {topic:?}");
        assert!(parsed.problems.is_empty(), "{line}");
    }
    for line in ["--version", "-V", "version", "serve --version"] {
        assert!(matches!(parsed(line).command, Command::Version), "{line}");
    }
}

#[test]
fn a_dashed_name_after_help_is_help_on_it() {
    let parsed = parsed("help --max-message");
    assert!(matches!(parsed.command, Command::Help(Topic::Knob(k)) if k.name == "max-message"));
    assert!(parsed.problems.is_empty());
}

#[test]
fn mistakes_are_recognised() {
    for (line, cause, cure) in [
        (
            "--wrokers 2",
            "unknown flag \"--wrokers\"",
            "did you mean --workers?",
        ),
        (
            "--port 80",
            "unknown flag \"--port\"",
            "did you mean --listen?",
        ),
        (
            "--threads=2",
            "unknown flag \"--threads\"",
            "did you mean --workers?",
        ),
        (
            "--confg a",
            "unknown flag \"--confg\"",
            "did you mean --config?",
        ),
        ("--hlep", "unknown flag \"--hlep\"", "did you mean --help?"),
        (
            "--zzz 1",
            "unknown flag \"--zzz\"",
            "throng serve --help lists the flags",
        ),
        (
            "-x",
            "unknown flag \"-x\"",
            "flags begin with two dashes; throng serve --help lists them",
        ),
        (
            "sevre",
            "unknown command \"sevre\"",
            "did you mean throng serve?",
        ),
        (
            "a.toml",
            "unknown command \"a.toml\"",
            "write throng --config a.toml",
        ),
        (
            "dance",
            "unknown command \"dance\"",
            "the commands are serve, check-config, doctor, tune, dev-cert, token, help, version",
        ),
        (
            "serve now",
            "unexpected argument \"now\"",
            "throng help shows how the commands are written",
        ),
        (
            "check-config",
            "check-config names no file",
            "write throng check-config FILE",
        ),
        (
            "help maxmessage",
            "no help on \"maxmessage\"",
            "did you mean throng help max-message?",
        ),
        (
            "--json",
            "--json does not belong to throng serve",
            "throng serve --help lists what does",
        ),
        ("--help=yes", "--help takes no value", "write --help"),
        (
            "check-config a --workers 2",
            "--workers does not belong to check-config",
            "check-config judges the file alone; leave it out",
        ),
    ] {
        assert_eq!(causes(line), [cause], "{line}");
        assert_eq!(first_cure(line), cure, "{line}");
    }
}

#[test]
fn several_mistakes_are_reported_together() {
    assert_eq!(causes("--wrokers 2 --zzz --json=1 now").len(), 4);
}

#[test]
fn check_config_takes_its_form() {
    let form = |line| match parsed(line).command {
        Command::CheckConfig { file, form } => (file, form.json, form.strict),
        other => panic!("{line}: {other:?}"),
    };
    let file = PathBuf::from("a.toml");
    assert_eq!(form("check-config a.toml"), (file.clone(), false, false));
    assert_eq!(
        form("check-config --json a.toml"),
        (file.clone(), true, false)
    );
    assert_eq!(
        form("check-config --config a.toml --strict"),
        (file, false, true)
    );
}

#[test]
fn bytes_that_are_no_text() {
    let broken = || OsStr::from_bytes(b"\xff").to_owned();
    let parsed = parse(["--workers".into(), broken()]);
    assert_eq!(parsed.problems[0].cause, "--workers \"\\xFF\" is not UTF-8");
    // Paths need not be text.
    let parsed = parse(["--config".into(), broken()]);
    assert!(parsed.problems.is_empty());
    let parsed = parse([broken()]);
    assert_eq!(parsed.problems.len(), 1);
}
