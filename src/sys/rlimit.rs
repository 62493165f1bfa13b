//! How many descriptors we may open.
//!
//! The limit is the process's, the count is the table's: with parted tables
//! ([`fdtable`](super::fdtable)) every worker may open this many.

use std::io;

/// The two limits on open descriptors (`RLIMIT_NOFILE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nofile {
    /// The one in force.
    pub soft: u64,
    /// How far anybody may raise the soft one.
    pub hard: u64,
}

/// The limits as they are.
pub fn nofile() -> io::Result<Nofile> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a whole `rlimit`, and outlives the call that fills it.
    unsafe { syscall!(getrlimit(libc::RLIMIT_NOFILE, &raw mut limit)) }?;
    // The kernels do not agree on the sign of `rlim_t`.
    Ok(Nofile {
        soft: limit.rlim_cur as _,
        hard: limit.rlim_max as _,
    })
}

/// Raises the soft limit to the hard one and says what is in force now.
///
/// Distributions keep the soft limit at 1024 for programs that use `select`; we do not.
pub fn raise_nofile() -> io::Result<Nofile> {
    let Nofile { soft, hard } = nofile()?;
    if soft < hard {
        let limit = libc::rlimit {
            rlim_cur: hard as _,
            rlim_max: hard as _,
        };
        // SAFETY: `limit` is a whole `rlimit`, which the kernel only reads.
        unsafe { syscall!(setrlimit(libc::RLIMIT_NOFILE, &raw const limit)) }?;
    }
    nofile()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_rises_to_the_hard_one() {
        let before = nofile().unwrap();
        assert!(before.soft > 0 && before.soft <= before.hard);
        let after = raise_nofile().unwrap();
        assert_eq!(
            after,
            Nofile {
                soft: before.hard,
                hard: before.hard
            }
        );
        assert_eq!(nofile().unwrap(), after);
    }
}
