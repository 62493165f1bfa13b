//! Counts a server's syscalls with strace. Slows it too much to be timed at the same time; the
//! counts do not mind, because the connections stay as busy as before.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::sys;

/// Messages counted over.
pub(crate) const MESSAGES: u64 = 20_000;
/// Handshakes counted over.
pub(crate) const HANDSHAKES: u64 = 4_000;
const ATTACH_MAX: Duration = Duration::from_secs(10);

/// Calls by name, the most frequent first.
pub(crate) struct Counted(Vec<(String, u64)>);

impl Counted {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, calls)| calls).sum()
    }

    /// "recvfrom 1.00, sendto 1.00, ..." for each of `units`.
    pub(crate) fn per(&self, units: u64) -> String {
        let mut text = format!("{:.3} syscalls", self.total() as f64 / units as f64);
        for (name, calls) in &self.0 {
            let share = *calls as f64 / units as f64;
            if share >= 0.0005 {
                let _ = write!(text, ", {name} {share:.3}");
            }
        }
        text
    }
}

/// A strace that counts what every thread of a process calls.
pub(crate) struct Strace {
    process: Child,
    summary: PathBuf,
}

impl Strace {
    pub(crate) fn attach(pid: u32) -> Result<Self> {
        let summary = std::env::temp_dir().join(format!("compare-strace-{pid}"));
        let mut command = Command::new("strace");
        command
            .args(["-c", "-f", "-o"])
            .arg(&summary)
            .args(["-p", &pid.to_string()]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::die_with_parent(&mut command);
        let mut process = command
            .spawn()
            .context("cannot start strace; is it installed?")?;
        let deadline = Instant::now() + ATTACH_MAX;
        while !is_traced(pid)? {
            ensure!(
                process.try_wait()?.is_none(),
                "strace may not attach (ptrace_scope?)"
            );
            ensure!(
                Instant::now() < deadline,
                "strace did not attach in {ATTACH_MAX:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, summary })
    }

    pub(crate) fn detach(mut self) -> Result<Counted> {
        sys::signal(self.process.id(), libc::SIGINT)?;
        self.process.wait()?;
        let text = fs::read_to_string(&self.summary).context("strace wrote no summary")?;
        fs::remove_file(&self.summary).ok();
        let counted = parse(&text);
        ensure!(!counted.0.is_empty(), "strace counted nothing:\n{text}");
        Ok(counted)
    }
}

fn is_traced(pid: u32) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The table of `strace -c`: calls are the fourth column, the name is the last.
fn parse(summary: &str) -> Counted {
    let mut calls: Vec<(String, u64)> = summary
        .lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (name, calls) = (columns.last()?, columns.get(3)?.parse().ok()?);
            (*name != "total").then(|| ((*name).to_owned(), calls))
        })
        .collect();
    calls.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    Counted(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_strace_is_understood_with_and_without_errors() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    0.081155           2     40000           sendto
  9.00    0.002143           7       300        12 epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.083298           2     40300        12 total
";
        let counted = parse(summary);
        assert_eq!(counted.total(), 40_300);
        assert_eq!(
            counted.per(20_000),
            "2.015 syscalls, sendto 2.000, epoll_wait 0.015"
        );
    }
}
