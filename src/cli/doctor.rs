//! `throng doctor`: what this machine would do with so many connections, for people or programs.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::exit;
use super::machine::Options;
use crate::tuning::counters::{self, Counters, Hit};
use crate::tuning::knob::written;
use crate::tuning::recipes::{self, Assignment, Relic};
use crate::tuning::{Diagnosis, Ends, Finding, Goal, Grade, Host, ProcRoot, Stop, markdown};

mod json;

/// What to print and how to exit.
#[derive(Debug)]
pub struct Verdict {
    /// The report.
    pub text: String,
    /// 0 ready, 1 not ready.
    pub exit_code: u8,
}

/// Everything the report is made from.
struct Visit {
    host: Host,
    diagnosis: Diagnosis,
    assignments: Vec<Assignment>,
    relics: Vec<Relic>,
    counters: Counters,
    /// What rose since the file of `--since`; `None` without one.
    hits: Option<Vec<Hit>>,
    typed_goal: String,
}

/// Looks at the machine. An error is about the command line: a file that is none of ours.
pub fn examine(options: &Options) -> Result<Verdict, String> {
    if options.markdown {
        return Ok(Verdict {
            text: markdown::chapters(),
            exit_code: exit::OK,
        });
    }
    let visit = Visit::new(options)?;
    let is_ready = visit.diagnosis.is_ready();
    Ok(Verdict {
        text: if options.json {
            json::report(&visit)
        } else {
            visit.text()
        },
        exit_code: if is_ready { exit::OK } else { exit::FAILED },
    })
}

impl Visit {
    fn new(options: &Options) -> Result<Self, String> {
        let pid = options
            .pid
            .map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let (root, host) = match &options.root {
            Some(folder) => (
                ProcRoot::at(folder),
                Host::read_for(&ProcRoot::at(folder), &pid),
            ),
            None => (ProcRoot::machine(), Host::of_machine(&pid)),
        };
        let host = options.adjusted(host);
        if options.pid.is_some() && host.nofile_hard.is_none() {
            return Err(format!(
                "process {pid} is not there, or not ours to look at"
            ));
        }
        let counters = counters::read(&root, &pid);
        let hits = match &options.since {
            Some(file) => Some(counters::hits(&earlier(file, &host)?, &counters)),
            None => None,
        };
        let assignments = recipes::assignments(&root);
        Ok(Self {
            diagnosis: Diagnosis::new(&options.goal(&host), &host),
            relics: recipes::relics(&assignments, &host, &root),
            host,
            assignments,
            counters,
            hits,
            typed_goal: options.typed_goal(),
        })
    }

    fn text(&self) -> String {
        let mut text = headline(&self.diagnosis);
        if let Some(hits) = &self.hits {
            text.push_str(&after_the_run(hits));
        }
        let findings = &self.diagnosis.findings;
        let told = findings
            .iter()
            .filter(|finding| finding.grade < Grade::Hidden);
        for finding in told {
            text.push('\n');
            self.tell(&mut text, finding);
        }
        summary(&mut text, findings);
        self.tell_files(&mut text);
        let is_curable = findings.iter().any(|finding| finding.grade <= Grade::Tight);
        if is_curable {
            let _ = writeln!(
                text,
                "\nthrong tune {}   prints what sets it; --apply does, --undo takes it back",
                self.typed_goal
            );
        }
        text
    }

    fn tell(&self, text: &mut String, finding: &Finding) {
        let word = match finding.grade {
            Grade::Stops => "STOPS",
            Grade::Loses => "LOSES",
            other => other.word(),
        };
        let now = finding
            .now
            .as_deref()
            .map_or_else(|| "hidden".to_owned(), shown);
        let need = match finding.need.as_slice() {
            [] => String::new(),
            need => format!(", needs {}", shown(need)),
        };
        let _ = writeln!(text, "  {word:6} {:34} {now}{need}", finding.knob.name);
        let mut line = |what: &str| {
            let _ = writeln!(text, "         {what}");
        };
        match finding.stop {
            Some(Stop::Connections(most)) if finding.grade == Grade::Stops => line(&format!(
                "at {} connections: {}",
                grouped(most),
                finding.knob.symptom
            )),
            Some(Stop::Rate(most)) if finding.grade == Grade::Loses => line(&format!(
                "above {} connects/s: {}",
                grouped(most),
                finding.knob.symptom
            )),
            _ if finding.remark.is_none() => line(finding.knob.symptom),
            _ => {}
        }
        if let Some(remark) = &finding.remark {
            line(remark);
        }
        if let Some(source) = self.source(finding) {
            line(&format!("set by {}:{}", source.file, source.line));
        }
        line(&format!("-> {}", finding.cure));
    }

    /// The line of a file that made a setting what it is.
    fn source(&self, finding: &Finding) -> Option<&Assignment> {
        let now = finding.now.as_deref()?;
        let last = recipes::at_next_start(&self.assignments, finding.knob.name)?;
        (recipes::numbers(&last.value) == now).then_some(last)
    }

