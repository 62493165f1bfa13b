//! Making tokens, for `throng token` and for tests: with a secret, never with somebody else's key.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::keys::foreign;
use crate::config::tokens::{Algorithm, Secret};

/// What a token is to say.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewToken<'t> {
    /// The user.
    #[serde(rename = "sub")]
    pub user: &'t str,
    /// Until when it is good, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at_s: u64,
    /// The channel it is for, if it is a subscription's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'t str>,
    /// One JSON value that others see.
    #[serde(rename = "info", skip_serializing_if = "Option::is_none")]
    pub about: Option<&'t RawValue>,
    /// From whom it is; empty if nobody asks.
    #[serde(rename = "iss", skip_serializing_if = "str::is_empty")]
    pub issuer: &'t str,
    /// For whom it is; empty if nobody asks.
    #[serde(rename = "aud", skip_serializing_if = "str::is_empty")]
    pub audience: &'t str,
}

/// Signs it with HS256; `kid` is the secret's name, if it has one.
pub fn sign(token: &NewToken<'_>, secret: &Secret, kid: Option<&str>) -> String {
    let mut header = Header::new(foreign(Algorithm::Hs256));
    header.kid = kid.map(str::to_owned);
    let key = EncodingKey::from_secret(secret.expose());
    encode(&header, token, &key)
        .expect("HMAC takes any secret, and the claims are strings and numbers")
}
