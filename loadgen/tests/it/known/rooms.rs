//! Rooms: what a server does wrong with deliveries is in the report, to the delivery, whoever speaks.
//!
//! Being connected is being in the room (`--dialect raw`), and a message is passed on as it is.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use crate::harness::{Ended, Generator, PATIENCE, Server, Wire, op};

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Right,
    Twice,
    Dropped,
    /// It comes behind the next one of the same speaker.
    Overtaken,
}

/// The members, and what was done to them.
#[derive(Default)]
struct Room {
    ears: Vec<Ear>,
    /// Messages to be passed on.
    said: u64,
    /// Deliveries that became this, and not what they should.
    faults: u64,
}

/// A member, as one who hears.
struct Ear {
    wire: Wire,
    heard: u64,
    /// At most one at a time: who said it, and what.
    held: Option<(usize, Vec<u8>)>,
}

impl Room {
    fn pass_on(&mut self, speaker: usize, payload: &[u8], fate: Fate) {
        self.said += 1;
        for ear in &mut self.ears {
            let number = ear.heard;
            ear.heard += 1;
            let is_due = number % 7 == 3 && number < TROUBLE;
            // Whoever is gone hears nothing, and the run is over.
            let is_fault = ear.hear(speaker, payload, if is_due { fate } else { Fate::Right });
            self.faults += u64::from(is_fault.unwrap_or(false));
        }
    }
}

impl Ear {
    /// Whether that was a fault, or completed one.
    fn hear(&mut self, speaker: usize, payload: &[u8], fate: Fate) -> io::Result<bool> {
        let first = op::FIN | op::TEXT;
        match fate {
            Fate::Dropped => return Ok(true),
            Fate::Overtaken if self.held.is_none() => {
                self.held = Some((speaker, payload.to_vec()));
                return Ok(false);
            }
            Fate::Twice => self.wire.send_frame(first, payload)?,
            Fate::Right | Fate::Overtaken => {}
        }
        self.wire.send_frame(first, payload)?;
        let overtaken = self.held.take_if(|(who, _)| *who == speaker);
        if let Some((_, late)) = &overtaken {
            self.wire.send_frame(first, late)?;
        }
        Ok(fate == Fate::Twice || overtaken.is_some())
    }
}

fn member(mut wire: Wire, fate: Fate, room: &Mutex<Room>, enough: &Sender<()>) -> io::Result<()> {
    wire.upgrade()?;
    let own = {
        let mut room = room.lock().unwrap();
        room.ears.push(Ear {
            wire: wire.twin()?,
            heard: 0,
            held: None,
        });
        room.ears.len()
    };
    loop {
        let message = wire.read_message()?;
        let mut room = room.lock().unwrap();
        room.pass_on(own, &message.payload, fate);
        if room.said == ENOUGH {
            enough.send(()).ok();
        }
    }
}

/// One room of so many.
const MEMBERS: u64 = 4;
/// Deliveries to a member after which nothing happens to any.
const TROUBLE: u64 = 100;
/// Messages after which all that happened has been found.
const ENOUGH: u64 = 400;

/// A run against a server that does this, and how often it did.
fn run(scenario: &str, fate: Fate) -> (Ended, u64) {
    let room = Arc::new(Mutex::new(Room::default()));
    let shared = Arc::clone(&room);
    let (enough, has_enough) = mpsc::channel();
    let server = Server::start(move |wire, _| member(wire, fate, &shared, &enough));
    let words = format!(
        "--scenario {scenario} --dialect raw --connections {MEMBERS} --room-size {MEMBERS} --threads 1 \
         --rate 400/s --duration 10m --answer-timeout 60s"
    );
    let generator = Generator::run(&format!("{}/{{room}}", server.url()), &words);
    let waited = has_enough.recv_timeout(PATIENCE);
    waited.expect("the server hears as many messages as it wants");
    generator.signal("INT");
    let ended = generator.end();
    server.finish();
    let room = room.lock().unwrap();
    ended.assert_balanced();
    let sent = ended.count("/messages/sent");
    assert_eq!(sent, room.said * MEMBERS, "{}", ended.story());
    (ended, room.faults)
}

#[test]
fn what_is_lost_doubled_or_overtaken_is_named_whoever_speaks() {
    for scenario in ["pubsub", "chat"] {
        for (fate, class, is_lost) in [
            (Fate::Right, "", false),
            (Fate::Twice, "duplicate", false),
            (Fate::Dropped, "gap", true),
            (Fate::Overtaken, "out_of_order", false),
        ] {
            let (ended, faults) = run(scenario, fate);
            let what = format!("{scenario}, {fate:?}: {}", ended.story());
            assert_eq!(faults > 0, fate != Fate::Right, "{what}");
            let named = ended.class("/messages/error_classes", class);
            assert_eq!(named, faults, "{what}");
            assert_eq!(ended.count("/messages/errors"), faults, "{what}");
            let lost = if is_lost { faults } else { 0 };
            assert_eq!(ended.count("/messages/lost"), lost, "{what}");
            ended.assert_code(i32::from(fate != Fate::Right));
        }
    }
}
