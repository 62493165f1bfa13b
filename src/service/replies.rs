//! What hubs answer, in the words of the dialect in which it was asked.

use super::floor::Floor;
use crate::dialect::centrifuge::{ErrorCode, Push, Reply};
use crate::dialect::chat::{self, Complaint, Mark, Progress};
use crate::hub::{Answer, Disconnect, Refusal, Request, Session, Subscribed, World};

/// The note of a subscriber that would rather not be than have missed something.
pub(super) const STRICT: &str = "strict";

/// What a chat's request was, where the answer depends on it.
pub(super) mod asked {
    /// A message to a user.
    pub(in crate::service) const TO_USER: u32 = 1;
    /// A message to a room, from inside.
    pub(in crate::service) const FROM_INSIDE: u32 = 2;
    /// A message to a room, from outside.
    pub(in crate::service) const FROM_OUTSIDE: u32 = 3;
    /// Into a room.
    pub(in crate::service) const JOIN: u32 = 4;
}

/// Answers a client of Centrifuge's dialect. Commands have numbers; what has none is the server's own.
pub(super) fn centrifuge(
    floor: &mut Floor<'_>,
    to: &Session,
    request: &Request,
    channel: &str,
    answer: &Answer,
) {
    let number = request.number;
    let reply = match answer {
        Answer::Subscribed(subscribed) if number == 0 => {
            return put_into(floor, to, channel, subscribed, request.note.as_deref());
        }
        Answer::Refused(_) if number == 0 => {
            floor.note_greeting(to, None);
            return;
        }
        _ if number == 0 => return,
        Answer::Subscribed(subscribed) => {
            let has_missed = subscribed.was_recovering && !subscribed.recovered;
            if has_missed && request.note.as_deref() == Some(STRICT) {
                floor.desk.unrecovered.push((to.id(), channel.into()));
                Reply::Error(ErrorCode::UnrecoverablePosition)
            } else {
                let until_s = floor.desk.grant_until(to.conn, channel);
                Reply::Subscribe {
                    subscribed,
                    ttl_s: floor.desk.ttl_s(until_s),
                }
            }
        }
        Answer::Published { .. } => Reply::Publish,
        Answer::History(page) => Reply::History(page),
        Answer::Presence(presence) => Reply::Presence(presence),
        Answer::PresenceStats(stats) => Reply::PresenceStats(*stats),
        Answer::Done => Reply::Ping,
        Answer::Refused(refusal) => {
            floor.desk.forget_grant(to.conn, channel);
            Reply::Error(ErrorCode::from(*refusal))
        }
    };
    floor.reply(to, number, &reply);
}

/// The server has put it into a channel: with its welcome, or later. What has a payload comes later: a
/// welcome that is under way was not waiting for it.
fn put_into(
    floor: &mut Floor<'_>,
    to: &Session,
    channel: &str,
    subscribed: &Subscribed,
    payload: Option<&str>,
) {
    if payload.is_none() && floor.note_greeting(to, Some((channel, subscribed))) {
        return;
    }
    let push = Push::Subscribe {
        position: subscribed.position,
        recoverable: subscribed.recoverable,
        payload,
    };
    floor.push(to, channel, &push);
    floor.tell_missed(to, channel, subscribed);
}

/// Answers somebody who chats.
pub(super) fn chat(
    floor: &mut Floor<'_>,
    to: &Session,
    request: &Request,
    channel: &str,
    answer: &Answer,
) {
    let number = request.number;
    match answer {
        Answer::Subscribed(subscribed) => {
            let is_own_wish = number == asked::JOIN;
            let payload = request.note.as_deref().filter(|_| !is_own_wish);
            let may_wait = !is_own_wish && payload.is_none();
            if may_wait && floor.note_greeting(to, Some((channel, subscribed))) {
                return;
            }
            let joined = chat::Reply::Joined {
                room: channel,
                subscribed,
                payload,
            };
            floor.chat(to, &joined);
            floor.tell_missed(to, channel, subscribed);
        }
        Answer::Published { receivers, .. } => {
            let others = match number {
                asked::FROM_INSIDE => receivers.saturating_sub(1),
                _ => *receivers,
            };
            let progress = match others {
                0 => Progress::Sent,
                _ => Progress::Delivered,
            };
            if let Some(id) = request.note.as_deref() {
                let id = Mark::of(id);
                floor.chat(to, &chat::Reply::Ack { id, progress });
            }
        }
        Answer::Refused(refusal) => {
            if number == 0 && floor.note_greeting(to, None) {
                return;
            }
            complain(floor, to, *refusal);
        }
        // Nothing else is asked for in this dialect.
        Answer::History(_) | Answer::Presence(_) | Answer::PresenceStats(_) | Answer::Done => {}
    }
}

pub(super) fn complain(floor: &mut Floor<'_>, to: &Session, refusal: Refusal) {
    floor.chat(to, &chat::Reply::Error(Complaint::Refused(refusal)));
}

/// Answers a connection without a protocol, which hears no answers: what it missed comes like
/// everything else, and a refusal is its end.
pub(super) fn raw(floor: &mut Floor<'_>, to: &Session, channel: &str, answer: &Answer) {
    match answer {
        Answer::Subscribed(subscribed) => floor.tell_missed(to, channel, subscribed),
        Answer::Refused(refusal) => floor.disconnect(to, raw_farewell(*refusal)),
        _ => {}
    }
}

/// How a connection ends that cannot be told anything else.
pub(super) fn raw_farewell(refusal: Refusal) -> Disconnect {
    match refusal {
        Refusal::UnknownChannel => Disconnect::BadRequest,
        Refusal::PermissionDenied | Refusal::NotSubscribed | Refusal::NotAvailable => {
            Disconnect::PermissionDenied
        }
        Refusal::AlreadySubscribed | Refusal::BadPosition => Disconnect::BadRequest,
        Refusal::LimitExceeded => Disconnect::ChannelLimit,
        Refusal::TooMany | Refusal::Busy => Disconnect::TooMany,
    }
}
