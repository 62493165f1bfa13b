//! The table as chapters for people: the generated part of `tuning/README.md`.

use std::fmt::Write;

use super::knob::{Applied, Knob, Place, Scope, Side};
use super::knobs::CHAPTERS;
use super::recipes::ADVICE;

/// Every row with all that is known about it, then the advice that should not be followed.
#[must_use]
pub fn chapters() -> String {
    let mut text = String::new();
    for chapter in CHAPTERS {
        let _ = writeln!(text, "## {}\n\n{}\n", chapter.title, chapter.about);
        for knob in chapter.knobs {
            row(&mut text, knob);
        }
    }
    advice(&mut text);
    text
}

fn row(text: &mut String, knob: &Knob) {
    let _ = writeln!(text, "### `{}`\n\n{}\n", knob.name, knob.why);
    let scope = match knob.scope {
        Scope::Machine => "the machine's",
        Scope::Namespace => "each network namespace's",
        Scope::User => "each user's",
        Scope::Process => "each descriptor table's",
        Scope::Group => "each control group's",
    };
    let side = match knob.side {
        Side::Server => "where connections end",
        Side::Client => "where they begin",
        Side::Both => "at both ends",
    };
    let mut item = |head: &str, body: &str| {
        if !body.is_empty() {
            let _ = writeln!(text, "- **{head}:** {body}");
        }
    };
    let place = match knob.place {
        Place::Sysctl => String::new(),
        Place::Limit | Place::Fact(..) => format!("`/{}`; ", knob.path()),
    };
    item("It is", &format!("{place}{scope}; it matters {side}"));
    item("Needed", knob.formula);
    item("Without", knob.symptom);
    match knob.applied {
        Applied::Yes => item("Set by `throng tune`", "yes"),
        Applied::WhenTracking => item("Set by `throng tune`", "where connections are tracked"),
        Applied::No(reason) => item("Set by `throng tune`", &format!("no: {reason}")),
    }
    item("How we know", knob.verified);
    text.push('\n');
}

fn advice(text: &mut String) {
    text.push_str(
        "## Advice that is still copied\n\n`throng doctor` looks for these lines in the `sysctl.d` files \
         of the machine.\n\n| line | what it does | why not |\n|---|---|---|\n",
    );
    for advice in ADVICE {
        let _ = writeln!(
            text,
            "| `{} = {}` | {} | {} |",
            advice.key,
            advice.copied,
            advice.fault.word(),
            advice.verdict
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../tuning/README.md");

    #[test]
    fn the_readme_has_the_chapters() {
        let begin = "<!-- limits: begin -->\n";
        let (_, rest) = README.split_once(begin).expect(begin);
        let (found, _) = rest.split_once("<!-- limits: end -->").expect("its end");
        assert!(
            found == chapters(),
            "paste the output of `throng doctor --markdown` between the two marks in tuning/README.md"
        );
    }

    #[test]
    fn every_row_has_its_section() {
        let text = chapters();
        for knob in crate::tuning::knobs::all() {
            assert_eq!(text.matches(&format!("### `{}`\n", knob.name)).count(), 1);
        }
        for row in text.lines().filter(|line| line.starts_with('|')) {
            assert_eq!(row.matches('|').count(), 4, "{row}");
        }
    }
}
