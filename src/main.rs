//! The `throng` binary: the command line, then the server.

use std::io::{self, Write};
use std::process::ExitCode;

use throng::cli::{self, Outcome, exit};
use throng::server;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1);
    let outcome = cli::run(args, &mut io::stdout().lock(), &mut io::stderr().lock());
    let resolved = match outcome {
        Outcome::Serve(resolved) => resolved,
        Outcome::Exit(code) => return code.into(),
    };
    match server::run(&resolved.config) {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes on one line; a closed stderr is no reason to panic.
            let _ = writeln!(io::stderr(), "throng: {error:#}");
            exit::FAILED.into()
        }
    }
}
