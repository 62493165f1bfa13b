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

use std::io;

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
    if unshare().is_ok() {
        return Parted::Unshared;
    }
    match unshare_by_close_range() {
        Ok(()) => Parted::CloseRange,
        Err(error) => Parted::Shared(error.raw_os_error().unwrap_or(0)),
    }
}

/// Makes the calling thread's table as long as `descriptors` need, once and for all.
///
/// A table doubles when it is full. Alone with it that is a copy (8 to 34 us up to 20 000 entries,
/// measured); while threads share it, the kernel waits at each doubling until no core can still be
/// reading the old one: 8 to 16 ms for everybody who opens something. The kernel's memory for it, 8
/// bytes a descriptor, is taken now, so ask for what is expected and not for what is allowed.
pub fn grow(descriptors: u64) -> io::Result<()> {
    let Some(top) = descriptors.checked_sub(1) else {
        return Ok(());
    };
    let top = i32::try_from(top).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The lowest free number from `top` on, so nothing that is open is overwritten; closed at once.
    rustix::io::fcntl_dupfd_cloexec(io::stdin(), top)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn unshare() -> io::Result<()> {
    // SAFETY: takes no pointers; other threads keep the table they have.
    unsafe { syscall!(unshare(libc::CLONE_FILES)) }?;
    Ok(())
}

/// The last descriptors a `u32` can name are never open, so this closes nothing.
#[cfg(target_os = "linux")]
fn unshare_by_close_range() -> io::Result<()> {
    const UNSHARE: libc::c_uint = 2;
    let (first, last) = (u32::MAX - 1, u32::MAX);
    // By number: the C library's wrapper is younger than the call (Linux 5.9).
    // SAFETY: takes no pointers; the three arguments are the call's own types.
    unsafe { syscall!(syscall(libc::SYS_close_range, first, last, UNSHARE)) }?;
    Ok(())
}

/// Whether [`part`] would work, tried where it harms nobody: in a thread that ends at once.
pub fn can_part() -> bool {
    let parted = std::thread::spawn(part).join();
    matches!(parted, Ok(parted) if !matches!(parted, Parted::Shared(_)))
}

/// Only Linux can part tables.
#[cfg(not(target_os = "linux"))]
pub fn part() -> Parted {
    Parted::Shared(libc::ENOSYS)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::thread;

    /// Runs `attempt` on a thread of its own; whether a descriptor that the thread opens afterwards
    /// is visible from outside, and what the attempt said.
    fn opened_after<T: Send>(attempt: fn() -> T, least: i32) -> (T, bool) {
        let before = File::open("/proc/self/status").unwrap();
        let worker = || {
            let result = attempt();
            assert!(before.metadata().is_ok(), "what was open before stays open");
            (result, duplicate_above(least, &before))
        };
        let (result, number) = thread::scope(|scope| scope.spawn(worker).join().unwrap());
        // `/proc/self` is the main thread's table, which the other tests share.
        let seen = std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
        (result, seen)
    }

    #[test]
    fn a_parted_thread_keeps_what_was_open_and_shares_nothing_new() {
        assert!(
            opened_after(|| (), 700).1,
            "threads share a table until they part"
        );
        let (parted, seen) = opened_after(part, 750);
        // A profile that refuses both ways leaves one table, and says so.
        assert_eq!(seen, matches!(parted, Parted::Shared(1..)), "{parted:?}");
    }

    #[test]
    fn each_way_of_parting_parts_or_says_that_it_did_not() {
        for (way, least) in [(unshare as fn() -> _, 800), (unshare_by_close_range, 850)] {
            let (result, seen) = opened_after(way, least);
            assert_eq!(seen, result.is_err(), "{result:?}");
        }
    }

    #[test]
    fn a_table_grows_to_the_limit_and_not_beyond() {
        let limit = super::super::rlimit::nofile().unwrap().soft;
        let open = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
        let grown = thread::spawn(move || {
            part();
            let before = open();
            grow(0).unwrap();
            grow(1).unwrap();
            grow(limit.min(20_000)).unwrap();
            assert_eq!(open(), before, "nothing stays open");
            grow(limit + 1)
        });
        assert_eq!(
            grown.join().unwrap().unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
        assert!(grow(u64::MAX).is_err());
    }

    /// A descriptor with a number no other test reaches; left open until its table ends.
    fn duplicate_above(least: i32, file: &File) -> i32 {
        // SAFETY: takes integers only, and makes a descriptor nobody owns yet.
        let made = unsafe { syscall!(fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least)) };
        made.expect("the soft limit is 1024 or more")
    }
}
