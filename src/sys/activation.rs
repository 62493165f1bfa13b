//! Listening sockets that were open before we were: socket activation.
//!
//! Whoever starts us (systemd with a `.socket` unit, or a test) passes them from descriptor 3 on and
//! says so in `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`. The environment is only read, never
//! changed: other threads may read it, too.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// A descriptor somebody left for us.
#[derive(Debug)]
pub struct Inherited {
    /// A duplicate of it. The original stays open, and with it the socket, whatever we close.
    pub fd: OwnedFd,
    /// Its name in `LISTEN_FDNAMES`; `unknown` if it has none.
    pub name: String,
}

/// The descriptors that are meant for this process; mostly none.
pub fn inherited() -> io::Result<Vec<Inherited>> {
    let read = |name: &str| std::env::var(name).ok();
    let left = left_for(std::process::id(), read);
    left.iter()
        .map(|(number, name)| adopt(*number, name))
        .collect()
}

/// The numbers and names, as the environment gives them.
fn left_for(pid: u32, var: impl Fn(&str) -> Option<String>) -> Vec<(i32, String)> {
    let number = |name: &str| var(name)?.parse::<u32>().ok();
    // Meant for another process: ours is a child of it.
    if number("LISTEN_PID") != Some(pid) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(DESCRIPTORS_MAX);
    let names = var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let numbers = (FIRST..).take(count as usize);
    let named = numbers.map(|number| {
        let name = names.next().filter(|name| !name.is_empty());
        (number, name.unwrap_or("unknown").to_owned())
    });
    named.collect()
}

/// Duplicates a descriptor and keeps it from our children.
fn adopt(number: i32, name: &str) -> io::Result<Inherited> {
    let above = FIRST + DESCRIPTORS_MAX as i32;
    // SAFETY: takes integers only; a number that is not open is an error.
    let made = unsafe { syscall!(fcntl(number, libc::F_DUPFD_CLOEXEC, above)) }?;
    // SAFETY: `made` was opened by the line above, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(made) };
    Ok(Inherited {
        fd,
        name: name.to_owned(),
    })
}

/// The first descriptor passed (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;
/// As many as there can be addresses to listen on, for 16 workers each.
const DESCRIPTORS_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn left(vars: &[(&str, &str)]) -> Vec<(i32, String)> {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        left_for(7, var)
    }

    #[test]
    fn what_is_left_for_us_is_taken_and_nothing_else() {
        let two = [("LISTEN_PID", "7"), ("LISTEN_FDS", "2")];
        let unnamed = [(3, "unknown".to_owned()), (4, "unknown".to_owned())];
        assert_eq!(left(&two), unnamed);
        let named = [&two[..], &[("LISTEN_FDNAMES", "web::more")]].concat();
        assert_eq!(left(&named)[0], (3, "web".to_owned()));
        assert_eq!(left(&named)[1], (4, "unknown".to_owned()));
        for vars in [
            &[("LISTEN_PID", "8"), ("LISTEN_FDS", "2")][..],
            &[("LISTEN_FDS", "2")],
            &[("LISTEN_PID", "7")],
            &[("LISTEN_PID", "7"), ("LISTEN_FDS", "-1")],
            &[("LISTEN_PID", "7x"), ("LISTEN_FDS", "1")],
            &[],
        ] {
            assert_eq!(left(vars), [], "{vars:?}");
        }
        let many = [("LISTEN_PID", "7"), ("LISTEN_FDS", "4000000000")];
        assert_eq!(left(&many).len(), DESCRIPTORS_MAX as usize);
        assert!(adopt(i32::MAX, "not open").is_err());
    }
}
