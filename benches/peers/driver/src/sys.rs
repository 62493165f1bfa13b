//! The calls the standard library does not make: one per function.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Ties this process, and every child from now on, to one core.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero set is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `CPU_SET` ignores a core beyond the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set outlives the call and its size is passed; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) })
}

/// The cores this process may run on.
pub(crate) fn allowed_cores() -> io::Result<Vec<usize>> {
    // SAFETY: an all-zero set is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the set, whose size is passed.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) })?;
    let all = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: every index is below the size of the set.
    Ok(all
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect())
}

/// Raises the limit on open files to the most this user may have, and says how many that is.
pub(crate) fn raise_files_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` outlives both calls.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(usize::try_from(limit.rlim_max).unwrap_or(usize::MAX))
}

/// Gives the calling thread a descriptor table of its own, a copy of the one it has shared.
pub(crate) fn part_files() -> io::Result<()> {
    // SAFETY: no pointer is passed; other threads keep the table they have.
    check(unsafe { libc::unshare(libc::CLONE_FILES) })
}

/// Sets the precedence of this process, and of every child from now on, from -20 (first) to 19.
pub(crate) fn set_niceness(niceness: i32) -> io::Result<()> {
    // SAFETY: no pointer is passed; 0 is the calling process.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) })?;
    // Where the kernel groups processes by session, niceness counts within the group only, and
    // the group has one of its own.
    match std::fs::write("/proc/self/autogroup", niceness.to_string()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the child die with the driver, also when the driver is killed.
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only `prctl` is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)));
    }
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointer is passed.
    check(unsafe { libc::kill(pid as libc::pid_t, signal) })
}

/// Receives and throws away: the bytes are counted and never copied.
pub(crate) fn discard(socket: &impl AsRawFd, bytes_max: usize) -> io::Result<usize> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    let nowhere = std::ptr::null_mut();
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer (tcp(7)).
    length(unsafe { libc::recv(socket.as_raw_fd(), nowhere, bytes_max, flags) })
}

/// Receives without waiting.
pub(crate) fn recv(socket: &impl AsRawFd, into: &mut [u8]) -> io::Result<usize> {
    let (start, room) = (into.as_mut_ptr(), into.len());
    // SAFETY: the kernel writes at most `room` bytes, the length of the slice.
    length(unsafe { libc::recv(socket.as_raw_fd(), start.cast(), room, libc::MSG_DONTWAIT) })
}

/// Sends without waiting.
pub(crate) fn send(socket: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    let fd: RawFd = socket.as_raw_fd();
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the kernel reads the slice and no more.
    length(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Connects a socket to nowhere: an established connection is reset, and the socket is new again.
pub(crate) fn disconnect(socket: &impl AsRawFd) -> io::Result<()> {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as u16,
        sa_data: [0; 14],
    };
    let length = size_of_val(&nowhere) as u32;
    // SAFETY: the address outlives the call and its size is passed.
    check(unsafe { libc::connect(socket.as_raw_fd(), &nowhere, length) })
}

/// Lets `connect`, which knows both ends, choose the port of a socket bound to an address.
pub(crate) fn choose_port_late(socket: &impl AsRawFd) -> io::Result<()> {
    let one: libc::c_int = 1;
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    let (start, length) = ((&raw const one).cast(), size_of_val(&one) as u32);
    // SAFETY: the option is an int; `one` outlives the call and its size is passed.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, start, length) })
}

/// Opens a sampling clock on one core (perf_event_open(2)): at every beat, the process that runs
/// there and whether it is in the kernel. Starts stopped.
pub(crate) fn open_sampler(core: usize, beats_per_second: u64) -> io::Result<OwnedFd> {
    const ATTRIBUTE_BYTES: u64 = 112;
    const SOFTWARE: u64 = 1;
    const CPU_CLOCK: u64 = 0;
    const SAMPLE_TID: u64 = 1 << 1;
    const DISABLED_BY_FREQUENCY: u64 = 1 | 1 << 10;
    // `struct perf_event_attr`, whose first word holds the type and its own size.
    let mut attribute = [0u64; (ATTRIBUTE_BYTES / 8) as usize];
    attribute[0] = SOFTWARE | ATTRIBUTE_BYTES << 32;
    attribute[1] = CPU_CLOCK;
    attribute[2] = beats_per_second;
    attribute[3] = SAMPLE_TID;
    attribute[5] = DISABLED_BY_FREQUENCY;
    let (every_process, no_group, close_on_exec) = (-1, -1, 8u64);
    // SAFETY: the attribute has the size it names and outlives the call.
    let fd = unsafe {
        let number = libc::SYS_perf_event_open;
        libc::syscall(
            number,
            &attribute,
            every_process,
            core,
            no_group,
            close_on_exec,
        )
    };
    length(fd as isize)?;
    // SAFETY: the kernel has just given us this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Starts or stops a sampling clock.
pub(crate) fn switch_sampler(sampler: &OwnedFd, on: bool) -> io::Result<()> {
    const ENABLE: libc::c_ulong = 0x2400;
    const DISABLE: libc::c_ulong = 0x2401;
    let request = if on { ENABLE } else { DISABLE };
    // SAFETY: these requests take no pointer.
    check(unsafe { libc::ioctl(sampler.as_raw_fd(), request, 0) })
}

/// A file's memory, shared with the kernel, as 64-bit words.
pub(crate) struct Mapping {
    start: *mut u64,
    words: usize,
}

impl Mapping {
    pub(crate) fn new(file: &OwnedFd, bytes: usize) -> io::Result<Self> {
        let (place, protection) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE);
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping at a place of the kernel's choice touches no other memory.
        let start = unsafe { libc::mmap(place, bytes, protection, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: start.cast(),
            words: bytes / 8,
        })
    }

    /// The word at this index. The kernel writes here, hence volatile.
    pub(crate) fn word(&self, index: usize) -> u64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: within the mapping, which lives as long as `self`, and aligned like it.
        unsafe { self.start.add(index).read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this mapping was made by `new` and nothing borrows from it.
        unsafe { libc::munmap(self.start.cast(), self.words * 8) };
    }
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn length(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}
