//! What the server says when it starts: where it is, what it has, what is in the way.
//!
//! A pure function, so that its wording is tested; `run` prints it once the listeners are open.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::facts::Facts;
use super::hub_app;
use super::plan::{Plan, mebibytes};
use crate::config::quantity::show_duration;
use crate::config::tls::{ClientCerts, TlsVersion};
use crate::config::{Anonymous, App, Config, Tls};
use crate::sys::Address;

/// Where the server can be reached, ports resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    /// Plain listeners.
    pub plain: &'a [Address],
    /// Those for TLS.
    pub tls: &'a [Address],
    /// Whether only this machine can reach them.
    pub is_local: bool,
    /// What there is to say about certificates.
    pub certificates: Option<&'a str>,
    /// The admin port, and what there is to say about its key.
    pub admin: Option<(&'a Address, &'a str)>,
}

/// The start-up report, once the listeners are open.
pub fn startup(config: &Config, facts: &Facts, plan: &Plan, places: &Places<'_>) -> String {
    let (app, path) = match config.app {
        App::Hub => ("hub", HUB_PATH),
        App::Echo => ("echo", ECHO_PATH),
    };
    let mut text = format!("throng {}, {app}\n", env!("CARGO_PKG_VERSION"));
    if config.app == App::Hub
        && config.page
        && let Some(url) = page_url(places)
    {
        line(&mut text, "open", &url);
    }
    let plain = places.plain.iter().map(|address| ("ws", address));
    let tls = places.tls.iter().map(|address| ("wss", address));
    for (index, (scheme, address)) in plain.chain(tls).enumerate() {
        let label = if index == 0 { "listening" } else { "" };
        line(&mut text, label, &url(scheme, address, path));
    }
    if config.app == App::Hub {
        let is_for_trying = hub_app::is_for_trying(config, places.is_local);
        line(&mut text, "also", also(is_for_trying));
        line(&mut text, "who may", &who_may(config, places.is_local));
    }
    if let Some(certificates) = places.certificates {
        let speaks = tls_choices(&config.tls);
        line(
            &mut text,
            "certificate",
            &format!("{certificates}; {speaks}"),
        );
    }
    if let Some((address, key)) = places.admin {
        line(&mut text, "admin", &admin_port(address, key));
    }
    line(&mut text, "workers", &workers(config, facts, plan));
    line(&mut text, "connections", &connections(facts, plan));
    line(&mut text, "memory", &memory(facts, plan));
    line(&mut text, "backlog", &plan.backlog.to_string());
    line(&mut text, "to stop", &stopping(config.drain_ms));
    match plan.advice.len() {
        0 => {}
        1 => text.push_str("\nOne limit is in the way:\n"),
        n => {
            let _ = writeln!(text, "\n{n} limits are in the way:");
        }
    }
    for advice in &plan.advice {
        let _ = writeln!(text, "  {}\n    -> {}", advice.cause, advice.cure);
    }
    text
}

/// What to open in a browser on this machine; where both are, without the question about a certificate.
fn page_url(places: &Places<'_>) -> Option<String> {
    let plain = page_address(places.plain).map(|address| format!("http://{address}/"));
    plain.or_else(|| page_address(places.tls).map(|address| format!("https://{address}/")))
}

/// An address to open in a browser on this machine.
fn page_address(bound: &[Address]) -> Option<SocketAddr> {
    bound.iter().find_map(|address| match address {
        Address::Tcp(address) if address.ip().is_unspecified() => {
            let localhost: IpAddr = match address.is_ipv4() {
                true => Ipv4Addr::LOCALHOST.into(),
                false => Ipv6Addr::LOCALHOST.into(),
            };
            Some(SocketAddr::new(localhost, address.port()))
        }
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    })
}

fn also(is_for_trying: bool) -> &'static str {
    match is_for_trying {
        true => "/ws/chat, /raw/CHANNEL, /echo",
        false => "/ws/chat, /raw/CHANNEL",
    }
}

/// Who may do what, in one sentence: nobody should find out by accident.
fn who_may(config: &Config, is_local: bool) -> String {
    let has_keys = !config.auth.tokens.is_empty();
    let everybody = match config.auth.anonymous {
        Anonymous::On => true,
        Anonymous::Off => false,
        Anonymous::Auto => is_local && !has_keys,
    };
    match (everybody, has_keys) {
        (true, false) if is_local => "anybody on this machine may connect, subscribe and publish, \
            for no key is configured: see [auth]"
            .to_owned(),
        (true, _) => "anybody may connect; what else, the namespaces say".to_owned(),
        (false, true) => "who has a token".to_owned(),
        (false, false) => {
            "who has a token of this server's own (throng token --user NAME), for no \
            key is configured: see [auth]"
                .to_owned()
        }
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:12} {value}");
}

