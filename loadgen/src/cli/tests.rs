use std::time::Duration;

use super::*;
use crate::backoff::Backoff;
use crate::scenario::{Beast, Cut, CutBy, Kind, Pace};
use crate::schedule::Arrivals;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn run(line: &str) -> RunOptions {
    match parse(&words(&format!(
        "run --target ws://127.0.0.1:9000/echo {line}"
    )))
    .unwrap()
    {
        Command::Run(options) => *options,
        other => panic!("{other:?}"),
    }
}

fn error(line: &str) -> String {
    parse(&words(line)).unwrap_err().to_string()
}

#[test]
fn the_line_of_the_readme() {
    let options = run(
        "--scenario echo --connections 1000 --rate 20000 --duration 30s --ramp 40000 --source 127.0.0.0/16 --threads 4 --report out",
    );
    assert_eq!(options.scenario.connections(), 1000);
    assert_eq!(
        options.scenario.cohorts[0].kind,
        Kind::Echo {
            pace: Pace::Open {
                rate_per_s: 20_000.0,
                arrivals: Arrivals::Even
            }
        }
    );
    assert_eq!(
        (options.scenario.ramp_per_s, options.scenario.duration),
        (40_000.0, Duration::from_secs(30))
    );
    assert_eq!(
        (options.threads, options.report),
        (Some(4), Some("out".into()))
    );
    assert_eq!(options.sources.unwrap().address_count(), 65_534);
}

#[test]
fn defaults_are_stated_in_the_help_and_true() {
    let options = run("");
    assert_eq!(
        options.scenario.cohorts[0].kind,
        Kind::Echo {
            pace: Pace::Closed { in_flight: 1 }
        }
    );
    assert_eq!(
        (
            options.scenario.connections(),
            options.handshakes_max,
            options.retries_max
        ),
        (100, 512, 3)
    );
    assert_eq!(
        (options.scenario.duration, options.alive_window),
        (Duration::from_secs(30), Duration::from_secs(35))
    );
    let help = help::of(Verb::Run);
    for stated in [
        "(default 100)",
        "(default 512)",
        "(default 3)",
        "(default 30s)",
        "(default 64)",
        "(default 10s)",
    ] {
        assert!(help.contains(stated), "{stated}");
    }
}

#[test]
fn kinds_have_their_own_flags() {
    let zoo = run("--scenario zoo --beast vanish --duration 1m").scenario;
    assert_eq!(
        zoo.cohorts[1].kind,
        Kind::Zoo {
            beast: Beast::Vanish
        }
    );
    assert_eq!(
        (zoo.cohorts[0].name.as_str(), zoo.cohorts[0].connections),
        ("bystanders", 100)
    );
    assert_eq!(zoo.phases[0].silent, ["zoo"]);
    assert!(zoo.phases[1].silent.is_empty());
    let alone = run("--scenario zoo --beast vanish --bystanders 0").scenario;
    assert_eq!((alone.cohorts.len(), alone.phases.len()), (1, 0));
    let storm =
        run("--scenario storm --cut 30% --cut-by fin --backoff signalr --duration 1m").scenario;
    assert_eq!(
        storm.cohorts[0].kind,
        Kind::Storm {
            backoff: Backoff::SignalR
        }
    );
    assert_eq!(storm.phases[0].duration, Some(Duration::from_secs(30)));
    assert_eq!(
        storm.phases[1].cut,
        Some(Cut {
            share: 0.3,
            by: CutBy::Fin
        })
    );
    assert_eq!(
        run("--scenario churn --life 3s").scenario.cohorts[0].kind,
        Kind::Churn {
            life: Duration::from_secs(3)
        }
    );
    let many = run("--target ws://h:1/ --target=ws://h:2/ --fail-if p99>5ms --fail-if lost>0");
    assert_eq!(
        (many.scenario.targets.len(), many.scenario.thresholds.len()),
        (3, 2)
    );
}

