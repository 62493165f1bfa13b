//! Rooms: a server that keeps them, or does not keep its word.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use throng::ws::frame::Opcode;

use super::wire::Wire;
use super::world::{SECOND, Said, World, answer, brief, cohort, frame, hear};
use crate::backoff::Backoff;
use crate::dialect::Dialect;
use crate::engine::orders::{Command, PhaseOrder};
use crate::failures::Failure;
use crate::histograms::{Interval, Series};
use crate::scenario::{Cut, CutBy, Floor, Kind, Pace};
use crate::schedule::Arrivals;

/// A server with rooms, of the Centrifuge dialect.
#[derive(Default)]
pub(super) struct Hub {
    rooms: BTreeMap<String, Room>,
    /// How many publications a room remembers.
    history: usize,
    /// A subscription is answered with this error.
    denies: Option<u16>,
    /// Says nothing to a subscription.
    is_mute: bool,
    fault: Fault,
    /// Publications have no numbers, and rooms no positions.
    is_numberless: bool,
    deliveries: u64,
    held: Vec<Held>,
    /// How many were held back and came after all.
    overtaken: u64,
    /// Commands other than these two, as they came.
    heard: Vec<String>,
}

#[derive(Default)]
struct Room {
    members: Vec<Wire>,
    /// All of them; the last `history` can be recovered.
    said: Vec<Value>,
}

/// What is done to every tenth delivery.
#[derive(Default, Clone, Copy, PartialEq)]
enum Fault {
    #[default]
    None,
    Drop,
    Twice,
    Wrong,
    /// It is delivered to a member of another room.
    Astray,
    /// It is held back until so many others have passed it on that member's wire.
    Overtaken(u32),
}

/// A delivery that is held back.
struct Held {
    member: Wire,
    push: Value,
    /// Others still to pass it.
    left: u32,
}

impl Hub {
    pub(super) fn serve(&mut self, wire: &Wire) {
        for said in hear(wire) {
            let Said::Frame(Opcode::Text, text) = &said else {
                let (bytes, closes) = answer(&said);
                wire.arrive(&bytes);
                if closes {
                    wire.arrive_eof();
                }
                continue;
            };
            for line in str::from_utf8(text).expect("text").lines() {
                let command: Value = serde_json::from_str(line).expect("commands are JSON");
                self.obey(wire, &command, line);
            }
        }
    }

    fn obey(&mut self, wire: &Wire, command: &Value, line: &str) {
        let id = command["id"].as_u64().unwrap_or_default();
        if command.get("connect").is_some() {
            return say(
                wire,
                &json!({"id": id, "connect": {"client": "c", "ping": 25, "pong": true}}),
            );
        }
        if let Some(asked) = command.get("subscribe") {
            return self.subscribe(wire, id, asked);
        }
        if let Some(publish) = command.get("publish") {
            self.publish(publish);
            return say(wire, &json!({"id": id, "publish": {}}));
        }
        self.heard.push(line.to_owned());
        if command.get("presence_stats").is_some() {
            let stats = json!({"num_clients": 1, "num_users": 1});
            say(wire, &json!({"id": id, "presence_stats": stats}));
        }
    }

    fn subscribe(&mut self, wire: &Wire, id: u64, asked: &Value) {
        if let Some(code) = self.denies {
            let error = json!({"code": code, "message": "no"});
            return say(wire, &json!({"id": id, "error": error}));
        }
        if self.is_mute {
            return;
        }
        let name = asked["channel"].as_str().expect("a name").to_owned();
        let room = self.rooms.entry(name).or_default();
        room.members.retain(Wire::is_live);
        room.members.push(wire.clone());
        let top = room.said.len();
        let mut reply = match self.is_numberless {
            true => json!({}),
            false => json!({"offset": top, "epoch": "e", "recoverable": true, "positioned": true}),
        };
        if asked["recover"] == true {
            let from = asked["offset"].as_u64().expect("an offset") as usize;
            let is_there = top - from <= self.history && asked["epoch"] == "e";
            reply["recovered"] = is_there.into();
            if is_there {
                reply["publications"] = room.said[from..].to_vec().into();
            }
        }
        say(wire, &json!({"id": id, "subscribe": reply}));
    }

    fn publish(&mut self, publish: &Value) {
        let name = publish["channel"].as_str().expect("a name").to_owned();
        let room = self.rooms.get_mut(&name).expect("its members speak");
        let mut publication = json!({"data": publish["data"]});
        if !self.is_numberless {
            publication["offset"] = (room.said.len() + 1).into();
        }
        room.said.push(publication.clone());
        let push = json!({"push": {"channel": name, "pub": publication}});
        let members = room.members.clone();
        for member in members.iter().filter(|member| member.is_live()) {
            self.deliveries += 1;
            if !self.deliveries.is_multiple_of(10) {
                say(member, &push);
                self.pass(member);
                continue;
            }
            match self.fault {
                Fault::None => say(member, &push),
                Fault::Drop => {}
                Fault::Twice => {
                    say(member, &push);
                    say(member, &push);
                }
                Fault::Wrong => {
                    let mut push = push.clone();
                    let text = push["push"]["pub"]["data"].as_str().expect("text");
                    push["push"]["pub"]["data"] = text.replace('a', "e").into();
                    say(member, &push);
                }
                Fault::Astray => {
                    let mut others = self.rooms.iter().filter(|(other, _)| **other != name);
                    let (_, other) = others.next().expect("there are several");
                    say(&other.members[0], &push);
                }
                Fault::Overtaken(by) => self.held.push(Held {
                    member: member.clone(),
                    push: push.clone(),
                    left: by,
                }),
            }
        }
    }

