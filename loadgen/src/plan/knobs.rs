//! Settings of the kernel for a number of connections, from the table that the server's doctor uses.

use serde::Serialize;
use throng::tuning::knob::{Side, written};
use throng::tuning::{Diagnosis, Finding, Grade, Host};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Knob {
    /// Name as `sysctl` writes it, or the name of a limit.
    pub name: &'static str,
    /// Where it belongs.
    pub side: Side,
    /// The least it should be.
    pub need: Vec<u64>,
    /// What it is here, when it belongs here and can be read.
    pub now: Option<Vec<u64>>,
    /// Whether this machine has enough of it. A machine that says nothing is not blamed.
    pub met: bool,
    /// The line that sets it.
    pub command: String,
    /// What happens below it.
    pub why: &'static str,
}

/// All settings of this machine, and for a target elsewhere what its machine should have.
#[must_use]
pub fn of(here: &Diagnosis, there: Option<&Diagnosis>) -> Vec<Knob> {
    let only_there = there
        .into_iter()
        .flat_map(|there| &there.findings)
        .filter(|finding| finding.knob.side == Side::Server);
    let findings = here.findings.iter().chain(only_there);
    findings.filter_map(knob).collect()
}

/// What a host that nobody has asked would need: nothing is known, so everything is only a need.
#[must_use]
pub fn unknown_host() -> Host {
    Host::default()
}

fn knob(finding: &Finding) -> Option<Knob> {
    let is_setting = !finding.need.is_empty() && !finding.cure.is_empty();
    (is_setting && finding.knob.is_settable()).then(|| Knob {
        name: finding.knob.name,
        side: finding.knob.side,
        need: finding.need.clone(),
        now: finding.now.clone(),
        met: finding.grade >= Grade::Odd,
        command: finding.cure.clone(),
        why: finding.knob.symptom,
    })
}

/// A value as one reads it; several numbers as the kernel writes them.
#[must_use]
pub fn shown(value: &[u64]) -> String {
    match value {
        [one] => crate::units::thousands(*one),
        several => written(several),
    }
}
