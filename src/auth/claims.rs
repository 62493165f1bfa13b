//! What a token says, by the names that Centrifugo's users know, and what is kept of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use crate::config::Tokens;

/// Bytes a user's name may have: it becomes part of the name of a channel.
pub const USER_BYTES_MAX: usize = 250;

/// Who a connection's token says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// `sub`: the user, never empty.
    pub user: Box<str>,
    /// When the connection expires, in seconds since 1970; `None` if it never does.
    pub expires_at_s: Option<u64>,
    /// `info`: one JSON value that others in a channel see.
    pub conn_info: Option<Box<str>>,
    /// `channels` and `subs`: what the server subscribes it to.
    pub subs: Vec<ServerSub>,
    /// `meta`: one JSON value for the server only.
    pub meta: Option<Box<str>>,
}

/// A channel that a connection is subscribed to by its token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerSub {
    /// The channel.
    pub channel: Box<str>,
    /// One JSON value that others in it see.
    pub chan_info: Option<Box<str>>,
}

/// What a subscription's token allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// When the subscription expires, in seconds since 1970; `None` if it never does.
    pub expires_at_s: Option<u64>,
    /// `info`: one JSON value that others in the channel see.
    pub chan_info: Option<Box<str>>,
}

/// The claims of either kind of token. Types are strict: a number in quotes is no date.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    exp: Date,
    nbf: Option<Date>,
    iss: Option<String>,
    aud: Option<Audience>,
    #[serde(rename = "info")]
    about: Option<Box<RawValue>>,
    meta: Option<Box<RawValue>>,
    #[serde(default)]
    channels: Vec<Box<str>>,
    #[serde(default)]
    subs: BTreeMap<Box<str>, SubClaims>,
    channel: Option<String>,
    client: Option<String>,
    expire_at: Option<Date>,
}

#[derive(Deserialize)]
struct SubClaims {
    #[serde(rename = "info")]
    about: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// How a token stands in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Valid,
    TooEarly,
    Expired,
}

impl Claims {
    pub(super) fn standing(&self, now_s: u64, leeway_s: u64) -> Standing {
        if self.exp.0.saturating_add(leeway_s) <= now_s {
            Standing::Expired
        } else if self
            .nbf
            .is_some_and(|nbf| nbf.0 > now_s.saturating_add(leeway_s))
        {
            Standing::TooEarly
        } else {
            Standing::Valid
        }
    }

    /// Whether it is from and for whom it has to be, and names a user.
    pub(super) fn is_ours(&self, tokens: &Tokens) -> bool {
        let is_from = tokens.issuer.is_empty() || self.iss.as_ref() == Some(&tokens.issuer);
        let is_for = tokens.audience.is_empty()
            || match &self.aud {
                Some(Audience::One(name)) => *name == tokens.audience,
                Some(Audience::Several(names)) => names.contains(&tokens.audience),
                None => false,
            };
        is_from && is_for && (1..=USER_BYTES_MAX).contains(&self.sub.len())
    }

    /// As a connection's token. One that is for a channel was given out for less.
    pub(super) fn identity(self) -> Option<Identity> {
        if self.channel.is_some() {
            return None;
        }
        let expires_at_s = self.expires_at_s();
        let plain = self.channels.into_iter().map(|channel| ServerSub {
            channel,
            chan_info: None,
        });
        let detailed = self.subs.into_iter().map(|(channel, sub)| ServerSub {
            channel,
            chan_info: json(sub.about),
        });
        Some(Identity {
            user: self.sub.into(),
            expires_at_s,
            conn_info: json(self.about),
            subs: plain.chain(detailed).collect(),
            meta: json(self.meta),
        })
    }

    /// As a token for this user's subscription to this channel, on this connection if it says so.
    pub(super) fn grant(self, user: &str, channel: &str, client: &str) -> Option<Grant> {
        let is_fit = self.sub == user
            && self.channel.as_deref() == Some(channel)
            && self.client.as_deref().is_none_or(|named| named == client);
        is_fit.then(|| Grant {
            expires_at_s: self.expires_at_s(),
            chan_info: json(self.about),
        })
    }

    /// `expire_at` is about the connection where it differs from the token; 0 is never.
    fn expires_at_s(&self) -> Option<u64> {
        let at_s = self.expire_at.unwrap_or(self.exp).0;
        (at_s > 0).then_some(at_s)
    }
}

fn json(value: Option<Box<RawValue>>) -> Option<Box<str>> {
    value.map(|value| value.get().into())
}

/// Seconds since 1970. A fraction is allowed (RFC 7519, 2) and dropped; text is not.
#[derive(Clone, Copy)]
struct Date(u64);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DateVisitor)
    }
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Date, E> {
        Ok(Date(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Date, E> {
        // Beyond this an f64 is no exact number of seconds any more; it also keeps out what the
        // conversion would silently cut.
        const EXACT_MAX: f64 = (1_u64 << 53) as f64;
        match (0.0..EXACT_MAX).contains(&seconds) {
            true => Ok(Date(seconds as u64)),
            false => Err(E::custom("no date")),
        }
    }
}
