//! The table held against a machine: what each limit is, what it should be, and which stops us first.

use super::goal::Goal;
use super::host::Host;
use super::knob::{Applied, Knob, Place, Stop, written};
use super::knobs;
use super::recipes::{self, Assignment};

/// What was found about one limit.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The row.
    pub knob: &'static Knob,
    /// What it is; `None` if it cannot be read here.
    pub now: Option<Vec<u64>>,
    /// What it should be; empty if nothing is asked.
    pub need: Vec<u64>,
    /// How bad it is.
    pub grade: Grade,
    /// Where it stops us, if that can be said.
    pub stop: Option<Stop>,
    /// What else there is to say.
    pub remark: Option<String>,
    /// What helps.
    pub cure: String,
}

/// How bad it is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Fewer connections than asked for.
    Stops,
    /// Connections are lost or late at the rate asked for.
    Loses,
    /// Less than it should be: it shows under stress.
    Tight,
    /// Odd, and worth knowing.
    Odd,
    /// Cannot be read here.
    Hidden,
    /// Enough.
    Fine,
}

impl Grade {
    /// One word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stops => "stops",
            Self::Loses => "loses",
            Self::Tight => "tight",
            Self::Odd => "odd",
            Self::Hidden => "hidden",
            Self::Fine => "fine",
        }
    }
}

/// Everything that was found, worst first.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What was asked.
    pub goal: Goal,
    /// One per row that concerns the goal.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Holds the table against a host.
    #[must_use]
    pub fn new(goal: &Goal, host: &Host) -> Self {
        let concerned = knobs::all().filter(|knob| knob.concerns(goal));
        let mut findings: Vec<_> = concerned
            .filter_map(|knob| Finding::new(knob, goal, host))
            .collect();
        // Stable: what is equally bad keeps the order of the table.
        findings.sort_by_key(|finding| (finding.grade, finding.stop_order()));
        Self {
            goal: goal.clone(),
            findings,
        }
    }

    /// Limits that hold so many connections and no more, lowest first.
    #[must_use]
    pub fn walls(&self) -> Vec<(&Finding, u64)> {
        let connections = |finding: &Finding| match finding.stop? {
            Stop::Connections(connections) => Some(connections),
            Stop::Rate(_) => None,
        };
        let walls = self.findings.iter();
        let mut walls: Vec<_> = walls
            .filter_map(|finding| Some((finding, connections(finding)?)))
            .collect();
        walls.sort_by_key(|(_, connections)| *connections);
        walls
    }

    /// The lowest wall, if it is below the goal.
    #[must_use]
    pub fn first_wall(&self) -> Option<(&Finding, u64)> {
        let lowest = self.walls().into_iter().next();
        lowest.filter(|(_, connections)| *connections < self.goal.connections)
    }

    /// Settings that are enough now, and that a file makes too small again at the next start.
    #[must_use]
    pub fn undone_at_start<'a>(
        &'a self,
        assignments: &'a [Assignment],
    ) -> Vec<(&'a Finding, &'a Assignment)> {
        let undone = |finding: &'a Finding| {
            let line = recipes::at_next_start(assignments, finding.knob.name)?;
            let later = recipes::numbers(&line.value);
            let is_enough = |value: &[u64]| finding.knob.is_enough(value, &finding.need);
            let is_undone = finding.now.as_deref().is_some_and(is_enough) && !is_enough(&later);
            is_undone.then_some((finding, line))
        };
        self.findings.iter().filter_map(undone).collect()
    }

    /// Whether the goal can be reached: neither the number nor the rate is in danger.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.grade > Grade::Loses)
    }
}

impl Finding {
    fn new(knob: &'static Knob, goal: &Goal, host: &Host) -> Option<Self> {
        let now = knob.now(host);
        let demand = (knob.demand)(goal, host);
        let is_silent = demand.need.is_empty() && demand.remark.is_none() && demand.stop.is_none();
        // No control group and no tracker are no findings, a setting that is out of sight is one.
        let is_absent = now.is_none() && matches!(knob.place, Place::Fact(..));
        if is_silent || (is_absent && demand.remark.is_none()) {
            return None;
        }
        let is_enough = now
            .as_deref()
            .is_none_or(|now| knob.is_enough(now, &demand.need));
        let grade = match demand.stop {
            _ if now.is_none() && demand.remark.is_none() => Grade::Hidden,
            Some(Stop::Connections(most)) if most < goal.connections => Grade::Stops,
            Some(Stop::Rate(most)) if most < goal.rate_per_s => Grade::Loses,
            _ if demand.remark.is_some() => Grade::Odd,
            _ if !is_enough && !demand.is_indirect => Grade::Tight,
            _ => Grade::Fine,
        };
        Some(Self {
            knob,
            cure: demand
                .cure
                .unwrap_or_else(|| cure(knob, host, &demand.need)),
            now,
            need: demand.need,
            grade,
            stop: demand.stop,
            remark: demand.remark,
        })
    }

    fn stop_order(&self) -> u64 {
        match self.stop {
            Some(Stop::Connections(most) | Stop::Rate(most)) => most,
            None => u64::MAX,
        }
    }
}

/// The command that sets the need without lowering anything.
fn cure(knob: &Knob, host: &Host, need: &[u64]) -> String {
    if let (Applied::No(reason), true) = (knob.applied, need.is_empty()) {
        return reason.to_owned();
    }
    let now = knob.now(host).unwrap_or_default();
    let value = written(&knob.merged(&now, need));
    let quoted = if value.contains(' ') {
        format!("\"{value}\"")
    } else {
        value
    };
    let place = if host.sealed.contains(knob.name) {
        " on the host of this namespace"
    } else {
        ""
    };
    format!("sysctl -w {}={quoted}{place}", knob.name)
}

#[cfg(test)]
mod tests;
