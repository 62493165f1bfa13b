//! Where `/proc` is: `/` on a real machine, a directory of captured files in a test.

use std::path::{Path, PathBuf};

/// The directory that `proc` and `sys` hang under.
#[derive(Debug, Clone)]
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

    /// A file below the root, e.g. `proc/meminfo`; `None` when it is absent, hidden or not text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(path)).ok()
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

    /// How many entries a directory has.
    #[must_use]
    pub fn entries(&self, path: &str) -> Option<u64> {
        Some(std::fs::read_dir(self.0.join(path)).ok()?.count() as u64)
    }
}
