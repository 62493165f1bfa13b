//! One row of the table: a limit of the machine, and everything that is known about it.

use serde::Serialize;

use super::goal::Goal;
use super::host::Host;

/// A limit: where it stands, how much is needed and why, what happens without it, what moves it.
#[derive(Debug)]
pub struct Knob {
    /// As `sysctl` writes it, or a name of ours.
    pub name: &'static str,
    /// In words; empty where the name is one.
    pub label: &'static str,
    /// Where it is read.
    pub place: Place,
    /// Whose it is.
    pub scope: Scope,
    /// Which end of a connection meets it.
    pub side: Side,
    /// What more means.
    pub order: Order,
    /// Whether `throng tune` sets it.
    pub applied: Applied,
    /// What a goal asks of it.
    pub demand: fn(&Goal, &Host) -> Demand,
    /// What the kernel sets by itself on such a machine; `None` where that is not known.
    pub own: fn(&Host) -> Option<Vec<u64>>,
    /// The need as a formula, for people.
    pub formula: &'static str,
    /// Why it exists and what it protects.
    pub why: &'static str,
    /// What one sees when it is too small.
    pub symptom: &'static str,
    /// How we know: measured, read in the kernel's source, or not checked by us.
    pub verified: &'static str,
}

/// Where a limit stands.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In `/proc/sys`, under its name.
    Sysctl,
    /// RLIMIT_NOFILE of the process.
    Limit,
    /// Somewhere else: the file, and how it is read from the facts.
    Fact(&'static str, fn(&Host) -> Option<Vec<u64>>),
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole machine's; a container meets it and cannot move it.
    Machine,
    /// A network namespace's: a fresh one starts with the kernel's defaults, not with its host's.
    Namespace,
    /// All processes of one user together.
    User,
    /// One process's, or one descriptor table's.
    Process,
    /// A control group's.
    Group,
}

/// Which machine a limit matters on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the connections end.
    Server,
    /// Where they begin.
    Client,
    /// Each machine that holds an end.
    Both,
}

/// What makes a value larger than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each number counts upwards.
    Raise,
    /// A first and a last: lower first and higher last is more.
    Widen,
}

/// Whether `throng tune` sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It does.
    Yes,
    /// It does if the firewall tracks connections here.
    WhenTracking,
    /// It does not, for this reason.
    No(&'static str),
}

/// What a goal asks of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The least it should be; empty if nothing is asked.
    pub need: Vec<u64>,
    /// Where it stops us as it is.
    pub stop: Option<Stop>,
    /// Something to say about it as it is, though it stops nobody.
    pub remark: Option<String>,
    /// Whether the need is only felt through another limit, which says so itself.
    pub is_indirect: bool,
    /// What helps, where that is not simply setting the need.
    pub cure: Option<String>,
}

/// Where a limit ends the growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// At this many connections.
    Connections(u64),
    /// At this many connects per second.
    Rate(u64),
}

impl Knob {
    /// The shape that most rows share; the rest is filled in by the row.
    pub(super) const SYSCTL: Self = Self {
        name: "",
        label: "",
        place: Place::Sysctl,
        scope: Scope::Namespace,
        side: Side::Both,
        order: Order::Raise,
        applied: Applied::Yes,
        demand: |_, _| Demand::NOTHING,
        own: |_| None,
        formula: "",
        why: "",
        symptom: "",
        verified: "",
    };

    /// In words, with the name: `accept queue (net.core.somaxconn)`.
    #[must_use]
    pub fn title(&self) -> String {
        match self.label {
            "" => self.name.to_owned(),
            label => format!("{label} ({})", self.name),
        }
    }

    /// Whether it stands in `/proc/sys`.
    #[must_use]
    pub const fn is_sysctl(&self) -> bool {
        matches!(self.place, Place::Sysctl)
    }

    /// Whether a command sets it, whoever types that.
    #[must_use]
    pub const fn is_settable(&self) -> bool {
        !matches!(self.place, Place::Fact(..))
    }

    /// Where it is read, below the root.
    #[must_use]
    pub fn path(&self) -> String {
        match self.place {
            Place::Sysctl => sysctl_path(self.name),
            Place::Limit => "proc/self/limits".to_owned(),
            Place::Fact(path, _) => path.to_owned(),
        }
    }

