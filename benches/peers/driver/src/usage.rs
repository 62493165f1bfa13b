//! What a process has used so far, as the kernel counts it, over all its threads.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::sampler::{Beats, Sampler};

/// Measures a server from `start` to `stop`.
pub(crate) struct Meter {
    pid: u32,
    before: Usage,
    sampler: Option<Sampler>,
}

impl Meter {
    /// Without the right to sample the core, the split into user and system is the kernel's own.
    pub(crate) fn start(pid: u32, core: usize, duration: Duration) -> Result<Self> {
        let sampler = Sampler::start(core, duration).ok();
        Ok(Self {
            pid,
            before: Usage::of(pid)?,
            sampler,
        })
    }

    pub(crate) fn stop(self) -> Result<Spent> {
        let after = Usage::of(self.pid)?;
        let before = self.before;
        let split = match self.sampler {
            Some(sampler) => sampler.stop(self.pid)?,
            None => Beats {
                user: after.user_ticks - before.user_ticks,
                system: after.system_ticks - before.system_ticks,
            },
        };
        Ok(Spent {
            wall_ns: (after.at - before.at).as_nanos() as f64,
            total_ns: (after.running_ns - before.running_ns) as f64,
            starved_ns: (after.waiting_ns - before.waiting_ns) as f64,
            split,
        })
    }
}

/// A reading.
#[derive(Clone, Copy, Debug)]
struct Usage {
    at: Instant,
    user_ticks: u64,
    system_ticks: u64,
    /// Time on a core, exact.
    running_ns: u64,
    /// Time ready to run while somebody else had the core.
    waiting_ns: u64,
}

impl Usage {
    fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (user_ticks, system_ticks) = parse_stat(&stat).context("unexpected /proc/PID/stat")?;
        let (mut running_ns, mut waiting_ns) = (0, 0);
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the listing and the reading; it has nothing to say then.
            let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let mut fields = schedstat
                .split_whitespace()
                .map(|field| field.parse::<u64>());
            running_ns += fields.next().context("empty schedstat")??;
            waiting_ns += fields.next().context("short schedstat")??;
        }
        Ok(Self {
            at: Instant::now(),
            user_ticks,
            system_ticks,
            running_ns,
            waiting_ns,
        })
    }
}

/// What a server used while it was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) wall_ns: f64,
    /// CPU time, exact.
    pub(crate) total_ns: f64,
    starved_ns: f64,
    /// Samples that say which part of it was whose.
    split: Beats,
}

impl Spent {
    pub(crate) fn user_ns(&self) -> f64 {
        let (user, system) = (self.split.user as f64, self.split.system as f64);
        self.total_ns * user / (user + system).max(1.0)
    }

    pub(crate) fn system_ns(&self) -> f64 {
        self.total_ns - self.user_ns()
    }

    /// The relative standard error of the user time: it is as good as its samples are many.
    pub(crate) fn user_error(&self) -> f64 {
        1.0 / (self.split.user.max(1) as f64).sqrt()
    }

    /// Share of the time in which the server had something to do.
    pub(crate) fn busy(&self) -> f64 {
        (self.total_ns + self.starved_ns) / self.wall_ns
    }

    /// Share of the time in which another process had the server's core.
    pub(crate) fn starved(&self) -> f64 {
        self.starved_ns / self.wall_ns
    }
}

fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    // The second field is the program's name in parentheses, and may hold anything.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let user = fields.nth(11)?.parse().ok()?;
    let system = fields.next()?.parse().ok()?;
    Some((user, system))
}

/// Resident bytes of the process now.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .context("no Rss line")?;
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .context("empty Rss line")?
        .parse()?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 92 0 0 0 31 64 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(stat), Some((31, 64)));
    }
}