/// What a client is given to connect to.
fn url(scheme: &str, address: &Address, path: &str) -> String {
    match address {
        Address::Tcp(address) if address.ip().is_unspecified() => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            format!("{scheme}://{address}{path} (every {family} address)")
        }
        Address::Tcp(address) => format!("{scheme}://{address}{path}"),
        Address::Unix(socket) => {
            let tls = if scheme == "wss" { "TLS over " } else { "" };
            format!("{path} over {tls}unix:{}", socket.display())
        }
    }
}

/// What is spoken with whom.
fn tls_choices(tls: &Tls) -> String {
    let versions = match tls.min_version {
        TlsVersion::V1_2 => "TLS 1.2 and 1.3",
        TlsVersion::V1_3 => "TLS 1.3",
    };
    let clients = match tls.client_certs {
        ClientCerts::Off => "",
        ClientCerts::Optional => ", clients may show certificates",
        ClientCerts::Required => ", clients show certificates",
    };
    format!("{versions}{clients}")
}

fn admin_port(address: &Address, key: &str) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address} ({key})"),
        Address::Unix(_) => format!("HTTP over {address} ({key})"),
    }
}

fn workers(config: &Config, facts: &Facts, plan: &Plan) -> String {
    let cores: Vec<_> = facts.cores.iter().map(usize::to_string).collect();
    let mut text = match cores.len() {
        1 => format!("{} on core {}", plan.workers, cores[0]),
        // A list of a hundred cores helps nobody.
        2..=16 => format!("{} on cores {}", plan.workers, cores.join(" ")),
        n => format!("{} on {n} cores", plan.workers),
    };
    text.push_str(if config.pin_cores {
        ", pinned"
    } else {
        ", not pinned"
    });
    if plan.shards > 0 {
        let _ = write!(text, "; {} more join as these fill", plan.shards);
    }
    text
}

fn connections(facts: &Facts, plan: &Plan) -> String {
    let (each, all) = (facts.descriptors_max, plan.connections_max);
    if facts.are_tables_parted {
        format!("up to {all}; {each} descriptors per worker")
    } else {
        format!("up to {all}; {each} descriptors for all workers")
    }
}

fn memory(facts: &Facts, plan: &Plan) -> String {
    let needed = mebibytes(plan.memory_bytes);
    match facts.memory_bytes() {
        Some(bytes) => format!(
            "{} available; all idle connections: {needed}",
            mebibytes(bytes)
        ),
        None => format!("all idle connections: {needed}"),
    }
}

fn stopping(drain_ms: u32) -> String {
    match drain_ms {
        0 => "Ctrl-C or SIGTERM".to_owned(),
        ms => format!(
            "Ctrl-C or SIGTERM closes everybody within {}, a second one at once",
            show_duration(ms.into())
        ),
    }
}

