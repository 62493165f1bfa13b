//! How long the scheduler lets a thread run while others of its core wait.
//!
//! A worker with much to do, a broadcast or handshakes, shares its core with workers that have little:
//! where descriptors are few there are many to a core. By default they wait for a few milliseconds of it.

use std::io;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// Short against what people notice, long against a switch of threads.
#[cfg(target_os = "linux")]
const SLICE: Duration = Duration::from_micros(200);

/// Lets the calling thread run for less at a time, and come sooner to its turn. Kernels before 6.12 take
/// no notice; whoever has chosen another policy than the usual ones (`chrt`) has chosen their own slices.
#[cfg(target_os = "linux")]
pub fn shorten() -> io::Result<()> {
    let mut attr = ask()?;
    if !matches!(
        attr.sched_policy as libc::c_int,
        libc::SCHED_OTHER | libc::SCHED_BATCH
    ) {
        return Ok(());
    }
    attr.sched_runtime = SLICE.as_nanos() as u64;
    // SAFETY: `attr` is as long as it says, and the kernel only reads it.
    unsafe {
        syscall!(syscall(
            libc::SYS_sched_setattr,
            0,
            &raw const attr,
            0 as libc::c_uint
        ))
    }?;
    Ok(())
}

/// Refused: this system has no such call.
#[cfg(not(target_os = "linux"))]
pub fn shorten() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How the calling thread is scheduled.
#[cfg(target_os = "linux")]
fn ask() -> io::Result<libc::sched_attr> {
    let mut attr = libc::sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let size = size_of_val(&attr) as libc::c_uint;
    // SAFETY: `attr` is `size` bytes, which the kernel fills, and outlives the call.
    unsafe {
        syscall!(syscall(
            libc::SYS_sched_getattr,
            0,
            &raw mut attr,
            size,
            0 as libc::c_uint
        ))
    }?;
    Ok(attr)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_slice_changes() {
        // On a thread of its own: a slice outlives the test otherwise.
        let (before, after) = std::thread::spawn(|| {
            let before = ask().unwrap();
            shorten().unwrap();
            (before, ask().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!(after.sched_policy, before.sched_policy);
        assert_eq!(after.sched_nice, before.sched_nice);
        assert_eq!(after.sched_flags, before.sched_flags);
        match before.sched_runtime {
            0 => assert_eq!(after.sched_runtime, 0, "a kernel without slices"),
            _ => assert_eq!(after.sched_runtime, SLICE.as_nanos() as u64),
        }
    }

    #[test]
    fn whoever_chose_another_policy_keeps_it() {
        let policy = std::thread::spawn(|| {
            let param = libc::sched_param { sched_priority: 0 };
            // SAFETY: `param` is a whole `sched_param`, which the kernel only reads.
            unsafe { syscall!(sched_setscheduler(0, libc::SCHED_IDLE, &raw const param)) }.unwrap();
            shorten().unwrap();
            ask().unwrap().sched_policy
        })
        .join()
        .unwrap();
        assert_eq!(policy as libc::c_int, libc::SCHED_IDLE);
    }
}
