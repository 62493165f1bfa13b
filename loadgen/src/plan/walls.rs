//! Where this machine stops: every limit turned into a number of connections, lowest first. The limits
//! are the doctor's; the tuples are ours.

use serde::Serialize;
use throng::tuning::knobs::{NOFILE, tables_room};
use throng::tuning::{Diagnosis, Host};

use super::PlanRequest;

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wall {
    /// What runs out.
    pub name: String,
    /// At how many connections.
    pub at_connections: u64,
    /// How it shows.
    pub symptom: &'static str,
    /// What helps.
    pub cure: String,
}

/// All limits that can be computed here, lowest first.
#[must_use]
pub fn of(request: &PlanRequest, host: &Host, tuples: u64, diagnosis: &Diagnosis) -> Vec<Wall> {
    let machine = diagnosis.walls().into_iter().map(|(finding, at)| Wall {
        name: finding.knob.title(),
        at_connections: at,
        symptom: finding.knob.symptom,
        cure: match threads_for(request.connections, host) {
            Some(threads) if finding.knob.name == NOFILE => format!(
                "--threads {threads} (a table of its own each); or {}",
                finding.cure
            ),
            _ => finding.cure.clone(),
        },
    });
    let mut walls = vec![Wall {
        name: "source tuples".to_owned(),
        at_connections: tuples,
        symptom: "no (address, port) left to bind",
        cure: "more addresses with --source, or more listeners".into(),
    }];
    walls.extend(machine);
    walls.sort_by_key(|wall| wall.at_connections);
    walls
}

/// Engine threads whose tables hold so many connections, if any number of them does.
fn threads_for(connections: u64, host: &Host) -> Option<u64> {
    let limit = host.nofile_hard?;
    (1..=THREADS_MAX).find(|threads| tables_room(limit, *threads) >= connections)
}

/// More threads than this spend their time on taking turns.
const THREADS_MAX: u64 = 1024;
