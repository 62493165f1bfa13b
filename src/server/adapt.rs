//! The configuration in the words of the layers below, which do not know it.

use std::sync::Arc;

use crate::config::{self, Config, namespace};
use crate::hub;
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

/// What channels are like. On a server that is for trying out, everybody may do everything everywhere.
pub fn namespaces(config: &Config, is_for_trying: bool) -> Arc<hub::Namespaces> {
    if is_for_trying {
        return Arc::new(hub::Namespaces::open(hub::Options::open()));
    }
    let named = |name: &str| config.namespaces.iter().find(|other| other.name == name);
    let of = |name: &str| named(name).map_or_else(hub::Options::default, options);
    let mut all = hub::Namespaces::new(of(namespace::PLAIN), of(namespace::PERSONAL));
    for other in &config.namespaces {
        if ![namespace::PLAIN, namespace::PERSONAL].contains(&&*other.name) {
            all = all.with(&other.name, options(other));
        }
    }
    Arc::new(all)
}

/// The options of one namespace, as the hub takes them.
fn options(namespace: &config::Namespace) -> hub::Options {
    let right = |right| match right {
        namespace::Right::Nobody => hub::Right::Nobody,
        namespace::Right::Subscribers => hub::Right::Subscribers,
        namespace::Right::Users => hub::Right::Users,
        namespace::Right::Anyone => hub::Right::Anyone,
    };
    hub::Options {
        history_size: namespace.history_size,
        history_ttl_ms: namespace.history_ttl_ms,
        is_durable: namespace.is_durable,
        recovery: match namespace.recovery {
            namespace::Recovery::Off => hub::Recovery::Off,
            namespace::Recovery::Stream => hub::Recovery::Stream,
            namespace::Recovery::Cache => hub::Recovery::Cache,
        },
        recover_max: namespace.recover_max,
        presence: namespace.presence,
        join_leave: namespace.join_leave,
        subscribe: right(namespace.subscribe),
        publish: right(namespace.publish),
        read: right(namespace.read),
        slow: match namespace.slow {
            namespace::Policy::Disconnect => hub::Policy::Disconnect,
            namespace::Policy::DropOldest => hub::Policy::DropOldest,
            namespace::Policy::Conflate => hub::Policy::Conflate,
            namespace::Policy::Resume => hub::Policy::Resume,
        },
    }
}

/// What a connection and a user may have, for each of so many workers: what is a sum over all of them
/// is shared out.
pub fn hub_limits(config: &Config, workers: usize) -> hub::Limits {
    let (share, slow) = (&config.share, &config.slow);
    let limit = |max| hub::Limit {
        max,
        is_dry_run: config.admission.is_dry_run,
    };
    let workers = workers.max(1);
    hub::Limits {
        channels_per_connection: limit(share.channels_max),
        connections_per_user: limit(share.user_connections_max),
        channel_bytes: limit(share.channel_bytes_max),
        message_rate: limit(share.message_rate),
        byte_rate: limit(share.byte_rate),
        publication_bytes: limit(share.publication_bytes_max),
        history_bytes_max: usize::try_from(config.history.memory_bytes).unwrap_or(usize::MAX)
            / workers,
        tiers: hub::Tiers {
            soft_bytes: slow.soft_bytes,
            soft_ms: slow.soft_ms.into(),
            hard_bytes: slow.hard_bytes,
            total_bytes: slow.total_bytes / workers,
        },
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
    fn the_hubs_defaults_are_ours() {
        let (config, four) = (Config::default(), 4);
        let default = hub::Limits::default();
        let ours = hub_limits(&config, four);
        assert_eq!(ours.history_bytes_max, (256 << 20) / four);
        let total_bytes = ours.tiers.total_bytes * four;
        let tiers = hub::Tiers {
            total_bytes,
            ..ours.tiers
        };
        let history_bytes_max = default.history_bytes_max;
        assert_eq!(
            hub::Limits {
                tiers,
                history_bytes_max,
                ..ours
            },
            default
        );
        assert_eq!(
            options(&config::Namespace::default()),
            hub::Options::default()
        );
    }

    #[test]
    fn channels_are_what_their_namespace_says() {
        let right = |text: &str, is_for_trying: bool, channel: &str| {
            let contents = config::file::parse("t.toml", text);
            let resolved = config::resolve(contents, Vec::new(), Vec::new());
            let namespaces = namespaces(&resolved.expect("a good file").config, is_for_trying);
            let name = hub::ChannelName::new(channel).expect("a good name");
            let number = namespaces.of(name)?;
            Some(namespaces.at(number).publish)
        };
        assert_eq!(right("", true, "any:thing"), Some(hub::Right::Anyone));
        assert_eq!(right("", false, "any:thing"), None);
        assert_eq!(right("", false, "thing"), Some(hub::Right::Nobody));
        let text = "[[namespaces]]\nname = \"chat\"\npublish = \"users\"\n\
                    [[namespaces]]\nname = \"\"\npublish = \"subscribers\"\n\
                    [[namespaces]]\nname = \"#\"\npublish = \"anyone\"";
        assert_eq!(right(text, false, "chat:1"), Some(hub::Right::Users));
        assert_eq!(right(text, false, "room"), Some(hub::Right::Subscribers));
        assert_eq!(right(text, false, "#bob"), Some(hub::Right::Anyone));
        assert_eq!(right(text, false, "news:1"), None);
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
