//! What a wss connection costs the whole server, beside servers of other people.
//!
//! ```text
//! THRONG_TEST_BIN=target/release/throng cargo test --test it -- --ignored --nocapture wss_costs
//! ```
//!
//! The server is another process, and what is counted is its own: resident memory, and CPU of its
//! threads. `WSS_PEERS` narrows the contestants (`compact,rustls,uws,node,python`), `WSS_CONNECTIONS`
//! the number of idle connections. `WSS_UWS` names a uWebSockets built with OpenSSL
//! (`benches/peers/uws`); without it that one is left out, and so are those whose programs are missing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use throng::tls::certificates::load_authorities;
use throng::tls::sessions::{Established, SessionId, SessionLimits, Sessions};
use throng::tls::{ClientOptions, ClientTls, Role, Trust};

use crate::harness::{Files, Launch, PATIENCE, Peer, Server, frame, op, tools, upgrade_request};

/// What peers of a million connections are measured with everywhere here.
const IDLE_CONNECTIONS: usize = 18_000;
/// Connections that talk, one message in flight each.
const TALKING: usize = 200;
/// Messages each of them sends.
const ROUNDS: usize = 2_500;
const HANDSHAKES: usize = 3_000;
const HEADROOM: usize = 16;

/// A server of somebody's, and whatever keeps it alive.
struct Contestant {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    _life: Life,
}

enum Life {
    Ours(#[expect(dead_code, reason = "it ends when this is dropped")] Server),
    Theirs(#[expect(dead_code, reason = "it ends when this is dropped")] Peer),
}

#[test]
#[ignore = "measures for a minute or two, against a release build"]
fn wss_costs() {
    let files = Files::new("wss-costs");
    let wanted = std::env::var("WSS_PEERS").unwrap_or_else(|_| ALL.join(","));
    for name in ALL
        .iter()
        .filter(|name| wanted.split(',').any(|one| one == **name))
    {
        if let Some(contestant) = contestant(name, &files) {
            measure(&contestant, &files);
        }
    }
}

const ALL: [&str; 5] = ["compact", "rustls", "uws", "node", "python"];

fn contestant(name: &'static str, files: &Files) -> Option<Contestant> {
    // Nobody answers pings here; and a second worker would be charged to the connections it came for.
    let server = |mode| {
        let launch = Launch::new().tls(files).flag("tls-mode", mode);
        launch
            .flag("ping-interval", 0)
            .flag("max-connections", 19_000)
            .start()
    };
    let theirs = |program: &Path, args: &[&str]| {
        let mut peer = Peer::start(program, args);
        peer.expect("listening on ");
        peer.expect("\n");
        (
            peer.id(),
            SocketAddr::from(([127, 0, 0, 1], PEER_PORT)),
            Life::Theirs(peer),
        )
    };
    let (cert, key, port) = (
        files.path("cert.pem"),
        files.path("key.pem"),
        PEER_PORT.to_string(),
    );
    let (pid, address, life) = match name {
        "compact" | "rustls" => {
            let server = server(name);
            (server.pid(), server.tls_addr(), Life::Ours(server))
        }
        "uws" => {
            let program = std::env::var("WSS_UWS").ok()?;
            theirs(
                program.as_ref(),
                &["--port", &port, "--cert", &cert, "--key", &key],
            )
        }
        "node" => {
            let (node, modules) = tools::node()?;
            let modules = modules.join("node_modules/ws").display().to_string();
            theirs(node, &["-e", NODE, &modules, &port, &cert, &key])
        }
        _ => theirs(tools::websockets()?, &["-c", PYTHON, &port, &cert, &key]),
    };
    Some(Contestant {
        name,
        address,
        pid,
        _life: life,
    })
}

const PEER_PORT: u16 = 29_443;

/// npm `ws` behind `https`, as its own documentation has it.
const NODE: &str = r#"
const [modules, port, cert, key] = process.argv.slice(1), fs = require("fs");
const { WebSocketServer } = require(modules);
const server = require("https").createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) });
const wss = new WebSocketServer({ server, perMessageDeflate: false });
wss.on("connection", (ws) => ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary })));
server.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => console.log("listening on " + port));
"#;

