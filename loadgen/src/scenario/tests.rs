use super::*;

const EVENING: &str = r#"
name = "evening"
target = "ws://127.0.0.1:9000-9003/echo"
duration = "2m"
ramp = "40k/s"
seed = 7
fail_if = ["p99>50ms", "lost>0"]

[[cohort]]
name = "people"
kind = "echo"
connections = "90k"
rate = "20k/s"
arrivals = "poisson"
size = "64-512"
payload = "binary"
headers = { Authorization = "Bearer user-{n}" }

[[cohort]]
name = "sleepers"
kind = "zoo"
beast = "never-read"
connections = 500

[[cohort]]
kind = "storm"
connections = 1000
backoff = "phoenix"
heartbeat = "10s"

[[phase]]
name = "before"
duration = "30s"
silent = ["sleepers"]
absent = ["sleepers"]

[[phase]]
duration = "30s"
rate = 1.5
cut = "30%"
by = "silence"

[[phase]]
name = "after"
"#;

#[test]
fn a_file_becomes_a_scenario() {
    let scenario = parse("evening.toml", EVENING, None).unwrap();
    assert_eq!(
        (scenario.connections(), scenario.seed, scenario.ramp_per_s),
        (91_500, Some(7), 40_000.0)
    );
    assert_eq!(scenario.duration, Duration::from_secs(120));
    let tags: Vec<_> = scenario.tags();
    assert_eq!(
        tags,
        [
            ("people".into(), false),
            ("sleepers".into(), true),
            ("storm".into(), false)
        ]
    );
    let people = &scenario.cohorts[0];
    assert_eq!(
        people.kind,
        Kind::Echo {
            pace: Pace::Open {
                rate_per_s: 20_000.0,
                arrivals: Arrivals::Poisson
            }
        }
    );
    assert_eq!(
        people.messages,
        MessageShape {
            bytes: (64, 512),
            text: false,
            deflate: false
        }
    );
    assert_eq!(
        people.handshake.headers,
        [("Authorization".to_owned(), "Bearer user-{n}".to_owned())]
    );
    assert_eq!(
        scenario.cohorts[2].kind,
        Kind::Storm {
            backoff: Backoff::Phoenix
        }
    );
    assert_eq!(
        scenario.cohorts[2].handshake.heartbeat,
        Duration::from_secs(10)
    );
    assert_eq!(
        scenario.phases[1].cut,
        Some(Cut {
            share: 0.3,
            by: CutBy::Silence
        })
    );
    assert_eq!(
        (scenario.targets[0].ports, scenario.thresholds.len()),
        ((9000, 9003), 2)
    );
    assert!((scenario.intended_per_s() - 20_000.0).abs() < 1e-9);
}

#[test]
fn phases_follow_each_other() {
    let scenario = parse("evening.toml", EVENING, None).unwrap();
    for (at_s, phase, began_s) in [
        (0, 0, 0),
        (29, 0, 0),
        (30, 1, 30),
        (59, 1, 30),
        (60, 2, 60),
        (9999, 2, 60),
    ] {
        let found = scenario.phase_at(Duration::from_secs(at_s)).unwrap();
        assert_eq!(found, (phase, Duration::from_secs(began_s)), "{at_s} s");
    }
}

