//! How real client libraries come back after their connection broke: a storm is only as gentle as they are.
//!
//! The numbers are the libraries' documented defaults; delays are drawn from the run's seed.

use crate::random::Random;

/// A way to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// At once, every time: the client that makes an outage worse.
    Immediate,
    /// A fixed second.
    Fixed,
    /// 0.5 s doubling to 20 s, anywhere below (full jitter): centrifuge-js.
    #[default]
    FullJitter,
    /// 1 s doubling to 5 s, half of it random: Socket.IO.
    SocketIo,
    /// 1 to 5 s, growing by 1.3 to 10 s: reconnecting-websocket.
    Reconnecting,
    /// 10 ms to 2 s in nine steps, then 5 s, no jitter: Phoenix.
    Phoenix,
    /// 0, 2, 10, 30 s, then never: SignalR.
    SignalR,
}

impl Backoff {
    /// Every profile with its name.
    pub const ALL: &[(&str, Self)] = &[
        ("immediate", Self::Immediate),
        ("fixed", Self::Fixed),
        ("full-jitter", Self::FullJitter),
        ("socket-io", Self::SocketIo),
        ("reconnecting", Self::Reconnecting),
        ("phoenix", Self::Phoenix),
        ("signalr", Self::SignalR),
    ];

    /// A profile by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, backoff)| backoff)
    }

    /// How long the n-th attempt (from 0) waits; `None` when the library gives up.
    #[must_use]
    pub fn delay_ms(self, attempt: u32, random: &mut Random) -> Option<u64> {
        let doubling = |first: u64, most: u64| first.saturating_mul(1 << attempt.min(20)).min(most);
        Some(match self {
            Self::Immediate => 0,
            Self::Fixed => 1000,
            Self::FullJitter => random.below(doubling(500, 20_000) + 1),
            Self::SocketIo => {
                let middle = doubling(1000, 5000);
                middle / 2 + random.below(middle + 1)
            }
            Self::Reconnecting => {
                let first = 1000.0 + random.unit() * 4000.0;
                (first * 1.3f64.powi(attempt.min(30) as i32)).min(10_000.0) as u64
            }
            Self::Phoenix => PHOENIX_MS.get(attempt as usize).copied().unwrap_or(5000),
            Self::SignalR => return SIGNALR_MS.get(attempt as usize).copied(),
        })
    }
}

const PHOENIX_MS: [u64; 9] = [10, 50, 100, 150, 200, 250, 500, 1000, 2000];
const SIGNALR_MS: [u64; 4] = [0, 2000, 10_000, 30_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_between_their_bounds() {
        let mut random = Random::new(1);
        for (backoff, attempt, low, high) in [
            (Backoff::Immediate, 9, 0, 0),
            (Backoff::FullJitter, 0, 0, 500),
            (Backoff::FullJitter, 99, 0, 20_000),
            (Backoff::SocketIo, 0, 500, 1500),
            (Backoff::SocketIo, 8, 2500, 7500),
            (Backoff::Reconnecting, 0, 1000, 5000),
            (Backoff::Reconnecting, 50, 1000, 10_000),
            (Backoff::Phoenix, 0, 10, 10),
            (Backoff::Phoenix, 9, 5000, 5000),
            (Backoff::SignalR, 3, 30_000, 30_000),
        ] {
            for _ in 0..200 {
                let delay_ms = backoff.delay_ms(attempt, &mut random).unwrap();
                assert!(
                    (low..=high).contains(&delay_ms),
                    "{backoff:?} {attempt}: {delay_ms}"
                );
            }
        }
        assert_eq!(Backoff::SignalR.delay_ms(4, &mut random), None);
    }

    #[test]
    fn every_profile_has_its_own_name() {
        for (name, backoff) in Backoff::ALL {
            assert_eq!(Backoff::named(name), Some(*backoff));
        }
        assert_eq!(Backoff::named("hope"), None);
    }
}
