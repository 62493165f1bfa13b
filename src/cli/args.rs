//! Reading the command line.
//!
//! Written by hand: every flag is long, all but four take a value, and the table of knobs already
//! knows them. A parsing crate would add a dependency, stop at the first mistake, and accept
//! `--workers --listen :1` with `--listen` as the number of workers; this takes a page.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::machine::{Options, Verb};
use super::{dev_cert, token};
use crate::config::knobs::{self, KNOBS};
use crate::config::suggest::nearest;
use crate::config::{Knob, Namespace, Place, Problem, Setting, file, namespace};

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run the server.
    Serve {
        /// `--config FILE`.
        file: Option<PathBuf>,
    },
    /// Say what is wrong with a file.
    CheckConfig {
        /// The file.
        file: PathBuf,
        /// How to say it.
        form: CheckForm,
    },
    /// Say what is in the way on this machine.
    Doctor(Options),
    /// Set it.
    Tune(Options),
    /// `throng dev-cert`.
    DevCert(dev_cert::Options),
    /// `throng token`.
    Token(token::Options),
    /// Print help.
    Help(Topic),
    /// Print the version.
    Version,
}

/// How `check-config` reports and judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckForm {
    /// One JSON object instead of text.
    pub json: bool,
    /// Warnings fail, too.
    pub strict: bool,
}

/// What help is wanted about.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    /// The commands.
    Overview,
    /// `throng serve` and its flags.
    Serve,
    /// `throng check-config`.
    CheckConfig,
    /// `throng doctor` or `throng tune`.
    Machine(Verb),
    /// `throng dev-cert`.
    DevCert,
    /// `throng token`.
    Token,
    /// One knob in full.
    Knob(&'static Knob),
    /// What the channels of a namespace may be like.
    Namespaces,
    /// One option of a namespace in full.
    Option(&'static Knob<Namespace>),
    /// The knobs as the README's table.
    Markdown,
}

/// The command line, understood as far as possible.
#[derive(Debug)]
pub struct Parsed {
    /// What to do.
    pub command: Command,
    /// The knobs that were set.
    pub settings: Vec<Setting>,
    /// Everything that was not understood.
    pub problems: Vec<Problem>,
}

/// Reads the arguments after the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut rest: VecDeque<_> = args.into_iter().collect();
    if let Some(verb) = rest.front().and_then(|word| Verb::named(word)) {
        rest.pop_front();
        return about_machine(verb, rest);
    }
    if rest.front().is_some_and(|word| word == "dev-cert") {
        rest.pop_front();
        let (options, problems) = dev_cert::Options::parse(rest);
        return Parsed {
            command: match options.help {
                true => Command::Help(Topic::DevCert),
                false => Command::DevCert(options),
            },
            settings: Vec::new(),
            problems,
        };
    }
    if rest.front().is_some_and(|word| word == "token") {
        rest.pop_front();
        let (options, problems) = token::Options::parse(rest);
        return Parsed {
            command: match options.help {
                true => Command::Help(Topic::Token),
                false => Command::Token(options),
            },
            settings: Vec::new(),
            problems,
        };
    }
    let mut scan = Scan {
        rest,
        ..Scan::default()
    };
    while let Some(arg) = scan.rest.pop_front() {
        scan.argument(arg);
    }
    let command = scan.command();
    Parsed {
        command,
        settings: scan.settings,
        problems: scan.problems,
    }
}

/// `doctor` and `tune` are about the machine and have flags of their own, no knobs.
fn about_machine(verb: Verb, rest: VecDeque<OsString>) -> Parsed {
    let (options, problems) = Options::parse(verb, rest);
    Parsed {
        command: match verb {
            _ if options.help => Command::Help(Topic::Machine(verb)),
            Verb::Doctor => Command::Doctor(options),
            Verb::Tune => Command::Tune(options),
        },
        settings: Vec::new(),
        problems,
    }
}

