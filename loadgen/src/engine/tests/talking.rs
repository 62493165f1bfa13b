//! Messages, answers, heartbeats, floods.

use std::sync::Arc;

use throng::ws::frame::Opcode;

use super::world::{
    CLOSED, MS, SECOND, Said, World, answer, brief, cohort, frame, hear, open_loop,
};
use crate::engine::connection::Phase;
use crate::engine::orders::Command;
use crate::failures::Failure;
use crate::histograms::{Interval, Series};
use crate::scenario::{Beast, Kind, Pace};

/// A world whose connections stand and whose traffic has begun.
fn running(kind: Kind, connections: u64) -> World {
    let mut world = World::of(kind, connections);
    world.run(SECOND);
    assert_eq!(world.fleet.counts.upgraded, connections);
    world.fleet.obey(&Command::Start);
    world
}

fn pings(said: &[Said]) -> usize {
    let is_ping = |said: &&Said| matches!(said, Said::Frame(Opcode::Ping, _));
    said.iter().filter(is_ping).count()
}

#[test]
fn a_closed_loop_keeps_its_messages_under_way() {
    let pace = Pace::Closed { in_flight: 3 };
    let mut world = running(Kind::Echo { pace }, 4);
    assert_eq!(world.fleet.troops[0].books.sent, 12);
    for round in 1..20 {
        world.live().iter().for_each(super::world::serve);
        world.turn();
        let books = &world.fleet.troops[0].books;
        assert_eq!((books.sent, books.received), (12 + 12 * round, 12 * round));
    }
    assert_eq!(world.fleet.troops[0].books.errors.total(), 0);
}

/// What is intended while the server or the generator stands still is sent late and measured from when it
/// was meant.
#[test]
fn an_open_loop_keeps_its_intended_times_through_a_stall() {
    let mut world = running(open_loop(1000.0), 2);
    world.run(SECOND);
    world.fleet.dispatch();
    let before = world.fleet.troops[0].books.sent;
    world.pass(500 * MS);
    world.run(100 * MS);
    let sent = world.fleet.troops[0].books.sent - before;
    assert!((599..=601).contains(&sent), "{sent}");
    let mut recorded = Interval::new(1);
    world.fleet.dispatch().recorded.add_to(&mut recorded);
    let longest_ms = recorded.histogram(0, Series::Response).max() / MS;
    assert!((495..=505).contains(&longest_ms), "{longest_ms} ms");
    // All but the one that was under way when time stood still.
    let usual = recorded
        .histogram(0, Series::Service)
        .value_at_quantile(0.99);
    assert!(usual < 5 * MS, "the server was quick");
}

#[test]
fn an_answer_that_does_not_come_is_lost_and_late_when_it_comes() {
    for bytes in [64, 2] {
        let mut cohort = cohort(open_loop(1.0), 1);
        cohort.messages.bytes = (bytes, bytes);
        let mut world = World::new(brief(vec![cohort]));
        world.run(SECOND);
        world.fleet.obey(&Command::Start);
        world.set_answering(false);
        world.turn();
        let wire = world.live().remove(0);
        let first = hear(&wire).remove(0);
        world.run(10 * SECOND + MS);
        assert_eq!(world.lost(Failure::AnswerTimeout), 1);
        wire.arrive(&answer(&first).0);
        world.turn();
        assert_eq!(world.errors(Failure::LateAnswer), 1, "{bytes} bytes");
        assert_eq!(world.fleet.troops[0].books.errors.total(), 1);
        assert_eq!(world.fleet.troops[0].books.received, 0);
        world.set_answering(true);
        world.run(SECOND / 2);
        assert_eq!(
            world.fleet.troops[0].books.received, 10,
            "the later ones are right"
        );
        assert_eq!(world.fleet.troops[0].books.errors.total(), 1);
    }
}

/// The same answers, whole, in pieces and byte by byte: the same verdicts.
#[test]
fn it_does_not_matter_how_the_stream_is_cut() {
    let verdicts = [0, 1, 2, 3, 7, 64].map(|per_call| {
        let pace = Pace::Closed { in_flight: 4 };
        let mut world = World::of(Kind::Echo { pace }, 1);
        world.kernel.borrow_mut().per_call = per_call;
        world.run(SECOND);
        world.fleet.obey(&Command::Start);
        world.set_answering(false);
        (0..1000).for_each(|_| world.turn());
        let wire = world.live().remove(0);
        let mut heard = hear(&wire);
        assert_eq!(heard.len(), 4, "per call {per_call}");
        let echoes: Vec<Vec<u8>> = heard.drain(..).map(|said| answer(&said).0).collect();
        let mut bytes = echoes[0].clone();
        bytes.extend(&echoes[0]);
        bytes.extend(frame(Opcode::Ping, b"between"));
        bytes.extend(&echoes[2]);
        bytes.extend(frame(Opcode::Text, b"this is not what was sent"));
        bytes.extend(frame(Opcode::Close, &1011u16.to_be_bytes()));
        wire.arrive(&bytes);
        wire.arrive_eof();
        (0..1000).for_each(|_| world.turn());
        let books = &world.fleet.troops[0].books;
        let failed = world.fleet.failed.by_class();
        (
            books.received,
            books.errors.by_class(),
            books.lost.by_class(),
            failed,
        )
    });
    let (received, errors, _, failed) = &verdicts[0];
    assert_eq!(*received, 2);
    let errors: Vec<_> = errors.keys().map(String::as_str).collect();
    assert_eq!(errors, ["duplicate", "gap", "wrong_echo"]);
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["closed_1011"]);
    // In a whole read the loop is topped up after the Close, in pieces before: then these are lost, too.
    for verdict in &verdicts {
        assert_eq!(
            (verdict.0, &verdict.1, &verdict.3),
            (*received, &verdicts[0].1, failed)
        );
    }
}

