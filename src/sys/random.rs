//! Randomness that nobody can guess: keys of handshakes and frames.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills the buffer from the kernel's generator.
///
/// # Errors
///
/// The kernel has no such call, or a sandbox refuses it.
pub fn fill(mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match getrandom(&mut *into, GetRandomFlags::empty()) {
            Ok(length) => into = &mut into[length..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ_in_every_part() {
        let (mut one, mut two) = ([0; 4096], [0; 4096]);
        fill(&mut one).unwrap();
        fill(&mut two).unwrap();
        let equal = one.iter().zip(&two).filter(|(a, b)| a == b).count();
        // 16 of 4096 bytes are expected to agree; 100 would be once in 10^40 runs.
        assert!(equal < 100, "{equal}");
    }
}
