//! From what was written to what is meant: precedence, derived defaults, rules between knobs.
//!
//! ```text
//!  defaults -> file settings -> flag settings -> knobs nobody set follow those somebody did
//!           -> rules between knobs -> Config
//! ```

use super::endpoint::Endpoint;
use super::file::Contents;
use super::knobs::{self, KNOBS};
use super::quantity::show_bytes;
use super::tls::ClientCerts;
use super::{Config, Count, DeflateMode, Knob, Place, Problem, Sync};

/// One value somebody wrote for one knob.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Which knob.
    pub knob: &'static Knob,
    /// The value as written.
    pub text: String,
    /// Where.
    pub place: Place,
}

/// A configuration that can be started, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// What is odd about it; the server starts nevertheless.
    pub warnings: Vec<Problem>,
    origins: Vec<Place>,
}

impl Resolved {
    /// Where the value of a knob was written.
    pub fn origin(&self, name: &str) -> &Place {
        KNOBS
            .iter()
            .position(|knob| knob.name == name)
            .map_or(&Place::Default, |index| &self.origins[index])
    }
}

/// Combines both sources, the later one winning, or names everything that is wrong.
///
/// `problems` are those found while reading the flags; with an error among them the outcome is
/// an error, but the values are still checked so that nothing comes to light only afterwards.
pub fn resolve(
    file: Contents,
    flags: Vec<Setting>,
    mut problems: Vec<Problem>,
) -> Result<Resolved, Vec<Problem>> {
    problems.extend(file.problems);
    let mut draft = Draft {
        config: Config::default(),
        origins: vec![Place::Default; KNOBS.len()],
        problems,
    };
    draft.config.auth.tokens = file.tokens;
    draft.config.tls.more = file.certificates;
    draft.config.namespaces = file.namespaces;
    draft.apply(file.settings);
    draft.apply(flags);
    draft.follow();
    draft.check_rules();
    draft.problems.sort_by_key(|p| p.place.reading_order());
    if draft.problems.iter().any(Problem::is_error) {
        return Err(draft.problems);
    }
    Ok(Resolved {
        config: draft.config,
        warnings: draft.problems,
        origins: draft.origins,
    })
}

/// A configuration in the making.
struct Draft {
    config: Config,
    /// Parallel to `KNOBS`.
    origins: Vec<Place>,
    problems: Vec<Problem>,
}

impl Draft {
    /// Takes the settings of one source. A list replaces what an earlier source said.
    fn apply(&mut self, settings: Vec<Setting>) {
        let mut lists_begun = Vec::new();
        for setting in settings {
            if setting.knob.is_list() && !lists_begun.contains(&setting.knob.name) {
                setting.knob.clear_list(&mut self.config);
                lists_begun.push(setting.knob.name);
            }
            match setting.knob.accept(&mut self.config, &setting.text) {
                Ok(()) => {}
                Err(refusal) => self.problems.push(Problem::error(
                    setting.place.clone(),
                    format!(
                        "{} {:?} {}",
                        spell(setting.knob, &setting.place),
                        setting.text,
                        refusal.cause
                    ),
                    refusal.cure,
                )),
            }
            if let Some(index) = position(setting.knob.name) {
                self.origins[index] = setting.place;
            }
        }
    }

    /// Lets knobs that nobody set follow the ones somebody did, so that raising one limit does
    /// not end in a lecture about another.
    fn follow(&mut self) {
        let limits = &mut self.config.limits;
        let (max_set, high_set) = (
            is_set(&self.origins, "queue-max"),
            is_set(&self.origins, "queue-high"),
        );
        if !max_set {
            // A reply as large as the largest message has to fit, with something before it; and
            // no number follows beyond what its knob accepts.
            let needed = limits
                .message_bytes_max
                .saturating_mul(2)
                .max(limits.queue_bytes_high.saturating_mul(4));
            limits.queue_bytes_max = limits.queue_bytes_max.max(needed).min(QUEUE_BYTES_MAX);
        }
        if !high_set {
            limits.queue_bytes_high = limits.queue_bytes_high.min(limits.queue_bytes_max / 2);
        }
        self.follow_slow();
    }

