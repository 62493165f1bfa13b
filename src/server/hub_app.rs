//! The hub as an application: made from a configuration, and told when that changes.

use std::ffi::OsString;
use std::sync::Arc;

use super::adapt;
use super::backend::HubBackend;
use super::history;
use super::plan::Plan;
use super::stats::Stats;
use super::watch::say;
use crate::admin::Backend;
use crate::auth::{Gate, Guard, dev_key};
use crate::config::tokens::Secret;
use crate::config::{Config, Problem};
use crate::journal::Journal;
use crate::reactor::Crew;
use crate::service::{Common, Exchange, Letter, Outside, ServiceConfig, Settings};
use crate::sys::{Address, clock, random};

/// How long a client may take from the handshake to its connect command: as long as the handshake
/// itself may.
fn login_ms(config: &Config) -> u32 {
    config.limits.handshake_timeout_ms
}

/// What the services of all workers have in common.
pub(super) fn common(
    config: &Config,
    plan: &Plan,
    is_local: bool,
    stats: &Arc<Stats>,
) -> anyhow::Result<(Arc<Common>, Option<Arc<Journal>>)> {
    let settings = settings(config, is_local).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
        anyhow::anyhow!("the keys of [auth] cannot be used\n{}", lines.join("\n"))
    })?;
    let mut secret = [0; 12];
    random::fill(&mut secret)?;
    let page = config.stats.then(|| stats.clone());
    let namespaces = adapt::namespaces(config, is_for_trying(config, is_local));
    let mut history = history::open(config, plan.workers, &namespaces)?;
    let memories = history
        .as_mut()
        .map(|history| std::mem::take(&mut history.memories));
    let own_secret = u64::from_le_bytes(secret[..8].try_into()?);
    let common = Common::new(ServiceConfig {
        settings,
        gate: Gate::new(&config.admission),
        namespaces,
        limits: adapt::hub_limits(config, plan.workers),
        homes: plan.workers,
        seats: plan.workers + plan.shards,
        secret: history
            .as_ref()
            .map_or(own_secret, |history| history.secret),
        seed: u32::from_le_bytes(secret[8..].try_into()?),
        outside: Outside {
            unix_ms: Box::new(clock::unix_ms),
            monotonic_us: Box::new(|| clock::monotonic_ns() / 1_000),
            stats: page.map(|stats| Box::new(move || stats.json()) as _),
            log: Box::new(say),
            is_local,
        },
        memories: memories.unwrap_or_default(),
    });
    Ok((common, history.map(|history| history.journal)))
}

/// The way to the channels for other threads: the API's, and the journal's, which wakes workers.
pub(super) fn backend(
    crew: &Crew<Letter>,
    common: Arc<Common>,
    journal: Option<&Arc<Journal>>,
) -> Arc<dyn Backend> {
    let exchange = Exchange::new(crew.letterbox(), common);
    if let Some(journal) = journal {
        let exchange = exchange.clone();
        journal.wake_with(move |worker| {
            // A mailbox without room is one whose worker turns anyway.
            let _ = exchange.wake(worker.into());
        });
    }
    Arc::new(HubBackend::new(exchange, journal.cloned()))
}

/// Takes over what can change while we serve; on a mistake everything stays as it is.
pub(super) fn adopt(common: &Common, config: &Config, is_local: bool) -> Result<(), Vec<Problem>> {
    common.set(settings(config, is_local)?);
    common.gate().set(&config.admission);
    Ok(())
}

fn settings(config: &Config, is_local: bool) -> Result<Settings, Vec<Problem>> {
    let is_configured = !config.auth.tokens.is_empty();
    let dev_key = match is_configured {
        true => None,
        false => development_key(),
    };
    Ok(Settings {
        guard: Arc::new(Guard::load(&config.auth, dev_key.as_ref())?),
        echo: is_for_trying(config, is_local),
        page: config.page,
        ping_ms: config.limits.ping_interval_ms,
        login_ms: login_ms(config),
    })
}

/// The key that `throng token` signs with where none is configured. Without it no token is good, which
/// is no reason not to serve.
fn development_key() -> Option<Secret> {
    let variable = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    let path = dev_key::path(variable)?;
    let mut fresh = [0; dev_key::KEY_BYTES];
    random::fill(&mut fresh).ok()?;
    match dev_key::load_or_make(&path, fresh) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            say(&format!("no development key: {problem}"));
            None
        }
    }
}

/// Nobody has said who may do what, and only this machine can ask: everybody may do everything.
pub(super) fn is_for_trying(config: &Config, is_local: bool) -> bool {
    is_local && config.auth.tokens.is_empty() && config.namespaces.is_empty()
}

/// Whether nobody from elsewhere can reach any of these: not over the network, and not through a load
/// balancer on this machine.
pub(super) fn is_only_for_this_machine<'a>(
    config: &Config,
    mut addresses: impl Iterator<Item = &'a Address>,
) -> bool {
    let is_proxied = !config.proxy_from.is_empty();
    !is_proxied
        && addresses.all(|address| match address {
            Address::Tcp(address) => address.ip().is_loopback(),
            Address::Unix(_) => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Anonymous;

    fn local(addresses: &[&str]) -> bool {
        let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        is_only_for_this_machine(&Config::default(), addresses.iter())
    }

    #[test]
    fn whoever_comes_through_a_balancer_is_not_of_this_machine() {
        let config = Config {
            proxy_from: vec!["127.0.0.1".parse().unwrap()],
            ..Config::default()
        };
        let address = "127.0.0.1:9000".parse().unwrap();
        assert!(!is_only_for_this_machine(&config, [&address].into_iter()));
    }

    #[test]
    fn one_open_address_is_enough_to_close_everything() {
        assert!(local(&["127.0.0.1:9000", "[::1]:9000", "unix:/run/x.sock"]));
        for open in ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000"] {
            assert!(!local(&["127.0.0.1:9000", open]), "{open}");
        }
    }

    #[test]
    fn without_configuration_only_this_machine_may() {
        let config = Config::default();
        assert!(is_for_trying(&config, true) && !is_for_trying(&config, false));
        let mut closed = config;
        closed.auth.anonymous = Anonymous::Off;
        let guard = Guard::load(&closed.auth, None).map_err(|_| ()).unwrap();
        assert!(!guard.allows_anonymous(true));
    }
}
