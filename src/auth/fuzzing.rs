//! The property that the fuzz target checks, and that its seeds check in `cargo test`.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use super::{Denied, Guard, Handshake, Refused, USER_BYTES_MAX};
use crate::config::tokens::Secret;
use crate::config::{Anonymous, Auth};

const SECRET: &[u8] = b"a secret of thirty-two bytes is.";
const NOW_S: u64 = 1_790_000_000;

static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    let mut auth = Auth {
        anonymous: Anonymous::Off,
        ..Auth::default()
    };
    auth.tokens.cookie = "t".to_owned();
    let secret = Secret::new(SECRET).expect("it has 32 bytes");
    Guard::load(&auth, Some(&secret)).expect("no file is named")
});

/// The first byte chooses what the rest is: a token, the claims of one that is signed as it should
/// be, or the fields of a head. Nothing unsigned gets in; what is signed has a user and a future.
pub fn token(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    match choice % 3 {
        0 => assert_eq!(GUARD.connection(&text, NOW_S), Err(Denied::Invalid)),
        1 => claims(rest),
        _ => head(&text),
    }
}

fn claims(claims: &[u8]) {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = base64.encode(br#"{"alg":"HS256"}"#);
    let message = format!("{header}.{}", base64.encode(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    let token = format!("{message}.{}", signature.expect("HMAC takes everything"));
    if let Ok(identity) = GUARD.connection(&token, NOW_S) {
        assert!((1..=USER_BYTES_MAX).contains(&identity.user.len()));
        // `expire_at` may be in the past: then the connection ends at once.
        let value: serde_json::Value = serde_json::from_slice(claims).expect("it was read");
        let expires_s = value["exp"].as_f64().expect("it was read");
        assert!(expires_s + 5.0 > NOW_S as f64);
    }
    let _ = GUARD.subscription(&token, NOW_S, "bob", "a", "c");
}

fn head(text: &str) {
    let mut lines = text.split('\n').map(Some).chain(std::iter::repeat(None));
    let mut next = || lines.next().flatten();
    let handshake = Handshake {
        origin: next(),
        host: next(),
        query: next(),
        authorization: next(),
        cookie: next(),
        is_local: false,
    };
    match GUARD.admit(&handshake, NOW_S) {
        Err(Refused::Unauthorized | Refused::Forbidden) => {}
        Ok(visitor) => assert_eq!(visitor, super::Visitor::Unknown { may_stay: false }),
    }
}