#[test]
fn what_waits_behind_a_full_socket_is_kept_and_sent() {
    let mut world = running(open_loop(100.0), 1);
    let wire = world.live().remove(0);
    wire.block_after(30);
    world.set_answering(false);
    world.run(5 * SECOND);
    let books = world.fleet.troops[0].books.clone();
    assert_eq!(books.received + books.lost.total(), 0);
    let sent = books.sent;
    assert!((500..=502).contains(&sent), "{sent}");
    let connection = world.fleet.entries.0.iter().next().unwrap().1;
    let waiting = connection.pending.as_ref().unwrap().rest().len();
    assert!(
        waiting < 200,
        "one batch waits as bytes, {waiting}; the others as flights"
    );
    wire.unblock();
    world.set_answering(true);
    world.run(10 * MS);
    let books = &world.fleet.troops[0].books;
    assert!(books.received >= sent, "{books:?}");
    assert_eq!(books.errors.total() + books.lost.total(), 0);
}

#[test]
fn hearts_beat_once_a_period_and_not_at_once() {
    let mut world = World::of(Kind::Idle, 100);
    world.run(SECOND);
    let mut beats = vec![0; 100];
    let mut busiest = 0;
    for _ in 0..1000 {
        world.run(100 * MS);
        // The server is asked between two turns of the world, so nothing escapes the count.
        world.set_answering(false);
        let mut now = 0;
        for (beat, wire) in beats.iter_mut().zip(world.live()) {
            let said = hear(&wire);
            now += pings(&said);
            *beat += pings(&said);
            said.iter().for_each(|said| wire.arrive(&answer(said).0));
        }
        busiest = busiest.max(now);
    }
    assert!(
        beats.iter().all(|beats| (3..=5).contains(beats)),
        "{beats:?}"
    );
    assert!(busiest <= 6, "{busiest} of 100 in a tenth of a second");
    assert_eq!(world.fleet.liveness.proven_alive(), 100);
    assert_eq!(world.fleet.failed.total(), 0);
}

/// A tenth of a second, in which the server answers everything; the pings in it.
fn pings_of_a_tick(world: &mut World) -> usize {
    world.run(100 * MS);
    // The server is asked between two turns of the world, so nothing escapes the count.
    world.set_answering(false);
    let wires = world.live();
    let asked = wires.iter().map(|wire| {
        let said = hear(wire);
        said.iter().for_each(|said| wire.arrive(&answer(said).0));
        pings(&said)
    });
    asked.sum()
}

#[test]
fn after_a_long_ramp_hearts_beat_a_period_after_the_opening() {
    let mut long = brief(vec![cohort(Kind::Idle, 50)]);
    Arc::get_mut(&mut long.scenario).unwrap().ramp_per_s = 2.0;
    let mut world = World::new(long);
    let mut beats_in =
        |ticks: usize| -> usize { (0..ticks).map(|_| pings_of_a_tick(&mut world)).sum() };
    assert_eq!(beats_in(250), 0, "the first of them opened 25 s ago");
    let beats = beats_in(50);
    assert!(
        (8..=12).contains(&beats),
        "{beats} where two a second opened"
    );
}

#[test]
fn the_ticks_of_threads_begin_one_after_the_other() {
    let mut brief = brief(vec![cohort(CLOSED, 4)]);
    brief.threads = 4;
    for thread in 0..4 {
        let ticks = brief.ticks_of(thread);
        let begin_ns = ticks.begin_ns(7);
        assert_eq!(
            begin_ns,
            brief.origin_ns + 700 * MS + 25 * MS * u64::from(thread)
        );
        assert_eq!((ticks.at(begin_ns - 1), ticks.at(begin_ns)), (6, 7));
        assert_eq!(ticks.at(brief.origin_ns), 0);
    }
}

