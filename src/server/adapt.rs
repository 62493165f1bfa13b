//! The configuration in the words of the layers below, which do not know it.

use crate::config::{self, Config};
use crate::sys::{Address, ListenOptions};
use crate::ws::deflate::{DeflateConfig, Mode};

/// Where to listen, as `sys` takes it.
pub fn address(endpoint: &config::Endpoint) -> Address {
    match endpoint {
        config::Endpoint::Tcp(address) => Address::Tcp(*address),
        config::Endpoint::Unix(path) => Address::Unix(path.clone()),
    }
}

/// How to listen; what is no knob keeps the default that `sys` defends.
pub fn listen_options(config: &Config) -> ListenOptions {
    ListenOptions {
        backlog: config.backlog,
        user_timeout_ms: config.user_timeout_ms,
        ..ListenOptions::default()
    }
}

/// How to compress, as `ws` takes it.
pub fn deflate(deflate: &config::Deflate) -> DeflateConfig {
    DeflateConfig {
        mode: match deflate.mode {
            config::DeflateMode::Off => Mode::Off,
            config::DeflateMode::Shared => Mode::Shared,
            config::DeflateMode::Dedicated => Mode::Dedicated,
        },
        window_bits: deflate.window_bits,
        level: deflate.level,
        min_bytes: deflate.min_bytes,
        inflaters_max: deflate.inflaters_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers below have defaults of their own, for those who embed them; the two must not
    /// drift apart, or the embedded engine is not the measured one.
    #[test]
    fn the_defaults_below_are_ours() {
        let config = Config::default();
        assert_eq!(listen_options(&config), ListenOptions::default());
        // Only the mode differs: a library compresses when it is told to, the server when it is
        // asked to.
        let expected = DeflateConfig {
            mode: Mode::Shared,
            ..DeflateConfig::default()
        };
        assert_eq!(deflate(&config.deflate), expected);
    }

    #[test]
    fn addresses_are_spelt_alike() {
        for text in ["127.0.0.1:9000", "[::1]:9000", "unix:/run/throng.sock"] {
            let endpoint: config::Endpoint = text.parse().unwrap();
            assert_eq!(Ok(address(&endpoint)), text.parse::<Address>());
            assert_eq!(endpoint.to_string(), address(&endpoint).to_string());
        }
    }
}
