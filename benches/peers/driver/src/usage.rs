//! What a process has used so far, as the kernel counts it, over all its threads.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::sys;

/// A reading; two of them make a [`Spent`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    user_ticks: u64,
    system_ticks: u64,
    /// Time on a core, exact.
    running_ns: u64,
    /// Time ready to run while somebody else had the core.
    waiting_ns: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Self> {
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

    pub(crate) fn until(&self, later: &Self) -> Spent {
        let wall_ns = (later.at - self.at).as_nanos() as f64;
        let total_ns = (later.running_ns - self.running_ns) as f64;
        let user = (later.user_ticks - self.user_ticks) as f64;
        let system = (later.system_ticks - self.system_ticks) as f64;
        // The kernel samples which of the two a tick falls into; the sum it knows exactly. So
        // the ticks give the proportion, and only that.
        let user_share = if user + system > 0.0 {
            user / (user + system)
        } else {
            0.0
        };
        Spent {
            wall_ns,
            total_ns,
            user_ns: total_ns * user_share,
            system_ns: total_ns * (1.0 - user_share),
            starved_ns: (later.waiting_ns - self.waiting_ns) as f64,
            ticks: user + system,
        }
    }
}

/// What was used between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) wall_ns: f64,
    pub(crate) total_ns: f64,
    pub(crate) user_ns: f64,
    pub(crate) system_ns: f64,
    starved_ns: f64,
    ticks: f64,
}

impl Spent {
    /// Share of the time in which the server had something to do.
    pub(crate) fn busy(&self) -> f64 {
        (self.total_ns + self.starved_ns) / self.wall_ns
    }

    /// Share of the time in which another process had the server's core.
    pub(crate) fn starved(&self) -> f64 {
        self.starved_ns / self.wall_ns
    }

    /// Whether there were enough ticks to tell user from system time.
    pub(crate) fn is_long_enough(&self) -> bool {
        self.ticks >= 1.5 * sys::ticks_per_second()
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
