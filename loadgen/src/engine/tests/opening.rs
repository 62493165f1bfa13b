//! Dialling, retries, bounds, and what is waited for.

use std::io::ErrorKind;

use super::wire::Left;
use super::world::{CLOSED, MS, SECOND, World, acceptance, brief, cohort, hear, serve};
use super::world::{Said, open_loop};
use crate::backoff::Backoff;
use crate::engine::gate::Gate;
use crate::engine::orders::Command;
use crate::failures::Failure;
use crate::scenario::{Beast, Kind};

#[test]
fn connections_open_and_are_proven_alive() {
    let mut world = World::of(Kind::Idle, 20);
    world.run(SECOND);
    let dispatch = world.fleet.dispatch();
    assert_eq!((dispatch.counts.upgraded, dispatch.awaited), (20, 0));
    assert_eq!(dispatch.proven_alive, 20);
    assert_eq!(dispatch.handshakes.unwrap().len(), 20);
    assert_eq!(dispatch.tuples.in_use, 20);
}

#[test]
fn every_failure_to_dial_has_its_class_and_is_tried_again() {
    for (kind, class) in [
        (ErrorKind::ConnectionRefused, Failure::Refused),
        (ErrorKind::NetworkUnreachable, Failure::Unreachable),
        (ErrorKind::OutOfMemory, Failure::LocalMemory),
    ] {
        let mut world = World::of(Kind::Idle, 1);
        world.kernel.borrow_mut().dial_errors.extend([kind, kind]);
        world.run(30 * SECOND);
        assert_eq!(world.failed(class), 2, "{kind}");
        assert_eq!(world.fleet.counts.retries, 2);
        assert_eq!(world.fleet.counts.upgraded, 1);
    }
}

#[test]
fn who_is_always_refused_gives_up_and_is_awaited_no_longer() {
    for (retries_max, attempts) in [(0, 1), (3, 4), (1_000_000, 256)] {
        let mut brief = brief(vec![cohort(CLOSED, 1)]);
        brief.retries_max = retries_max;
        let mut world = World::new(brief);
        let refused = std::iter::repeat_n(ErrorKind::ConnectionRefused, 1000);
        world.kernel.borrow_mut().dial_errors.extend(refused);
        assert_eq!(world.fleet.dispatch().awaited, 1);
        world.run(SECOND * 20 * attempts);
        assert_eq!(world.failed(Failure::Refused), attempts);
        let dispatch = world.fleet.dispatch();
        assert_eq!((dispatch.awaited, dispatch.counts.gone), (0, 1));
        assert_eq!(dispatch.tuples.in_use, 0);
    }
}

#[test]
fn a_refusal_that_comes_later_is_one_too() {
    let mut world = World::of(Kind::Idle, 1);
    world.kernel.borrow_mut().accepts = false;
    world.turn();
    world.live()[0].arrive_error(ErrorKind::ConnectionRefused);
    world.turn();
    assert_eq!(world.failed(Failure::Refused), 1);
    assert_eq!(world.fleet.counts.handshaking, 0);
}

#[test]
fn ports_of_others_are_skipped_and_never_tried_again() {
    let mut world = World::of(Kind::Idle, 3);
    let taken = [ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable];
    world.kernel.borrow_mut().dial_errors.extend(taken);
    world.run(SECOND);
    let counts = world.fleet.dispatch().tuples;
    assert_eq!((counts.taken, counts.in_use), (2, 3));
    assert_eq!(world.kernel.borrow().dials, 5);
    assert_eq!(world.fleet.failed.total(), 0);
}

#[test]
fn a_pool_that_is_empty_is_a_failure_of_ours() {
    // 100 ports and two listeners.
    let mut world = World::of(Kind::Idle, 210);
    world.run(60 * SECOND);
    assert_eq!(world.fleet.counts.upgraded, 200);
    assert_eq!(world.failed(Failure::LocalPorts), 4 * 10);
    assert_eq!(world.fleet.dispatch().awaited, 0);
}

#[test]
fn no_more_handshakes_than_allowed_are_under_way() {
    let mut brief = brief(vec![cohort(Kind::Idle, 50)]);
    brief.gate = Gate::new(7);
    let mut world = World::new(brief);
    world.set_answering(false);
    world.run(SECOND);
    assert_eq!(world.live().len(), 7);
    world.set_answering(true);
    world.run(SECOND);
    assert_eq!(world.fleet.counts.upgraded, 50);
}

