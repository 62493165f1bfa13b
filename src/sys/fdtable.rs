//! A descriptor table for each worker.
//!
//! Threads share one table, so the kernel takes a reference on the file around every `recv` and
//! `send`, and one lock around every `accept` and `close`. A thread that is alone with its table
//! (`files->count == 1`) is spared both, and `RLIMIT_NOFILE` counts per table: with a limit of
//! 20 000 that may not be raised, 70 parted threads held 1 008 000 sockets.
//!
//! The price is that a descriptor number means something only in its own table. Parting copies the
//! table: what was open before (wakers, polls, endpoints) exists in both under the same number, and
//! stays open until both have closed it. What is opened later exists in one. So:
//!
//! - polls, wakers and mailboxes of *all* workers are made before the *first* worker parts;
//! - listeners and connections are made after, in the worker that serves them;
//! - nothing with a descriptor inside travels between workers after that.

/// How far the calling thread's descriptor table is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parted {
    /// By `unshare(CLONE_FILES)`.
    Unshared,
    /// By `close_range(.., CLOSE_RANGE_UNSHARE)` over a range in which nothing is open: container
    /// profiles refuse `unshare` for its namespaces, but let this pass.
    CloseRange,
    /// Not at all: everything works, a little slower, and the limit counts for all workers
    /// together. The errno says why.
    Shared(i32),
}

/// Gives the calling thread a descriptor table of its own, where the system lets it.
#[cfg(target_os = "linux")]
pub fn part() -> Parted {
    // SAFETY: takes no pointers; other threads keep the table they have.
    if unsafe { syscall!(unshare(libc::CLONE_FILES)) }.is_ok() {
        return Parted::Unshared;
    }
    // By number: the C library's wrapper is younger than the call (Linux 5.9). The last
    // descriptors a u32 can name are never open, so nothing is closed.
    let (first, last) = (u32::MAX - 1, u32::MAX);
    // SAFETY: takes no pointers; the three arguments are the call's own types.
    match unsafe {
        syscall!(syscall(
            libc::SYS_close_range,
            first,
            last,
            CLOSE_RANGE_UNSHARE
        ))
    } {
        Ok(_) => Parted::CloseRange,
        Err(error) => Parted::Shared(error.raw_os_error().unwrap_or(0)),
    }
}

/// Only Linux can part tables.
#[cfg(not(target_os = "linux"))]
pub fn part() -> Parted {
    Parted::Shared(libc::ENOSYS)
}

#[cfg(target_os = "linux")]
const CLOSE_RANGE_UNSHARE: libc::c_uint = 2;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::thread;

    #[test]
    fn a_parted_thread_keeps_what_was_open_and_shares_nothing_new() {
        let before = File::open("/proc/self/status").unwrap();
        let worker = || {
            let parted = part();
            assert!(before.metadata().is_ok(), "what was open before stays open");
            (parted, duplicate_above(900, &before))
        };
        let (parted, number) = thread::scope(|scope| scope.spawn(worker).join().unwrap());
        // `/proc/self` is the main thread's table, which the other tests share.
        let seen_outside = std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
        match parted {
            Parted::Unshared | Parted::CloseRange => assert!(!seen_outside),
            // A profile that refuses both leaves one table; the descriptor is then visible here.
            Parted::Shared(errno) => assert!(errno != 0 && seen_outside),
        }
    }

    /// A descriptor with a number no other test reaches; left open until its table ends.
    fn duplicate_above(least: i32, file: &File) -> i32 {
        // SAFETY: takes integers only, and makes a descriptor nobody owns yet.
        let made = unsafe { syscall!(fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least)) };
        made.expect("900 is below every limit we run with")
    }
}
