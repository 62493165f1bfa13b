//! Everything at once, in every order: whatever the server, the kernel and the conductor do, the books
//! balance, nobody is forgotten, nothing panics, and in the end everybody is gone.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use throng::reactor::{ConnId, Ready};
use throng::ws::close::CloseCode;
use throng::ws::frame::Opcode;

use super::world::{CLOSED, MS, SECOND, World, answer, brief, close_frame, cohort, frame, hear};
use super::world::{open_loop, serve};
use crate::backoff::Backoff;
use crate::engine::gate::Gate;
use crate::engine::orders::{Command, PhaseOrder};
use crate::scenario::{Beast, Cohort, Cut, CutBy, Kind, Pace};
use crate::schedule::Arrivals;

/// One thing that happens. `who` picks a connection, `much` says how much.
#[derive(Debug, Clone, Copy)]
struct Event {
    what: u8,
    who: u8,
    much: u16,
}

const EVENTS: u8 = 26;

fn kinds() -> impl Strategy<Value = Kind> {
    let pace = Pace::Closed { in_flight: 2 };
    let life = Duration::from_millis(700);
    let beasts = Beast::ALL.iter().map(|&(_, beast)| Kind::Zoo { beast });
    let backoffs = Backoff::ALL
        .iter()
        .map(|&(_, backoff)| Kind::Storm { backoff });
    let plain = [
        Kind::Idle,
        CLOSED,
        open_loop(50.0),
        Kind::Churn { life },
        Kind::Slow {
            bytes_per_s: 400,
            pace,
        },
        broadcast(1),
        broadcast(3),
    ];
    prop::sample::select(
        plain
            .into_iter()
            .chain(beasts)
            .chain(backoffs)
            .collect::<Vec<_>>(),
    )
}

const fn broadcast(publishers: u64) -> Kind {
    let pace = Pace::Open {
        rate_per_s: 20.0,
        arrivals: Arrivals::Poisson,
    };
    Kind::Broadcast { pace, publishers }
}

fn cohorts() -> impl Strategy<Value = Vec<Cohort>> {
    let one = (kinds(), 1u64..12, 0u64..40, any::<bool>(), 1u64..8);
    let one = one.prop_map(|(kind, connections, bytes, text, heartbeat_s)| {
        let mut cohort = cohort(kind, connections);
        cohort.messages.bytes = (bytes, bytes * 3);
        cohort.messages.text = text;
        cohort.handshake.heartbeat = Duration::from_secs(heartbeat_s);
        cohort
    });
    prop::collection::vec(one, 1..4)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0..EVENTS, any::<u8>(), 0u16..2000);
    prop::collection::vec(
        one.prop_map(|(what, who, much)| Event { what, who, much }),
        1..150,
    )
}

impl World {
    fn happen(&mut self, event: Event) {
        let Event { what, who, much } = event;
        let live = self.live();
        let wire = live.get(usize::from(who) % live.len().max(1));
        match (what, wire) {
            (0..=5, _) => {
                live.iter().for_each(serve);
                self.pass(u64::from(much) * MS / 2);
            }
            (6, _) => self.pass(u64::from(much) * 20 * MS),
            (7, Some(wire)) => serve(wire),
            (8, Some(wire)) => wire.arrive_eof(),
            (9, Some(wire)) => wire.arrive_error(ErrorKind::ConnectionReset),
            (10, Some(wire)) => wire.arrive(&close_frame(CloseCode::POLICY)),
            (11, Some(wire)) => wire.block_after(usize::from(much) / 10),
            (12, Some(wire)) => wire.unblock(),
            (13, Some(wire)) => wire.arrive(&much.to_be_bytes()),
            (14, Some(wire)) => wire.arrive(&frame(Opcode::Ping, &[who; 100])),
            (15, Some(wire)) => {
                // Swallowed, doubled or put in another order.
                let mut said = hear(wire);
                if much % 3 == 0 {
                    said.reverse();
                }
                for said in said.iter().skip(usize::from(much % 2)) {
                    let bytes = answer(said).0;
                    wire.arrive(&bytes.repeat(1 + usize::from(who % 2)));
                }
            }
            (16, Some(wire)) => wire.stand(),
            (17, _) => self.kernel.borrow_mut().accepts = who % 2 == 0,
            (18, _) => self.kernel.borrow_mut().per_call = usize::from(much % 40),
            (19, _) => self.kernel.borrow_mut().may_vanish = who % 2 == 0,
            (20, _) => {
                let kinds = [
                    ErrorKind::ConnectionRefused,
                    ErrorKind::AddrInUse,
                    ErrorKind::AddrNotAvailable,
                    ErrorKind::Other,
                    ErrorKind::OutOfMemory,
                ];
                let kind = kinds[usize::from(who) % kinds.len()];
                let errors = std::iter::repeat_n(kind, usize::from(much % 90));
                self.kernel.borrow_mut().dial_errors.extend(errors);
            }
            (21, _) => {
                let by = [CutBy::Rst, CutBy::Fin, CutBy::Silence][usize::from(who % 3)];
                let share = f64::from(much) / 2000.0;
                self.phase(Some(Cut { share, by }), 1.0, false);
            }
            (22, _) => self.phase(None, f64::from(much) / 500.0, who % 2 == 0),
            (23, _) => self.fleet.obey(&Command::Start),
            (24, _) => self.fleet.obey(&Command::Hold(f64::from(much) / 2000.0)),
            _ => {
                let ready = Ready {
                    readable: much % 2 == 0,
                    writable: much % 3 == 0,
                    hung_up: much % 5 == 0,
                };
                let id = ConnId::new(u32::from(much) / 20, u32::from(who) % 30);
                self.stale.push((id, ready));
            }
        }
    }

    fn phase(&mut self, cut: Option<Cut>, rate: f64, is_silent: bool) {
        let order = PhaseOrder {
            rate,
            silent: vec![is_silent; self.brief.scenario.cohorts.len()],
            absent: vec![false; self.brief.scenario.cohorts.len()],
            cut,
        };
        self.fleet.obey(&Command::Phase(Arc::new(order)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_whatever_happens(
        cohorts in cohorts(),
        events in events(),
        handshakes_max in 1u64..20,
        ramp_per_s in prop::sample::select(vec![0.0, 20.0, 500.0]),
        retries_max in 0u64..4,
        is_settled: bool,
    ) {
        let mut brief = brief(cohorts);
        (brief.gate, brief.retries_max) = (Gate::new(handshakes_max), retries_max);
        (brief.answer_timeout_ns, brief.connect_timeout_ns) = (2 * SECOND, 3 * SECOND);
        brief.alive_window_s = 5;
        Arc::get_mut(&mut brief.scenario).unwrap().ramp_per_s = ramp_per_s;
        let mut world = World::new(brief);
        for event in events {
            world.happen(event);
            world.check();
            world.turn();
            let (now_ns, due_ns) = (world.now_ns(), world.due_ns);
            prop_assert!(due_ns <= now_ns + SECOND, "it would sleep for {} ns", due_ns - now_ns);
        }
        if is_settled {
            world.fleet.obey(&Command::Settle);
            world.run(3 * SECOND);
            let dispatch = world.fleet.dispatch();
            prop_assert!(dispatch.books.iter().all(|books| books.in_flight() == 0), "answered or given up");
        }
        world.set_answering(false);
        world.fleet.obey(&Command::Part);
        world.check();
        world.run(5 * SECOND);
        prop_assert!(world.fleet.dispatch().is_empty, "somebody stayed: {:?}", world.fleet.counts);
        prop_assert!(world.live().is_empty());
    }
}
