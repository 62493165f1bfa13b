//! Which cores we may run on, and staying on one.
//!
//! A pinned worker keeps its connections in one core's caches. It is an optimisation: containers
//! may refuse it, and the caller goes on with a log line.

use std::io;

/// The cores the calling thread may run on, in ascending order; never empty.
///
/// Asked of the scheduler rather than counted, because a cpuset may leave us cores 3 and 7.
#[cfg(target_os = "linux")]
pub fn cores() -> Vec<usize> {
    let mut mask: Mask = [0; MASK_WORDS];
    // SAFETY: pointer and length describe `mask`; the kernel writes whole words of that length.
    let asked = unsafe {
        syscall!(sched_getaffinity(
            0,
            size_of::<Mask>(),
            mask.as_mut_ptr().cast()
        ))
    };
    if asked.is_err() {
        return counted();
    }
    let is_set = |core: &usize| mask[core / WORD_BITS] >> (core % WORD_BITS) & 1 == 1;
    (0..MASK_WORDS * WORD_BITS).filter(is_set).collect()
}

/// Keeps the calling thread on `core`.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) -> io::Result<()> {
    let mut mask: Mask = [0; MASK_WORDS];
    let word = mask
        .get_mut(core / WORD_BITS)
        .ok_or(io::ErrorKind::InvalidInput)?;
    *word = 1 << (core % WORD_BITS);
    // SAFETY: pointer and length describe `mask`, which the kernel only reads.
    unsafe {
        syscall!(sched_setaffinity(
            0,
            size_of::<Mask>(),
            mask.as_ptr().cast()
        ))
    }?;
    Ok(())
}

/// The cores by number; which of them are ours this system does not say.
#[cfg(not(target_os = "linux"))]
pub fn cores() -> Vec<usize> {
    counted()
}

/// Refused: this system takes hints at most.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn counted() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// The kernel's mask of cores. `cpu_set_t` stops at 1024 cores, and a kernel built for more refuses
/// a mask that short; 8192 is the most one can be configured for.
#[cfg(target_os = "linux")]
type Mask = [libc::c_ulong; MASK_WORDS];
#[cfg(target_os = "linux")]
const MASK_WORDS: usize = 8192 / WORD_BITS;
#[cfg(target_os = "linux")]
const WORD_BITS: usize = libc::c_ulong::BITS as usize;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core_and_an_absent_core_is_an_error() {
        let before = cores();
        assert!(!before.is_empty() && before.is_sorted());
        let last = *before.last().unwrap();
        // On a thread of its own: an affinity outlives the test otherwise.
        let pinned = std::thread::spawn(move || pin(last).map(|()| cores()))
            .join()
            .unwrap();
        match pinned {
            Ok(cores) => assert_eq!(cores, [last]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
        assert!(pin(8191).is_err(), "no machine has that core");
        assert!(pin(usize::MAX).is_err());
        assert_eq!(cores(), before);
    }
}
