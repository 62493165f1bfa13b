//! A directory of prepared files that looks like a machine, for the tests.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::host::Host;
use super::knob::{sysctl_path, written};
use super::root::ProcRoot;

/// Removed when the test is done with it.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// Writes `files` (path below the root, text).
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("throng-tuning-{}-{number}", std::process::id());
        let tree = Self(std::env::temp_dir().join(name));
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    /// A machine of so much memory that nobody has touched, as its files.
    pub(crate) fn stock(memory_bytes: u64) -> Self {
        let tree = Self::new(&[]);
        for (name, value) in &Host::stock(memory_bytes).sysctls {
            // The module is not loaded.
            if !name.contains("nf_conntrack") {
                tree.write(&sysctl_path(name), &format!("{}\n", written(value)));
            }
        }
        let kib = memory_bytes / 1024;
        let free = kib / 100 * 95;
        for (path, text) in [
            (
                "proc/meminfo",
                format!("MemTotal: {kib} kB\nMemFree: {free} kB\n"),
            ),
            ("proc/sys/net/ipv4/tcp_ehash_entries", "262144\n".to_owned()),
            (
                "proc/sys/fs/file-nr",
                "1000\t0\t9223372036854775807\n".to_owned(),
            ),
            ("proc/self/status", "CapEff:\t000001ffffffffff\n".to_owned()),
            ("proc/self/cgroup", "0::/\n".to_owned()),
        ] {
            tree.write(path, &text);
        }
        tree.nofile(524_288);
        tree
    }

    /// Sets the descriptor limits of the process.
    pub(crate) fn nofile(&self, limit: u64) {
        let text = format!("Max open files            1024       {limit}     files\n");
        self.write("proc/self/limits", &text);
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("files are below the root"))
            .expect("the temporary directory is writable");
        fs::write(path, text).expect("the temporary directory is writable");
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.root().text(path)
    }

    pub(crate) fn root(&self) -> ProcRoot {
        ProcRoot::at(&self.0)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("the name is ASCII")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