/// Where the echo application answers.
const ECHO_PATH: &str = "/echo";
/// Where clients of Centrifugo connect.
const HUB_PATH: &str = "/connection/websocket";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Count;
    use crate::tuning::Host;

    fn facts() -> Facts {
        Facts {
            cores: vec![0, 1],
            are_tables_parted: true,
            descriptors_max: 20_000,
            host: Host {
                memory_room_bytes: Some(20 << 30),
                ..Host::default().with("net.core.somaxconn", &[4096])
            },
        }
    }

    fn report(config: &Config, facts: &Facts, bound: &[&str]) -> String {
        let bound: Vec<Address> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let admin = "127.0.0.1:9001".parse().unwrap();
        let places = Places {
            plain: &bound,
            is_local: hub_app::is_only_for_this_machine(config, bound.iter()),
            admin: Some((&admin, "API key in /root/.local/state/throng/admin.key")),
            ..Places::default()
        };
        startup(config, facts, &Plan::new(config, facts), &places)
    }

    fn echo() -> Config {
        Config {
            app: App::Echo,
            ..Config::default()
        }
    }

    #[test]
    fn tls_has_addresses_of_its_own_and_says_for_whom() {
        let (config, facts) = (echo(), facts());
        let tls = ["127.0.0.1:443", "unix:/run/tls.sock"].map(|text| text.parse().unwrap());
        let places = Places {
            plain: &["127.0.0.1:80".parse().unwrap()],
            tls: &tls,
            certificates: Some("localhost; good for 9 days"),
            ..Places::default()
        };
        let text = startup(&config, &facts, &Plan::new(&config, &facts), &places);
        let expected = "
  listening    ws://127.0.0.1:80/echo
               wss://127.0.0.1:443/echo
               /echo over TLS over unix:/run/tls.sock
  certificate  localhost; good for 9 days; TLS 1.3
  workers ";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_plain_start() {
        let text = report(&Config::default(), &facts(), &["127.0.0.1:9000"]);
        let expected = format!(
            "\
throng {}, hub
  open         http://127.0.0.1:9000/
  listening    ws://127.0.0.1:9000/connection/websocket
  also         /ws/chat, /raw/CHANNEL, /echo
  who may      anybody on this machine may connect, subscribe and publish, for no key is configured: see [auth]
  admin        http://127.0.0.1:9001 (API key in /root/.local/state/throng/admin.key)
  workers      2 on cores 0 1, pinned; 54 more join as these fill
  connections  up to 1000000; 20000 descriptors per worker
  memory       20 GiB available; all idle connections: 3862 MiB
  backlog      4096
  to stop      Ctrl-C or SIGTERM closes everybody within 10s, a second one at once
",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn limits_in_the_way_come_with_their_cure() {
        let config = Config {
            max_connections: Count::Exactly(5_000_000),
            backlog: 8192,
            ..Config::default()
        };
        let facts = Facts {
            host: Host::default().with("net.core.somaxconn", &[4096]),
            ..facts()
        };
        let text = report(&config, &facts, &["127.0.0.1:9000"]);
        assert!(text.contains("\n2 limits are in the way:\n"), "{text}");
        assert!(text.contains("\n    -> ulimit -n 22543 as root"), "{text}");
        assert!(
            text.contains("\n    -> sysctl -w net.core.somaxconn=8192\n"),
            "{text}"
        );
    }

    #[test]
    fn every_address_is_one_to_connect_to() {
        let bound = [
            "0.0.0.0:9000",
            "[::]:9000",
            "[::1]:1",
            "unix:/run/throng.sock",
        ];
        let text = report(&echo(), &facts(), &bound);
        assert!(!text.contains("who may"), "{text}");
        for url in [
            "  listening    ws://0.0.0.0:9000/echo (every IPv4 address)\n",
            "               ws://[::]:9000/echo (every IPv6 address)\n",
            "               ws://[::1]:1/echo\n",
            "               /echo over unix:/run/throng.sock\n",
        ] {
            assert!(text.contains(url), "{text}");
        }
    }

    #[test]
    fn who_may_come_in_is_said() {
        let says = |config: &Config, bound: &str| report(config, &facts(), &[bound]);
        let mut config = Config::default();
        let text = says(&config, "0.0.0.0:9000");
        assert!(
            text.contains("  open         http://127.0.0.1:9000/\n"),
            "{text}"
        );
        assert!(
            text.contains("  who may      who has a token of this"),
            "{text}"
        );
        assert!(!text.contains("/echo"), "{text}");
        config.auth.tokens.jwks = Some("keys.json".into());
        let text = says(&config, "127.0.0.1:9000");
        assert!(text.contains("  who may      who has a token\n"), "{text}");
        assert!(!text.contains("/echo"), "{text}");
        config.auth.anonymous = Anonymous::On;
        config.page = false;
        let text = says(&config, "127.0.0.1:9000");
        assert!(
            text.contains("  who may      anybody may connect;"),
            "{text}"
        );
        assert!(!text.contains("  open "), "{text}");
    }

    #[test]
    fn a_shared_table_and_a_hidden_memory_are_said() {
        let facts = Facts {
            cores: vec![5],
            are_tables_parted: false,
            host: Host::default().with("net.core.somaxconn", &[4096]),
            ..facts()
        };
        let config = Config {
            drain_ms: 0,
            pin_cores: false,
            ..Config::default()
        };
        let text = report(&config, &facts, &["127.0.0.1:1"]);
        for part in [
            "1 on core 5, not pinned\n",
            "20000 descriptors for all workers\n",
            "memory       all idle connections: ",
            "to stop      Ctrl-C or SIGTERM\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
