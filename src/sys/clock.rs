//! Monotonic time in the two resolutions the project needs.
//!
//! The two must not be mixed in one subtraction: the coarse one is up to a kernel tick behind.

/// Milliseconds of the kernel's last tick: a worker's once-per-turn clock.
///
/// The coarse clock is a load from memory the kernel keeps current (4.4 ns, measured beside 22.6 ns
/// for the precise one), on every machine; the precise one needs the TSC, and becomes a system call
/// where a hypervisor hides it. It is at most 4 ms behind (`HZ=250`), and our ticks are 100 ms.
pub fn monotonic_ms() -> u64 {
    read(COARSE) / 1_000_000
}

/// Nanoseconds of the precise clock: for measuring how long something took.
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Seconds since 1970: for what has a date, like certificates. It jumps when somebody sets it.
pub fn unix_s() -> u64 {
    read(libc::CLOCK_REALTIME) / 1_000_000_000
}

/// Milliseconds since 1970, with the same warning.
pub fn unix_ms() -> u64 {
    read(libc::CLOCK_REALTIME) / 1_000_000
}

/// Nanoseconds of processor time that all threads of this process have used.
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a whole `timespec`, and outlives the call that fills it.
    let result = unsafe { libc::clock_gettime(clock, &raw mut now) };
    debug_assert_eq!(result, 0, "these clocks exist on every system we build for");
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(target_os = "linux")]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(target_os = "linux"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_clock_goes_back_and_the_coarse_one_trails() {
        let (mut coarse_ms, mut fine_ns) = (monotonic_ms(), monotonic_ns());
        for _ in 0..10_000 {
            let (next_ms, next_ns) = (monotonic_ms(), monotonic_ns());
            assert!(next_ms >= coarse_ms && next_ns >= fine_ns);
            assert!(
                next_ms <= next_ns / 1_000_000,
                "the coarse clock is never ahead"
            );
            (coarse_ms, fine_ns) = (next_ms, next_ns);
        }
    }
}
