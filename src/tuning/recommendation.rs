//! What to set for a goal on a machine: only what is missing, and never less than what is there.

use super::goal::Goal;
use super::host::Host;
use super::knob::{Applied, Knob};
use super::knobs;

/// Settings and limits to change; the files that keep them are made from it ([`super::files`]).
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// What for.
    pub goal: Goal,
    /// Settings that are too small, in the order in which they have to be set.
    pub settings: Vec<Setting>,
    /// Settings that are enough as they are.
    pub kept: Vec<Setting>,
    /// The limit of descriptors, and whether what is there is too small.
    pub nofile: u64,
    /// Whether a login's limit is too small.
    pub raises_login_limit: bool,
    /// Whether the unit's limit is too small.
    pub raises_unit_limit: bool,
    /// Slots of the tracker's table, for when its module is loaded.
    pub tracker_buckets: u64,
    /// Whether the tracker is at work here.
    pub is_tracking: bool,
    /// Slots the table of established connections should have, if it is too small.
    pub hash_slots: Option<u64>,
    /// Memory of the machine, for the head of the files.
    pub memory_bytes: Option<u64>,
}

/// One setting and the value it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it is; `None` if it cannot be seen here.
    pub now: Option<Vec<u64>>,
    /// What it was before we ever changed it.
    pub before: Option<Vec<u64>>,
    /// What it should be.
    pub value: Vec<u64>,
}

impl Setting {
    /// The row of the table it comes from.
    #[must_use]
    pub fn knob(&self) -> &'static Knob {
        knobs::named(self.name).expect("settings are made from rows")
    }
}

impl Recommendation {
    /// Works it out. `original` is the machine as it was before we changed anything, so that a second
    /// run keeps what the first one set; `host` is the machine as it is, which is never lowered.
    #[must_use]
    pub fn new(goal: &Goal, host: &Host, original: &Host) -> Self {
        let mut settings = Vec::new();
        let mut kept = Vec::new();
        let wanted = knobs::all().filter(|knob| knob.is_sysctl() && knob.concerns(goal));
        for knob in wanted.filter(|knob| is_set(knob, host)) {
            let need = (knob.demand)(goal, host).need;
            if need.is_empty() {
                continue;
            }
            let before = original.sysctls.get(knob.name).cloned();
            let is_missing = before
                .as_deref()
                .is_some_and(|was| !knob.is_enough(was, &need));
            let now = knob.now(host);
            let value = knob.merged(now.as_deref().unwrap_or_default(), &need);
            let setting = Setting {
                name: knob.name,
                now,
                before,
                value,
            };
            // What is out of sight here (another namespace's) is neither set nor judged.
            if is_missing {
                settings.push(setting);
            } else if setting.now.is_some() {
                kept.push(setting);
            }
        }
        let nofile = knobs::unit_nofile(goal);
        let sockets = goal.connections * goal.ends_here();
        Self {
            goal: goal.clone(),
            settings,
            kept,
            nofile,
            raises_login_limit: original.nofile_hard.is_some_and(|limit| limit < nofile),
            raises_unit_limit: original.unit_nofile.unwrap_or(SHIPPED_UNIT_NOFILE) < nofile,
            tracker_buckets: knobs::buckets(goal),
            is_tracking: host.tracks_connections(),
            hash_slots: host
                .hash_slots
                .filter(|slots| sockets / slots.max(&1) > 4)
                .map(|_| (sockets / 4).next_power_of_two()),
            memory_bytes: host.memory_total_bytes,
        }
    }
}

fn is_set(knob: &Knob, host: &Host) -> bool {
    match knob.applied {
        Applied::Yes => true,
        Applied::WhenTracking => host.tracks_connections(),
        Applied::No(_) => false,
    }
}

/// `LimitNOFILE=` of the unit that comes with the server.
pub const SHIPPED_UNIT_NOFILE: u64 = 1_100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::goal::Ends;
    use proptest::prelude::*;

    fn names(settings: &[Setting]) -> Vec<&'static str> {
        settings.iter().map(|setting| setting.name).collect()
    }

    #[test]
    fn a_stock_machine_needs_little_for_ten_thousand() {
        let host = Host::stock(4 << 30);
        let goal = Goal::new(10_000, Ends::Server, 2);
        let recommendation = Recommendation::new(&goal, &host, &host);
        assert_eq!(
            names(&recommendation.settings),
            ["net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_migrate_req"]
        );
        assert!(!recommendation.raises_login_limit && !recommendation.raises_unit_limit);
        assert_eq!(recommendation.hash_slots, None);
    }

    #[test]
    fn a_second_run_keeps_what_the_first_one_set() {
        let before = Host::stock(24 << 30);
        let goal = Goal::new(1_000_000, Ends::Both, 2);
        let first = Recommendation::new(&goal, &before, &before);
        let mut host = before.clone();
        for setting in &first.settings {
            host.sysctls.insert(setting.name, setting.value.clone());
        }
        let second = Recommendation::new(&goal, &host, &before);
        let values = |r: &Recommendation| -> Vec<_> {
            r.settings
                .iter()
                .map(|s| (s.name, s.value.clone()))
                .collect()
        };
        assert_eq!(values(&second), values(&first));
        // A smaller goal afterwards takes nothing back.
        let smaller = Recommendation::new(&Goal::new(200_000, Ends::Both, 2), &host, &before);
        for setting in &smaller.settings {
            assert_eq!(
                Some(&setting.value),
                setting.now.as_ref(),
                "{}",
                setting.name
            );
        }
    }

    #[test]
    fn the_tracker_is_set_where_it_is_at_work() {
        let goal = Goal::new(1_000_000, Ends::Server, 2);
        let idle = Host::stock(24 << 30);
        let busy = Host {
            conntrack_count: Some(9),
            ..idle.clone()
        };
        let has = |host: &Host| {
            names(&Recommendation::new(&goal, host, host).settings)
                .contains(&"net.netfilter.nf_conntrack_max")
        };
        assert!(has(&busy) && !has(&idle));
    }

    #[test]
    fn the_unit_that_comes_with_us_has_the_limit_we_think() {
        let unit = include_str!("../../tuning/systemd/throng.service");
        assert!(unit.contains(&format!("\nLimitNOFILE={SHIPPED_UNIT_NOFILE}\n")));
    }

    proptest! {
        /// Whatever the machine has, no number of any setting gets smaller.
        #[test]
        fn nothing_is_lowered(connections in 1u64..16_000_000, shifts in prop::collection::vec(0u32..40, 64)) {
            let mut host = Host::stock(24 << 30);
            for (value, shift) in host.sysctls.values_mut().zip(shifts) {
                value.iter_mut().for_each(|number| *number = number.saturating_mul(1 << shift >> 20).max(1));
            }
            let goal = Goal::new(connections, Ends::Both, 4);
            let recommendation = Recommendation::new(&goal, &host, &host);
            for setting in &recommendation.settings {
                let knob = setting.knob();
                let now = setting.now.as_deref().unwrap();
                prop_assert!(knob.is_enough(&setting.value, now), "{:?}", setting);
                prop_assert!(setting.value != now, "{:?}", setting);
            }
        }
    }
}
