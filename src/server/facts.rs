//! What the machine allows, as far as it lets itself be asked.
//!
//! Read by [`tuning`](crate::tuning), like everything about limits; here is what only an attempt can
//! tell, and what only the server does.

use crate::sys::{affinity, fdtable, rlimit};
use crate::tuning::{Host, ProcRoot};

/// The limits found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The cores this process may run on; never empty.
    pub cores: Vec<usize>,
    /// Whether each worker can have a descriptor table, and so the whole limit, to itself.
    pub are_tables_parted: bool,
    /// Descriptors one table may hold, after raising the soft limit to the hard one.
    pub descriptors_max: u64,
    /// What the machine says about itself.
    pub host: Host,
}

impl Facts {
    /// Asks this machine. Raises the soft descriptor limit to the hard one on the way.
    pub fn gather() -> Self {
        // Failing to raise the limit leaves the one in force, which is then reported.
        let descriptors = rlimit::raise_nofile().or_else(|_| rlimit::nofile());
        Self {
            cores: affinity::cores(),
            are_tables_parted: fdtable::can_part(),
            descriptors_max: descriptors.map_or(DESCRIPTORS_GUESS, |limit| limit.soft),
            host: Host::read(&ProcRoot::machine()),
        }
    }

    /// Memory there is for us: what is free, or less if a control group says so.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.host.memory_usable_bytes()
    }
}

/// What POSIX promises at least, for a system that does not answer.
const DESCRIPTORS_GUESS: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_answers() {
        let facts = Facts::gather();
        assert!(!facts.cores.is_empty());
        assert!(facts.descriptors_max >= DESCRIPTORS_GUESS);
    }
}
