//! The command line: words in, one of the commands out, every mistake answered with what would be right.
//!
//! The flags are one table (`flags`): parsing, `--help` and the README's list come from it, so that none of
//! them can know a flag the others do not.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

mod arguments;
mod commands;
mod conclusion;
mod flags;
mod help;
mod launch;
mod run;
mod trust;

pub use commands::{execute, plan_of};
pub use run::{RunOptions, SearchOptions, Vary};

/// What the user wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Run a scenario.
    Run(Box<RunOptions>),
    /// Find the highest load that holds the thresholds.
    Search(Box<SearchOptions>),
    /// Print what a run needs, without running.
    Plan(Box<RunOptions>),
    /// Compare two bundles; the page goes to a file when one is named.
    Diff {
        /// The first bundle.
        a: PathBuf,
        /// The second.
        b: PathBuf,
        /// Where the page goes.
        html: Option<PathBuf>,
        /// Seed of the resampling.
        seed: u64,
        /// A real difference sets the exit code.
        strict: bool,
    },
    /// Join bundles.
    Merge {
        /// The parts.
        parts: Vec<PathBuf>,
        /// Where the whole goes.
        into: PathBuf,
    },
    /// Draw the pictures of a bundle again.
    Report(PathBuf),
    /// Write an invented bundle.
    Demo {
        /// Where it goes.
        dir: PathBuf,
        /// Seed of the invention.
        seed: u64,
        /// Added to every answer, to have something for `diff` to find.
        added: Duration,
    },
    /// Print this text.
    Help(String),
}

/// The commands by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Run,
    Search,
    Plan,
    Diff,
    Merge,
    Report,
    Demo,
}

/// A mistake on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError(pub String);

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CliError {}

impl Verb {
    pub(crate) const ALL: &[(&str, Self)] = &[
        ("run", Self::Run),
        ("search", Self::Search),
        ("plan", Self::Plan),
        ("diff", Self::Diff),
        ("merge", Self::Merge),
        ("report", Self::Report),
        ("demo", Self::Demo),
    ];
}

/// Reads the command line without the program's name. Files that it names (a scenario) are read here.
pub fn parse(words: &[String]) -> Result<Command, CliError> {
    let Some(first) = words.first() else {
        return Ok(Command::Help(help::overview()));
    };
    match first.as_str() {
        "help" | "--help" | "-h" => return help_for(words.get(1)),
        "--version" | "-V" => {
            return Ok(Command::Help(format!(
                "loadgen {}\n",
                env!("CARGO_PKG_VERSION")
            )));
        }
        _ => {}
    }
    let verb = verb_of(first)?;
    let rest = &words[1..];
    if rest.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(Command::Help(help::of(verb)));
    }
    let arguments = arguments::Arguments::parse(verb, rest)?;
    Ok(match verb {
        Verb::Run => Command::Run(Box::new(RunOptions::of(&arguments)?)),
        Verb::Plan => Command::Plan(Box::new(RunOptions::of(&arguments)?)),
        Verb::Search => Command::Search(Box::new(SearchOptions::of(&arguments)?)),
        Verb::Diff => {
            let [a, b] = arguments.paths::<2>("two bundles: loadgen diff A B")?;
            let (html, seed) = (
                arguments.one("--html").map(PathBuf::from),
                arguments.seed()?.unwrap_or(1),
            );
            Command::Diff {
                a,
                b,
                html,
                seed,
                strict: arguments.has("--strict"),
            }
        }
        Verb::Merge => {
            let into = arguments
                .one("--into")
                .ok_or_else(|| CliError("merge writes to --into DIR".into()))?;
            Command::Merge {
                parts: arguments.positional.iter().map(PathBuf::from).collect(),
                into: into.into(),
            }
        }
        Verb::Report => {
            Command::Report(arguments.paths::<1>("one bundle: loadgen report DIR")?[0].clone())
        }
        Verb::Demo => Command::Demo {
            dir: arguments.paths::<1>("a new directory: loadgen demo DIR")?[0].clone(),
            seed: arguments.seed()?.unwrap_or(1),
            added: arguments
                .quantity("--add", crate::units::parse_duration)?
                .unwrap_or_default(),
        },
    })
}

fn help_for(word: Option<&String>) -> Result<Command, CliError> {
    let text = match word {
        Some(word) => help::of(verb_of(word)?),
        None => help::overview(),
    };
    Ok(Command::Help(text))
}

fn verb_of(word: &str) -> Result<Verb, CliError> {
    let found = Verb::ALL
        .iter()
        .find(|(name, _)| *name == word)
        .map(|&(_, verb)| verb);
    found.ok_or_else(|| {
        let names: Vec<&str> = Verb::ALL.iter().map(|&(name, _)| name).collect();
        CliError(format!(
            "`{word}` is no command; there are {} and help",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests;
