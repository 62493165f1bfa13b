//! The command line: what was typed becomes a configuration to serve, or an answer and an exit code.
//!
//! Nothing here opens a socket. `main` hands the configuration on to the server, so that the
//! command line never needs to know it.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::config::file::{self, Contents};
use crate::config::{Place, Problem, Resolved, resolve};

pub mod args;
pub mod check;
pub mod dev_cert;
pub mod doctor;
pub mod help;
pub mod machine;
pub mod reference;
pub mod token;
pub mod tune;

use args::{Command, Topic};

/// The exit codes, in one place for the help and the README.
pub mod exit {
    /// Done, or stopped by a signal after draining.
    pub const OK: u8 = 0;
    /// The server could not start or go on: port in use, no permission, out of memory.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
}

/// What `main` has to do next.
#[derive(Debug)]
pub enum Outcome {
    /// Serve with this.
    Serve(Box<Resolved>),
    /// Nothing is left to do.
    Exit(u8),
}

/// Carries out the command line (without the program's name).
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Outcome {
    let parsed = args::parse(args);
    match parsed.command {
        // Errors are reported together with those in the file.
        Command::Serve { file } => serve(file, parsed.settings, parsed.problems, err),
        _ if !parsed.problems.is_empty() => {
            print_problems(err, &parsed.problems);
            Outcome::Exit(exit::USAGE)
        }
        Command::CheckConfig { file, form } => {
            let verdict = check::check(&file, form);
            finish(out, &verdict.text, verdict.exit_code)
        }
        Command::Doctor(options) => match doctor::examine(&options) {
            Ok(verdict) => finish(out, &verdict.text, verdict.exit_code),
            Err(cause) => {
                let cure = "throng doctor --json writes such a file; throng doctor --help";
                print_problems(err, &[Problem::error(Place::CommandLine, cause, cure)]);
                Outcome::Exit(exit::USAGE)
            }
        },
        Command::Tune(options) => match tune::run(&options, out).and_then(|code| {
            out.flush()?;
            Ok(code)
        }) {
            Ok(code) => Outcome::Exit(code),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Exit(exit::OK),
            Err(error) => {
                let _ = writeln!(err, "throng: cannot tune: {error}");
                Outcome::Exit(exit::FAILED)
            }
        },
        Command::DevCert(options) => match dev_cert::make(&options) {
            Ok(text) => finish(out, &text, exit::OK),
            Err(dev_cert::Failure { cause, cure }) => {
                print_problems(err, &[Problem::error(Place::CommandLine, cause, cure)]);
                Outcome::Exit(exit::FAILED)
            }
        },
        Command::Token(options) => match token::make(&options) {
            Ok(made) => {
                if let Some(note) = made.note {
                    let _ = writeln!(err, "{note}");
                }
                finish(out, &made.text, exit::OK)
            }
            Err(problems) => {
                print_problems(err, &problems);
                Outcome::Exit(exit::USAGE)
            }
        },
        Command::Help(topic) => finish(out, &help_text(topic), exit::OK),
        Command::Version => {
            let version = concat!("throng ", env!("CARGO_PKG_VERSION"), "\n");
            finish(out, version, exit::OK)
        }
    }
}

fn serve(
    file: Option<std::path::PathBuf>,
    flags: Vec<crate::config::Setting>,
    problems: Vec<Problem>,
    err: &mut dyn Write,
) -> Outcome {
    let contents = file.as_deref().map_or_else(Contents::default, file::read);
    match resolve(contents, flags, problems) {
        Ok(resolved) => {
            print_problems(err, &resolved.warnings);
            Outcome::Serve(Box::new(resolved))
        }
        Err(problems) => {
            print_problems(err, &problems);
            Outcome::Exit(exit::USAGE)
        }
    }
}

fn help_text(topic: Topic) -> String {
    match topic {
        Topic::Overview => help::overview(),
        Topic::Serve => help::serve(),
        Topic::CheckConfig => help::check_config(),
        Topic::Machine(verb) => machine::help(verb),
        Topic::DevCert => dev_cert::help(),
        Topic::Token => token::help(),
        Topic::Knob(knob) => help::knob(knob),
        Topic::Namespaces => help::namespaces(),
        Topic::Option(option) => help::option(option),
        Topic::Markdown => format!("{}\n{}", reference::markdown(), reference::namespaces()),
    }
}

fn print_problems(err: &mut dyn Write, problems: &[Problem]) {
    for problem in problems {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(err, "{problem}");
    }
}

/// Writes the answer; a reader that had enough (`throng help | head`) is no failure.
fn finish(out: &mut dyn Write, text: &str, exit_code: u8) -> Outcome {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Outcome::Exit(exit::FAILED),
        _ => Outcome::Exit(exit_code),
    }
}

#[cfg(test)]
mod tests;