/// The evening with one thing wrong: (what is replaced, by what, text on the line to blame, what is said).
const WRONG: &[(&str, &str, &str, &str)] = &[
    (
        "kind = \"echo\"",
        "kind = \"eco\"",
        "\"eco\"",
        "`eco` is none of: idle, echo",
    ),
    (
        "connections = 500",
        "connections = 0",
        "connections = 0",
        "at least one",
    ),
    (
        "rate = \"20k/s\"",
        "rat = \"20k/s\"",
        "rat =",
        "unknown key `rat`",
    ),
    (
        "rate = \"20k/s\"",
        "rate = \"fast\"",
        "fast",
        "`fast` does not start with a number",
    ),
    (
        "rate = \"20k/s\"",
        "rate = \"20k/s\"\nin_flight = 4",
        "in_flight",
        "open (rate) or closed",
    ),
    (
        "size = \"64-512\"",
        "size = \"512-64\"",
        "512-64",
        "out of range",
    ),
    (
        "duration = \"2m\"",
        "duration = \"90\"",
        "\"90\"",
        "needs a unit",
    ),
    ("duration = \"2m\"", "duration = 90", "= 90", "needs a unit"),
    ("\"lost>0\"", "\"lost\"", "fail_if", "a threshold compares"),
    (
        "[\"sleepers\"]",
        "[\"nobody\"]",
        "nobody",
        "no cohort `nobody`",
    ),
    (
        "name = \"sleepers\"",
        "name = \"../x\"",
        "../x",
        "letters, digits",
    ),
    (
        "backoff = \"phoenix\"",
        "backoff = \"hope\"",
        "hope",
        "`hope` is none of",
    ),
    (
        "by = \"silence\"",
        "by = \"axe\"",
        "axe",
        "`axe` is none of: rst, fin, silence",
    ),
    (
        "ws://127.0.0.1:9000-9003/echo",
        "http://x",
        "http://x",
        "ws:// or wss://",
    ),
    (
        "[[phase]]\nname = \"before\"",
        "[phase\nname = \"before\"",
        "[phase\n",
        "",
    ),
    ("Authorization", "\"a b\"", "\"a b\"", "not a header"),
    (
        "payload = \"binary\"",
        "payload = true",
        "payload",
        "string in quotes",
    ),
    (
        "name = \"after\"",
        "name = \"after\"\nduration = \"5m\"",
        "duration = \"2m\"",
        "the phases last",
    ),
];

#[test]
fn errors_name_their_line() {
    for (from, to, blamed, says) in WRONG {
        let text = EVENING.replacen(from, to, 1);
        assert_ne!(text, EVENING, "{from}");
        let line = 1 + text[..text.find(blamed).unwrap()].matches('\n').count();
        let error = parse("evening.toml", &text, None).unwrap_err();
        assert!(error.message.contains(says), "{to}: {error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("evening.toml:{line}: ")),
            "{to}, line {line}: {error}"
        );
    }
}

#[test]
fn what_is_missing_is_asked_for() {
    let error = |text: &str| parse("x.toml", text, None).unwrap_err().message;
    assert!(error("duration = \"1s\"").contains("[[cohort]]"));
    assert!(error("[[cohort]]\nkind = \"idle\"\nconnections = 1").contains("say how long"));
    assert!(
        error(&EVENING.replacen("beast = \"never-read\"", "", 1))
            .contains("a zoo has a beast: vanish")
    );
    assert!(
        error(&EVENING.replacen("\"sleepers\"", "\"people\"", 1)).contains("`people` is taken")
    );
}

#[test]
fn how_long_is_said_by_the_file_or_by_the_command_line() {
    let cohort = "[[cohort]]\nkind = \"idle\"\nconnections = 1\n";
    let lasts = |text: &str, given_s: Option<u64>| {
        let given = given_s.map(Duration::from_secs);
        parse("x.toml", text, given).map(|scenario| scenario.duration.as_secs())
    };
    let message = lasts(cohort, None).unwrap_err().message;
    assert!(message.contains("--duration 60s"), "{message}");
    assert_eq!(lasts(cohort, Some(7)), Ok(7));
    let written = format!("duration = \"1m\"\n{cohort}");
    assert_eq!(lasts(&written, None), Ok(60));
    assert_eq!(lasts(&written, Some(7)), Ok(7));
    let phases = format!("{cohort}[[phase]]\nduration = \"30s\"\n[[phase]]\nduration = \"15s\"\n");
    assert_eq!(lasts(&phases, None), Ok(45));
    assert_eq!(lasts(&phases, Some(7)), Ok(7));
    let contradiction = format!("duration = \"1m\"\n{phases}");
    assert_eq!(lasts(&contradiction, Some(7)).unwrap_err().line, 1);
}
