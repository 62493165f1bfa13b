//! The files that keep a recommendation beyond the next start, with a comment for every line.

use std::fmt::Write;

use super::goal::Ends;
use super::knob::written;
use super::recommendation::{Recommendation, Setting};

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuningFile {
    /// Where it belongs, below the root.
    pub path: &'static str,
    /// A short name for it, where several stand side by side.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Whether it sets anything; otherwise it only says why it does not have to.
    pub sets: bool,
}

/// All files of a recommendation. `made_by` is the command that writes them again.
#[must_use]
pub fn of(recommendation: &Recommendation, made_by: &str) -> Vec<TuningFile> {
    let head = head(recommendation, made_by);
    [sysctl_d, limits_d, unit, modprobe]
        .map(|file| {
            let mut file = file(recommendation);
            file.text = format!("{head}\n{}", file.text);
            file
        })
        .into()
}

fn head(recommendation: &Recommendation, made_by: &str) -> String {
    let goal = &recommendation.goal;
    let ends = match goal.ends {
        Ends::Server => "ending here",
        Ends::Client => "beginning here",
        Ends::Both => "both ends here",
    };
    let memory = recommendation
        .memory_bytes
        .map_or_else(String::new, |bytes| format!(" with {} MiB", bytes >> 20));
    format!(
        "# {} connections, {} arriving per second, {ends}, on a machine{memory}.\n# Made by: {made_by}\n",
        goal.connections, goal.rate_per_s
    )
}

fn sysctl_d(recommendation: &Recommendation) -> TuningFile {
    let mut text = String::new();
    for setting in &recommendation.settings {
        let knob = setting.knob();
        comment(&mut text, knob.why);
        comment(&mut text, &format!("Without: {}.", knob.symptom));
        comment(
            &mut text,
            &format!("Needed: {}{}.", knob.formula, was(setting)),
        );
        let _ = writeln!(text, "{} = {}\n", setting.name, written(&setting.value));
    }
    if !recommendation.kept.is_empty() {
        comment(&mut text, "Enough as they are here, and so left alone:");
        for setting in &recommendation.kept {
            let now = written(setting.now.as_deref().unwrap_or_default());
            let _ = writeln!(text, "#   {} = {now}", setting.name);
        }
    }
    if let Some(slots) = recommendation.hash_slots {
        text.push('\n');
        comment(
            &mut text,
            &format!(
                "No sysctl: the table of established connections is short for so many. Boot with \
                 thash_entries={slots} if softirq time per packet grows with the number of connections."
            ),
        );
    }
    TuningFile {
        path: SYSCTL_FILE,
        name: "sysctl.conf",
        text,
        sets: !recommendation.settings.is_empty(),
    }
}

fn was(setting: &Setting) -> String {
    let before = setting.before.as_deref().map(written);
    before.map_or_else(String::new, |before| format!("; it was {before}"))
}

fn limits_d(recommendation: &Recommendation) -> TuningFile {
    let nofile = recommendation.nofile;
    let mut text = String::new();
    let sets = recommendation.raises_login_limit;
    comment(
        &mut text,
        "For programs started from a login (pam_limits); systemd does not read it for its services. \
         Takes effect at the next login. A limit above fs.nr_open is refused.",
    );
    if sets {
        for who in ["*", "root"] {
            for kind in ["soft", "hard"] {
                let _ = writeln!(text, "{who:<5} {kind} nofile {nofile}");
            }
        }
    } else {
        comment(
            &mut text,
            &format!("The limit here is enough for the {nofile} that are needed."),
        );
    }
    TuningFile {
        path: "etc/security/limits.d/90-throng.conf",
        name: "limits.conf",
        text,
        sets,
    }
}

