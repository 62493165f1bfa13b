//! A client of Centrifuge's dialect, by hand: it says what it is told and believes nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{CENTRIFUGE, Talk, enter};
use crate::harness::{Wire, op};

pub(super) struct Client {
    pub(super) wire: Wire,
    lines: VecDeque<Value>,
    last_id: u64,
}

/// What a client comes back with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) epoch: String,
}

/// The end of the stream, and the code of the Close frame before it, if there was one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Over(pub(super) Option<u16>);

impl Client {
    /// Logged in; without a token as nobody.
    pub(super) fn connect(address: SocketAddr, token: &str) -> Self {
        Self::log_in(enter(address, CENTRIFUGE), token)
    }

    /// Somebody who is logged in already.
    pub(super) fn again(wire: Wire) -> Self {
        Self {
            wire,
            lines: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Logs in over a connection that is there.
    pub(super) fn log_in(wire: Wire, token: &str) -> Self {
        let mut client = Self::again(wire);
        let welcome = client.ask("connect", &json!({ "token": token }));
        assert!(welcome["connect"]["client"].is_string(), "{welcome}");
        client
    }

    /// Sends a command; its number.
    pub(super) fn say(&mut self, name: &str, body: &Value) -> u64 {
        self.last_id += 1;
        let command = json!({ "id": self.last_id, name: body });
        self.wire.say(&command.to_string());
        self.last_id
    }

    /// Sends a command and waits for its answer; what else comes meanwhile is kept.
    pub(super) fn ask(&mut self, name: &str, body: &Value) -> Value {
        let id = self.say(name, body);
        let mut others = VecDeque::new();
        loop {
            let line = self.next().expect("an answer");
            if line["id"] == id {
                others.append(&mut self.lines);
                self.lines = others;
                return line;
            }
            others.push_back(line);
        }
    }

    /// Into a channel, from where it was; the answer.
    pub(super) fn subscribe(&mut self, channel: &str, from: Option<&Position>) -> Value {
        let answer = self.ask("subscribe", &subscribe(channel, from));
        assert!(answer["subscribe"].is_object(), "{answer}");
        answer["subscribe"].clone()
    }

    /// Where the channel stands.
    pub(super) fn position(&mut self, channel: &str) -> Position {
        let body = json!({ "channel": channel, "limit": 0 });
        let answer = self.ask("history", &body);
        position_of(&answer["history"])
    }

    /// Publishes; again as long as the server is too busy.
    pub(super) fn publish(&mut self, channel: &str, payload: &Value) {
        let body = json!({ "channel": channel, "data": payload });
        loop {
            let answer = self.ask("publish", &body);
            if answer["error"]["temporary"] != true {
                assert!(answer["publish"].is_object(), "{answer}");
                return;
            }
        }
    }

    /// The next line that is said; pings are answered on the way.
    pub(super) fn next(&mut self) -> Result<Value, Over> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(line);
            }
            let Some(frame) = self.wire.read_frame() else {
                return Err(Over(None));
            };
            match frame.first {
                TEXT => {}
                PING => {
                    self.wire.send_frame(op::FIN | op::PONG, &frame.payload);
                    continue;
                }
                _ => return Err(Over(frame.close_code())),
            }
            let text = String::from_utf8(frame.payload).unwrap();
            for line in text.lines() {
                match line {
                    "{}" => self.wire.say("{}"),
                    _ => self.lines.push_back(serde_json::from_str(line).unwrap()),
                }
            }
        }
    }
}

const TEXT: u8 = op::FIN | op::TEXT;
const PING: u8 = op::FIN | op::PING;

/// What a subscribe command says.
pub(super) fn subscribe(channel: &str, from: Option<&Position>) -> Value {
    match from {
        None => json!({ "channel": channel }),
        Some(Position { offset, epoch }) => {
            json!({ "channel": channel, "recover": true, "offset": offset, "epoch": epoch })
        }
    }
}

/// The position in an answer; what is 0 is left out there.
pub(super) fn position_of(answer: &Value) -> Position {
    Position {
        offset: answer["offset"].as_u64().unwrap_or(0),
        epoch: answer["epoch"].as_str().unwrap().to_owned(),
    }
}
