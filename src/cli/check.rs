//! `throng check-config FILE`: every problem of a file with its place, for people or programs.

use std::fmt::Write;
use std::path::Path;

use super::args::CheckForm;
use super::exit;
use crate::config::problem::json_string;
use crate::config::{Problem, file, resolve};

/// What to print and how to exit.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The report.
    pub text: String,
    /// 0 if the server would start with the file, 2 if not.
    pub exit_code: u8,
}

/// Judges a file as `throng --config FILE` would, without starting anything.
pub fn check(path: &Path, form: CheckForm) -> Verdict {
    let contents = file::read(path);
    let settings = contents.settings.len();
    let problems = match resolve(contents, Vec::new(), Vec::new()) {
        Ok(resolved) => resolved.warnings,
        Err(problems) => problems,
    };
    let is_fit = !problems
        .iter()
        .any(|problem| form.strict || problem.is_error());
    let name = path.to_string_lossy();
    Verdict {
        text: if form.json {
            json(&name, is_fit, &problems)
        } else {
            text(&name, settings, &problems)
        },
        exit_code: if is_fit { exit::OK } else { exit::USAGE },
    }
}

fn text(name: &str, settings: usize, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let _ = writeln!(text, "{problem}");
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let _ = match (errors, warnings) {
        (0, 0) => writeln!(text, "{name}: ok, {settings} set"),
        _ => writeln!(
            text,
            "{name}: {}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    };
    text
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn json(name: &str, is_fit: bool, problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(Problem::to_json).collect();
    format!(
        "{{\"file\":{},\"ok\":{is_fit},\"problems\":[{}]}}\n",
        json_string(name),
        problems.join(",")
    )
}
