//! Memory for secrets: whole pages of our own that no core dump contains.
//!
//! A worker's keys lie side by side, so one dump of it would hold the keys of every connection.
//! Memory from the allocator cannot be excluded piece by piece (its pages are shared with
//! everything else), and a growing `Vec` would leave copies behind: hence pages that never move.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A fixed number of `T` on pages of their own, excluded from core dumps.
///
/// Whoever keeps secrets in it overwrites them when they are over; the kernel clears pages before it
/// hands them to somebody else.
#[derive(Debug)]
pub struct Pages<T> {
    start: NonNull<T>,
    count: usize,
}

impl<T> Pages<T> {
    /// `count` times `filler()`.
    pub fn new(count: usize, filler: impl Fn() -> T) -> io::Result<Self> {
        const {
            assert!(!std::mem::needs_drop::<T>(), "plain bytes only");
            assert!(
                size_of::<T>() > 0 && align_of::<T>() <= 4096,
                "a page starts at a multiple"
            );
        }
        let bytes = (count.max(1))
            .checked_mul(size_of::<T>())
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let pages = Self {
            start: map(bytes)?.cast(),
            count,
        };
        exclude_from_dumps(pages.start.cast(), bytes)?;
        for index in 0..count {
            // SAFETY: `index < count`, so the slot lies within the mapping, which is writable, ours
            // alone and aligned for `T`; nothing is dropped because `T` needs no drop.
            unsafe { pages.start.add(index).write(filler()) };
        }
        Ok(pages)
    }

    fn bytes(&self) -> usize {
        self.count.max(1) * size_of::<T>()
    }
}

/// Leaves anonymous memory out of core dumps of this process, from now on: heap and stacks, where
/// cryptography works with keys that we never see. What remains are registers, the list of
/// mappings, and what lies in files.
pub fn keep_memory_out_of_dumps() -> io::Result<()> {
    const FILTER: &str = "/proc/self/coredump_filter";
    const ANONYMOUS_PRIVATE: u32 = 1;
    let text = std::fs::read_to_string(FILTER)?;
    let filter = u32::from_str_radix(text.trim(), 16);
    let filter = filter.map_err(|_| io::ErrorKind::InvalidData)?;
    std::fs::write(FILTER, format!("{:#x}", filter & !ANONYMOUS_PRIVATE))
}

impl<T> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` wrote all `count` slots, and the mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `&mut self` makes it the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nobody refers to it any more. It cannot
        // fail for a range that `mmap` gave.
        let _ = unsafe { syscall!(munmap(self.start.as_ptr().cast(), self.bytes())) };
    }
}

// SAFETY: `Pages` owns its mapping as a `Vec<T>` owns its buffer.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: as above; shared references only read.
unsafe impl<T: Sync> Sync for Pages<T> {}

/// Fresh zeroed memory.
fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    // Its failure is not -1 as a number but as a pointer, which is why the macro is not used.
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

#[cfg(target_os = "linux")]
fn exclude_from_dumps(start: NonNull<u8>, bytes: usize) -> io::Result<()> {
    // SAFETY: the range is a mapping of ours; the advice changes none of its bytes.
    unsafe { syscall!(madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTDUMP)) }?;
    Ok(())
}

/// No such advice here; whoever turns core dumps on sees what is in memory.
#[cfg(not(target_os = "linux"))]
fn exclude_from_dumps(_start: NonNull<u8>, _bytes: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_written_read_and_moved_between_threads() {
        let mut pages = Pages::new(1000, || [7u8; 128]).unwrap();
        assert_eq!(pages.len(), 1000);
        assert!(pages.iter().all(|slot| *slot == [7; 128]));
        pages[999][127] = 1;
        let pages = std::thread::spawn(move || pages).join().unwrap();
        assert_eq!(pages[999][127], 1);
        assert!(Pages::new(0, || 1u64).unwrap().is_empty());
        assert!(Pages::new(usize::MAX, || 1u64).is_err());
    }

    /// The kernel's own word on it: the mapping's flags contain `dd`, "do not include in a dump".
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_knows_not_to_dump_them() {
        let flags_of = |address: usize| -> Option<String> {
            let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
            let mut is_ours = false;
            for line in maps.lines() {
                let range = line.split_whitespace().next()?.split_once('-');
                let ends = range.and_then(|(from, to)| {
                    let hex = |text| usize::from_str_radix(text, 16).ok();
                    Some(hex(from)?..hex(to)?)
                });
                match ends {
                    Some(ends) => is_ours = ends.contains(&address),
                    None if is_ours && line.starts_with("VmFlags:") => {
                        return Some(line.to_owned());
                    }
                    None => {}
                }
            }
            None
        };
        let secret = Pages::new(64, || [1u8; 4096]).unwrap();
        let plain = vec![1u8; 1 << 20];
        let has_mark = |flags: String| flags.split_whitespace().any(|flag| flag == "dd");
        let Some(flags) = flags_of(secret.as_ptr() as usize) else {
            return; // a container may hide it
        };
        assert!(has_mark(flags));
        assert!(!has_mark(flags_of(plain.as_ptr() as usize).unwrap()));
    }
}
