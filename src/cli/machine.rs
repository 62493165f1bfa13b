//! The command lines of `throng doctor` and `throng tune`: one table of flags for both.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::PathBuf;

use crate::config::quantity::{parse_bytes, parse_count};
use crate::config::suggest::nearest;
use crate::config::{Place, Problem};
use crate::tuning::{Ends, Goal, Host};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `throng doctor`.
    Doctor,
    /// `throng tune`.
    Tune,
}

impl Verb {
    /// The verb that a word is, if it is one.
    pub fn named(word: &OsStr) -> Option<Self> {
        match word.to_str() {
            Some("doctor") => Some(Self::Doctor),
            Some("tune") => Some(Self::Tune),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Tune => "tune",
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--help`.
    pub help: bool,
    /// `--connections`.
    pub connections: Option<u64>,
    /// `--rate`.
    pub rate_per_s: Option<u64>,
    /// `--both-ends`.
    pub both_ends: bool,
    /// `--client`.
    pub client: bool,
    /// `--workers`.
    pub workers: Option<u64>,
    /// `--sources`.
    pub sources: Option<u64>,
    /// `--tracked`.
    pub tracked: bool,
    /// `--pid`.
    pub pid: Option<u64>,
    /// `--since`.
    pub since: Option<PathBuf>,
    /// `--json`.
    pub json: bool,
    /// `--markdown`.
    pub markdown: bool,
    /// `--apply`.
    pub apply: bool,
    /// `--undo`.
    pub undo: bool,
    /// `--runtime`.
    pub runtime: bool,
    /// `--out`.
    pub out: Option<PathBuf>,
    /// `--stock`.
    pub stock_bytes: Option<u64>,
    /// `--root`.
    pub root: Option<PathBuf>,
}

impl Options {
    /// The machine, as far as the command line knows better than its files.
    pub fn adjusted(&self, mut host: Host) -> Host {
        if self.tracked {
            host.conntrack_count = host.conntrack_count.max(Some(1));
        }
        host
    }

    /// What is asked of `host`.
    pub fn goal(&self, host: &Host) -> Goal {
        let ends = match (self.both_ends, self.client) {
            (true, _) => Ends::Both,
            (false, true) => Ends::Client,
            (false, false) => Ends::Server,
        };
        let connections = self.connections.unwrap_or(CONNECTIONS);
        let goal = Goal::new(connections, ends, self.workers.unwrap_or(host.cores));
        Goal {
            rate_per_s: self.rate_per_s.unwrap_or(goal.rate_per_s),
            sources: self.sources,
            ..goal
        }
    }

    /// The flags that say what is asked, to be typed again.
    pub fn typed_goal(&self) -> String {
        let mut text = format!("--connections {}", self.connections.unwrap_or(CONNECTIONS));
        let numbers = [
            ("rate", self.rate_per_s),
            ("workers", self.workers),
            ("sources", self.sources),
        ];
        for (name, value) in numbers {
            if let Some(value) = value {
                let _ = write!(text, " --{name} {value}");
            }
        }
        let switches = [
            ("both-ends", self.both_ends),
            ("client", self.client),
            ("tracked", self.tracked),
        ];
        for (name, is_set) in switches {
            if is_set {
                let _ = write!(text, " --{name}");
            }
        }
        text
    }

    /// What the rest of a command line asks for, and everything that was not understood.
    pub fn parse(verb: Verb, mut rest: VecDeque<OsString>) -> (Self, Vec<Problem>) {
        let (mut options, mut problems) = (Self::default(), Vec::new());
        while let Some(arg) = rest.pop_front() {
            if let Err((cause, cure)) = options.argument(verb, &arg, &mut rest) {
                problems.push(Problem::error(Place::CommandLine, cause, cure));
            }
        }
        problems.extend(options.contradictions());
        (options, problems)
    }

    fn argument(
        &mut self,
        verb: Verb,
        arg: &OsStr,
        rest: &mut VecDeque<OsString>,
    ) -> Result<(), (String, String)> {
        let word = arg.to_string_lossy();
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (&*word, None),
        };
        if matches!(name, "--help" | "-h") {
            self.help = true;
            return Ok(());
        }
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
            return Err(unknown(verb, name));
        };
        if !flag.verbs.contains(&verb) {
            let other = flag.verbs[0].name();
            return Err((
                format!("{name} does not belong to throng {}", verb.name()),
                format!("it belongs to throng {other}"),
            ));
        }
        if flag.value.is_empty() {
            return match attached {
                None => (flag.set)(self, ""),
                Some(_) => Err(format!("{name} takes no value")),
            }
            .map_err(|cause| (cause, format!("write {name}")));
        }
        let is_value = |next: &&OsString| !next.to_string_lossy().starts_with("--");
        let value = match attached {
            None if rest.front().filter(is_value).is_some() => rest.pop_front(),
            attached => attached.map(OsString::from),
        };
        let value = value.map(|value| value.to_string_lossy().into_owned());
        let example = format!("write {name} {}", flag.value);
        let value = value.ok_or_else(|| (format!("{name} has no value"), example.clone()))?;
        (flag.set)(self, &value).map_err(|why| (format!("{name} {value:?} {why}"), example))
    }

    fn contradictions(&self) -> Vec<Problem> {
        let is_written = self.apply || self.undo;
        let pairs = [
            (self.both_ends && self.client, "--both-ends", "--client"),
            (self.apply && self.undo, "--apply", "--undo"),
            (
                is_written && self.out.is_some(),
                "--out",
                "--apply or --undo",
            ),
            (
                is_written && self.stock_bytes.is_some(),
                "--stock",
                "--apply or --undo",
            ),
            (self.json && self.markdown, "--json", "--markdown"),
        ];
        let both = pairs.into_iter().filter(|(is_so, ..)| *is_so);
        let mut problems: Vec<_> = both
            .map(|(_, one, other)| {
                (
                    format!("{one} and {other} exclude each other"),
                    "leave one out",
                )
            })
            .collect();
        if self.runtime && !self.apply {
            problems.push(("--runtime says how to --apply".to_owned(), "add --apply"));
        }
        let error = |(cause, cure)| Problem::error(Place::CommandLine, cause, cure);
        problems.into_iter().map(error).collect()
    }
}

fn unknown(verb: Verb, name: &str) -> (String, String) {
    let known = FLAGS.iter().filter(|flag| flag.verbs.contains(&verb));
    let cure = match nearest(name, known.map(|flag| flag.name)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("throng {} --help lists the flags", verb.name()),
    };
    let what = if name.starts_with('-') {
        "unknown flag"
    } else {
        "unexpected argument"
    };
    (format!("{what} {name:?}"), cure)
}

/// `throng doctor --help`, `throng tune --help`.
pub fn help(verb: Verb) -> String {
    let (head, tail) = match verb {
        Verb::Doctor => (DOCTOR_HEAD, DOCTOR_TAIL),
        Verb::Tune => (TUNE_HEAD, TUNE_TAIL),
    };
    let mut text = head.to_owned();
    let help = ("--help, -h", "", "Print this text");
    let own = FLAGS.iter().filter(|flag| flag.verbs.contains(&verb));
    let lines = own
        .map(|flag| (flag.name, flag.value, flag.help))
        .chain([help]);
    for (name, value, about) in lines {
        let flag = format!("  {name} {value}");
        let _ = writeln!(text, "{:28}{about}", flag.trim_end());
    }
    text.push_str(tail);
    text
}

struct Flag {
    name: &'static str,
    /// What its value stands for; empty for a switch.
    value: &'static str,
    verbs: &'static [Verb],
    set: fn(&mut Options, &str) -> Result<(), String>,
    help: &'static str,
}

const BOTH: &[Verb] = &[Verb::Doctor, Verb::Tune];
const DOCTOR: &[Verb] = &[Verb::Doctor];
const TUNE: &[Verb] = &[Verb::Tune];

const FLAGS: &[Flag] = &[
    Flag {
        name: "--connections",
        value: "N",
        verbs: BOTH,
        set: |options, text| count(text).map(|n| options.connections = Some(n)),
        help: "Connections to be held: 100k, 1M (default 1M)",
    },
    Flag {
        name: "--rate",
        value: "N",
        verbs: BOTH,
        set: |options, text| count(text).map(|n| options.rate_per_s = Some(n)),
        help: "Connects per second (default: all come back within 25 s)",
    },
    Flag {
        name: "--both-ends",
        value: "",
        verbs: BOTH,
        set: |options, _| switch(&mut options.both_ends),
        help: "The clients are on this machine, too",
    },
    Flag {
        name: "--client",
        value: "",
        verbs: BOTH,
        set: |options, _| switch(&mut options.client),
        help: "Connections begin here and end elsewhere",
    },
    Flag {
        name: "--workers",
        value: "N",
        verbs: BOTH,
        set: |options, text| count(text).map(|n| options.workers = Some(n)),
        help: "Event loops of the server (default: one per core)",
    },
    Flag {
        name: "--sources",
        value: "N",
        verbs: BOTH,
        set: |options, text| count(text).map(|n| options.sources = Some(n)),
        help: "Client addresses for which the kernel picks the ports",
    },
    Flag {
        name: "--tracked",
        value: "",
        verbs: BOTH,
        set: |options, _| switch(&mut options.tracked),
        help: "Count on a firewall that tracks connections, here or in a container",
    },
    Flag {
        name: "--pid",
        value: "PID",
        verbs: DOCTOR,
        set: |options, text| count(text).map(|n| options.pid = Some(n)),
        help: "Judge the limits and control group of this process",
    },
    Flag {
        name: "--since",
        value: "FILE",
        verbs: DOCTOR,
        set: |options, text| path(text).map(|file| options.since = Some(file)),
        help: "Name the walls hit since FILE was written by --json",
    },
    Flag {
        name: "--json",
        value: "",
        verbs: DOCTOR,
        set: |options, _| switch(&mut options.json),
        help: "One JSON object: verdict, findings, counters",
    },
    Flag {
        name: "--markdown",
        value: "",
        verbs: DOCTOR,
        set: |options, _| switch(&mut options.markdown),
        help: "Everything known about every limit, for tuning/README.md",
    },
    Flag {
        name: "--apply",
        value: "",
        verbs: TUNE,
        set: |options, _| switch(&mut options.apply),
        help: "Show the difference, write the files, make the settings",
    },
    Flag {
        name: "--runtime",
        value: "",
        verbs: TUNE,
        set: |options, _| switch(&mut options.runtime),
        help: "With --apply: no files; until the next start of the machine",
    },
    Flag {
        name: "--undo",
        value: "",
        verbs: TUNE,
        set: |options, _| switch(&mut options.undo),
        help: "Put back what was there before --apply",
    },
    Flag {
        name: "--out",
        value: "DIR",
        verbs: TUNE,
        set: |options, text| path(text).map(|folder| options.out = Some(folder)),
        help: "Write the files into DIR instead of printing them",
    },
    Flag {
        name: "--stock",
        value: "SIZE",
        verbs: TUNE,
        set: |options, text| size(text).map(|bytes| options.stock_bytes = Some(bytes)),
        help: "For an untouched machine with so much memory, not this one",
    },
    Flag {
        name: "--root",
        value: "DIR",
        verbs: BOTH,
        set: |options, text| path(text).map(|folder| options.root = Some(folder)),
        help: "Read (and write) below DIR: an image, a copy of /proc",
    },
];

fn switch(flag: &mut bool) -> Result<(), String> {
    *flag = true;
    Ok(())
}

/// `1000000`, `1_000_000`, `1000k` and `1M` are the same.
fn count(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        _ => (text, 1),
    };
    let number = parse_count(number).map_err(|error| error.to_string())?;
    match number.checked_mul(factor) {
        Some(count @ 1..=COUNT_MAX) => Ok(count),
        _ => Err(format!("is not between 1 and {COUNT_MAX}")),
    }
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| error.to_string())
}

fn path(text: &str) -> Result<PathBuf, String> {
    Ok(text.into())
}

/// What is asked where nothing is said: the number this project is about.
const CONNECTIONS: u64 = 1_000_000;
/// More than any machine holds, and small enough to be multiplied without care.
const COUNT_MAX: u64 = 1 << 32;

const DOCTOR_HEAD: &str = "\
Usage: throng doctor [FLAGS]

Reads every limit of this machine that matters to so many connections, says which one would stop
them first and at how many, and what moves it. Changes nothing.

";
const DOCTOR_TAIL: &str = "
Before and after a run:
  throng doctor --json > before.json
  throng doctor --since before.json        the walls that were hit, by the kernel's own counters

Exit codes:
  0   ready
  1   not ready: something stops or loses connections
  2   the command line is wrong
";
const TUNE_HEAD: &str = "\
Usage: throng tune [FLAGS]

Works out what this machine needs for so many connections, and prints the files that set it:
sysctl.d, limits.d, a drop-in for the unit, the option of the tracker's module. Only what is missing
is set, and nothing is ever lowered.

";
const TUNE_TAIL: &str = "
Examples:
  throng tune --connections 1M --both-ends                 look first
  throng tune --connections 1M --both-ends --apply         keep it
  throng tune --connections 1M --apply --runtime           for one run, or in a network namespace
  throng tune --undo                                       as it was

Exit codes:
  0   printed, or everything is as wanted now
  1   something could not be set or put back; the rest is done
  2   the command line is wrong
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(verb: Verb, line: &str) -> (Options, Vec<String>) {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (options, problems) = Options::parse(verb, words);
        (
            options,
            problems.into_iter().map(|problem| problem.cause).collect(),
        )
    }

    #[test]
    fn goals_are_read_and_can_be_typed_again() {
        let line = "--connections 100k --rate=5_000 --workers 4 --sources 3 --both-ends";
        let (options, problems) = parsed(Verb::Doctor, line);
        assert_eq!(problems, [""; 0]);
        let goal = options.goal(&Host::default());
        assert_eq!(
            (goal.connections, goal.rate_per_s, goal.queues),
            (100_000, 5_000, 4)
        );
        assert_eq!((goal.ends, goal.sources), (Ends::Both, Some(3)));
        assert_eq!(parsed(Verb::Tune, &options.typed_goal()).0, options);
        let (options, _) = parsed(Verb::Doctor, "--client");
        let goal = options.goal(&Host::default());
        assert_eq!((goal.connections, goal.ends), (1_000_000, Ends::Client));
    }

    #[test]
    fn mistakes_are_told() {
        for (verb, line, cause) in [
            (
                Verb::Doctor,
                "--conections 5",
                "unknown flag \"--conections\"",
            ),
            (Verb::Doctor, "--connections", "--connections has no value"),
            (
                Verb::Doctor,
                "--connections --json",
                "--connections has no value",
            ),
            (Verb::Doctor, "--json=1", "--json takes no value"),
            (
                Verb::Doctor,
                "--apply",
                "--apply does not belong to throng doctor",
            ),
            (
                Verb::Tune,
                "--json",
                "--json does not belong to throng tune",
            ),
            (
                Verb::Tune,
                "--both-ends --client",
                "--both-ends and --client exclude each other",
            ),
            (
                Verb::Tune,
                "--apply --undo",
                "--apply and --undo exclude each other",
            ),
            (Verb::Tune, "--runtime", "--runtime says how to --apply"),
            (Verb::Tune, "fast", "unexpected argument \"fast\""),
        ] {
            assert_eq!(parsed(verb, line).1[0], cause, "{line}");
        }
        for value in ["0", "-1", "x", "", "5G", "99999999999M"] {
            let line = format!("--connections={value}");
            assert_eq!(parsed(Verb::Tune, &line).1.len(), 1, "{value:?}");
        }
    }

    #[test]
    fn help_names_every_flag_and_fits_a_terminal() {
        for verb in [Verb::Doctor, Verb::Tune] {
            let text = help(verb);
            for flag in FLAGS {
                let line = format!("\n  {} ", flag.name);
                assert_eq!(text.contains(&line), flag.verbs.contains(&verb), "{line}");
            }
            assert!(text.lines().all(|line| line.chars().count() <= 100));
        }
    }
}
