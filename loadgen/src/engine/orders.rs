//! What the conductor tells the threads.

use std::sync::Arc;

use super::fleet::{Fleet, Stage};
use super::net::Net;
use crate::scenario::{Cut, Kind};

/// One order.
#[derive(Debug, Clone)]
pub enum Command {
    /// Report now, under this number.
    Report(u64),
    /// Traffic begins.
    Start,
    /// A phase begins.
    Phase(Arc<PhaseOrder>),
    /// Hold this share of the connections (a search).
    Hold(f64),
    /// Begin nothing new; answers are still awaited.
    Settle,
    /// Close everything.
    Part,
    /// End at once.
    Stop,
}

/// What a phase changes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseOrder {
    /// Multiplies every rate.
    pub rate: f64,
    /// By cohort: keeps still.
    pub silent: Vec<bool>,
    /// By cohort: is not dialled yet.
    pub absent: Vec<bool>,
    /// Cut connections now.
    pub cut: Option<Cut>,
}

impl<N: Net> Fleet<N> {
    /// Does what the conductor says, except to report and to stop, which is the worker's.
    pub fn obey(&mut self, command: &Command) {
        match command {
            Command::Start => self.start(),
            Command::Phase(phase) => self.enter(phase),
            Command::Hold(share) => self.hold(*share),
            Command::Settle => self.settle(),
            Command::Part => self.part_from_all(),
            Command::Report(_) | Command::Stop => {}
        }
    }

    fn settle(&mut self) {
        self.stage = self.stage.max(Stage::Settling);
        self.settling_since_ns = Some(self.net.now_ns());
    }

    fn start(&mut self) {
        if self.stage != Stage::Ramping {
            return;
        }
        self.stage = Stage::Running;
        let now_ns = self.net.now_ns();
        for troop in &mut self.troops {
            troop.start(now_ns);
        }
        self.open_cohorts();
        self.top_up_all();
    }

    fn enter(&mut self, phase: &PhaseOrder) {
        let now_ns = self.net.now_ns();
        for (troop, silent) in self.troops.iter_mut().zip(&phase.silent) {
            troop.set_rate(now_ns, phase.rate, *silent);
        }
        for (troop, absent) in self.troops.iter_mut().zip(&phase.absent) {
            troop.is_absent = *absent;
        }
        self.open_cohorts();
        if let Some(cut) = phase.cut {
            self.cut(cut.share, cut.by);
        }
        self.top_up_all();
    }

    /// Cohorts come with their phase. Beasts come when traffic flows besides, and not in a phase in which they
    /// are silent: the others are measured without them first.
    fn open_cohorts(&mut self) {
        let now_ns = self.net.now_ns();
        for (cohort, troop) in self.troops.iter().enumerate() {
            let is_beast = matches!(troop.cohort.kind, Kind::Zoo { .. });
            let is_caged = is_beast && (self.stage != Stage::Running || troop.is_silent);
            self.ramp
                .set_held(cohort, troop.is_absent || is_caged, now_ns);
        }
    }

    /// Closed loops begin, or begin again.
    fn top_up_all(&mut self) {
        for at in 0..self.troops.len() {
            if self.troops[at].in_flight() == 0 {
                continue;
            }
            let members = self.troops[at].roster.members().to_vec();
            for index in members {
                self.top_up(index);
            }
        }
    }
}
