//! Histories on disk: what was acknowledged survives SIGKILL, and clients go on where they were.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, client};

use crate::harness::{Launch, PATIENCE, Server};

const ROOM: &str = "chat:room";
const PUBLISHERS: usize = 3;
/// Commands a publisher sends before it waits for their answers.
const UNDER_WAY: usize = 16;
/// Acknowledgements before the server is killed.
const ACKNOWLEDGED: usize = 600;

/// A directory of a test, gone with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let name = format!("throng-durable-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let config = r#"
            listen = "127.0.0.1:0"
            [auth]
            anonymous = "on"
            [[namespaces]]
            name = "chat"
            history_size = 100000
            history_ttl = "1h"
            recover_max = 100000
            subscribe = "anyone"
            publish = "anyone"
        "#;
        fs::write(path.join("throng.toml"), config).unwrap();
        Self(path)
    }

    fn launch(&self, sync: &str, workers: u32) -> Launch {
        Launch::new()
            .hub()
            .workers(workers)
            .flag("config", self.0.join("throng.toml").display())
            .flag("history-dir", self.history().display())
            .flag("history-sync", sync)
    }

    fn history(&self) -> PathBuf {
        self.0.join("history")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Centrifuge's protocol over a client that is not ours.
struct Client {
    socket: WebSocket<TcpStream>,
    last_id: u32,
    /// Pushes that came while an answer was waited for.
    pushes: Vec<Value>,
    lines: Vec<Value>,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/connection/websocket", server.addr());
        let mut client = Self {
            socket: client(url, stream).unwrap().0,
            last_id: 0,
            pushes: Vec::new(),
            lines: Vec::new(),
        };
        client.ask("connect", json!({})).unwrap();
        client
    }

    fn send(&mut self, method: &str, request: Value) -> Option<u32> {
        self.last_id += 1;
        let command = json!({ "id": self.last_id, method: request });
        self.socket.send(Message::text(command.to_string())).ok()?;
        Some(self.last_id)
    }

    /// The next line; `None` if the server is gone.
    fn line(&mut self) -> Option<Value> {
        while self.lines.is_empty() {
            let message = self.socket.read().ok()?;
            assert!(!message.is_close(), "{message:?}");
            let lines = message.to_text().ok()?.lines();
            self.lines = lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            self.lines.reverse();
        }
        self.lines.pop()
    }

    fn ask(&mut self, method: &str, request: Value) -> Option<Value> {
        let id = self.send(method, request)?;
        loop {
            let line = self.line()?;
            if line["id"] == id {
                assert_eq!(line["error"], Value::Null, "{method}");
                return Some(line[method].clone());
            }
            self.pushes.push(line);
        }
    }

    /// The next publication that is pushed: its offset and what it says.
    fn pushed(&mut self) -> Option<(u64, String)> {
        loop {
            let line = match self.pushes.is_empty() {
                true => self.line()?,
                false => self.pushes.remove(0),
            };
            if let Some(publication) = line["push"].get("pub") {
                return Some(read(publication));
            }
        }
    }
}

fn read(publication: &Value) -> (u64, String) {
    let text = publication["data"].as_str().unwrap();
    (publication["offset"].as_u64().unwrap(), text.to_owned())
}

/// Publishes until the server is gone; what was acknowledged.
fn publish(
    mut client: Client,
    name: &str,
    total: &AtomicUsize,
    enough: &mpsc::Sender<()>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut texts = (0..).map(|n| format!("{name}-{n}"));
    loop {
        let burst: Vec<_> = texts.by_ref().take(UNDER_WAY).collect();
        let first = client.last_id + 1;
        for text in &burst {
            let sent = client.send("publish", json!({ "channel": ROOM, "data": text }));
            if sent.is_none() {
                break;
            }
        }
        for _ in 0..burst.len() {
            let Some(line) = client.line() else {
                return acknowledged;
            };
            assert_eq!(line["error"], Value::Null, "{line}");
            let index = line["id"].as_u64().unwrap() as u32 - first;
            acknowledged.push(burst[index as usize].clone());
            if total.fetch_add(1, Ordering::Relaxed) + 1 == ACKNOWLEDGED {
                enough.send(()).unwrap();
            }
        }
    }
}

/// One life of the server: published to from all sides, and killed in the middle of it.
fn killed_life(server: Server, life: usize) -> Vec<String> {
    let (tell, enough) = mpsc::channel();
    let total = AtomicUsize::new(0);
    let mut server = server;
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let client = Client::connect(&server);
                let (total, tell) = (&total, tell.clone());
                let name = format!("{life}-{publisher}");
                scope.spawn(move || publish(client, &name, total, &tell))
            })
            .collect();
        enough
            .recv_timeout(PATIENCE * 4)
            .expect("publications are acknowledged");
        server.signal("KILL");
        server.wait_exit();
        let acknowledged = publishers.into_iter();
        acknowledged
            .flat_map(|publisher| publisher.join().unwrap())
            .collect()
    })
}

