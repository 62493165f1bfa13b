//! Four who publish and fifty who listen over real sockets, the listeners cut off again and again: who
//! comes back with its position has missed nothing, hears nothing twice, and everything in order.

use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};

use super::Folder;
use super::client::{Client, Position, position_of, subscribe};

const PUBLISHERS: usize = 4;
const LISTENERS: usize = 50;
/// What each publisher has to say.
const WORDS: u64 = 500;
const ALL: u64 = PUBLISHERS as u64 * WORDS;
const ROOM: &str = "crowd:room";

const CONFIG: &str = r#"
[auth]
anonymous = "on"
[[namespaces]]
name = "crowd"
history_size = 5000
recover_max = 5000
subscribe = "anyone"
publish = "anyone"
read = "anyone"
"#;

#[test]
fn listeners_that_are_cut_off_miss_nothing_with_two_workers() {
    a_crowd(2);
}

#[test]
fn listeners_that_are_cut_off_miss_nothing_with_eight_workers() {
    a_crowd(8);
}

fn a_crowd(workers: u32) {
    let folder = Folder::new(&format!("crowd-{workers}"));
    let server = folder.closed(CONFIG).workers(workers).start();
    let address = server.addr();
    let start = Client::connect(address, "").position(ROOM);
    assert_eq!(start.offset, 0);
    let stories: Vec<_> = thread::scope(|scope| {
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|number| {
                let position = start.clone();
                scope.spawn(move || Listener::new(number as u64, position).listen(address))
            })
            .collect();
        for publisher in 0..PUBLISHERS {
            scope.spawn(move || publish(address, publisher));
        }
        let listeners = listeners.into_iter();
        listeners.map(|thread| thread.join().unwrap()).collect()
    });
    for heard in &stories {
        assert_eq!(heard.words, [WORDS; PUBLISHERS]);
    }
    // A world in which nobody missed or heard anything would prove nothing.
    let sum = |count: fn(&Listener) -> u64| stories.iter().map(count).sum::<u64>();
    let (cuts, live) = (sum(|heard| heard.cuts), sum(|heard| heard.live));
    let recovered = sum(|heard| heard.recovered);
    assert!(cuts > 2 * LISTENERS as u64, "{cuts} cuts");
    assert!(live > 0 && recovered > 0, "{live} live, {recovered} late");
}

/// One after the other, again if the server is too busy: only so is there an order to be kept.
fn publish(address: SocketAddr, publisher: usize) {
    let mut client = Client::connect(address, "");
    for word in 1..=WORDS {
        client.publish(ROOM, &json!([publisher, word]));
    }
}

struct Listener {
    dice: u64,
    position: Position,
    words: [u64; PUBLISHERS],
    cuts: u64,
    live: u64,
    recovered: u64,
}

impl Listener {
    fn new(number: u64, position: Position) -> Self {
        Self {
            dice: number * 2 + 1,
            position,
            words: [0; PUBLISHERS],
            cuts: 0,
            live: 0,
            recovered: 0,
        }
    }

    /// Until it has heard everything. Each life ends without a farewell, whatever is on its way.
    fn listen(mut self, address: SocketAddr) -> Self {
        while self.position.offset < ALL {
            let mut client = Client::connect(address, "");
            let until = self.position.offset + self.roll(ALL / 4);
            if self.roll(4) == 0 {
                // Gone before it is answered.
                client.say("subscribe", &subscribe(ROOM, Some(&self.position)));
            } else {
                self.recover(&client.subscribe(ROOM, Some(&self.position)));
                while self.position.offset < until.min(ALL) {
                    let line = client.next().expect("a publication");
                    self.hear(&line["push"]["pub"]);
                    self.live += 1;
                }
            }
            self.cuts += 1;
        }
        self
    }

    fn recover(&mut self, answer: &Value) {
        assert_eq!(answer["recovered"], true, "{answer}");
        let missed = answer["publications"].as_array();
        for publication in missed.into_iter().flatten() {
            self.hear(publication);
            self.recovered += 1;
        }
        assert_eq!(self.position, position_of(answer));
    }

    fn hear(&mut self, publication: &Value) {
        let offset = self.position.offset + 1;
        assert_eq!(publication["offset"], offset, "lost or doubled");
        self.position.offset = offset;
        let word = &publication["data"];
        let publisher = word[0].as_u64().unwrap() as usize;
        self.words[publisher] += 1;
        assert_eq!(word[1], self.words[publisher], "of {publisher}");
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }
}
