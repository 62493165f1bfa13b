//! The kernel's log, where limits leave their names when they are hit.

use std::io;

/// What the kernel still remembers having said, oldest first. Who may not read it gets an error.
#[cfg(target_os = "linux")]
pub fn read() -> io::Result<String> {
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    let mut text = vec![0; LOG_BYTES_MAX];
    let length = LOG_BYTES_MAX as libc::c_int;
    // SAFETY: pointer and length describe `text`, of which the kernel writes a prefix.
    let written = unsafe {
        syscall!(klogctl(
            SYSLOG_ACTION_READ_ALL,
            text.as_mut_ptr().cast(),
            length
        ))
    }?;
    text.truncate(usize::try_from(written).unwrap_or_default());
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Only Linux keeps one.
#[cfg(not(target_os = "linux"))]
pub fn read() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The end of the log; a kernel's ring is rarely larger.
#[cfg(target_os = "linux")]
const LOG_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_text_or_an_error() {
        match read() {
            Ok(text) => assert!(text.len() <= 1 << 20),
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::InvalidInput),
        }
    }
}