    /// Tiers that nobody set keep their order: soft, hard, cut off.
    fn follow_slow(&mut self) {
        let queue_max = self.config.limits.queue_bytes_max;
        let slow = &mut self.config.slow;
        if !is_set(&self.origins, "slow-hard") {
            if is_set(&self.origins, "slow-soft") {
                slow.hard_bytes = slow.hard_bytes.max(slow.soft_bytes);
            } else {
                slow.hard_bytes = slow.hard_bytes.min(queue_max / 2).max(1);
            }
        }
        if !is_set(&self.origins, "slow-soft") {
            slow.soft_bytes = slow.soft_bytes.min(slow.hard_bytes);
        }
    }

    fn check_rules(&mut self) {
        self.check_queues();
        self.check_slow();
        self.check_workers();
        self.check_idle_settings();
        self.check_unix_paths();
        self.check_tls();
    }

    fn check_queues(&mut self) {
        let limits = &self.config.limits;
        let (message, high, max) = (
            limits.message_bytes_max,
            limits.queue_bytes_high,
            limits.queue_bytes_max,
        );
        if high >= max {
            self.refuse(
                "queue-high",
                &["queue-max"],
                format!(
                    "{} is not below {}",
                    self.quote("queue-high"),
                    self.quote("queue-max")
                ),
                "leave queue-high out (it follows), or make queue-max larger".to_owned(),
            );
        } else if message > max {
            let cause = format!(
                "{} is below {}: a peer that is sent one whole message is cut off",
                self.quote("queue-max"),
                self.quote("max-message")
            );
            let cure = format!(
                "leave queue-max out, or make it {} or more",
                show_bytes(message as u64)
            );
            self.warn("queue-max", &["max-message"], cause, cure);
        }
    }

    fn check_slow(&mut self) {
        let slow = &self.config.slow;
        if slow.soft_bytes > slow.hard_bytes {
            self.refuse(
                "slow-soft",
                &["slow-hard"],
                format!(
                    "{} is above {}",
                    self.quote("slow-soft"),
                    self.quote("slow-hard")
                ),
                "leave slow-soft out (it follows), or make slow-hard larger".to_owned(),
            );
        } else if slow.hard_bytes >= self.config.limits.queue_bytes_max {
            let cause = format!(
                "{} is not below {}: slow subscribers are cut off before their namespace is asked",
                self.quote("slow-hard"),
                self.quote("queue-max")
            );
            let cure = "leave slow-hard out, or make queue-max larger".to_owned();
            self.warn("slow-hard", &["slow-soft", "queue-max"], cause, cure);
        }
    }

    fn check_workers(&mut self) {
        if let (Count::Exactly(workers), Count::Exactly(connections)) =
            (self.config.workers, self.config.max_connections)
            && connections < workers
        {
            self.refuse(
                "max-connections",
                &["workers"],
                format!(
                    "{} is below {}: some workers could serve nobody",
                    self.quote("max-connections"),
                    self.quote("workers")
                ),
                "allow at least one connection per worker".to_owned(),
            );
        }
    }

    /// Things that were written down and have no effect.
    fn check_idle_settings(&mut self) {
        if self.config.limits.ping_interval_ms == 0 && is_set(&self.origins, "pong-timeout") {
            let cause = format!("{} has no effect without pings", self.quote("pong-timeout"));
            let cure = "set ping-interval, or leave pong-timeout out".to_owned();
            self.warn("pong-timeout", &[], cause, cure);
        }
        let history = &self.config.history;
        let is_on_disk = history.dir.is_some();
        let is_timed = is_on_disk && history.sync == Sync::Interval;
        for (name, why) in [
            (
                "history-sync",
                (!is_on_disk).then_some("without history-dir"),
            ),
            (
                "history-damaged",
                (!is_on_disk).then_some("without history-dir"),
            ),
            ("history-sync-interval", (!is_timed).then_some(NO_INTERVAL)),
        ] {
            if let Some(why) = why.filter(|_| is_set(&self.origins, name)) {
                let cause = format!("{} has no effect {why}", self.quote(name));
                self.warn(name, &[], cause, format!("leave {name} out"));
            }
        }
        if self.config.deflate.mode == DeflateMode::Off {
            for name in DEFLATE_DETAILS {
                if is_set(&self.origins, name) {
                    let cause = format!("{} has no effect while deflate is off", self.quote(name));
                    let cure = format!("leave {name} out, or set deflate to shared or dedicated");
                    self.warn(name, &[], cause, cure);
                }
            }
        }
    }