    /// What it is now.
    #[must_use]
    pub fn now(&self, host: &Host) -> Option<Vec<u64>> {
        match self.place {
            Place::Sysctl => host.sysctls.get(self.name).cloned(),
            Place::Limit => host.nofile_hard.map(|limit| vec![limit]),
            Place::Fact(_, read) => read(host),
        }
    }

    /// Whether it matters where these ends are.
    #[must_use]
    pub const fn concerns(&self, goal: &Goal) -> bool {
        match self.side {
            Side::Server => goal.is_server(),
            Side::Client => goal.is_client(),
            Side::Both => true,
        }
    }

    /// Whether `now` is at least `need`.
    #[must_use]
    pub fn is_enough(&self, now: &[u64], need: &[u64]) -> bool {
        self.merged(now, need) == now
    }

    /// The more generous of two values, number by number: the reason why nothing is ever lowered.
    #[must_use]
    pub fn merged(&self, now: &[u64], need: &[u64]) -> Vec<u64> {
        let widest = |(at, (now, need)): (usize, (&u64, &u64))| match (self.order, at) {
            (Order::Widen, 0) => *now.min(need),
            _ => *now.max(need),
        };
        let mut merged: Vec<u64> = now.iter().zip(need).enumerate().map(widest).collect();
        let rest = if now.len() > need.len() { now } else { need };
        merged.extend(&rest[merged.len()..]);
        merged
    }
}

impl Demand {
    /// Nothing is asked, nothing is said.
    pub(super) const NOTHING: Self = Self {
        need: Vec::new(),
        stop: None,
        remark: None,
        is_indirect: false,
        cure: None,
    };

    /// So much, at least.
    pub(super) fn of(need: u64) -> Self {
        Self {
            need: vec![need],
            ..Self::NOTHING
        }
    }

    /// The same of a setting with several numbers.
    pub(super) fn all_of(need: &[u64]) -> Self {
        Self {
            need: need.to_vec(),
            ..Self::NOTHING
        }
    }

    /// Only a word about it, if it is as it should not be.
    pub(super) fn remark(is_odd: bool, text: impl Into<String>) -> Self {
        Self {
            remark: is_odd.then(|| text.into()),
            ..Self::NOTHING
        }
    }

    pub(super) fn stops_at(mut self, connections: Option<u64>) -> Self {
        self.stop = connections.map(Stop::Connections);
        self
    }

    pub(super) fn stops_at_rate(mut self, rate_per_s: Option<u64>) -> Self {
        self.stop = rate_per_s.map(Stop::Rate);
        self
    }

    pub(super) fn cured_by(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}

/// `net.core.somaxconn` is `proc/sys/net/core/somaxconn`.
#[must_use]
pub fn sysctl_path(name: &str) -> String {
    format!("proc/sys/{}", name.replace('.', "/"))
}

/// Numbers as a sysctl file writes them.
#[must_use]
pub fn written(value: &[u64]) -> String {
    let words: Vec<_> = value.iter().map(u64::to_string).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_is_told_from_less() {
        let raise = Knob::SYSCTL;
        assert!(raise.is_enough(&[4096], &[4096]) && !raise.is_enough(&[4095], &[4096]));
        assert_eq!(raise.merged(&[1, 9, 3], &[2, 2, 4]), [2, 9, 4]);
        let range = Knob {
            order: Order::Widen,
            ..Knob::SYSCTL
        };
        assert_eq!(range.merged(&[32768, 60999], &[1024, 65535]), [1024, 65535]);
        assert!(range.is_enough(&[1000, 65535], &[1024, 60999]));
        assert!(!range.is_enough(&[2000, 65535], &[1024, 60999]));
    }

    proptest! {
        #[test]
        fn nothing_is_ever_lowered(now in prop::collection::vec(0u64..9, 0..4),
                                   need in prop::collection::vec(0u64..9, 0..4)) {
            let merged = Knob::SYSCTL.merged(&now, &need);
            prop_assert!(now.iter().zip(&merged).all(|(now, merged)| merged >= now));
            prop_assert!(merged.len() >= now.len());
            prop_assert!(Knob::SYSCTL.is_enough(&merged, &need));
        }
    }
}
