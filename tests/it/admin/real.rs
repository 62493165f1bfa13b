//! The API and the metrics of channels that are really there.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use serde_json::value::RawValue;
use throng::auth::{NewToken, sign};
use throng::config::tokens::Secret;
use throng::sys::clock;
use tungstenite::{Message, WebSocket, client};

use super::metrics::check;
use super::{KEY, admin, figures, launch};
use crate::harness::{PATIENCE, Server, cent, promtool};

const SCRIPT: &str = include_str!("real.py");
const SECRET: &str = "a-secret-of-the-tests-0123456789-abcdef";

fn config() -> String {
    format!(
        r#"
        [auth]
        anonymous = "on"
        [[auth.keys]]
        algorithm = "HS256"
        secret = "{SECRET}"
        [limits]
        max_message_rate = 50
        [[namespaces]]
        name = "chat"
        history_size = 100
        presence = true
        [[namespaces]]
        name = "bare"
        subscribe = "anyone"
        publish = "anyone"
    "#
    )
}

/// A server with that configuration, and a history on disk.
fn start(name: &str) -> (Server, Scratch) {
    let scratch = Scratch::new(name);
    let file = scratch.0.join("throng.toml");
    fs::write(&file, config()).unwrap();
    let server = launch()
        .hub()
        .workers(2)
        .flag("config", file.display())
        .flag("history-dir", scratch.0.join("history").display())
        .start();
    (server, scratch)
}

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("throng-real-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A token that says something about bob, and nothing about others.
fn signed(user: &str) -> String {
    let vip = RawValue::from_string(r#"{"vip":true}"#.to_owned()).unwrap();
    let token = NewToken {
        user,
        expires_at_s: clock::unix_s() + 3_600,
        channel: None,
        about: (user == "bob").then_some(&vip),
        issuer: "",
        audience: "",
    };
    sign(&token, &Secret::new(SECRET.as_bytes()).unwrap(), None)
}

fn enter(server: &Server, target: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("ws://{}{target}", server.addr());
    client(url, stream).unwrap().0
}

/// Connects with Centrifuge's protocol; without a user, as nobody.
fn connect(server: &Server, user: &str) -> WebSocket<TcpStream> {
    let token = match user {
        "" => String::new(),
        _ => format!(r#""token":"{}""#, signed(user)),
    };
    let mut socket = enter(server, "/connection/websocket");
    say(&mut socket, &format!(r#"{{"id":1,"connect":{{{token}}}}}"#));
    let welcome = socket.read().unwrap().to_string();
    assert!(welcome.contains("\"connect\""), "{welcome}");
    socket
}

fn say(socket: &mut WebSocket<TcpStream>, text: &str) {
    socket.send(Message::text(text)).unwrap();
}

#[test]
fn centrifugos_sdk_reaches_people_and_channels() {
    let Some(python) = cent() else { return };
    let (server, _scratch) = start("sdk");
    let mut people = ["alice", "alice", "bob", ""].map(|user| connect(&server, user));
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(format!("http://{}/api", server.admin_addr()))
        .arg(KEY)
        .arg((clock::unix_s() + 7_200).to_string())
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("all of it\n"), "{said}");
    // Bob has been told all of it: put into the room, prolonged, and sent away for good.
    let bob = &mut people[2];
    let mut heard = String::new();
    let farewell = loop {
        match bob.read().unwrap() {
            Message::Close(frame) => break frame.expect("with a reason"),
            other => heard += &other.to_string(),
        }
    };
    assert!(
        heard.contains("\"subscribe\"") && heard.contains("\"refresh\""),
        "{heard}"
    );
    assert!(heard.contains(r#""data":["from", "cent"]"#), "{heard}");
    assert_eq!(u16::from(farewell.code), 3503, "{farewell:?}");
}

#[test]
fn users_are_counted_once_on_however_many_workers() {
    let (server, _scratch) = start("users");
    let users = ["alice", "bob"].iter().cycle().take(16);
    let people: Vec<_> = users.map(|user| connect(&server, user)).collect();
    let wait_for = |clients, users| {
        super::until(&server, "clients and users are counted", |figures| {
            figures["throng_hub_clients"] == clients && figures["throng_hub_users"] == users
        });
    };
    wait_for(16.0, 2.0);
    drop(people);
    wait_for(0.0, 0.0);
}

#[test]
fn who_is_put_into_a_channel_is_told_what_the_application_says() {
    let (server, _scratch) = start("greeted");
    let mut http = admin(&server);
    let headers = format!("X-API-Key: {KEY}\r\n");
    let mut subscribe = |user: &str| {
        let body = format!(r#"{{"user":"{user}","channel":"chat:room","data":{{"hi":1}}}}"#);
        http.post("/api/subscribe", &headers, &body).body
    };
    let mut alice = connect(&server, "alice");
    let mut bob = enter(&server, &format!("/ws/chat?token={}", signed("bob")));
    bob.read().unwrap();
    for user in ["alice", "bob"] {
        assert_eq!(subscribe(user).trim_end(), r#"{"result":{}}"#, "{user}");
    }
    let push = alice.read().unwrap().to_string();
    assert!(
        push.contains(r#""subscribe":{"#) && push.contains(r#""data":{"hi":1}"#),
        "{push}"
    );
    let joined = bob.read().unwrap().to_string();
    assert!(
        joined.starts_with(r#"{"type":"joined","room":"chat:room""#),
        "{joined}"
    );
    assert!(joined.contains(r#""data":{"hi":1}"#), "{joined}");

    // Where there are no words for it, nothing is done at all.
    let mut carol = connect(&server, "carol");
    let target = format!("/raw/chat:raw?token={}", signed("carol"));
    let _raw = enter(&server, &target);
    super::until(&server, "both are there", |figures| {
        figures["throng_hub_clients"] == 4.0
    });
    let refused = subscribe("carol");
    assert!(
        refused.contains(r#""code":108"#) && refused.contains("/raw"),
        "{refused}"
    );
    say(&mut carol, r#"{"id":2,"ping":{}}"#);
    assert_eq!(carol.read().unwrap().to_string(), r#"{"id":2,"ping":{}}"#);
}

#[test]
fn prometheus_likes_the_figures_of_channels() {
    let (server, _scratch) = start("metrics");
    let mut alice = connect(&server, "alice");
    say(
        &mut alice,
        r#"{"id":2,"subscribe":{"channel":"bare:room"}}"#,
    );
    alice.read().unwrap();
    let mut http = admin(&server);
    let headers = format!("X-API-Key: {KEY}\r\n");
    let body = r#"{"channel":"chat:room","data":1}"#;
    assert_eq!(http.post("/api/publish", &headers, body).status, 200);
    let is_counted = |figures: &std::collections::BTreeMap<String, f64>| {
        figures["throng_publications_total"] == 1.0
            && figures["throng_hub_clients"] == 1.0
            && figures["throng_hub_subscriptions"] == 1.0
            && figures["throng_journal_written_bytes_total"] > 0.0
    };
    super::until(&server, "the publication is counted", is_counted);
    // Faster than it may: counted, and told to come back later.
    let mut said = 0;
    while alice.send(Message::text(r#"{"id":3,"ping":{}}"#)).is_ok() && said < 200 {
        said += 1;
    }
    let farewell = loop {
        if let Message::Close(frame) = alice.read().unwrap() {
            break frame.expect("with a reason");
        }
    };
    assert!(
        (3000..3500).contains(&u16::from(farewell.code)),
        "it may come back: {farewell:?}"
    );
    super::until(&server, "the haste is counted", |figures| {
        figures["throng_over_limit_total{limit=\"max_message_rate\"}"] >= 1.0
    });
    let page = http.get("/metrics").body;
    assert_eq!(figures(&page)["throng_journal_failing"], 0.0);
    let Some(promtool) = promtool() else { return };
    assert_eq!(check(promtool, &page), (true, String::new()));
}
