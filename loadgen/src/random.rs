//! Seeded randomness: every choice a run makes can be made again from the seed in its report.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014) is 64 bits of state and three multiplications; it passes
//! BigCrush, which is more than jitter, shuffles and resampling ask for. The masks of frames are not
//! drawn here: RFC 6455 wants those from a strong source.

/// A seeded stream of numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream that this seed alone determines.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound` (0 when the bound is 0), by multiplication instead of division: the bias
    /// is at most bound / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts a list into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A normal deviate (mean 0, variance 1), Box-Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// An exponential deviate with this mean: the gaps of a Poisson stream.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// How many events of a Poisson law with this mean: exact for small means, normal above, where the
    /// two cannot be told apart in a resample.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let floor = (-mean).exp();
        let mut product = self.unit();
        let mut events = 0;
        while product > floor {
            product *= self.unit();
            events += 1;
        }
        events
    }
}

/// Scrambles 64 bits so that neighbours have nothing in common.
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// 2^64 divided by the golden ratio: its multiples visit every 64-bit value.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_is_the_stream() {
        let (mut a, mut b, mut c) = (Random::new(7), Random::new(7), Random::new(8));
        let first: Vec<_> = (0..8).map(|_| a.next_u64()).collect();
        assert_eq!(first, (0..8).map(|_| b.next_u64()).collect::<Vec<_>>());
        assert_ne!(first, (0..8).map(|_| c.next_u64()).collect::<Vec<_>>());
    }

    #[test]
    fn laws_have_their_means() {
        let mut random = Random::new(1);
        let n = 20_000;
        let mean =
            |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || random.unit()) - 0.5).abs() < 0.02);
        assert!(mean(&mut || random.normal()).abs() < 0.03);
        assert!((mean(&mut || random.exponential(5.0)) - 5.0).abs() < 0.2);
        assert!((mean(&mut || random.poisson(3.0) as f64) - 3.0).abs() < 0.1);
        assert!((mean(&mut || random.poisson(400.0) as f64) - 400.0).abs() < 1.0);
        assert_eq!(random.below(0), 0);
        assert!((0..1000).all(|_| random.below(10) < 10));
    }
}