/// PyPI `websockets` on asyncio and OpenSSL.
const PYTHON: &str = r#"
import asyncio, ssl, sys
from websockets.asyncio.server import serve
port, cert, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
async def echo(ws):
    async for message in ws:
        await ws.send(message)
async def main():
    async with serve(echo, "127.0.0.1", int(port), ssl=context, compression=None, ping_interval=None) as server:
        print("listening on", port, flush=True)
        await server.serve_forever()
asyncio.run(main())
"#;

fn measure(contestant: &Contestant, files: &Files) {
    let Contestant { name, pid, .. } = *contestant;
    let count = std::env::var("WSS_CONNECTIONS")
        .ok()
        .and_then(|text| text.parse().ok());
    // An interpreter that takes a minute to shake so many hands shakes fewer.
    let idle = count.unwrap_or(match name {
        "python" => IDLE_CONNECTIONS / 6,
        _ => IDLE_CONNECTIONS,
    });
    let mut world = World::new(contestant.address, files, false);
    // What is made once is made: code paths, pools, the first of everything.
    for _ in 0..500 {
        world.open();
    }
    world.connections.clear();
    let before = Usage::of(pid);
    for _ in 0..idle {
        world.open();
    }
    let after = Usage::of(pid);
    let bytes = after.rss_bytes.saturating_sub(before.rss_bytes) / idle as u64;
    let opening_us = (after.cpu_ns - before.cpu_ns) as f64 / idle as f64 / 1e3;
    world.connections.truncate(TALKING);
    let before = Usage::of(pid);
    for _ in 0..ROUNDS {
        world.round();
    }
    let spent = Usage::of(pid).since(&before, TALKING * ROUNDS);
    report(&format!(
        "{name}: {bytes} bytes an idle connection of {idle} (opened for {opening_us:.0} us of CPU each); \
         64-byte echo: {:.2} us of CPU, {:.2} us of it in user mode",
        spent.cpu_ns / 1e3,
        spent.user_ns / 1e3,
    ));
    for resumes in [false, true] {
        let mut world = World::new(contestant.address, files, resumes);
        for _ in 0..100 {
            world.shake_hands();
        }
        let before = Usage::of(pid);
        let resumed = (0..HANDSHAKES).filter(|_| world.shake_hands()).count();
        let spent = Usage::of(pid).since(&before, HANDSHAKES);
        report(&format!(
            "{name}: handshake, {resumed} of {HANDSHAKES} resumed: {:.0} us of CPU, {:.0} us of it in user mode",
            spent.cpu_ns / 1e3,
            spent.user_ns / 1e3,
        ));
    }
}

fn report(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("somebody reads what is measured");
}

/// What a process has used so far.
struct Usage {
    cpu_ns: u64,
    user_ticks: u64,
    rss_bytes: u64,
}

/// The same for each of so many.
struct Each {
    cpu_ns: f64,
    user_ns: f64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let on_core = |thread: fs::DirEntry| -> Option<u64> {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let mut fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            cpu_ns: threads.flatten().filter_map(on_core).sum(),
            user_ticks: fields.nth(11).unwrap().parse().unwrap(),
            rss_bytes: pages * 4096,
        }
    }

    fn since(&self, before: &Self, count: usize) -> Each {
        let each = |total: u64| total as f64 / count as f64;
        Each {
            cpu_ns: each(self.cpu_ns - before.cpu_ns),
            user_ns: each((self.user_ticks - before.user_ticks) * 10_000_000),
        }
    }
}

/// Clients, all of one thread; each is a socket and 128 bytes of keys.
struct World {
    address: SocketAddr,
    tls: ClientTls,
    sessions: Sessions,
    connections: Vec<(TcpStream, SessionId)>,
    buffer: Vec<u8>,
    opening: Vec<u8>,
    message: Vec<u8>,
}