#[test]
fn the_ramp_keeps_its_rate() {
    let mut brief = brief(vec![cohort(Kind::Idle, 150)]);
    let scenario = std::sync::Arc::get_mut(&mut brief.scenario).unwrap();
    scenario.ramp_per_s = 100.0;
    let mut world = World::new(brief);
    for tenth in 1..=15 {
        world.run(100 * MS);
        let open = world.fleet.counts.upgraded;
        assert!(
            (tenth * 10 - 1..=tenth * 10).contains(&open),
            "{open} after {tenth} tenths"
        );
    }
}

#[test]
fn patience_ends_before_and_after_the_tcp_handshake() {
    for (accepts, class) in [
        (false, Failure::ConnectTimeout),
        (true, Failure::HandshakeTimeout),
    ] {
        let mut world = World::of(Kind::Idle, 1);
        world.kernel.borrow_mut().accepts = accepts;
        world.set_answering(false);
        world.run(9 * SECOND);
        let wire = world.live().remove(0);
        world.run(2 * SECOND);
        assert_eq!(world.failed(class), 1);
        assert_eq!(wire.left(), Some(Left::Reset));
    }
}

#[test]
fn a_bad_answer_to_the_upgrade_has_its_class_however_it_is_cut() {
    let bad: [(&[u8], Failure); 5] = [
        (b"HTTP/1.1 503 Busy\r\n\r\n", Failure::Status(503)),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", Failure::BadHttp),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            Failure::BadAcceptKey,
        ),
        (b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", Failure::BadHandshake),
        (b"HTTP/1.1 101 x\r\nUpgr", Failure::ClosedBeforeUpgrade),
    ];
    for (response, class) in bad {
        for bytewise in [false, true] {
            let mut world = World::of(Kind::Idle, 1);
            world.turn();
            let wire = world.live().remove(0);
            if bytewise {
                wire.arrive_bytewise(response);
            } else {
                wire.arrive(response);
            }
            wire.arrive_eof();
            (0..response.len() + 2).for_each(|_| world.turn());
            assert_eq!(world.failed(class), 1, "{class}, bytewise {bytewise}");
            assert!(!wire.is_live());
        }
    }
}

#[test]
fn frames_that_come_with_the_answer_are_heard() {
    for per_call in [0, 1] {
        let mut world = World::of(Kind::Idle, 1);
        world.kernel.borrow_mut().per_call = per_call;
        (0..400).for_each(|_| world.turn());
        let wire = world.live().remove(0);
        let Some(Said::Request(request)) = hear(&wire).pop() else {
            panic!("no request");
        };
        let mut bytes = acceptance(&request);
        bytes.extend(super::world::frame(throng::ws::frame::Opcode::Ping, b"now"));
        wire.arrive(&bytes);
        (0..400).for_each(|_| world.turn());
        let said = hear(&wire);
        let pong = Said::Frame(throng::ws::frame::Opcode::Pong, b"now".to_vec());
        assert_eq!(said, [pong], "per call {per_call}");
    }
}

/// Churners and beasts are always on their way; whoever waits until nobody is never begins.
#[test]
fn those_who_come_and_go_are_waited_for_once() {
    let life = std::time::Duration::from_millis(300);
    let beast = |beast| Kind::Zoo { beast };
    for restless in [
        Kind::Churn { life },
        beast(Beast::Vanish),
        beast(Beast::DribbleUpgrade),
    ] {
        let mut world = World::new(brief(vec![cohort(CLOSED, 5), cohort(restless, 20)]));
        if matches!(restless, Kind::Zoo { .. }) {
            world.fleet.obey(&Command::Start);
        }
        world.run(2 * SECOND);
        let mut most = 0;
        for _ in 0..100 {
            world.run(100 * MS);
            assert_eq!(world.fleet.dispatch().awaited, 0, "{restless:?}");
            most = most.max(20 + 5 - world.fleet.counts.upgraded);
        }
        assert!(most > 0, "the test shows nothing if nobody ever leaves");
    }
}

