//! Where `/proc`, `/sys` and `/etc` are: below `/` on a real machine, below a directory of prepared
//! files in a test or an image.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory that `proc`, `sys` and `etc` hang under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcRoot(PathBuf);

impl ProcRoot {
    /// This machine.
    #[must_use]
    pub fn machine() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A directory that looks like one.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Whether this is the machine we run on, so that asking the kernel directly means something.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where a file below the root really is.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// A file below the root, e.g. `proc/meminfo`; `None` when it is absent, hidden or not text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The first number of a file.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    }

    /// All numbers of a file.
    #[must_use]
    pub fn numbers(&self, path: &str) -> Vec<u64> {
        let text = self.text(path).unwrap_or_default();
        text.split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect()
    }

    /// The names in a directory, sorted; none if it cannot be read.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    /// How many entries a directory has.
    #[must_use]
    pub fn entries(&self, path: &str) -> Option<u64> {
        Some(fs::read_dir(self.path(path)).ok()?.count() as u64)
    }

    /// What a symbolic link says, e.g. `proc/self/ns/net`.
    #[must_use]
    pub fn link(&self, path: &str) -> Option<String> {
        fs::read_link(self.path(path))
            .ok()?
            .into_os_string()
            .into_string()
            .ok()
    }
}

/// The number after a label, as `/proc/meminfo` and `/proc/<pid>/status` write it.
#[must_use]
pub fn labelled(text: &str, label: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// The number under `name` in the pair of lines (names, then values) that begin with `label`, as
/// `/proc/net/netstat` and `/proc/net/snmp` write them.
#[must_use]
pub fn paired(text: &str, label: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(label));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names
        .split_ascii_whitespace()
        .position(|word| word == name)?;
    values.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// The number after `name` in the line that begins with `label`, as `/proc/net/sockstat` writes them:
/// `TCP: inuse 17 orphan 0 tw 3 alloc 20 mem 2`.
#[must_use]
pub fn named(text: &str, label: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let mut words = line.split_ascii_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_pairs_are_found() {
        let text = "MemTotal:  24 kB\nMemFree: x\n";
        assert_eq!(labelled(text, "MemTotal:"), Some(24));
        assert_eq!(labelled(text, "MemFree:"), None);
        let text = "TcpExt: A B\nTcpExt: 1 2\nIpExt: B\nIpExt: 9\n";
        assert_eq!(paired(text, "TcpExt:", "B"), Some(2));
        assert_eq!(paired(text, "IpExt:", "B"), Some(9));
        assert_eq!(paired("TcpExt: A\n", "TcpExt:", "A"), None);
        let text = "UDP: inuse 9\nTCP: inuse 4 mem\n";
        assert_eq!(named(text, "TCP:", "inuse"), Some(4));
        assert_eq!(named(text, "TCP:", "mem"), None);
        assert_eq!(named(text, "TCP6:", "inuse"), None);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let root = ProcRoot::at(Path::new("/nonexistent"));
        assert!(!root.is_machine() && ProcRoot::machine().is_machine());
        assert_eq!(root.text("proc/meminfo"), None);
        assert_eq!(root.names("proc"), [""; 0]);
        assert_eq!(root.path("/proc/x"), Path::new("/nonexistent/proc/x"));
    }
}