impl World {
    fn new(address: SocketAddr, files: &Files, resumes: bool) -> Self {
        let options = ClientOptions {
            trust: Trust::Authorities(load_authorities(files.path("ca.pem").as_ref()).unwrap()),
            resumes,
            ..ClientOptions::default()
        };
        let message = frame(op::FIN | op::BINARY, &[7; 64]);
        Self {
            address,
            tls: ClientTls::new(&options, "localhost").unwrap(),
            sessions: Sessions::new(Role::Client, SessionLimits::default()),
            connections: Vec::new(),
            buffer: vec![0; 64 << 10],
            opening: upgrade_request("").into_bytes(),
            message,
        }
    }

    /// A TLS connection, and what both know of each other.
    fn connect(&mut self) -> (TcpStream, Established) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut out = Vec::new();
        let id = self.sessions.connect(&self.tls, &mut out).unwrap();
        loop {
            stream.write_all(&out).unwrap();
            out.clear();
            let start = HEADROOM + self.sessions.pending_len(id);
            let length = stream.read(&mut self.buffer[start..]).unwrap();
            assert!(length > 0, "the server hung up");
            let fresh = start..start + length;
            let received = self.sessions.receive(id, &mut self.buffer, fresh, &mut out);
            if let Some(established) = received.established {
                stream.write_all(&out).unwrap();
                return (stream, *established);
            }
        }
    }

    /// A WebSocket that has echoed once.
    fn open(&mut self) {
        let (mut stream, established) = self.connect();
        let id = established.id;
        let opening = std::mem::take(&mut self.opening);
        self.say(&mut stream, id, &opening);
        self.opening = opening;
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            self.hear(&mut stream, id, &mut heard);
        }
        self.echo(&mut stream, id);
        self.connections.push((stream, id));
    }

    fn echo(&mut self, stream: &mut TcpStream, id: SessionId) {
        let message = std::mem::take(&mut self.message);
        self.say(stream, id, &message);
        self.message = message;
        self.hear_echo(stream, id);
    }

    fn hear_echo(&mut self, stream: &mut TcpStream, id: SessionId) {
        let mut heard = Vec::with_capacity(66);
        while heard.len() < 66 {
            self.hear(stream, id, &mut heard);
        }
        assert_eq!(heard.len(), 66);
    }

    /// All say something, then all hear it: the server never waits for one of them.
    fn round(&mut self) {
        let mut connections = std::mem::take(&mut self.connections);
        let message = std::mem::take(&mut self.message);
        for (stream, id) in &mut connections {
            self.say(stream, *id, &message);
        }
        self.message = message;
        for (stream, id) in &mut connections {
            self.hear_echo(stream, *id);
        }
        self.connections = connections;
    }

    /// A handshake, and the end of it. `true`: it was resumed.
    fn shake_hands(&mut self) -> bool {
        let (mut stream, established) = self.connect();
        // Behind an answer, tickets have come.
        let opening = std::mem::take(&mut self.opening);
        self.say(&mut stream, established.id, &opening);
        self.opening = opening;
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            self.hear(&mut stream, established.id, &mut heard);
        }
        self.sessions.remove(established.id);
        established.introduction.is_resumed
    }

    fn say(&mut self, stream: &mut TcpStream, id: SessionId, text: &[u8]) {
        let mut out = [0; 1024];
        let sealed = self.sessions.seal(id, [text], &mut out);
        assert_eq!(sealed.plaintext, text.len());
        stream.write_all(&out[..sealed.ciphertext]).unwrap();
    }

    fn hear(&mut self, stream: &mut TcpStream, id: SessionId, heard: &mut Vec<u8>) {
        let start = HEADROOM + self.sessions.pending_len(id);
        let length = stream.read(&mut self.buffer[start..]).unwrap();
        assert!(length > 0, "the server hung up");
        let mut out = Vec::new();
        let fresh = start..start + length;
        let received = self.sessions.receive(id, &mut self.buffer, fresh, &mut out);
        heard.extend_from_slice(&self.buffer[received.plaintext]);
        stream.write_all(&out).unwrap();
    }
}
