//! Signals as values for the main thread, not as interruptions.
//!
//! The signals that end or reload a server are blocked before the first thread starts (threads
//! inherit the mask), and the main thread waits for them. No handler runs, so no code of ours has to
//! be safe inside one, and no flag is shared with one.

use std::io;
use std::time::Duration;

/// What the operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: stop in good order.
    Terminate,
    /// SIGINT: the same, from a keyboard.
    Interrupt,
    /// SIGHUP: read the configuration again.
    Hangup,
    /// SIGUSR1: say how you are.
    Report,
}

/// Blocks these signals in the calling thread and in those it will start, and ignores SIGPIPE
/// in the whole process (a peer that is gone is an error of one write).
///
/// Call it on the main thread before any other starts. A thread that lacks the mask would be
/// killed with the process by the first SIGTERM.
pub fn block() -> io::Result<()> {
    let set = awaited();
    // SAFETY: `set` is an initialised signal set; the old mask is not asked for.
    let errno =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if errno != 0 {
        return Err(io::Error::from_raw_os_error(errno));
    }
    // SAFETY: SIG_IGN is no function of ours, so there is nothing that could be unsafe in a handler.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits for one of the blocked signals; `None` when `timeout` is over (or a little before: a
/// debugger's stop and continue ends the wait too).
#[cfg(not(target_vendor = "apple"))]
pub fn wait(timeout: Duration) -> Option<Signal> {
    let set = awaited();
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos() as _,
    };
    let nowhere = std::ptr::null_mut();
    // SAFETY: set and timeout are initialised and outlive the call; a null siginfo is allowed.
    let number = unsafe { syscall!(sigtimedwait(&raw const set, nowhere, &raw const timeout)) };
    number.ok().and_then(Signal::from_number)
}

/// Waits for one of the blocked signals; `None` when `timeout` is over. Apple has no
/// `sigtimedwait`, so this looks ten times a second.
#[cfg(target_vendor = "apple")]
pub fn wait(timeout: Duration) -> Option<Signal> {
    const LOOK_EVERY_MS: libc::c_int = 100;
    for _ in 0..=timeout.as_millis() / LOOK_EVERY_MS as u128 {
        let mut pending = awaited();
        // SAFETY: `pending` is a whole signal set, filled by the call.
        unsafe { libc::sigpending(&raw mut pending) };
        for signal in Signal::ALL {
            // SAFETY: `pending` is initialised, and the number is a signal's.
            if unsafe { libc::sigismember(&raw const pending, signal.number()) } == 1 {
                let set = awaited();
                let mut number = 0;
                // SAFETY: both are initialised; one of the set is pending, so this returns.
                unsafe { libc::sigwait(&raw const set, &raw mut number) };
                return Signal::from_number(number);
            }
        }
        // SAFETY: no descriptors are passed, so the null array is never read: a plain pause.
        unsafe { libc::poll(std::ptr::null_mut(), 0, LOOK_EVERY_MS) };
    }
    None
}

impl Signal {
    const ALL: [Self; 4] = [Self::Terminate, Self::Interrupt, Self::Hangup, Self::Report];

    fn number(self) -> libc::c_int {
        match self {
            Self::Terminate => libc::SIGTERM,
            Self::Interrupt => libc::SIGINT,
            Self::Hangup => libc::SIGHUP,
            Self::Report => libc::SIGUSR1,
        }
    }

    fn from_number(number: libc::c_int) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|signal| signal.number() == number)
    }
}

/// The set of signals we wait for.
fn awaited() -> libc::sigset_t {
    // SAFETY: a signal set is plain bits, and `sigemptyset` initialises it before it is used.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is ours.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in Signal::ALL {
        // SAFETY: `set` is initialised, and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, signal.number()) };
    }
    set
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Sends a signal to the calling thread only: the test process must survive.
    fn raise(signal: Signal) {
        // SAFETY: signals this very thread, which blocks the signal.
        let errno = unsafe { libc::pthread_kill(libc::pthread_self(), signal.number()) };
        assert_eq!(errno, 0);
    }

    #[test]
    fn blocked_signals_wait_until_they_are_asked_for() {
        block().unwrap();
        assert_eq!(wait(Duration::ZERO), None);
        for signal in Signal::ALL {
            raise(signal);
            assert_eq!(wait(Duration::from_secs(10)), Some(signal));
            assert_eq!(wait(Duration::ZERO), None, "a signal is taken once");
        }
    }
}