fn unit(recommendation: &Recommendation) -> TuningFile {
    let goal = &recommendation.goal;
    let nofile = recommendation.nofile;
    let sets = recommendation.raises_unit_limit;
    let mut text = String::new();
    let each = goal.charged_bytes_each() + goal.user_bytes_each();
    comment(
        &mut text,
        &format!(
            "Kernel memory counts against MemoryMax= as well: {} idle connections are charged about {} MiB, \
             queued bytes come on top.",
            goal.connections,
            (goal.connections * each) >> 20
        ),
    );
    if sets {
        comment(
            &mut text,
            "A tenth more than connections: enough even where workers cannot have tables of their own. \
             Needs fs.nr_open at least as large.",
        );
        let _ = writeln!(text, "[Service]\nLimitNOFILE={nofile}");
    } else {
        comment(
            &mut text,
            &format!("LimitNOFILE= of the unit is enough for the {nofile} that are needed."),
        );
    }
    TuningFile {
        path: "etc/systemd/system/throng.service.d/50-tune.conf",
        name: "throng.service.conf",
        text,
        sets,
    }
}

/// Settings of a module are lost when they are made before it is loaded, as they are at start; its
/// option is not.
fn modprobe(recommendation: &Recommendation) -> TuningFile {
    let buckets = recommendation.tracker_buckets;
    let mut text = String::new();
    let sets = recommendation.is_tracking;
    comment(
        &mut text,
        "The tracker's hash table, from when its module is loaded: sysctl.d is read before that. With \
         the option given, the kernel allows eight entries for each slot.",
    );
    if !sets {
        comment(
            &mut text,
            "Nothing is tracked here. If a firewall rule changes that, take the # away:",
        );
        text.push('#');
    }
    let _ = writeln!(text, "options nf_conntrack hashsize={buckets}");
    TuningFile {
        path: "etc/modprobe.d/90-throng.conf",
        name: "modprobe.conf",
        text,
        sets,
    }
}

/// Writes prose as comment lines.
fn comment(text: &mut String, prose: &str) {
    let mut line = String::from("#");
    for word in prose.split_ascii_whitespace() {
        if line.len() + 1 + word.len() > LINE_CHARS_MAX {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Where settings are kept; our values come late in the order of the files, and an operator's own
/// `99-` file still wins.
pub const SYSCTL_FILE: &str = "etc/sysctl.d/90-throng.conf";
const LINE_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::goal::Goal;
    use crate::tuning::host::Host;
    use crate::tuning::recipes;
    use crate::tuning::tree::Tree;

    fn files(connections: u64, host: &Host) -> Vec<TuningFile> {
        let goal = Goal::new(connections, Ends::Server, 2);
        of(&Recommendation::new(&goal, host, host), "throng tune")
    }

    /// What we write is read back by the doctor's own eyes, and it finds nothing wrong with it.
    #[test]
    fn the_sysctl_file_says_what_is_recommended_and_nothing_harmful() {
        let host = Host::stock(24 << 30);
        let goal = Goal::new(1_000_000, Ends::Both, 2);
        let recommendation = Recommendation::new(&goal, &host, &host);
        let file = &of(&recommendation, "throng tune")[0];
        let tree = Tree::new(&[(SYSCTL_FILE, &file.text)]);
        let lines = recipes::assignments(&tree.root());
        let expected = recommendation.settings.iter();
        let expected: Vec<_> = expected
            .map(|s| (s.name.to_owned(), written(&s.value)))
            .collect();
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line.key.clone(), line.value.clone()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(recipes::relics(&lines, &host, &tree.root()), []);
    }

    #[test]
    fn every_line_is_explained_and_fits_a_terminal() {
        for connections in [10_000, 1_000_000] {
            for file in files(connections, &Host::stock(16 << 30)) {
                assert!(
                    file.text
                        .lines()
                        .all(|line| line.chars().count() <= LINE_CHARS_MAX)
                );
                let mut before = "";
                for line in file.text.lines() {
                    if line.contains(" = ") && !line.starts_with('#') {
                        assert!(before.starts_with("# "), "{line}");
                    }
                    before = line;
                }
            }
        }
    }

    #[test]
    fn what_is_enough_is_a_comment() {
        let host = Host {
            nofile_hard: Some(2_000_000),
            ..Host::stock(16 << 30)
        };
        for file in &files(10_000, &host)[1..] {
            assert!(
                !file.sets
                    && file
                        .text
                        .lines()
                        .all(|line| line.starts_with('#') || line.is_empty()),
                "{}",
                file.text
            );
        }
        let sets: Vec<_> = files(1_000_000, &Host::stock(16 << 30))
            .iter()
            .map(|file| file.sets)
            .collect();
        assert_eq!(sets, [true, true, true, false]);
    }
}
