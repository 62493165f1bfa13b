//! Closes, cuts, returns, farewells.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use throng::ws::close::CloseCode;
use throng::ws::frame::Opcode;

use super::wire::Left;
use super::world::{CLOSED, SECOND, Said, World, close_frame, hear};
use crate::backoff::Backoff;
use crate::engine::orders::{Command, PhaseOrder};
use crate::failures::Failure;
use crate::scenario::{Cut, CutBy, Kind};

fn cut(share: f64, by: CutBy) -> Command {
    Command::Phase(Arc::new(PhaseOrder {
        rate: 1.0,
        silent: vec![false],
        absent: vec![false],
        cut: Some(Cut { share, by }),
    }))
}

#[test]
fn a_close_is_counted_by_its_code_and_answered() {
    let mut world = World::of(Kind::Idle, 1);
    world.run(SECOND);
    let wire = world.live().remove(0);
    let mut bytes = close_frame(CloseCode::RESTART);
    bytes.extend(b"\xff\xff what follows a Close has no meaning");
    wire.arrive(&bytes[..4]);
    world.turn();
    assert_eq!(
        hear(&wire),
        [Said::Frame(Opcode::Close, 1012u16.to_be_bytes().to_vec())]
    );
    wire.arrive(&bytes[4..]);
    world.turn();
    wire.arrive_eof();
    world.turn();
    assert_eq!(
        world
            .fleet
            .failed
            .by_class()
            .into_iter()
            .collect::<Vec<_>>(),
        [("closed_1012".into(), 1)]
    );
    assert_eq!(wire.left(), Some(Left::Closed));
    assert!(world.fleet.entries.0.is_empty());
}

#[test]
fn who_says_close_and_stays_is_reset() {
    let mut world = World::of(Kind::Idle, 1);
    world.run(SECOND);
    let wire = world.live().remove(0);
    world.set_answering(false);
    wire.arrive(&close_frame(CloseCode::NORMAL));
    world.run(3 * SECOND);
    assert_eq!(wire.left(), Some(Left::Reset));
    assert_eq!(world.fleet.failed.total(), 1);
}

#[test]
fn a_reset_in_the_middle_loses_what_was_under_way() {
    for (kind, class) in [
        (ErrorKind::ConnectionReset, Failure::Reset),
        (ErrorKind::BrokenPipe, Failure::Reset),
    ] {
        let mut world = World::of(CLOSED, 2);
        world.run(SECOND);
        world.fleet.obey(&Command::Start);
        world.live()[0].arrive_error(kind);
        world.turn();
        assert_eq!(world.failed(class), 1);
        assert_eq!(world.lost(class), 1);
    }
}

#[test]
fn a_life_ends_and_another_begins_at_once() {
    let life = Duration::from_secs(2);
    let mut world = World::of(Kind::Churn { life }, 10);
    world.run(60 * SECOND);
    let dials = world.kernel.borrow().dials;
    assert!(
        (250..=370).contains(&dials),
        "{dials} lives of 2 s in 60 s times 10"
    );
    assert_eq!(world.fleet.failed.total(), 0);
    assert!(world.fleet.counts.upgraded >= 9);
    world.fleet.obey(&Command::Settle);
    world.run(5 * SECOND);
    let dials = world.kernel.borrow().dials;
    world.run(5 * SECOND);
    assert_eq!(
        world.kernel.borrow().dials,
        dials,
        "once it settles nobody begins anew"
    );
}

#[test]
fn a_storm_is_cut_and_comes_back() {
    for (by, left) in [
        (CutBy::Rst, Some(Left::Reset)),
        (CutBy::Fin, Some(Left::Closed)),
        (CutBy::Silence, None),
    ] {
        let backoff = Backoff::Fixed;
        let mut world = World::of(Kind::Storm { backoff }, 20);
        world.run(SECOND);
        let wires = world.live();
        world.fleet.obey(&cut(0.5, by));
        world.check();
        assert_eq!(world.fleet.counts.upgraded, 10);
        let gone = wires.iter().filter(|wire| wire.left() == left).count();
        assert!(gone >= 10, "{by:?}");
        world.run(SECOND / 2);
        assert_eq!(world.fleet.counts.upgraded, 10, "the back-off is a second");
        world.run(SECOND);
        assert_eq!(world.fleet.counts.upgraded, 20);
        let recovery = world.fleet.dispatch().recovery.expect("there was a cut");
        assert_eq!((recovery.cut, recovery.attempts), (10, 10));
        assert_eq!(recovery.back_after_ms.len(), 10);
        assert!((990..1200).contains(&recovery.back_after_ms.max()));
        assert_eq!(world.fleet.failed.total(), 0, "who is cut has not failed");
    }
}

#[test]
fn a_storm_against_a_closed_door_keeps_trying_as_its_library_does() {
    let backoff = Backoff::SignalR;
    let mut world = World::of(Kind::Storm { backoff }, 1);
    world.run(SECOND);
    let refused = std::iter::repeat_n(ErrorKind::ConnectionRefused, 100);
    world.kernel.borrow_mut().dial_errors.extend(refused);
    world.fleet.obey(&cut(1.0, CutBy::Rst));
    world.run(100 * SECOND);
    assert_eq!(
        world.failed(Failure::Refused),
        4,
        "0, 2, 10, 30 s, then never"
    );
    assert_eq!(world.fleet.recovery.attempts, 4);
    assert!(world.fleet.entries.0.is_empty());
}

#[test]
fn everyone_says_goodbye_and_nobody_is_waited_for_long() {
    let mut world = World::of(CLOSED, 50);
    world.run(SECOND);
    world.fleet.obey(&Command::Start);
    world.run(SECOND / 10);
    world.fleet.obey(&Command::Settle);
    world.run(SECOND / 10);
    let wires = world.live();
    world.set_answering(false);
    world.fleet.obey(&Command::Part);
    world.check();
    let closes = |wire: &super::wire::Wire| {
        let last = hear(wire).pop();
        matches!(last, Some(Said::Frame(Opcode::Close, _)))
    };
    assert!(wires.iter().all(closes));
    for wire in &wires[..25] {
        wire.arrive(&close_frame(CloseCode::NORMAL));
        wire.arrive_eof();
    }
    world.turn();
    assert_eq!(world.live().len(), 25);
    world.run(3 * SECOND);
    assert!(world.fleet.dispatch().is_empty);
    assert!(
        wires[..25]
            .iter()
            .all(|wire| wire.left() == Some(Left::Closed))
    );
    assert!(
        wires[25..]
            .iter()
            .all(|wire| wire.left() == Some(Left::Reset))
    );
    assert_eq!(world.fleet.failed.total(), 0);
}
