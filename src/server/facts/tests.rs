//! Files present, absent and odd.

use super::*;

/// A directory tree that is removed at the end of the test.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("throng-facts-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn facts(&self) -> Facts {
        Facts::read(&self.0.join("proc"), &self.0.join("cgroup"))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_hidden_proc_leaves_everything_open() {
    let facts = Facts::read(Path::new("/nonexistent"), Path::new("/nonexistent"));
    assert_eq!(facts.somaxconn, None);
    assert_eq!(facts.memory_bytes(), None);
}

#[test]
fn files_are_read() {
    let tree = Tree::new(
        "all",
        &[
            ("proc/sys/fs/nr_open", "1048576\n"),
            ("proc/sys/net/core/somaxconn", "128\n"),
            ("proc/sys/fs/file-max", "no number\n"),
            (
                "proc/meminfo",
                "MemTotal:  9 kB\nMemAvailable:    2048 kB\n",
            ),
        ],
    );
    let facts = tree.facts();
    assert_eq!(facts.nr_open, Some(1 << 20));
    assert_eq!(facts.somaxconn, Some(128));
    assert_eq!(facts.file_max, None);
    assert_eq!(facts.memory_bytes(), Some(2 << 20));
}

#[test]
fn the_tightest_control_group_counts() {
    let tree = Tree::new(
        "v2",
        &[
            ("proc/self/cgroup", "0::/system.slice/throng.service\n"),
            ("proc/meminfo", "MemAvailable: 1000000 kB\n"),
            ("cgroup/system.slice/throng.service/memory.max", "max\n"),
            ("cgroup/system.slice/memory.max", "4096\n"),
        ],
    );
    assert_eq!(tree.facts().memory_limit_bytes, Some(4096));
    assert_eq!(tree.facts().memory_bytes(), Some(4096));
}

#[test]
fn version_1_groups_are_understood() {
    let tree = Tree::new(
        "v1",
        &[
            ("proc/self/cgroup", "4:memory:/box\n1:cpu:/\n0::/\n"),
            ("cgroup/memory/box/memory.limit_in_bytes", "8192\n"),
            (
                "cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ],
    );
    assert_eq!(tree.facts().memory_limit_bytes, Some(8192));
}

#[test]
fn this_machine_answers() {
    let facts = Facts::gather();
    assert!(!facts.cores.is_empty());
    assert!(facts.descriptors_max >= DESCRIPTORS_GUESS);
}