fn acknowledged_publications_survive(sync: &str) {
    let dir = Dir::new(sync);
    let (mut all, mut epoch, mut seen) = (Vec::new(), None, 0);
    // The second restart has another number of workers: channels find their new homes.
    for (life, workers) in [2, 2, 3].into_iter().enumerate() {
        let server = dir.launch(sync, workers).start();
        let mut subscriber = Client::connect(&server);
        let recover = json!({ "channel": ROOM, "recover": true, "offset": seen, "epoch": epoch.clone().unwrap_or_else(|| json!("")) });
        let subscribed = subscriber.ask("subscribe", recover).unwrap();
        if let Some(epoch) = &epoch {
            assert_eq!(subscribed["recovered"], true, "{subscribed}");
            assert_eq!(&subscribed["epoch"], epoch, "the history goes on");
        }
        epoch = Some(subscribed["epoch"].clone());
        // What it missed begins where it was, and there is no gap in it.
        let missed = subscribed["publications"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for publication in &missed {
            seen += 1;
            assert_eq!(read(publication).0, seen);
        }
        let everything = json!({ "channel": ROOM, "recover": true, "offset": 0, "epoch": epoch });
        let mut reader = Client::connect(&server);
        let history = reader.ask("subscribe", everything).unwrap();
        assert_eq!(
            history["recovered"],
            life > 0 || history["recovered"] == true
        );
        let kept = history["publications"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let kept: Vec<_> = kept.iter().map(|publication| read(publication).1).collect();
        for text in &all {
            assert!(
                kept.contains(text),
                "{text} was acknowledged and is gone ({sync}, life {life})"
            );
        }
        let mut sorted = kept.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), kept.len(), "nothing is there twice");
        // Offsets go on: the next publication follows the last one that is kept.
        subscriber
            .ask(
                "publish",
                json!({ "channel": ROOM, "data": format!("next-{life}") }),
            )
            .unwrap();
        let (offset, text) = subscriber.pushed().unwrap();
        assert_eq!(
            (offset, text),
            (kept.len() as u64 + 1, format!("next-{life}"))
        );
        seen = offset;
        all.push(format!("next-{life}"));
        all.extend(killed_life(server, life));
        // What it heard before the server died is what it may rely on.
        while let Some((offset, _)) = subscriber.pushed() {
            seen += 1;
            assert_eq!(offset, seen);
        }
    }
    assert!(all.len() > 3 * ACKNOWLEDGED);
}

#[test]
fn what_was_acknowledged_survives_being_killed_with_every_write_synced() {
    acknowledged_publications_survive("always");
}

#[test]
fn what_was_acknowledged_survives_being_killed_with_a_sync_now_and_then() {
    acknowledged_publications_survive("interval");
}

#[test]
fn a_damaged_history_is_named_and_can_be_skipped() {
    let dir = Dir::new("damage");
    let server = dir.launch("off", 1).start();
    let mut client = Client::connect(&server);
    for n in 0..20 {
        client
            .ask("publish", json!({ "channel": ROOM, "data": n.to_string() }))
            .unwrap();
    }
    let mut server = server;
    server.signal("KILL");
    server.wait_exit();
    let file = newest(&dir.history());
    let mut bytes = fs::read(&file).unwrap();
    bytes[80] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (status, output) = dir.launch("off", 1).run_to_end();
    assert_eq!(status.code(), Some(1), "{output}");
    for part in [
        file.to_str().unwrap(),
        "damaged at byte",
        "--history-damaged skip",
    ] {
        assert!(output.contains(part), "{output}");
    }
    let server = dir.launch("off", 1).flag("history-damaged", "skip").start();
    let mut client = Client::connect(&server);
    let again = client.ask("publish", json!({ "channel": ROOM, "data": "on" }));
    assert!(again.is_some(), "{}", server.output());
    server.wait_log("epochs are new");
}

fn newest(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let logs = entries.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    logs.max().unwrap()
}

#[test]
fn two_servers_do_not_share_a_history() {
    let dir = Dir::new("shared");
    let _server = dir.launch("off", 1).start();
    let (status, output) = dir.launch("off", 1).run_to_end();
    assert_eq!(status.code(), Some(1));
    assert!(output.contains("another server writes there"), "{output}");
}