#[test]
fn a_search_for_connections_sheds_what_is_too_many() {
    let mut world = World::of(Kind::Idle, 100);
    for (share, expected) in [
        (0.5, 50),
        (1.0, 100),
        (0.3, 30),
        (0.6, 60),
        (0.0, 0),
        (1.0, 100),
    ] {
        world.fleet.obey(&Command::Hold(share));
        world.check();
        world.run(SECOND);
        assert_eq!(world.fleet.counts.upgraded, expected);
        assert_eq!(world.fleet.dispatch().awaited, 0);
        let entries = world.fleet.entries.0.iter();
        let mut numbers: Vec<u32> = entries.map(|(_, connection)| connection.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..expected as u32).collect::<Vec<_>>());
    }
}

#[test]
fn a_search_sheds_those_that_wait_to_be_dialled_as_well() {
    let mut world = World::of(Kind::Idle, 40);
    let refused = std::iter::repeat_n(ErrorKind::ConnectionRefused, 40);
    world.kernel.borrow_mut().dial_errors.extend(refused);
    world.turn();
    world.pass(MS);
    world.fleet.obey(&Command::Hold(0.25));
    world.check();
    world.run(30 * SECOND);
    assert_eq!(world.fleet.counts.upgraded, 10);
}

#[test]
fn an_event_of_an_earlier_tenant_is_nobodys() {
    let mut world = World::of(
        Kind::Storm {
            backoff: Backoff::Fixed,
        },
        1,
    );
    world.run(SECOND);
    let old = world.live().remove(0).0.borrow().id;
    let all = crate::scenario::Cut {
        share: 1.0,
        by: crate::scenario::CutBy::Silence,
    };
    world.fleet.obey(&Command::Phase(std::sync::Arc::new(
        crate::engine::orders::PhaseOrder {
            rate: 1.0,
            silent: vec![false],
            absent: vec![false],
            cut: Some(all),
        },
    )));
    let gone = throng::reactor::Ready {
        readable: true,
        writable: true,
        hung_up: true,
    };
    world.stale.push((old, gone));
    world.turn();
    let flags = world.fleet.entries.0.iter().next().unwrap().1.flags;
    assert!(
        !flags.has(crate::engine::connection::Flags::HUNG_UP),
        "an event of the old socket"
    );
    world.run(2 * SECOND);
    assert_eq!(world.fleet.counts.upgraded, 1);
    assert_eq!(world.fleet.mutes.len(), 1);
    world.stale.push((old, gone));
    world.turn();
    assert_eq!(world.fleet.counts.upgraded, 1);
}

#[test]
fn who_is_absent_comes_with_a_later_phase() {
    let mut late = cohort(Kind::Idle, 6);
    late.name = "late".into();
    let mut brief = brief(vec![cohort(Kind::Idle, 2), late]);
    let scenario = std::sync::Arc::make_mut(&mut brief.scenario);
    scenario.ramp_per_s = 4.0;
    scenario.phases.push(crate::scenario::Phase {
        name: "alone".into(),
        duration: Some(std::time::Duration::from_secs(3)),
        rate: 1.0,
        ends_when_open: false,
        silent: Vec::new(),
        absent: vec!["late".into()],
        cut: None,
    });
    let mut world = World::new(brief);
    world.run(3 * SECOND);
    assert_eq!((world.live().len(), world.fleet.awaited()), (2, 0));
    let everybody = crate::engine::orders::PhaseOrder {
        rate: 1.0,
        silent: vec![false; 2],
        absent: vec![false; 2],
        cut: None,
    };
    world
        .fleet
        .obey(&Command::Phase(std::sync::Arc::new(everybody)));
    assert_eq!(world.fleet.awaited(), 6);
    // At the rate of the ramp from now on, and not with what could have been dialled meanwhile.
    world.run(SECOND);
    assert!(world.live().len() <= 2 + 4, "{}", world.live().len());
    world.run(SECOND);
    assert_eq!((world.live().len(), world.fleet.awaited()), (8, 0));
}

#[test]
fn traffic_does_not_begin_before_it_is_told_to() {
    let mut world = World::of(open_loop(100.0), 2);
    world.run(SECOND);
    assert!(world.live().iter().all(|wire| hear(wire).is_empty()));
    world.fleet.obey(&Command::Start);
    world.turn();
    let said: usize = world.live().iter().map(|wire| hear(wire).len()).sum();
    assert_eq!(said, 1);
    world.live().iter().for_each(serve);
}
