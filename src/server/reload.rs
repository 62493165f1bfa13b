//! SIGHUP: the configuration is read again, and what can change while we serve does.
//!
//! A configuration with a mistake changes nothing: the old one stays, and every mistake is logged, as
//! it is at start. What cannot change is named, so that nobody believes that it has.

use crate::config::Config;
use crate::config::knobs::KNOBS;

/// Knobs that take effect at once. The others are built into workers, sockets or connections that
/// are there already.
pub(super) const RELOADABLE: &[&str] = &[
    "max-connections",
    "max-memory",
    "drain-secs",
    "tls-cert",
    "tls-key",
    "tls-ocsp",
    "tls-min-version",
    "tls-post-quantum",
    "tls-client-certs",
    "tls-client-ca",
    "tls-tickets",
    "tls-ticket-keys",
    "max-message",
    "max-head",
    "handshake-timeout",
    "message-timeout",
    "ping-interval",
    "pong-timeout",
    "close-timeout",
    "queue-high",
    "queue-max",
];

/// Knobs whose values differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Those that take effect.
    pub(super) now: Vec<&'static str>,
    /// Those that need a restart.
    pub(super) later: Vec<&'static str>,
}

impl Changes {
    /// What `new` changes about the `current` configuration, and what only a restart would about the
    /// one we `started` with.
    pub(super) fn new(started: &Config, current: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        for knob in KNOBS {
            let is_now = RELOADABLE.contains(&knob.name);
            let old = if is_now { current } else { started };
            if knob.show(old) != knob.show(new) {
                let names = if is_now {
                    &mut changes.now
                } else {
                    &mut changes.later
                };
                names.push(knob.name);
            }
        }
        if started.namespaces != new.namespaces {
            changes.later.push("namespaces");
        }
        changes
    }

    /// One line for the log.
    pub(super) fn line(&self) -> String {
        let now = match &self.now[..] {
            [] => "nothing changed".to_owned(),
            names => format!("changed: {}", names.join(", ")),
        };
        match &self.later[..] {
            [] => format!("reloaded, {now}"),
            names => format!(
                "reloaded, {now}; a restart is needed for {}",
                names.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_from_what_did_not() {
        let old = Config::default();
        let same = Changes::new(&old, &old, &old);
        assert_eq!(same.line(), "reloaded, nothing changed");
        let mut new = old.clone();
        new.limits.ping_interval_ms = 5_000;
        new.drain_ms = 1;
        new.backlog = 16;
        new.namespaces.push(crate::config::Namespace::default());
        let changes = Changes::new(&old, &old, &new);
        assert_eq!(
            changes.line(),
            "reloaded, changed: drain-secs, ping-interval; a restart is needed for backlog, namespaces"
        );
        let again = Changes::new(&old, &new, &new);
        assert_eq!(
            again.line(),
            "reloaded, nothing changed; a restart is needed for backlog, namespaces"
        );
    }

    #[test]
    fn every_name_is_a_knob() {
        for name in RELOADABLE {
            assert!(KNOBS.iter().any(|knob| knob.name == *name), "{name}");
        }
    }
}