    /// What the files of the machine will do at its next start.
    fn tell_files(&self, text: &mut String) {
        let undone = self.diagnosis.undone_at_start(&self.assignments);
        if self.relics.is_empty() && undone.is_empty() {
            return;
        }
        text.push_str("\nin the files that are loaded when the machine starts:\n");
        for (finding, line) in undone {
            let _ = writeln!(
                text,
                "  {}:{}  {} = {}\n         undoes what is set now: needs {}",
                line.file,
                line.line,
                line.key,
                line.value,
                written(&finding.need)
            );
        }
        for relic in &self.relics {
            let line = &relic.found;
            let _ = writeln!(
                text,
                "  {}:{}  {} = {}\n         {}: {}",
                line.file,
                line.line,
                line.key,
                line.value,
                relic.fault.word(),
                relic.verdict
            );
        }
    }
}

/// One sentence: where it ends, or that it does not.
fn headline(diagnosis: &Diagnosis) -> String {
    let goal = &diagnosis.goal;
    let mut text = format!("{}\n", asked(goal));
    let rate = diagnosis
        .findings
        .iter()
        .find(|finding| finding.grade == Grade::Loses);
    let sentence = match (diagnosis.first_wall(), rate) {
        (Some((wall, at)), _) => {
            format!("you will stop at {}: {}", grouped(at), wall.knob.title())
        }
        (None, Some(rate)) => match rate.stop {
            Some(Stop::Rate(most)) => format!(
                "you will lose arrivals above {} a second: {}",
                grouped(most),
                rate.knob.title()
            ),
            _ => format!("you will lose arrivals: {}", rate.knob.title()),
        },
        (None, None) => match diagnosis.walls().first() {
            Some((wall, at)) if *at < UNLIMITED => {
                format!(
                    "ready; the next wall is {} at {}",
                    wall.knob.title(),
                    grouped(*at)
                )
            }
            _ => "ready, as far as one can see from here".to_owned(),
        },
    };
    let _ = writeln!(text, "{sentence}");
    text
}

fn asked(goal: &Goal) -> String {
    let ends = match goal.ends {
        Ends::Server => "ending here",
        Ends::Client => "beginning here",
        Ends::Both => "both ends here",
    };
    format!(
        "{} connections, {} a second arriving, {ends}",
        grouped(goal.connections),
        grouped(goal.rate_per_s)
    )
}

fn after_the_run(hits: &[Hit]) -> String {
    let Some(first) = hits.first() else {
        return "\nsince then: no wall was hit that the kernel counts (EMFILE is in the server's log)\n"
            .to_owned();
    };
    let title = first.knob().map_or_else(String::new, |knob| knob.title());
    let mut text = format!("\nsince then you hit: {title}\n");
    for hit in hits {
        let _ = writeln!(
            text,
            "  {:24} +{:<12} {}\n{:41}{}",
            hit.sign.name,
            grouped(hit.times),
            hit.sign.means,
            "",
            hit.sign.limit
        );
    }
    text
}

/// What needs no line of its own.
fn summary(text: &mut String, findings: &[Finding]) {
    for (grade, head) in [
        (Grade::Fine, "enough of"),
        (Grade::Hidden, "not in sight here"),
    ] {
        let names: Vec<_> = findings
            .iter()
            .filter(|finding| finding.grade == grade)
            .map(|finding| finding.knob.name)
            .collect();
        if !names.is_empty() {
            let _ = write!(text, "\n  {head}:");
            let mut column = LINE_CHARS_MAX;
            for name in names {
                if column + name.len() > LINE_CHARS_MAX {
                    text.push_str("\n   ");
                    column = 3;
                }
                let _ = write!(text, " {name}");
                column += name.len() + 1;
            }
            text.push('\n');
        }
    }
}

/// The counters in an earlier report of ours.
fn earlier(file: &Path, host: &Host) -> Result<Counters, String> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let counters = report.get("counters").and_then(Value::as_object);
    let counters =
        counters.ok_or_else(|| format!("{name} was not written by throng doctor --json"))?;
    let told = |key: &str| report.get("host")?.get(key)?.as_str();
    if told("boot") != host.boot.as_deref() {
        return Err(format!("{name} is from before the machine was started"));
    }
    if told("namespace") != host.namespace.as_deref() {
        return Err(format!("{name} is from another network namespace"));
    }
    let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
    Ok(counters.iter().filter_map(number).collect())
}

/// Numbers for people; what is practically endless is called so.
fn shown(value: &[u64]) -> String {
    let words: Vec<_> = value
        .iter()
        .map(|number| match *number {
            UNLIMITED.. => "unlimited".to_owned(),
            number => grouped(number),
        })
        .collect();
    words.join("  ")
}

/// `1 000 000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// 2^62 and the like is how kernels write "no limit".
const UNLIMITED: u64 = 1 << 60;
const LINE_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests;
