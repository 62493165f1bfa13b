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

    #[test]
    fn rows_are_well_formed() {
        for row in markdown().lines() {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
    }
}