/// What has been seen so far.
#[derive(Default)]
struct Scan {
    rest: VecDeque<OsString>,
    /// The words that are no flags; the first is the command.
    words: Vec<OsString>,
    file: Option<PathBuf>,
    settings: Vec<Setting>,
    switches: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Scan {
    fn argument(&mut self, arg: OsString) {
        let (name, value) = split_at_equals(&arg);
        match name.to_str() {
            Some("-h") => self.switches.push("--help"),
            Some("-V") => self.switches.push("--version"),
            Some("--config") => {
                if let Some(path) = self.value("--config", "FILE", value) {
                    self.file = Some(path.into());
                }
            }
            Some(flag) if flag.starts_with("--") => match knob_of(flag) {
                // `throng help --max-message` asks about the flag.
                Some(knob) if self.words.first().is_some_and(|word| word == "help") => {
                    self.words.push(knob.name.into());
                }
                Some(knob) => self.setting(knob, value),
                None => self.switch(flag, value),
            },
            Some(word) if word.starts_with('-') && word.len() > 1 => {
                let cure = "flags begin with two dashes; throng serve --help lists them";
                self.error(format!("unknown flag {word:?}"), cure);
            }
            _ => self.words.push(arg),
        }
    }

    /// A flag that is no knob: a switch without a value, or a mistake.
    fn switch(&mut self, flag: &str, value: Option<OsString>) {
        let Some(known) = SWITCHES.into_iter().find(|known| *known == flag) else {
            self.unknown_flag(flag);
            return;
        };
        if value.is_some() {
            self.error(format!("{flag} takes no value"), format!("write {flag}"));
        }
        self.switches.push(known);
    }

    fn unknown_flag(&mut self, flag: &str) {
        let name = flag.trim_start_matches('-');
        let switch = nearest(flag, SWITCHES.into_iter().chain(["--config"]));
        let knob = file::suggestion(name).map(Knob::flag);
        let cure = match knob.or_else(|| switch.map(str::to_owned)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "throng serve --help lists the flags".to_owned(),
        };
        // Its value, if it has one, would only be a second mystery.
        if self.rest.front().is_some_and(|next| !is_flag(next)) && !flag.contains('=') {
            self.rest.pop_front();
        }
        self.error(format!("unknown flag {flag:?}"), cure);
    }

    fn setting(&mut self, knob: &'static Knob, value: Option<OsString>) {
        let flag = knob.flag();
        let Some(value) = self.value(&flag, &knob.placeholder(), value) else {
            return;
        };
        match value.into_string() {
            Ok(text) => self.settings.push(Setting {
                knob,
                text,
                place: Place::CommandLine,
            }),
            Err(value) => self.error(
                format!("{flag} {value:?} is not UTF-8"),
                format!("write {flag} {}", knob.example),
            ),
        }
    }

    /// The value after `=`, or the next argument unless that is a flag itself.
    fn value(&mut self, flag: &str, wanted: &str, attached: Option<OsString>) -> Option<OsString> {
        if attached.is_some() {
            return attached;
        }
        match self.rest.front() {
            Some(next) if !is_flag(next) => self.rest.pop_front(),
            _ => {
                let cure = format!("write {flag} {wanted}");
                self.error(format!("{flag} has no value"), cure);
                None
            }
        }
    }

    fn command(&mut self) -> Command {
        let mut words: VecDeque<_> = std::mem::take(&mut self.words).into();
        let word = words.pop_front();
        let word = word.as_deref().map(OsStr::to_string_lossy);
        let wants_help = self.switches.contains(&"--help");
        let command = match word.as_deref() {
            _ if self.switches.contains(&"--version") => Command::Version,
            None if wants_help => Command::Help(Topic::Overview),
            None => Command::Serve {
                file: self.file.take(),
            },
            Some("serve") if wants_help => Command::Help(Topic::Serve),
            Some("serve") => Command::Serve {
                file: self.file.take(),
            },
            Some("check-config") if wants_help => Command::Help(Topic::CheckConfig),
            Some("check-config") => self.check_config(&mut words),
            Some("help") => self.help(&mut words),
            Some("version") => Command::Version,
            Some(other) => self.unknown_command(other),
        };
        if let Some(extra) = words.front() {
            self.error(
                format!("unexpected argument {extra:?}"),
                "throng help shows how the commands are written",
            );
        }
        self.check_belonging(&command);
        command
    }

    fn check_config(&mut self, words: &mut VecDeque<OsString>) -> Command {
        // `--config FILE` says the same thing, so it is understood.
        let file = words.pop_front().map(PathBuf::from).or(self.file.take());
        if file.is_none() {
            self.error(
                "check-config names no file".to_owned(),
                "write throng check-config FILE",
            );
        }
        Command::CheckConfig {
            file: file.unwrap_or_default(),
            form: CheckForm {
                json: self.switches.contains(&"--json"),
                strict: self.switches.contains(&"--strict"),
            },
        }
    }

    fn help(&mut self, words: &mut VecDeque<OsString>) -> Command {
        let Some(word) = words.pop_front() else {
            let is_table = self.switches.contains(&"--markdown");
            return Command::Help(if is_table {
                Topic::Markdown
            } else {
                Topic::Overview
            });
        };
        let word = word.to_string_lossy();
        Command::Help(match &*word {
            "serve" => Topic::Serve,
            "check-config" => Topic::CheckConfig,
            "help" | "version" => Topic::Overview,
            "doctor" => Topic::Machine(Verb::Doctor),
            "tune" => Topic::Machine(Verb::Tune),
            "dev-cert" => Topic::DevCert,
            "token" => Topic::Token,
            "namespaces" | "namespace" => Topic::Namespaces,
            name => match knobs::find(&name.replace('_', "-")) {
                Some(knob) => Topic::Knob(knob),
                None => {
                    if let Some(option) = namespace::find(&name.replace('_', "-")) {
                        return Command::Help(Topic::Option(option));
                    }
                    let cure = match file::suggestion(name) {
                        Some(knob) => format!("did you mean throng help {}?", knob.name),
                        None => {
                            "throng help lists the commands, throng help serve the flags".into()
                        }
                    };
                    self.error(format!("no help on {name:?}"), cure);
                    Topic::Overview
                }
            },
        })
    }

    fn unknown_command(&mut self, word: &str) -> Command {
        let cure = if word.ends_with(".toml") {
            format!("write throng --config {word}")
        } else {
            match nearest(word, COMMANDS) {
                Some(meant) => format!("did you mean throng {meant}?"),
                None => format!("the commands are {}", COMMANDS.join(", ")),
            }
        };
        self.error(format!("unknown command {word:?}"), cure);
        Command::Help(Topic::Overview)
    }

    /// A flag that the command would ignore is a mistake, not a detail.
    fn check_belonging(&mut self, command: &Command) {
        let (name, allowed): (_, &[&str]) = match command {
            Command::Serve { .. } => ("serve", &[]),
            Command::CheckConfig { .. } => ("check-config", &["--json", "--strict"]),
            // Asking for help or the version is never wrong, whatever else was typed; the other two
            // were judged by their own table.
            Command::Help(_)
            | Command::Version
            | Command::Doctor(_)
            | Command::Tune(_)
            | Command::DevCert(_)
            | Command::Token(_) => return,
        };
        for switch in std::mem::take(&mut self.switches) {
            if !allowed.contains(&switch) {
                self.error(
                    format!("{switch} does not belong to throng {name}"),
                    format!("throng {name} --help lists what does"),
                );
            }
        }
        if let (Command::CheckConfig { .. }, Some(setting)) = (command, self.settings.first()) {
            let cause = format!("{} does not belong to check-config", setting.knob.flag());
            self.error(cause, "check-config judges the file alone; leave it out");
        }
    }

    fn error(&mut self, cause: String, cure: impl Into<String>) {
        self.problems
            .push(Problem::error(Place::CommandLine, cause, cure));
    }
}

fn knob_of(flag: &str) -> Option<&'static Knob> {
    KNOBS
        .iter()
        .find(|knob| Some(knob.name) == flag.strip_prefix("--"))
}

fn is_flag(arg: &OsStr) -> bool {
    arg.as_bytes().starts_with(b"--")
}

/// Cuts `--flag=value`; a word that is no flag stays whole.
fn split_at_equals(arg: &OsStr) -> (&OsStr, Option<OsString>) {
    let bytes = arg.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if is_flag(arg) => (
            OsStr::from_bytes(&bytes[..at]),
            Some(OsStr::from_bytes(&bytes[at + 1..]).to_owned()),
        ),
        _ => (arg, None),
    }
}

/// The words that may come first.
const COMMANDS: [&str; 8] = [
    "serve",
    "check-config",
    "doctor",
    "tune",
    "dev-cert",
    "token",
    "help",
    "version",
];
/// Flags without a value.
const SWITCHES: [&str; 5] = ["--help", "--version", "--json", "--strict", "--markdown"];

#[cfg(test)]
mod tests;