    /// Something was said to this one: what was held back for long enough follows.
    fn pass(&mut self, member: &Wire) {
        for held in &mut self.held {
            held.left -= u32::from(held.member.is(member));
        }
        let ready = self.held.extract_if(.., |held| held.left == 0);
        for held in ready {
            say(&held.member, &held.push);
            self.overtaken += 1;
        }
    }
}

fn say(wire: &Wire, line: &Value) {
    wire.arrive(&frame(Opcode::Text, line.to_string().as_bytes()));
}

const fn rooms(floor: Floor, rate_per_s: f64) -> Kind {
    Kind::Rooms {
        pace: Pace::Open {
            rate_per_s,
            arrivals: Arrivals::Even,
        },
        floor,
        backoff: Backoff::FullJitter,
    }
}

fn floor(size: u64) -> Floor {
    Floor {
        size,
        ..Floor::default()
    }
}

/// A world whose server has rooms; everybody is in theirs, and traffic has begun.
fn running(floor: Floor, connections: u64, hub: Hub) -> World {
    let mut cohort = cohort(rooms(floor, 50.0), connections);
    cohort.messages.bytes = (100, 300);
    let mut brief = brief(vec![cohort]);
    brief.retries_max = 0;
    let mut world = World::new(brief);
    world.hub = Some(hub);
    world.run(SECOND);
    assert_eq!(world.fleet.dispatch().awaited, 0);
    world.fleet.obey(&Command::Start);
    world
}

/// Rooms of four, through four seconds of that hub's trouble.
fn troubled(everyone: bool, hub: Hub) -> World {
    let floor = Floor {
        everyone,
        ..floor(4)
    };
    let mut world = running(floor, 12, hub);
    world.run(4 * SECOND);
    settle(&mut world);
    world
}

/// Nothing is sent any more, and what can come has come.
fn settle(world: &mut World) {
    world.fleet.obey(&Command::Settle);
    world.run(12 * SECOND);
    assert_eq!(world.fleet.troops[0].books.in_flight(), 0);
}

fn hub(history: usize) -> Hub {
    Hub {
        history,
        ..Hub::default()
    }
}

#[test]
fn every_member_hears_everything_once() {
    for everyone in [true, false] {
        let floor = Floor {
            everyone,
            ..floor(4)
        };
        let mut world = running(floor, 12, hub(0));
        world.run(4 * SECOND);
        settle(&mut world);
        let dispatch = world.fleet.dispatch();
        let counts = dispatch.rooms.expect("there are rooms");
        assert_eq!((counts.rooms, counts.joined), (3, 12));
        assert!(counts.published >= 190, "{counts:?}");
        let books = &dispatch.books[0];
        assert_eq!(books.sent, counts.published * 4);
        assert_eq!((books.received, books.errors.total()), (books.sent, 0));
        let mut interval = Interval::new(1);
        dispatch.recorded.add_to(&mut interval);
        assert_eq!(
            interval.histogram(0, Series::Response).len(),
            books.received
        );
        let names: Vec<_> = world.hub.expect("it is there").rooms.into_keys().collect();
        assert_eq!(names, ["room0", "room1", "room2"]);
    }
}

#[test]
fn deliveries_that_are_wrong_are_errors_and_none_is_lost_twice() {
    let faults = [
        (Fault::Drop, None),
        (Fault::Twice, Some(Failure::Duplicate)),
        (Fault::Wrong, Some(Failure::WrongEcho)),
        (Fault::Astray, Some(Failure::WrongEcho)),
    ];
    let kinds = [true, false].map(|everyone| faults.map(|(fault, error)| (everyone, fault, error)));
    for (everyone, fault, error) in kinds.into_iter().flatten() {
        let hub = Hub {
            fault,
            ..Hub::default()
        };
        let world = troubled(everyone, hub);
        let tenth = world.hub.as_ref().expect("it is there").deliveries / 10;
        let books = &world.fleet.troops[0].books;
        let lost = if fault == Fault::Twice { 0 } else { tenth };
        assert_eq!(
            (books.sent - books.received, books.lost.total()),
            (lost, lost)
        );
        let counted = error.map_or(0, |error| world.errors(error));
        assert_eq!(counted, if error.is_some() { tenth } else { 0 });
    }
}

