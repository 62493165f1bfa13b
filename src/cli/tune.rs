//! `throng tune`: prints what a goal needs, sets it, takes it back.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::exit;
use super::machine::Options;
use crate::tuning::apply::{self, State, Step};
use crate::tuning::files::{self, TuningFile};
use crate::tuning::knob::written;
use crate::tuning::recipes::numbers;
use crate::tuning::{Host, ProcRoot, Recommendation};

/// Does what was asked and says so on `out`; gives the exit code.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<u8> {
    let root = match &options.root {
        Some(folder) => ProcRoot::at(folder),
        None => ProcRoot::machine(),
    };
    let here = options.adjusted(Host::read(&root));
    if options.undo {
        return undo(&root, &here, out);
    }
    // What an earlier run set is ours to set again, not the machine's own.
    let (host, original) = match options.stock_bytes {
        Some(bytes) => {
            let stock = options.adjusted(Host::stock(bytes));
            (stock.clone(), stock)
        }
        None => {
            let state = State::load(&root, &here)?.unwrap_or_default();
            let original = state.original(&here);
            (here, original)
        }
    };
    let recommendation = Recommendation::new(&options.goal(&host), &host, &original);
    let files = files::of(&recommendation, &made_by(options));
    match &options.out {
        Some(folder) => write_all(folder, &files, out),
        None if options.apply => {
            let files = if options.runtime { &[][..] } else { &files };
            apply(&root, &host, &recommendation, files, out)
        }
        None => print(&files, out),
    }
}

/// The command that makes the same files again.
fn made_by(options: &Options) -> String {
    let stock = options.stock_bytes.map_or_else(String::new, |bytes| {
        format!(" --stock {}", crate::config::quantity::show_bytes(bytes))
    });
    format!("throng tune {}{stock}", options.typed_goal())
}

fn print(files: &[TuningFile], out: &mut dyn Write) -> io::Result<u8> {
    for (index, file) in files.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        write!(out, "{gap}==> /{} <==\n{}", file.path, file.text)?;
    }
    Ok(exit::OK)
}

fn write_all(folder: &Path, files: &[TuningFile], out: &mut dyn Write) -> io::Result<u8> {
    fs::create_dir_all(folder)?;
    for file in files {
        let path = folder.join(file.name);
        fs::write(&path, &file.text)?;
        writeln!(out, "{} (belongs in /{})", path.display(), file.path)?;
    }
    Ok(exit::OK)
}

fn apply(
    root: &ProcRoot,
    host: &Host,
    recommendation: &Recommendation,
    files: &[TuningFile],
    out: &mut dyn Write,
) -> io::Result<u8> {
    // The difference goes out before anything is touched.
    for file in files.iter().filter(|file| file.sets) {
        difference(file.path, root.text(file.path).as_deref(), &file.text, out)?;
    }
    for setting in &recommendation.settings {
        let now = setting.now.as_deref().unwrap_or_default();
        if now != setting.value {
            let (now, value) = (written(now), written(&setting.value));
            writeln!(out, "{:34} {now} -> {value}", setting.name)?;
        }
    }
    out.flush()?;
    let steps = apply::apply(root, host, &recommendation.settings, files)?;
    if steps.is_empty() {
        writeln!(out, "nothing to do: everything is as it should be")?;
        return Ok(exit::OK);
    }
    let done = steps
        .iter()
        .filter(|step| matches!(step, Step::Done(_)))
        .count();
    tell_failures(&steps, out)?;
    writeln!(
        out,
        "{done} of {} done; throng tune --undo puts back what was there (noted in /{})",
        steps.len(),
        apply::state_path(host)
    )?;
    if files
        .iter()
        .any(|file| file.sets && file.name == "throng.service.conf")
    {
        writeln!(
            out,
            "for the unit: systemctl daemon-reload && systemctl restart throng"
        )?;
    }
    Ok(code(&steps))
}

/// The lines that set something, with what they replace.
fn difference(
    path: &str,
    before: Option<&str>,
    after: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let before = before.unwrap_or_default();
    if before == after {
        return Ok(());
    }
    let state = if before.is_empty() { "new" } else { "changed" };
    writeln!(out, "/{path} ({state})")?;
    let sets = |line: &&str| !line.is_empty() && !line.starts_with('#');
    for line in before
        .lines()
        .filter(sets)
        .filter(|line| !after.lines().any(|other| other == *line))
    {
        writeln!(out, "  - {line}")?;
    }
    for line in after
        .lines()
        .filter(sets)
        .filter(|line| !before.lines().any(|other| other == *line))
    {
        writeln!(out, "  + {line}")?;
    }
    Ok(())
}

fn undo(root: &ProcRoot, host: &Host, out: &mut dyn Write) -> io::Result<u8> {
    let Some(steps) = apply::undo(root, host)? else {
        writeln!(out, "nothing to undo: no /{}", apply::state_path(host))?;
        return Ok(exit::OK);
    };
    for step in &steps {
        match step {
            Step::Done(changed) if changed.name.contains('/') => {
                let what = if changed.before.is_some() {
                    "as before"
                } else {
                    "removed"
                };
                writeln!(out, "/{} {what}", changed.name)?;
            }
            Step::Done(changed) => {
                let before = written(&numbers(changed.before.as_deref().unwrap_or_default()));
                writeln!(out, "{:34} {} -> {}", changed.name, changed.after, before)?;
            }
            Step::Foreign(changed, _) => writeln!(
                out,
                "{} was changed by somebody else since, and stays as it is",
                changed.name
            )?,
            Step::Failed(..) => {}
        }
    }
    tell_failures(&steps, out)?;
    Ok(code(&steps))
}

