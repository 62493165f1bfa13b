//! The report for programs. What stands here is an interface: names are added, never changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Visit;
use crate::tuning::counters::{Counters, Hit};
use crate::tuning::knob::{Scope, Side};
use crate::tuning::recipes::Relic;
use crate::tuning::{Finding, Goal, Stop};

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    goal: &'a Goal,
    ready: bool,
    /// The lowest wall below the goal.
    first_wall: Option<Wall>,
    /// All of them, lowest first.
    walls: Vec<Wall>,
    findings: Vec<FindingJson<'a>>,
    /// Lines of `sysctl.d` that should not be there.
    relics: Vec<RelicJson<'a>>,
    /// What rose since the file of `--since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<Vec<HitJson>>,
    host: HostJson<'a>,
    counters: &'a Counters,
}

#[derive(Serialize)]
struct Wall {
    name: &'static str,
    connections: u64,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    name: &'static str,
    grade: &'static str,
    side: Side,
    scope: Scope,
    now: Option<&'a [u64]>,
    need: &'a [u64],
    stop: Option<Stop>,
    remark: Option<&'a str>,
    symptom: &'static str,
    why: &'static str,
    cure: &'a str,
}

#[derive(Serialize)]
struct RelicJson<'a> {
    file: &'a str,
    line: usize,
    name: &'a str,
    value: &'a str,
    fault: &'static str,
    verdict: &'a str,
}

#[derive(Serialize)]
struct HitJson {
    counter: &'static str,
    times: u64,
    limit: &'static str,
    means: &'static str,
}

#[derive(Serialize)]
struct HostJson<'a> {
    boot: Option<&'a str>,
    namespace: Option<&'a str>,
    cores: u64,
    memory_total_bytes: Option<u64>,
    memory_usable_bytes: Option<u64>,
    sockets_in_use: u64,
    files_open: Option<u64>,
    conntrack_count: Option<u64>,
    tcp_pages_used: u64,
    may_raise_limits: bool,
    are_tables_shared: bool,
    sysctls: &'a BTreeMap<&'static str, Vec<u64>>,
}

pub(super) fn report(visit: &Visit) -> String {
    let diagnosis = &visit.diagnosis;
    let wall = |(finding, connections): (&Finding, u64)| Wall {
        name: finding.knob.name,
        connections,
    };
    let host = &visit.host;
    let report = Report {
        version: 1,
        goal: &diagnosis.goal,
        ready: diagnosis.is_ready(),
        first_wall: diagnosis.first_wall().map(wall),
        walls: diagnosis.walls().into_iter().map(wall).collect(),
        findings: diagnosis.findings.iter().map(finding_json).collect(),
        relics: visit.relics.iter().map(relic_json).collect(),
        hits: visit
            .hits
            .as_ref()
            .map(|hits| hits.iter().map(hit_json).collect()),
        host: HostJson {
            boot: host.boot.as_deref(),
            namespace: host.namespace.as_deref(),
            cores: host.cores,
            memory_total_bytes: host.memory_total_bytes,
            memory_usable_bytes: host.memory_usable_bytes(),
            sockets_in_use: host.sockets_in_use,
            files_open: host.files_open,
            conntrack_count: host.conntrack_count,
            tcp_pages_used: host.tcp_pages_used,
            may_raise_limits: host.may_raise_limits,
            are_tables_shared: host.are_tables_shared,
            sysctls: &host.sysctls,
        },
        counters: &visit.counters,
    };
    let text = serde_json::to_string_pretty(&report);
    text.expect("keys are strings, and nothing here refuses to be written") + "\n"
}

fn finding_json(finding: &Finding) -> FindingJson<'_> {
    FindingJson {
        name: finding.knob.name,
        grade: finding.grade.word(),
        side: finding.knob.side,
        scope: finding.knob.scope,
        now: finding.now.as_deref(),
        need: &finding.need,
        stop: finding.stop,
        remark: finding.remark.as_deref(),
        symptom: finding.knob.symptom,
        why: finding.knob.why,
        cure: &finding.cure,
    }
}

fn relic_json(relic: &Relic) -> RelicJson<'_> {
    RelicJson {
        file: &relic.found.file,
        line: relic.found.line,
        name: &relic.found.key,
        value: &relic.found.value,
        fault: relic.fault.word(),
        verdict: &relic.verdict,
    }
}

fn hit_json(hit: &Hit) -> HitJson {
    HitJson {
        counter: hit.sign.name,
        times: hit.times,
        limit: hit.sign.limit,
        means: hit.sign.means,
    }
}
