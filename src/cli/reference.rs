//! The table of knobs as Markdown, for the README: `throng help --markdown`.

use std::fmt::Write;

use crate::config::Config;
use crate::config::knob::Group;
use crate::config::knobs::KNOBS;

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
        for row in markdown().lines() {
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
    fn the_file_in_the_readme_is_valid() {
        let contents = file::parse("README.md", between("```toml\n", "```"));
        assert_eq!(contents.problems, []);
        assert!(contents.settings.len() > 3);
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