fn tell_failures(steps: &[Step], out: &mut dyn Write) -> io::Result<()> {
    for step in steps {
        if let Step::Failed(name, error) = step {
            let cure = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    " (root sets it; in a container, its host: run this there)"
                }
                io::ErrorKind::ReadOnlyFilesystem => " (set it on the host of this container)",
                _ => "",
            };
            writeln!(out, "cannot set {name}: {error}{cure}")?;
        }
    }
    Ok(())
}

fn code(steps: &[Step]) -> u8 {
    if steps.iter().all(|step| matches!(step, Step::Done(_))) {
        exit::OK
    } else {
        exit::FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::machine::Verb;
    use crate::tuning::tree::Tree;

    fn ran(tree: &Tree, line: &str) -> (u8, String) {
        let line = format!("{line} --root {}", tree.path());
        let words = line.split_whitespace().map(std::ffi::OsString::from);
        let (options, problems) = Options::parse(Verb::Tune, words.collect());
        assert_eq!(problems, []);
        let mut out = Vec::new();
        let code = run(&options, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    const SOMAXCONN: &str = "proc/sys/net/core/somaxconn";

    #[test]
    fn printing_changes_nothing() {
        let tree = Tree::stock(24 << 30);
        let (code, text) = ran(&tree, "--connections 1M");
        assert_eq!(code, exit::OK);
        assert!(text.starts_with("==> /etc/sysctl.d/90-throng.conf <==\n# 1000000 connections"));
        assert!(
            text.contains("\nnet.core.somaxconn = 32768\n")
                && text.contains("\nLimitNOFILE=1110000\n")
        );
        assert!(tree.text(files::SYSCTL_FILE).is_none());
        assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("4096\n"));
    }

    #[test]
    fn applying_shows_the_difference_and_undoing_takes_it_back() {
        let tree = Tree::stock(24 << 30);
        let (code, text) = ran(&tree, "--connections 1M --apply");
        assert_eq!(code, exit::OK, "{text}");
        assert!(text.starts_with("/etc/sysctl.d/90-throng.conf (new)\n  + fs.nr_open = 2097152\n"));
        assert!(text.contains("4096 -> 32768\n") && text.contains("systemctl daemon-reload"));
        assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("32768\n"));
        let (code, text) = ran(&tree, "--connections 1M --apply");
        assert_eq!(
            (code, &*text),
            (exit::OK, "nothing to do: everything is as it should be\n")
        );
        let (_, text) = ran(&tree, "--connections 1M --rate 200k --apply");
        assert!(
            text.contains("  - net.core.somaxconn = 32768\n  "),
            "{text}"
        );
        let (code, text) = ran(&tree, "--undo");
        assert_eq!(code, exit::OK);
        assert!(text.contains("131072 -> 4096\n"), "{text}");
        assert!(
            text.contains("/etc/sysctl.d/90-throng.conf removed\n"),
            "{text}"
        );
        assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("4096\n"));
        assert!(ran(&tree, "--undo").1.starts_with("nothing to undo"));
    }

    #[test]
    fn a_runtime_change_writes_no_files() {
        let tree = Tree::stock(24 << 30);
        ran(&tree, "--connections 1M --apply --runtime");
        assert!(tree.text(files::SYSCTL_FILE).is_none());
        assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("32768\n"));
    }

    #[test]
    fn somebody_elses_change_fails_the_undo_and_stays() {
        let tree = Tree::stock(24 << 30);
        ran(&tree, "--connections 1M --apply");
        tree.write(SOMAXCONN, "60000\n");
        let (code, text) = ran(&tree, "--undo");
        assert_eq!(code, exit::FAILED);
        assert!(
            text.contains("net.core.somaxconn was changed by somebody else"),
            "{text}"
        );
    }

    /// The folders of `tuning/` and what makes them.
    const KEPT: [(&str, &str); 3] = [
        ("10k", "--connections 10000 --stock 2GiB"),
        ("100k", "--connections 100000 --stock 8GiB"),
        ("1m", "--connections 1000000 --stock 16GiB"),
    ];

    #[test]
    fn the_files_in_tuning_are_current() {
        for (folder, line) in KEPT {
            let tree = Tree::new(&[]);
            ran(&tree, &format!("{line} --out {}", tree.path()));
            let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tuning")
                .join(folder);
            for name in [
                "sysctl.conf",
                "limits.conf",
                "throng.service.conf",
                "modprobe.conf",
            ] {
                let text = fs::read_to_string(kept.join(name)).ok();
                assert!(
                    text == tree.text(name),
                    "{folder}/{name}: run `throng tune {line} --out tuning/{folder}`"
                );
            }
        }
    }
}
