//! The load generator's command line.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let command = match loadgen::cli::parse(&words) {
        Ok(command) => command,
        Err(error) => return fail(&error, USAGE),
    };
    match loadgen::cli::execute(command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&format_args!("{error:#}"), FAILED),
    }
}

/// Says what went wrong; a closed stderr changes nothing.
fn fail(what: &dyn std::fmt::Display, code: u8) -> ExitCode {
    writeln!(std::io::stderr().lock(), "loadgen: {what}").ok();
    ExitCode::from(code)
}

/// The command line was wrong.
const USAGE: u8 = 2;
/// It could not be done.
const FAILED: u8 = 4;
