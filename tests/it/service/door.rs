//! Who is let in, and what the others are told: always the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Folder, SECRET, Talk, enter, knock, signed, token, unix_s, with_key};
use crate::harness::{Server, Wire};

const PATHS: [&str; 3] = ["/connection/websocket", "/ws/chat", "/raw/news"];

fn status(server: &Server, target: &str, extra: &str) -> String {
    let head = knock(&mut Wire::connect(server.addr()), target, extra);
    head[9..12].to_owned()
}

#[test]
fn origins_are_compared_whole() {
    let folder = Folder::new("origins");
    let same = folder.open().start();
    let table = [
        ("", "101"),
        ("Origin: http://throng.test\r\n", "101"),
        ("Origin: https://throng.test:80\r\n", "403"),
        ("Origin: http://throng.test:9000\r\n", "403"),
        ("Origin: http://evil.test\r\n", "403"),
        ("Origin: http://throng.test.evil.test\r\n", "403"),
        ("Origin: http://sub.throng.test\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("Origin: throng.test\r\n", "403"),
        ("Origin: \r\n", "403"),
        (
            "Origin: http://throng.test\r\nOrigin: http://evil.test\r\n",
            "400",
        ),
    ];
    for path in PATHS.iter().chain(&["/echo"]) {
        for (origin, expected) in table {
            assert_eq!(status(&same, path, origin), expected, "{path} {origin:?}");
        }
    }
    let listed = folder
        .open()
        .flag("origins", "https://app.example.com")
        .start();
    let table = [
        ("", "101"),
        ("Origin: https://app.example.com\r\n", "101"),
        ("Origin: https://APP.example.com:443\r\n", "101"),
        ("Origin: http://app.example.com\r\n", "403"),
        ("Origin: https://app.example.com:8443\r\n", "403"),
        ("Origin: https://app.example.com.evil.test\r\n", "403"),
        ("Origin: https://evil-app.example.com\r\n", "403"),
        ("Origin: https://example.com\r\n", "403"),
        ("Origin: http://throng.test\r\n", "403"),
    ];
    for path in PATHS {
        for (origin, expected) in table {
            assert_eq!(status(&listed, path, origin), expected, "{path} {origin:?}");
        }
    }
}

/// A token with this header and these claims, signed with this secret whatever the header says.
fn made(header: &Value, claims: &Value, secret: &str) -> String {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{text}.{signature}")
}

/// Tokens that nobody should take.
fn bad_tokens() -> Vec<(&'static str, String)> {
    [bad_signatures(), bad_claims()].concat()
}

/// Tokens that nobody has signed, or not like this.
fn bad_signatures() -> Vec<(&'static str, String)> {
    let good = token("bob", 3600, None);
    let parts: Vec<_> = good.split('.').collect();
    let [head, body, signature] = parts[..] else {
        panic!("three parts")
    };
    let headed = |header: Value| {
        made(
            &header,
            &json!({"sub": "bob", "exp": unix_s() + 3600}),
            SECRET,
        )
    };
    let unsigned = |alg: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
        format!("{header}.{body}.")
    };
    let hs512 = {
        let claims = json!({"sub": "bob", "exp": unix_s() + 3600});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap()
    };
    vec![
        ("a word", "sesame".to_owned()),
        ("dots", "..".to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.{signature}")),
        ("no signature", format!("{head}.{body}.")),
        (
            "half a signature",
            format!("{head}.{body}.{}", &signature[..20]),
        ),
        ("a longer one", format!("{good}A")),
        ("padding", format!("{good}=")),
        ("not base64", format!("{head}*.{body}.{signature}")),
        ("another secret", signed(&"x".repeat(32), "bob", 3600, None)),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("NONE")),
        ("alg HS512", hs512),
        (
            "alg RS256, signed as HS256",
            headed(json!({"alg": "RS256"})),
        ),
        ("an algorithm nobody knows", headed(json!({"alg": "HS257"}))),
        ("no algorithm", headed(json!({"typ": "JWT"}))),
        (
            "a critical header",
            headed(json!({"alg": "HS256", "crit": ["b64"], "b64": false})),
        ),
        (
            "another key's name and secret",
            made(
                &json!({"alg": "HS256", "kid": "x"}),
                &json!({"sub": "bob", "exp": unix_s() + 3600}),
                "another secret of thirty-two bytes",
            ),
        ),
    ]
}

/// Tokens that are signed well, and say the wrong things.
fn bad_claims() -> Vec<(&'static str, String)> {
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({"sub": "bob", "exp": unix_s() + 3600});
        change(&mut claims);
        made(&json!({"alg": "HS256", "typ": "JWT"}), &claims, SECRET)
    };
    let with =
        |name: &'static str, value: Value| claims(&move |claims| claims[name] = value.clone());
    vec![
        (
            "no user",
            claims(&|claims| {
                claims.as_object_mut().unwrap().remove("sub");
            }),
        ),
        ("an empty user", with("sub", json!(""))),
        ("a number as a user", with("sub", json!(7))),
        ("a user too long", with("sub", json!("x".repeat(300)))),
        (
            "no expiry",
            claims(&|claims| {
                claims.as_object_mut().unwrap().remove("exp");
            }),
        ),
        ("expired", token("bob", -60, None)),
        ("expired in 1970", with("exp", json!(0))),
        ("text as expiry", with("exp", json!("9999999999"))),
        ("a negative expiry", with("exp", json!(-1))),
        ("not yet", with("nbf", json!(unix_s() + 3600))),
        ("for a channel only", token("bob", 3600, Some("news"))),
        (
            "claims that are a list",
            made(&json!({"alg": "HS256"}), &json!([1]), SECRET),
        ),
    ]
}

