//! The memory limit of a control group, which counts sockets and their slabs as well.

use super::root::{ProcRoot, labelled};

/// The group that leaves the least room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The file that holds the limit.
    pub file: String,
    /// The limit.
    pub limit_bytes: u64,
    /// What is left of it; page cache that can be given up counts as left.
    pub room_bytes: u64,
}

/// A control group with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryGroup {
    /// Where it lies, below the root.
    folder: String,
    version: &'static Version,
    /// Its limit.
    pub limit_bytes: u64,
}

impl MemoryGroup {
    /// What it uses, without file pages that could be dropped.
    #[must_use]
    pub fn used_bytes(&self, root: &ProcRoot) -> Option<u64> {
        let file = |name: &str| format!("{}/{name}", self.folder);
        let used = root.number(&file(self.version.used))?;
        let stat = root.text(&file("memory.stat")).unwrap_or_default();
        // Version 1 counts its children under other names.
        let droppable = ["inactive_file ", "total_inactive_file "].into_iter();
        let droppable = droppable.filter_map(|label| labelled(&stat, label)).max();
        Some(used.saturating_sub(droppable.unwrap_or_default()))
    }
}

/// The groups of process `pid` that have a limit, from its own up to the root: every ancestor's limit
/// holds, too.
#[must_use]
pub fn groups(root: &ProcRoot, pid: &str) -> Vec<MemoryGroup> {
    let membership = root.text(&format!("proc/{pid}/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for (path, version) in membership.lines().filter_map(parse_membership) {
        groups.extend(ancestors(path).filter_map(|folder| version.group(root, folder)));
    }
    groups
}

/// The group that leaves the least room.
#[must_use]
pub fn tightest(root: &ProcRoot, pid: &str) -> Option<Group> {
    let groups = groups(root, pid).into_iter().map(|group| Group {
        file: format!("/{}/{}", group.folder, group.version.limit),
        limit_bytes: group.limit_bytes,
        room_bytes: group
            .limit_bytes
            .saturating_sub(group.used_bytes(root).unwrap_or_default()),
    });
    groups.min_by_key(|group| group.room_bytes)
}

/// `0::/path` is version 2, `4:memory:/path` version 1; both may be mounted side by side.
fn parse_membership(line: &str) -> Option<(&str, &'static Version)> {
    let (_, line) = line.split_once(':')?;
    match line.split_once(':')? {
        ("", path) => Some((path, &V2)),
        ("memory", path) => Some((path, &V1)),
        _ => None,
    }
}

/// `/a/b` is in the groups `/a/b`, `/a` and the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    std::iter::successors(Some(path), |path| {
        path.rsplit_once('/').map(|(parent, _)| parent)
    })
}

/// The names that a version of control groups gives to its files.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    mount: &'static str,
    limit: &'static str,
    used: &'static str,
}

impl Version {
    fn group(&'static self, root: &ProcRoot, folder: &str) -> Option<MemoryGroup> {
        let folder = format!("{}{folder}", self.mount);
        // Version 2 writes `max`, which is no number; version 1 a number near 2^63.
        let limit_bytes = root.number(&format!("{folder}/{}", self.limit));
        Some(MemoryGroup {
            version: self,
            limit_bytes: limit_bytes.filter(|limit| *limit < UNLIMITED_BYTES)?,
            folder,
        })
    }
}

static V2: Version = Version {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
};
static V1: Version = Version {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
};
/// Version 1 groups without a limit report 2^63 rounded down to a page.
const UNLIMITED_BYTES: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::tree::Tree;

    #[test]
    fn the_tightest_ancestor_counts() {
        let tree = Tree::new(&[
            ("proc/self/cgroup", "0::/system.slice/throng.service\n"),
            (
                "sys/fs/cgroup/system.slice/throng.service/memory.max",
                "max\n",
            ),
            ("sys/fs/cgroup/system.slice/memory.max", "9000\n"),
            ("sys/fs/cgroup/system.slice/memory.current", "5000\n"),
            (
                "sys/fs/cgroup/system.slice/memory.stat",
                "anon 1\ninactive_file 300\nactive_file 200\n",
            ),
        ]);
        let group = tightest(&tree.root(), "self").unwrap();
        assert_eq!(group.file, "/sys/fs/cgroup/system.slice/memory.max");
        assert_eq!((group.limit_bytes, group.room_bytes), (9000, 4300));
    }

    #[test]
    fn both_versions_are_understood() {
        let tree = Tree::new(&[
            ("proc/7/cgroup", "4:memory:/box\n1:cpu:/\n0::/\n"),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "8192\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);
        assert_eq!(tightest(&tree.root(), "7").unwrap().room_bytes, 8192);
        assert_eq!(tightest(&tree.root(), "self"), None);
    }
}
