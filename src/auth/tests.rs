//! Tokens good and bad, where they come from, and what is said about them: nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm as Foreign, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::config::tokens::{Algorithm, KeyEntry, Material, Secret};
use crate::config::{Anonymous, Auth, Origin, Tokens};

mod bad;
mod files;

use bad::bad_tokens;

const NOW_S: u64 = 1_790_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).unwrap()
}

fn auth() -> Auth {
    let key = |kid: Option<&str>, text| KeyEntry {
        algorithm: Algorithm::Hs256,
        kid: kid.map(str::to_owned),
        material: Material::Secret(secret(text)),
    };
    Auth {
        tokens: Tokens {
            keys: vec![key(Some("now"), SECRET), key(Some("before"), OTHER)],
            cookie: "throng".to_owned(),
            ..Tokens::default()
        },
        ..Auth::default()
    }
}

fn guard() -> Guard {
    Guard::load(&auth(), None).unwrap()
}

fn claims() -> Value {
    json!({"sub": "bob", "exp": NOW_S + 60})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

/// A token of any header and claims, with a signature by HMAC.
fn token_of(header: &Value, claims: &str, secret: &str) -> String {
    let part = |text: &str| BASE64.encode(text);
    let message = format!("{}.{}", part(&header.to_string()), part(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Foreign::HS256).unwrap();
    format!("{message}.{signature}")
}

fn token(claims: &Value) -> String {
    token_of(&json!({"alg": "HS256"}), &claims.to_string(), SECRET)
}

#[test]
fn a_good_token_is_somebody() {
    let claims = json!({
        "sub": "bob", "exp": NOW_S + 60, "iat": NOW_S, "info": {"name": "Bob"}, "meta": [1],
        "channels": ["news"], "subs": {"room": {"info": 7, "data": {}}, "bare": {}},
        "invented": {"ignored": true}
    });
    let sub = |channel: &str, about: Option<&str>| ServerSub {
        channel: channel.into(),
        chan_info: about.map(Into::into),
    };
    let expected = Identity {
        user: "bob".into(),
        expires_at_s: Some(NOW_S + 60),
        conn_info: Some(r#"{"name":"Bob"}"#.into()),
        subs: vec![sub("news", None), sub("bare", None), sub("room", Some("7"))],
        meta: Some("[1]".into()),
    };
    assert_eq!(guard().connection(&token(&claims), NOW_S), Ok(expected));
}

#[test]
fn a_key_is_found_by_its_name_or_without() {
    let guard = guard();
    let claims = claims().to_string();
    let table = [
        (json!({"alg": "HS256"}), SECRET, true),
        (json!({"alg": "HS256"}), OTHER, true),
        (json!({"alg": "HS256", "kid": "now"}), SECRET, true),
        (json!({"alg": "HS256", "kid": "before"}), OTHER, true),
        (json!({"alg": "HS256", "kid": "now"}), OTHER, false),
        (json!({"alg": "HS256", "kid": "unknown"}), SECRET, false),
        (
            json!({"alg": "HS256", "typ": "at+jwt", "kid": "now"}),
            SECRET,
            true,
        ),
    ];
    for (header, secret, is_good) in table {
        let outcome = guard.connection(&token_of(&header, &claims, secret), NOW_S);
        assert_eq!(outcome.is_ok(), is_good, "{header}");
    }
}

fn expired_tokens() -> Vec<(&'static str, String)> {
    let exp = |at: u64| token(&with("exp", json!(at)));
    vec![
        ("expired a minute ago", exp(NOW_S - 60)),
        ("expired just now", exp(NOW_S - 5)),
        ("expired in 1970", exp(0)),
        (
            "expired, with a fraction",
            token(&with("exp", json!((NOW_S - 60) as f64 + 0.5))),
        ),
    ]
}

#[test]
fn bad_tokens_are_all_refused_alike() {
    let guard = guard();
    let (bad, expired) = (bad_tokens(), expired_tokens());
    assert!(bad.len() >= 25, "{}", bad.len());
    for (what, token) in &bad {
        assert_eq!(
            guard.connection(token, NOW_S),
            Err(Denied::Invalid),
            "{what}"
        );
    }
    for (what, token) in &expired {
        assert_eq!(
            guard.connection(token, NOW_S),
            Err(Denied::Expired),
            "{what}"
        );
    }
    // At the door even those look the same, wherever they come in.
    for (what, token) in bad.iter().chain(&expired) {
        // In a header, spaces around a token are not the token's.
        if token.contains(' ') {
            continue;
        }
        let (query, bearer) = (format!("token={token}"), format!("Bearer {token}"));
        let cookie = format!("a=b; throng={token}");
        let heads = [
            Handshake {
                query: Some(&query),
                is_local: true,
                ..Handshake::default()
            },
            Handshake {
                authorization: Some(&bearer),
                is_local: true,
                ..Handshake::default()
            },
            Handshake {
                cookie: Some(&cookie),
                is_local: true,
                ..Handshake::default()
            },
        ];
        for head in heads {
            assert_eq!(
                guard.admit(&head, NOW_S),
                Err(Refused::Unauthorized),
                "{what} {head:?}"
            );
        }
    }
}

#[test]
fn refusals_are_constant() {
    assert_eq!(
        (Refused::Unauthorized.status(), Refused::Unauthorized.body()),
        (401, "unauthorized\n")
    );
    assert_eq!(
        (Refused::Forbidden.status(), Refused::Forbidden.body()),
        (403, "forbidden\n")
    );
}

#[test]
fn times_have_a_leeway_of_five_seconds() {
    let guard = guard();
    let outcome = |claims: Value, now_s| guard.connection(&token(&claims), now_s).map(|_| ());
    assert_eq!(outcome(with("exp", json!(NOW_S)), NOW_S + 4), Ok(()));
    assert_eq!(
        outcome(with("exp", json!(NOW_S)), NOW_S + 5),
        Err(Denied::Expired)
    );
    assert_eq!(outcome(with("nbf", json!(NOW_S + 5)), NOW_S), Ok(()));
    assert_eq!(
        outcome(with("nbf", json!(NOW_S + 6)), NOW_S),
        Err(Denied::Invalid)
    );
    assert_eq!(
        outcome(with("exp", json!(u64::MAX)), u64::MAX - 1),
        Ok(()),
        "no overflow"
    );
    assert_eq!(
        outcome(with("exp", json!((NOW_S + 9) as f64 + 0.7)), NOW_S),
        Ok(())
    );
}

#[test]
fn a_connection_may_outlive_its_token() {
    let guard = guard();
    let expires = |claims: Value| {
        guard
            .connection(&token(&claims), NOW_S)
            .unwrap()
            .expires_at_s
    };
    assert_eq!(expires(claims()), Some(NOW_S + 60));
    assert_eq!(
        expires(with("expire_at", json!(NOW_S + 900))),
        Some(NOW_S + 900)
    );
    assert_eq!(expires(with("expire_at", json!(0))), None);
}

#[test]
fn issuer_and_audience_are_asked_for_if_configured() {
    let mut auth = auth();
    auth.tokens.issuer = "me".to_owned();
    auth.tokens.audience = "you".to_owned();
    let guard = Guard::load(&auth, None).unwrap();
    let table = [
        (json!("me"), json!("you"), true),
        (json!("me"), json!(["they", "you"]), true),
        (json!("me"), json!(["they"]), false),
        (json!("me"), json!([]), false),
        (json!("me"), json!("yo"), false),
        (json!("you"), json!("you"), false),
        (json!(["me"]), json!("you"), false),
        (Value::Null, json!("you"), false),
        (json!("me"), Value::Null, false),
    ];
    for (iss, aud, is_good) in table {
        let mut claims = claims();
        claims["iss"] = iss;
        claims["aud"] = aud;
        assert_eq!(
            guard.connection(&token(&claims), NOW_S).is_ok(),
            is_good,
            "{claims}"
        );
    }
}

#[test]
fn a_subscription_needs_a_token_of_its_own() {
    let guard = guard();
    let subscription =
        |claims: Value| guard.subscription(&token(&claims), NOW_S, "bob", "room", "c1");
    let mut claims = with("channel", json!("room"));
    claims["info"] = json!({"a": 1});
    let grant = Grant {
        expires_at_s: Some(NOW_S + 60),
        chan_info: Some(r#"{"a":1}"#.into()),
    };
    assert_eq!(subscription(claims.clone()), Ok(grant.clone()));
    claims["client"] = json!("c1");
    assert_eq!(subscription(claims.clone()), Ok(grant));
    let wrong = [
        ("client", json!("c2")),
        ("channel", json!("another")),
        ("channel", Value::Null),
        ("sub", json!("eve")),
        ("exp", Value::Null),
    ];
    for (key, value) in wrong {
        let mut claims = claims.clone();
        claims[key] = value;
        assert_eq!(subscription(claims), Err(Denied::Invalid), "{key}");
    }
    claims["exp"] = json!(NOW_S - 60);
    assert_eq!(subscription(claims), Err(Denied::Expired));
}

#[test]
fn the_first_place_with_a_token_decides() {
    let guard = guard();
    let named = |name: &str| token(&with("sub", json!(name)));
    let (query, bearer, cookie) = (
        format!("a=1&token={}&b", named("query")),
        format!("bearer  {}", named("bearer")),
        format!("x=y;throng={}; z", named("cookie")),
    );
    let full = Handshake {
        query: Some(&query),
        authorization: Some(&bearer),
        cookie: Some(&cookie),
        ..Handshake::default()
    };
    let who = |head: &Handshake<'_>| match guard.admit(head, NOW_S) {
        Ok(Visitor::Known(identity)) => identity.user.into(),
        other => format!("{other:?}"),
    };
    assert_eq!(who(&full), "query");
    let no_query = Handshake {
        query: Some("tokens=x&ztoken=y"),
        ..full
    };
    assert_eq!(who(&no_query), "bearer");
    let basic = Handshake {
        authorization: Some("Basic Ym9iOmJvYg=="),
        ..no_query
    };
    assert_eq!(who(&basic), "cookie");
    let bad_first = Handshake {
        query: Some("token="),
        ..full
    };
    assert_eq!(
        who(&bad_first),
        "Err(Unauthorized)",
        "a good one elsewhere does not help"
    );
    let foreign_cookie = Handshake {
        cookie: Some("athrong=x; throng2=y"),
        query: None,
        authorization: None,
        ..full
    };
    assert_eq!(who(&foreign_cookie), "Ok(Unknown { may_stay: false })");
}

#[test]
fn cookies_are_looked_at_only_if_named() {
    let mut auth = auth();
    auth.tokens.cookie.clear();
    let guard = Guard::load(&auth, None).unwrap();
    let cookie = format!("={}", token(&claims()));
    let head = Handshake {
        cookie: Some(&cookie),
        ..Handshake::default()
    };
    assert_eq!(
        guard.admit(&head, NOW_S),
        Ok(Visitor::Unknown { may_stay: false })
    );
}

/// Origin, Host, and whether it may: same-origin, listed, any.
const ORIGINS: &[(Option<&str>, &str, [bool; 3])] = &[
    (None, "app.test", [true, true, true]),
    (Some("https://app.test"), "app.test", [true, true, true]),
    (Some("https://app.test"), "app.test:443", [true, true, true]),
    (Some("HTTPS://APP.TEST:443"), "app.test", [true, true, true]),
    (Some("http://app.test"), "app.test", [true, false, true]),
    (Some("https://app.test"), "other.test", [false, true, true]),
    (
        Some("https://app.test:8443"),
        "app.test",
        [false, false, true],
    ),
    (
        Some("https://evil.app.test"),
        "app.test",
        [false, false, true],
    ),
    (
        Some("https://app.test.evil.test"),
        "app.test",
        [false, false, true],
    ),
    (
        Some("https://evilapp.test"),
        "app.test",
        [false, false, true],
    ),
    (Some("https://app.test/"), "app.test", [false, false, true]),
    (
        Some("https://user@app.test"),
        "app.test",
        [false, false, true],
    ),
    (
        Some("http://localhost:8080"),
        "localhost:8080",
        [true, true, true],
    ),
    (
        Some("http://localhost"),
        "localhost:8080",
        [false, false, true],
    ),
    (
        Some("http://127.0.0.1:8080"),
        "localhost:8080",
        [false, false, true],
    ),
    (Some("null"), "app.test", [false, false, true]),
    (Some(""), "app.test", [false, false, true]),
    (
        Some("https://app.test https://evil.test"),
        "app.test",
        [false, false, true],
    ),
];

#[test]
fn origins_match_exactly_or_not() {
    let listed = ["https://app.test", "http://localhost:8080"];
    let (same, any) = (["same"], ["*"]);
    for (index, origins) in [&same[..], &listed[..], &any[..]].into_iter().enumerate() {
        let auth = Auth {
            origins: origins
                .iter()
                .map(|origin| origin.parse::<Origin>().unwrap())
                .collect(),
            anonymous: Anonymous::On,
            ..Auth::default()
        };
        let guard = Guard::load(&auth, None).unwrap();
        for &(origin, host, expected) in ORIGINS {
            let head = Handshake {
                origin,
                host: Some(host),
                ..Handshake::default()
            };
            let outcome = guard.admit(&head, NOW_S);
            match expected[index] {
                true => assert_eq!(outcome, Ok(Visitor::Unknown { may_stay: true }), "{head:?}"),
                false => assert_eq!(outcome, Err(Refused::Forbidden), "{head:?} {origins:?}"),
            }
        }
    }
}

#[test]
fn a_foreign_page_learns_nothing_about_tokens() {
    let query = format!("token={}", token(&claims()));
    for query in [query.as_str(), "token=bad"] {
        let head = Handshake {
            origin: Some("https://evil.test"),
            host: Some("app.test"),
            query: Some(query),
            ..Handshake::default()
        };
        assert_eq!(guard().admit(&head, NOW_S), Err(Refused::Forbidden));
    }
}

#[test]
fn nobody_in_particular_may_stay_where_configured() {
    // Configured keys, local listener: off, auto, on.
    let table = [
        (false, false, [false, false, true]),
        (false, true, [false, true, true]),
        (true, false, [false, false, true]),
        (true, true, [false, false, true]),
    ];
    for (has_keys, is_local, expected) in table {
        for (anonymous, may_stay) in [Anonymous::Off, Anonymous::Auto, Anonymous::On]
            .into_iter()
            .zip(expected)
        {
            let auth = Auth {
                anonymous,
                tokens: if has_keys {
                    auth().tokens
                } else {
                    Tokens::default()
                },
                ..Auth::default()
            };
            let guard = Guard::load(&auth, Some(&secret(SECRET))).unwrap();
            let head = Handshake {
                is_local,
                ..Handshake::default()
            };
            assert_eq!(
                guard.admit(&head, NOW_S),
                Ok(Visitor::Unknown { may_stay }),
                "{anonymous:?}"
            );
        }
    }
}

#[test]
fn the_development_key_serves_until_another_is_configured() {
    let new = NewToken {
        user: "bob",
        expires_at_s: NOW_S + 60,
        channel: None,
        about: None,
        issuer: "",
        audience: "",
    };
    let dev = secret("d".repeat(32).as_str());
    let signed = sign(&new, &dev, None);
    let trying = Guard::load(&Auth::default(), Some(&dev)).unwrap();
    assert_eq!(
        trying
            .connection(&signed, NOW_S)
            .map(|identity| identity.user),
        Ok("bob".into())
    );
    let configured = Guard::load(&auth(), Some(&dev)).unwrap();
    assert_eq!(configured.connection(&signed, NOW_S), Err(Denied::Invalid));
    let bare = Guard::load(&Auth::default(), None).unwrap();
    assert_eq!(
        bare.connection(&signed, NOW_S),
        Err(Denied::Invalid),
        "no key, no token"
    );
}

#[test]
fn what_is_signed_here_is_taken_here() {
    let mut auth = auth();
    auth.tokens.issuer = "me".to_owned();
    auth.tokens.audience = "you".to_owned();
    let guard = Guard::load(&auth, None).unwrap();
    let about = serde_json::value::RawValue::from_string("{\"n\":1}".to_owned()).unwrap();
    let new = NewToken {
        user: "bob",
        expires_at_s: NOW_S + 60,
        channel: None,
        about: Some(&about),
        issuer: "me",
        audience: "you",
    };
    let signed = sign(&new, &secret(SECRET), Some("now"));
    let identity = guard.connection(&signed, NOW_S).unwrap();
    assert_eq!(
        (&*identity.user, identity.conn_info.as_deref()),
        ("bob", Some("{\"n\":1}"))
    );
    let channel = NewToken {
        channel: Some("room"),
        ..new
    };
    let signed = sign(&channel, &secret(OTHER), Some("before"));
    assert!(
        guard
            .subscription(&signed, NOW_S, "bob", "room", "c")
            .is_ok()
    );
    assert_eq!(guard.connection(&signed, NOW_S), Err(Denied::Invalid));
}

#[test]
fn no_token_is_in_anything_that_is_shown() {
    let guard = guard();
    let good = token(&claims());
    let query = format!("token={good}");
    let cookie = format!("throng={good}");
    let bearer = format!("Bearer {good}");
    let head = Handshake {
        query: Some(&query),
        cookie: Some(&cookie),
        authorization: Some(&bearer),
        ..Handshake::default()
    };
    let mut shown = format!("{head:?} {:?}", guard.admit(&head, NOW_S));
    for (_, token) in bad_tokens().into_iter().chain(expired_tokens()) {
        shown += &format!("{:?}", guard.connection(&token, NOW_S));
    }
    shown += &format!("{:?} {:?}", guard.auth, secret(SECRET));
    for part in good.split('.').chain([SECRET, OTHER]) {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(shown.contains("bob"), "it shows who it is: {shown}");
}