#[test]
fn every_bad_token_is_refused_alike_and_logged_nowhere() {
    let folder = Folder::new("tokens");
    let server = folder.closed("").start();
    let good = token("bob", 3600, None);
    assert_eq!(
        status(
            &server,
            "/ws/chat",
            &format!("Authorization: Bearer {good}\r\n")
        ),
        "101"
    );
    assert_eq!(
        status(&server, &format!("/raw/news?token={good}"), ""),
        "101"
    );
    // The answer to those who bring none, which says nothing about why.
    let mut wire = Wire::connect(server.addr());
    let refusal = knock(&mut wire, "/ws/chat", "");
    assert!(refusal.starts_with("HTTP/1.1 401 "), "{refusal}");
    let body = wire.read_to_end();
    let bad = bad_tokens();
    assert!(bad.len() >= 25);
    for (what, bearer) in &bad {
        for path in PATHS {
            let mut wire = Wire::connect(server.addr());
            let head = knock(
                &mut wire,
                path,
                &format!("Authorization: Bearer {bearer}\r\n"),
            );
            assert_eq!(head, refusal, "{what} at {path}");
            assert_eq!(wire.read_to_end(), body, "{what} at {path}");
        }
        let mut late = enter(server.addr(), PATHS[0]);
        late.say(&format!(
            "{{\"id\":1,\"connect\":{{\"token\":{}}}}}",
            json!(bearer)
        ));
        // Whoever holds a key has signed the expired ones: another will do, and that is said.
        let code = match what.starts_with("expired") {
            true => {
                assert!(late.hear().contains("\"code\":109"), "{what}");
                3005
            }
            false => 3500,
        };
        assert_eq!(late.expect_close(), code, "{what}");
    }
    assert!(
        enter(server.addr(), PATHS[0]).stream.peer_addr().is_ok(),
        "it waits for a login"
    );
    let output = server.output();
    for (what, bearer) in bad.iter().filter(|(_, bearer)| bearer.len() > 20) {
        assert!(!output.contains(bearer.as_str()), "{what} is in the log");
    }
}

#[test]
fn without_a_key_only_this_machine_is_let_in() {
    let folder = Folder::new("unconfigured");
    let server = folder.open().listen("0.0.0.0:0").start();
    let port = server.addr().port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let answer = |target: &str| {
        let head = knock(&mut Wire::connect(address), target, "");
        head[9..12].to_owned()
    };
    assert_eq!(answer("/ws/chat"), "401");
    assert_eq!(answer("/raw/news"), "401");
    assert_eq!(answer("/echo"), "404");
    let mut wire = enter(address, PATHS[0]);
    wire.say(r#"{"id":1,"connect":{}}"#);
    assert_eq!(wire.expect_close(), 3500);
    assert!(
        server.output().contains("who may      who has a token"),
        "{}",
        server.output()
    );
    let local = folder.open().start();
    assert!(
        local.output().contains("anybody on this machine"),
        "{}",
        local.output()
    );
    assert_eq!(status(&local, "/echo", ""), "101");
}

#[test]
fn who_is_over_a_limit_is_told_when_to_come_back() {
    let folder = Folder::new("limits");
    let server = folder.open().flag("max-connections-per-ip", "2").start();
    let first = enter(server.addr(), "/raw/a");
    let _second = enter(server.addr(), "/ws/chat");
    for path in PATHS {
        let head = knock(&mut Wire::connect(server.addr()), path, "");
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.contains("\r\nRetry-After: 10\r\n"), "{head}");
    }
    // What is no handshake is not counted, and not kept.
    for _ in 0..5 {
        let mut wire = Wire::connect(server.addr());
        wire.send(b"GET /ws/chat HTTP/1.1\r\nHost: throng.test\r\n\r\n");
        assert!(wire.read_head().unwrap().starts_with("HTTP/1.1 426 "));
    }
    drop(first);
    // It is let in as soon as the server has seen the other one go.
    let enters = |_| status(&server, "/raw/a", "") == "101";
    assert!((0..10_000).any(enters), "nobody is let in any more");
    let busy = folder.open().flag("max-handshakes", "1").start();
    let answers: Vec<_> = (0..5).map(|_| status(&busy, "/raw/a", "")).collect();
    assert_eq!(answers[0], "101");
    assert!(answers.contains(&"503".to_owned()), "{answers:?}");
}

#[test]
fn keys_are_replaced_while_others_stay_connected() {
    let folder = Folder::new("rotation");
    let server = folder.closed("").start();
    let old = token("bob", 3600, None);
    let mut chat = enter(server.addr(), &format!("/ws/chat?token={old}"));
    chat.hear_of("connected");
    let new_secret = "fedcba9876543210fedcba9876543210";
    folder.write("throng.toml", &with_key(new_secret, ""));
    server.signal("HUP");
    server.wait_log("reloaded");
    let new = signed(new_secret, "bob", 3600, None);
    let enters = |_| status(&server, &format!("/ws/chat?token={new}"), "") == "101";
    assert!((0..10_000).any(enters), "the new key is not taken");
    assert_eq!(status(&server, &format!("/ws/chat?token={old}"), ""), "401");
    chat.say("nonsense");
    chat.hear_of("Invalid message format");
    folder.write(
        "throng.toml",
        "[[auth.keys]]\nalgorithm = \"HS256\"\nfile = \"missing\"\n",
    );
    server.signal("HUP");
    server.wait_log("not reloaded");
    assert_eq!(status(&server, &format!("/ws/chat?token={new}"), ""), "101");
}
