//! One process: resident memory, processor time, threads, descriptors.

use super::root::ProcRoot;

/// One look at a process; all zeros when it is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// Resident set.
    pub rss_bytes: u64,
    /// Page tables, which belong to no one's RSS.
    pub page_table_bytes: u64,
    /// Processor time in user mode since the process began.
    pub user_ms: u64,
    /// Processor time in the kernel on behalf of the process.
    pub system_ms: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors. A process with private descriptor tables shows only its first thread's.
    pub descriptors: u64,
}

impl ProcessSample {
    /// Reads `/proc/<pid>`.
    #[must_use]
    pub fn read(root: &ProcRoot, pid: &str) -> Self {
        let text = |name: &str| root.text(&format!("proc/{pid}/{name}")).unwrap_or_default();
        let status = text("status");
        let (user_ms, system_ms) = parse_cpu_ms(&text("stat")).unwrap_or_default();
        Self {
            rss_bytes: status_kib(&status, "VmRSS:") * 1024,
            page_table_bytes: status_kib(&status, "VmPTE:") * 1024,
            user_ms,
            system_ms,
            threads: status_kib(&status, "Threads:"),
            descriptors: root.entries(&format!("proc/{pid}/fd")).unwrap_or_default(),
        }
    }

    /// Whether the process was there.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.threads > 0
    }
}

/// User and system time from `/proc/<pid>/stat`. The second field is the command in parentheses and may
/// hold blanks and parentheses itself, so fields are counted from the *last* one.
#[must_use]
pub fn parse_cpu_ms(stat: &str) -> Option<(u64, u64)> {
    let after_command = stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = after_command.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? * MS_PER_TICK, ticks()? * MS_PER_TICK))
}

/// The number after a label of `/proc/<pid>/status`.
#[must_use]
pub fn status_kib(status: &str, label: &str) -> u64 {
    throng::tuning::root::labelled(status, label).unwrap_or_default()
}

/// USER_HZ is 100 in the ABI of every Linux that this builds for, whatever CONFIG_HZ says.
const MS_PER_TICK: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_survives_any_command_name() {
        let tail = "S 1 1 1 0 -1 4194304 101 0 0 0 250 31 0 0 20 0 4 0 78742 3133440 412";
        for command in ["cat", "tokio (x) y", "a) S 9 9 9"] {
            let stat = format!("9867 ({command}) {tail}");
            assert_eq!(parse_cpu_ms(&stat), Some((2500, 310)), "{command}");
        }
        assert_eq!(parse_cpu_ms(""), None);
        assert_eq!(parse_cpu_ms("1 (x) S 1 2"), None);
    }

    #[test]
    fn status_is_read_by_label() {
        let status = "Name:\tthrong\nVmPeak:\t 9000 kB\nVmRSS:\t  64312 kB\nVmPTE:\t     148 kB\nThreads:\t3\n";
        assert_eq!(status_kib(status, "VmRSS:"), 64_312);
        assert_eq!(status_kib(status, "Threads:"), 3);
        assert_eq!(status_kib(status, "VmSwap:"), 0);
    }

    #[test]
    fn a_process_that_is_not_there_is_zeros() {
        let nowhere = ProcRoot::at(std::path::Path::new("/nowhere-at-all"));
        assert!(!ProcessSample::read(&nowhere, "1").is_present());
    }

    #[test]
    fn this_process_is_there() {
        let sample = ProcessSample::read(&ProcRoot::machine(), "self");
        assert!(sample.is_present() && sample.rss_bytes > 0 && sample.descriptors > 0);
    }
}