#[test]
fn who_answers_no_heartbeat_is_silent() {
    let mut world = World::of(Kind::Idle, 3);
    world.run(SECOND);
    world.set_answering(false);
    world.run(30 * SECOND);
    assert_eq!(world.fleet.liveness.proven_alive(), 0);
    world.run(10 * SECOND);
    assert_eq!(world.failed(Failure::Silent), 3);
    assert_eq!(
        world.fleet.counts.gone, 3,
        "an idle connection that broke stays broken"
    );
}

/// Who does not read hears no pong: that says nothing about the server.
#[test]
fn a_beast_that_never_reads_does_not_call_the_server_silent() {
    let beast = Beast::NeverRead;
    let mut world = World::of(Kind::Zoo { beast }, 2);
    world.fleet.obey(&Command::Start);
    world.run(120 * SECOND);
    assert_eq!(world.fleet.failed.total(), 0);
    assert_eq!(world.kernel.borrow().dials, 2, "they stay");
    // The server loses patience.
    world.live()[0].arrive_error(std::io::ErrorKind::ConnectionReset);
    world.run(5 * SECOND);
    assert_eq!(world.failed(Failure::Reset), 1);
    assert_eq!(world.kernel.borrow().dials, 3, "thrown out, it comes back");
}

#[test]
fn who_may_not_vanish_keeps_still_and_is_counted_once() {
    let beast = Beast::Vanish;
    let mut world = World::of(Kind::Zoo { beast }, 4);
    world.fleet.obey(&Command::Start);
    world.kernel.borrow_mut().may_vanish = false;
    world.run(60 * SECOND);
    assert_eq!(world.fleet.counts.not_vanished, 4);
    assert_eq!(world.live().len(), 4);
}

#[test]
fn who_vanishes_leaves_its_port_alone_for_a_minute() {
    let beast = Beast::Vanish;
    let mut world = World::of(Kind::Zoo { beast }, 1);
    world.fleet.obey(&Command::Start);
    world.run(SECOND);
    let first = world.live().remove(0);
    world.run(SECOND * 100);
    assert_eq!(first.left(), Some(super::wire::Left::Vanished));
    assert!(world.kernel.borrow().dials > 20, "it comes back each time");
}

#[test]
fn a_flood_of_pings_is_answered_with_bounded_memory() {
    let mut world = running(CLOSED, 1);
    let wire = world.live().remove(0);
    wire.block_after(0);
    world.set_answering(false);
    let flood: Vec<u8> = (0..1000)
        .flat_map(|_| frame(Opcode::Ping, &[7; 100]))
        .collect();
    for _ in 0..200 {
        wire.arrive(&flood);
        world.turn();
    }
    let connection = world.fleet.entries.0.iter().next().unwrap().1;
    let pending = connection.pending.as_ref().unwrap();
    assert!(pending.unsent.len() < 70_000, "{}", pending.unsent.len());
    wire.unblock();
    world.set_answering(true);
    world.run(SECOND);
    assert_eq!(world.fleet.counts.upgraded, 1);
    assert_eq!(world.fleet.troops[0].books.errors.total(), 0);
}

/// A long message that the socket takes slowly is no reason to leave the server's ping unanswered.
#[test]
fn a_pong_finds_its_way_behind_a_long_message() {
    let mut cohort = cohort(CLOSED, 1);
    cohort.messages.bytes = (300_000, 300_000);
    let mut world = World::new(brief(vec![cohort]));
    world.run(SECOND);
    let wire = world.live().remove(0);
    wire.block_after(1000);
    world.set_answering(false);
    world.fleet.obey(&Command::Start);
    wire.arrive(&frame(Opcode::Ping, b"still there?"));
    world.turn();
    wire.unblock();
    world.turn();
    let said = hear(&wire);
    assert!(said.contains(&Said::Frame(Opcode::Pong, b"still there?".to_vec())));
}

#[test]
fn a_slow_reader_reads_at_its_pace() {
    let pace = Pace::Closed { in_flight: 1 };
    let mut world = running(
        Kind::Slow {
            bytes_per_s: 1000,
            pace,
        },
        1,
    );
    world.set_answering(false);
    let wire = world.live().remove(0);
    wire.arrive(&frame(Opcode::Binary, &vec![1; 60_000]));
    world.run(10 * SECOND);
    let left = wire.unread();
    let read = 60_004 - left;
    assert!((9_900..=10_100).contains(&read), "{read}");
    let phase = world.fleet.entries.0.iter().next().unwrap().1.phase;
    assert_eq!(phase, Phase::Open);
}

#[test]
fn every_message_is_unsent_when_nobody_is_there_to_send_it() {
    let mut world = running(open_loop(100.0), 1);
    world.live()[0].arrive_eof();
    world.run(SECOND);
    let books = &world.fleet.troops[0].books;
    assert_eq!(world.failed(Failure::ClosedWithoutFrame), 1);
    assert!(
        (98..=101).contains(&(books.unsent + books.sent)),
        "{books:?}"
    );
    assert!(books.unsent > 95);
}