    /// A relative socket path depends on where the server was started.
    fn check_unix_paths(&mut self) {
        let listens = [
            ("listen", self.config.listen.clone()),
            ("tls-listen", self.config.tls.listen.clone()),
        ];
        let all = listens
            .iter()
            .flat_map(|(name, list)| list.iter().map(move |e| (*name, e)));
        for (name, endpoint) in all {
            if let Endpoint::Unix(path) = endpoint
                && path.is_relative()
            {
                self.warn(
                    name,
                    &[],
                    format!("{endpoint} is relative to the directory throng is started in"),
                    "write an absolute path".to_owned(),
                );
            }
        }
    }

    /// What TLS settings ask for together.
    fn check_tls(&mut self) {
        let tls = &self.config.tls;
        // Port 0 is another one each time.
        let is_fixed = |at: &&Endpoint| !matches!(at, Endpoint::Tcp(at) if at.port() == 0);
        let mut fixed = tls.listen.iter().filter(is_fixed);
        let shared = fixed.find(|at| self.config.listen.contains(at));
        if let Some(endpoint) = shared.cloned() {
            let cause = format!("{endpoint} is in listen, too: one port speaks TLS or does not");
            let cure = "name another port in one of them".to_owned();
            self.refuse("tls-listen", &["listen"], cause, cure);
        }
        let asks = self.config.tls.client_certs != ClientCerts::Off;
        let idle: [(&str, &str, bool); 2] = [
            ("tls-client-ca", "tls-client-certs", !asks),
            ("tls-ticket-keys", "tls-tickets", !self.config.tls.tickets),
        ];
        for (name, other, is_idle) in idle {
            if is_idle && is_set(&self.origins, name) {
                let cause = format!("{} has no effect: {}", self.quote(name), self.quote(other));
                let cure = format!("change {other}, or leave {name} out");
                self.warn(name, &[], cause, cure);
            }
        }
    }

    fn refuse(&mut self, name: &str, others: &[&str], cause: String, cure: String) {
        let place = self.place(name, others);
        self.problems.push(Problem::error(place, cause, cure));
    }

    fn warn(&mut self, name: &str, others: &[&str], cause: String, cure: String) {
        let place = self.place(name, others);
        self.problems.push(Problem::warning(place, cause, cure));
    }

    /// Where to send the reader: to the knob that was written down, whichever of them it was.
    fn place(&self, name: &str, others: &[&str]) -> Place {
        let mut places = std::iter::once(&name)
            .chain(others)
            .filter_map(|name| Some(&self.origins[position(name)?]));
        places
            .find(|place| **place != Place::Default)
            .cloned()
            .unwrap_or(Place::Default)
    }

    /// `queue_max = 64KiB`, `--queue-max 64KiB` or `queue-max (4MiB by default)`.
    fn quote(&self, name: &str) -> String {
        let Some((knob, index)) = knobs::find(name).zip(position(name)) else {
            return name.to_owned();
        };
        let value = knob.show(&self.config);
        match &self.origins[index] {
            Place::Default => format!("{name} ({value} by default)"),
            Place::CommandLine => format!("{} {value}", knob.flag()),
            Place::File(_) | Place::Spot { .. } => format!("{} = {value}", knob.key()),
        }
    }
}

/// The knob's name as it is spelt at that place.
fn spell(knob: &Knob, place: &Place) -> String {
    match place {
        Place::Default | Place::CommandLine => knob.flag(),
        Place::File(_) | Place::Spot { .. } => knob.key(),
    }
}

fn position(name: &str) -> Option<usize> {
    KNOBS.iter().position(|knob| knob.name == name)
}

fn is_set(origins: &[Place], name: &str) -> bool {
    position(name).is_some_and(|index| origins[index] != Place::Default)
}

/// The largest value of `queue-max`.
const QUEUE_BYTES_MAX: usize = 2 << 30;

/// What it takes for an interval of syncing to matter.
const NO_INTERVAL: &str = "unless history-dir is set and history-sync is interval";

/// Knobs that only matter with compression on.
const DEFLATE_DETAILS: [&str; 4] = [
    "deflate-window",
    "deflate-level",
    "deflate-min",
    "deflate-inflaters",
];

#[cfg(test)]
mod tests;
