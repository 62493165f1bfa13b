//! The table of knobs as Markdown, for the README: `throng help --markdown`.

use std::fmt::Write;

use crate::config::knob::Group;
use crate::config::knobs::KNOBS;
use crate::config::namespace::OPTIONS;
use crate::config::{Config, Namespace};

/// One row per knob, a heading row per group.
pub fn markdown() -> String {
    let defaults = Config::default();
    let mut table =
        String::from("| flag | default | accepts | what it does |\n|---|---|---|---|\n");
    for group in Group::ALL {
        let _ = writeln!(table, "| **{}** | | | |", group.title());
        for knob in KNOBS.iter().filter(|knob| knob.group == group) {
            let _ = writeln!(
                table,
                "| `{}` | `{}` | {} | {} |",
                knob.flag(),
                knob.show(&defaults),
                knob.accepts(),
                knob.brief
            );
        }
    }
    table
}

/// The same for the options of a namespace: the second part of `throng help --markdown`.
pub fn namespaces() -> String {
    let defaults = Namespace::default();
    let mut table =
        String::from("| option | default | accepts | what it decides |\n|---|---|---|---|\n");
    for option in OPTIONS {
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {} | {} |",
            option.key(),
            option.show(&defaults),
            option.accepts(),
            option.brief
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    const README: &str = include_str!("../../README.md");

    /// The text between two lines of the README.
    fn between(begin: &str, end: &str) -> &'static str {
        let (_, rest) = README.split_once(begin).expect(begin);
        rest.split_once(end).expect(end).0
    }

    #[test]
    fn rows_are_well_formed() {
        for row in markdown().lines().chain(namespaces().lines()) {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
    }

    #[test]
    fn the_readme_has_the_table() {
        let table = between("<!-- knobs: begin -->\n", "<!-- knobs: end -->");
        assert!(
            table == markdown(),
            "paste the output of `throng help --markdown` between the two marks in README.md"
        );
    }

    #[test]
    fn the_readme_has_the_options_of_namespaces() {
        let table = between("<!-- namespaces: begin -->\n", "<!-- namespaces: end -->");
        assert!(
            table == namespaces(),
            "paste the second table of `throng help --markdown` between the two marks in README.md"
        );
    }

    #[test]
    fn the_files_in_the_readme_are_valid() {
        let texts = README.split("```toml\n").skip(1);
        let mut settings = 0;
        for text in texts {
            let (text, _) = text.split_once("```").expect("it ends");
            let contents = file::parse("README.md", text);
            assert_eq!(contents.problems, [], "{text}");
            settings += contents.settings.len() + contents.namespaces.len();
        }
        assert!(settings > 5);
    }

    #[test]
    fn the_readme_has_the_exit_codes_of_the_help() {
        for line in crate::cli::help::EXIT_CODES.lines().skip(2) {
            let (code, meaning) = line.trim().split_once("   ").expect("code, meaning");
            assert!(
                README.contains(&format!("| {code} | {meaning} |")),
                "{line}"
            );
        }
    }
}