/// In a room of four who take turns, the fourth that passes is the same speaker's.
#[test]
fn what_one_says_keeps_its_order_and_what_two_say_the_servers_if_it_has_one() {
    for (everyone, is_numberless, by, is_error) in [
        (false, true, 1, true),
        (false, false, 1, true),
        (true, true, 1, false),
        (true, true, 3, false),
        (true, true, 4, true),
        (true, false, 1, true),
    ] {
        let hub = Hub {
            fault: Fault::Overtaken(by),
            is_numberless,
            ..Hub::default()
        };
        let world = troubled(everyone, hub);
        let hub = world.hub.as_ref().expect("it is there");
        let (overtaken, held) = (hub.overtaken, hub.held.len() as u64);
        assert!(overtaken > 50, "{overtaken}");
        let errors = if is_error { overtaken } else { 0 };
        let books = &world.fleet.troops[0].books;
        let what = format!("everyone: {everyone}, numberless: {is_numberless}, by {by}");
        assert_eq!(world.errors(Failure::OutOfOrder), errors, "{what}");
        assert_eq!(books.errors.total(), errors, "{what}");
        assert_eq!(
            (books.lost.total(), books.sent - books.received),
            (held, held),
            "{what}"
        );
    }
}

#[test]
fn who_was_cut_gets_what_it_missed_or_is_told() {
    for (history, recovers) in [(10_000, true), (0, false)] {
        let mut world = running(floor(4), 16, hub(history));
        world.run(2 * SECOND);
        let cut = Cut {
            share: 0.5,
            by: CutBy::Rst,
        };
        let phase = PhaseOrder {
            rate: 1.0,
            silent: vec![false],
            absent: vec![false],
            cut: Some(cut),
        };
        world.fleet.obey(&Command::Phase(phase.into()));
        world.run(30 * SECOND);
        settle(&mut world);
        let dispatch = world.fleet.dispatch();
        let counts = dispatch.rooms.expect("there are rooms");
        let back = dispatch.recovery.expect("some were cut");
        assert_eq!(
            (back.cut, back.back_after_ms.len(), counts.joined),
            (8, 8, 16)
        );
        let books = &dispatch.books[0];
        assert_eq!(books.errors.total(), 0, "{books:?}");
        let lost = world.lost(Failure::NotRecovered);
        assert_eq!(books.lost.total(), lost, "{books:?}");
        if recovers {
            assert_eq!((counts.recovered, counts.not_recovered, lost), (8, 0, 0));
            assert!(counts.replayed > 0);
            assert_eq!(books.received, books.sent);
        } else {
            // Who missed nothing is not told that anything is lost.
            assert_eq!(counts.recovered + counts.not_recovered, 8);
            assert!(counts.not_recovered > 0 && lost > 0, "{counts:?}");
        }
    }
}

#[test]
fn the_way_in_may_be_refused_or_not_answered() {
    let world = |hub| {
        let mut brief = brief(vec![cohort(rooms(floor(2), 1.0), 2)]);
        brief.retries_max = 0;
        let mut world = World::new(brief);
        world.hub = Some(hub);
        world.run(15 * SECOND);
        world
    };
    let denying = world(Hub {
        denies: Some(103),
        ..Hub::default()
    });
    assert!(denying.failed(Failure::Denied(103)) >= 2);
    let mute = world(Hub {
        is_mute: true,
        ..Hub::default()
    });
    assert!(mute.failed(Failure::NotJoined) >= 2);
}

#[test]
fn a_ping_of_the_protocol_is_answered() {
    let mut world = running(floor(2), 2, hub(0));
    let wire = world.live().remove(0);
    wire.arrive(&frame(Opcode::Text, b"{}"));
    world.run(SECOND);
    let hub = world.hub.as_ref().expect("it is there");
    assert!(hub.heard.contains(&"{}".to_owned()), "{:?}", hub.heard);
    wire.arrive(&frame(Opcode::Text, b"what?"));
    world.run(SECOND / 10);
    assert_eq!(world.failed(Failure::Unintelligible), 1);
}

#[test]
fn presence_is_asked_for_and_checked() {
    let floor = Floor {
        presence: true,
        ..floor(2)
    };
    let mut world = running(floor, 4, hub(0));
    world.run(SECOND);
    assert_eq!(world.errors(Failure::WrongPresence), 0);
    let asked = &world.hub.as_ref().expect("it is there").heard;
    assert_eq!(asked.len(), 4);
    let wire = world.live().remove(0);
    let stats = json!({"num_clients": 3, "num_users": 1});
    say(&wire, &json!({"id": 3, "presence_stats": stats}));
    world.run(SECOND / 10);
    assert_eq!(world.errors(Failure::WrongPresence), 1);
}

/// Being connected is being there: every message is a publication.
#[test]
fn a_raw_room_needs_no_words() {
    let floor = Floor {
        dialect: Dialect::Raw,
        size: 1,
        ..Floor::default()
    };
    let mut cohort = cohort(rooms(floor, 20.0), 3);
    cohort.messages.bytes = (80, 80);
    let mut world = World::new(brief(vec![cohort]));
    world.run(SECOND);
    world.fleet.obey(&Command::Start);
    world.run(2 * SECOND);
    settle(&mut world);
    let books = &world.fleet.troops[0].books;
    assert!(books.sent >= 39, "{books:?}");
    assert_eq!((books.received, books.errors.total()), (books.sent, 0));
}
