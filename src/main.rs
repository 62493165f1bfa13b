//! The `throng` binary: the command line, then the server.

use std::io::{self, Write};
use std::process::ExitCode;

use throng::cli::{self, Outcome, exit};
use throng::server;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = cli::run(
        args.iter().cloned(),
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    );
    let resolved = match outcome {
        Outcome::Serve(resolved) => resolved,
        Outcome::Exit(code) => return code.into(),
    };
    // The same flags over what the file says by then.
    let reread = || {
        let mut problems = Vec::new();
        match cli::run(args.iter().cloned(), &mut io::sink(), &mut problems) {
            Outcome::Serve(resolved) => {
                let _ = io::stderr().write_all(&problems); // warnings
                Ok(resolved.config)
            }
            Outcome::Exit(_) => Err(String::from_utf8_lossy(&problems).into_owned()),
        }
    };
    match server::run(&resolved.config, &reread) {
        Ok(code) => code,
        Err(error) => {
            // The chain of causes on one line; a closed stderr is no reason to panic.
            let _ = writeln!(io::stderr(), "throng: {error:#}");
            exit::FAILED.into()
        }
    }
}