#[test]
fn mistakes_are_answered() {
    for (line, says) in [
        ("rum", "`rum` is no command"),
        ("run", "say where: --target"),
        ("run --target http://h", "ws:// or wss://"),
        (
            "run --target ws://h --conections 5",
            "did you mean --connections?",
        ),
        ("run --target ws://h --zzzzzzzzzz 5", "see --help"),
        (
            "run --target ws://h --connections",
            "--connections needs a value: --connections N",
        ),
        (
            "run --target ws://h --connections many",
            "`many` does not start with a number",
        ),
        (
            "run --target ws://h --connections 5 --connections 6",
            "stands twice",
        ),
        ("run --target ws://h --connections 0", "at least 1"),
        ("run --target ws://h --quiet=yes", "takes no value"),
        ("run --target ws://h --duration 30", "needs a unit"),
        ("run --target ws://h --rate 5 --in-flight 2", "not both"),
        ("run --target ws://h --scenario dance", "none of idle, echo"),
        ("run --target ws://h --scenario zoo", "--beast"),
        ("run --target ws://h --fail-if fast", "a threshold compares"),
        ("run --target ws://h --into x", "--into belongs to merge"),
        ("run --target ws://h --source ten", "--source `ten`"),
        ("run --target ws://h --ports 9-1", "is written 1024-65535"),
        ("run --target ws://h --threads 0", "auto or 1 to 1024"),
        ("run --target ws://h --header nothing", "'Name: value'"),
        ("run --target ws://h stray", "what is `stray`?"),
        (
            "run --target ws://h --scenario-file /nowhere-at-all.toml",
            "/nowhere-at-all.toml",
        ),
        ("search --target ws://h", "what must hold"),
        (
            "search --target ws://h --fail-if lost>0 --from 5 --to 5",
            "--from is below --to",
        ),
        ("diff a", "two bundles"),
        ("merge a b", "--into DIR"),
    ] {
        assert!(error(line).contains(says), "{line}: {}", error(line));
    }
}

#[test]
fn help_knows_every_flag_and_fits_a_terminal() {
    let mut all = help::overview();
    for &(name, verb) in Verb::ALL {
        assert!(matches!(
            parse(&words(&format!("{name} --help"))),
            Ok(Command::Help(_))
        ));
        all += &help::of(verb);
    }
    for flag in flags::FLAGS {
        assert!(all.contains(flag.name), "{}", flag.name);
    }
    let longest = all.lines().map(str::len).max().unwrap();
    assert!(longest <= 104, "{longest} columns");
    assert!(matches!(parse(&[]), Ok(Command::Help(_))));
    assert!(matches!(parse(&words("help plan")), Ok(Command::Help(_))));
}

#[test]
fn the_other_commands() {
    let diff = parse(&words("diff a b --html x.html --strict --seed 5")).unwrap();
    assert_eq!(
        diff,
        Command::Diff {
            a: "a".into(),
            b: "b".into(),
            html: Some("x.html".into()),
            seed: 5,
            strict: true
        }
    );
    let merge = parse(&words("merge a b --into c")).unwrap();
    assert_eq!(
        merge,
        Command::Merge {
            parts: vec!["a".into(), "b".into()],
            into: "c".into()
        }
    );
    assert_eq!(
        parse(&words("report d")).unwrap(),
        Command::Report("d".into())
    );
    let search = parse(&words(
        "search --target ws://h --fail-if p99>5ms --from 1k --to 9k --vary connections",
    ))
    .unwrap();
    let Command::Search(search) = search else {
        panic!("{search:?}")
    };
    assert_eq!(
        (search.vary, search.from, search.to, search.step),
        (Vary::Connections, 1000, 9000, Duration::from_secs(10))
    );
}

#[test]
fn a_scenario_file_replaces_the_flags_of_one_cohort() {
    let file = std::env::temp_dir().join(format!("loadgen-cli-{}.toml", std::process::id()));
    std::fs::write(
        &file,
        "duration = \"5s\"\nseed = 3\n[[cohort]]\nkind = \"idle\"\nconnections = 7\n",
    )
    .unwrap();
    let options = run(&format!("--scenario-file {}", file.display()));
    std::fs::write(&file, "[[cohort]]\nkind = \"idle\"\nconnections = 1\n").unwrap();
    let flag = run(&format!("--duration 9s --scenario-file {}", file.display()));
    assert_eq!(
        flag.scenario.duration,
        Duration::from_secs(9),
        "the flag suffices"
    );
    std::fs::write(&file, "duration = \"5s\"\n[[cohort]]\nkind = \"idel\"\n").unwrap();
    let broken = error(&format!(
        "run --target ws://h --scenario-file {}",
        file.display()
    ));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        (
            options.scenario.connections(),
            options.seed,
            options.scenario.targets.len()
        ),
        (7, Some(3), 1)
    );
    assert!(broken.contains(".toml:3: kind: `idel`"), "{broken}");
}
