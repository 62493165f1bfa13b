//! A wake-up at a given nanosecond, for loops whose poll counts in milliseconds.

#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Becomes readable at the moment it is set to; register it edge-triggered and never read it:
/// setting it again clears it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Alarm {
    fd: OwnedFd,
    set_ns: u64,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self {
            fd: timerfd_create(TimerfdClockId::Monotonic, flags)?,
            set_ns: 0,
        })
    }

    /// Sets it to this time of [`clock::monotonic_ns`](super::clock::monotonic_ns). A time that is
    /// over rings at once; the same time as before costs nothing.
    pub fn set(&mut self, at_ns: u64) -> io::Result<()> {
        if at_ns == self.set_ns {
            return Ok(());
        }
        // All zeros would mean "off".
        let at_ns = at_ns.max(1);
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: (at_ns / 1_000_000_000) as _,
                tv_nsec: (at_ns % 1_000_000_000) as _,
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once)?;
        self.set_ns = at_ns;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::clock::monotonic_ns;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use std::time::Duration;

    #[test]
    fn an_alarm_rings_when_it_was_told_and_not_before() {
        let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(4));
        let mut alarm = Alarm::new().unwrap();
        let fd = alarm.as_raw_fd();
        let mut source = SourceFd(&fd);
        poll.registry()
            .register(&mut source, Token(7), Interest::READABLE)
            .unwrap();
        for wait_ns in [300_000, 0, 2_000_000] {
            let at_ns = monotonic_ns() + wait_ns;
            alarm.set(at_ns).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(20)))
                .unwrap();
            assert_eq!(events.iter().count(), 1, "after {wait_ns} ns");
            assert!(monotonic_ns() >= at_ns);
        }
    }
}
