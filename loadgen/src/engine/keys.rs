//! Keys of handshakes and masks of frames: unpredictable, as RFC 6455 10.3 asks, and cheap.

use throng::sys::random;

/// A stock of random bytes, one system call per thousand masks.
#[derive(Debug)]
pub struct Keys {
    stock: Box<[u8; STOCK_BYTES]>,
    used: usize,
}

impl Keys {
    /// An empty stock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stock: Box::new([0; STOCK_BYTES]),
            used: STOCK_BYTES,
        }
    }

    /// A mask for one frame.
    pub fn mask(&mut self) -> [u8; 4] {
        self.draw()
    }

    /// A nonce for one handshake.
    pub fn nonce(&mut self) -> [u8; 16] {
        self.draw()
    }

    fn draw<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > STOCK_BYTES {
            random::fill(&mut self.stock[..])
                .expect("this kernel answered getrandom when the program began");
            self.used = 0;
        }
        let mut drawn = [0; N];
        drawn.copy_from_slice(&self.stock[self.used..self.used + N]);
        self.used += N;
        drawn
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

const STOCK_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice() {
        let mut keys = Keys::new();
        let nonces: HashSet<_> = (0..5000).map(|_| keys.nonce()).collect();
        assert_eq!(nonces.len(), 5000);
        let masks: HashSet<_> = (0..5000).map(|_| keys.mask()).collect();
        assert!(masks.len() > 4990, "{}", masks.len());
    }
}
