//! wss against servers of other people: what goes through, and what every failure is called.

use std::path::{Path, PathBuf};

use throng::tls::dev_cert::{DevCertificate, DevRequest};

use crate::harness::{Ended, Generator, Scratch, node_modules, python};
use crate::peers::Peer;

const WS: &str = "
const { createServer } = require('https');
const { readFileSync } = require('fs');
const { WebSocketServer } = require('ws');
const read = (name) => readFileSync(process.env[name]);
const http = createServer({ cert: read('CERT'), key: read('KEY') });
const server = new WebSocketServer({ server: http });
let count = 0;
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => {
    socket.send(message, { binary: isBinary });
    if (++count % 100 === 0) console.log(count);
  });
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
";

const WEBSOCKETS: &str = "
import asyncio, os, ssl
from websockets.asyncio.server import serve

count = 0

async def echo(socket):
    global count
    async for message in socket:
        await socket.send(message)
        count += 1
        if count % 100 == 0:
            print(count, flush=True)

async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ['CERT'], os.environ['KEY'])
    if os.environ.get('OLD'):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serve(echo, '127.0.0.1', 0, ssl=context) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
";

/// A server's end in clear text behind TLS: it ends the TCP connection under a session that stands, without
/// a word of TLS.
const TRUNCATING: &str = "
import os, socket, ssl, threading, base64, hashlib, re

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ['CERT'], os.environ['KEY'])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)

def serve(raw):
    line = context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True)
    request = b''
    while not request.endswith(b'\\r\\n\\r\\n'):
        request += line.recv(4096)
    key = re.search(rb'Sec-WebSocket-Key: (\\S+)', request, re.I).group(1)
    accept = hashlib.sha1(key + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest()
    line.sendall(b'HTTP/1.1 101 x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
        b'Sec-WebSocket-Accept: ' + base64.b64encode(accept) + b'\\r\\n\\r\\n')
    line.recv(4096)
    socket.socket(fileno=line.detach()).close()

while True:
    raw, _ = listener.accept()
    threading.Thread(target=serve, args=(raw,), daemon=True).start()
";

/// A certificate in files.
struct Paper {
    scratch: Scratch,
}

impl Paper {
    fn of(names: &[&str], from_s: u64, days: u32) -> Self {
        let request = DevRequest {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            days,
        };
        let made = DevCertificate::new(&request, from_s).unwrap();
        let scratch = Scratch::new("paper");
        scratch.file("ca.pem", &made.authority);
        scratch.file("cert.pem", &made.certificate);
        scratch.file("key.pem", &made.key);
        Self { scratch }
    }

    fn good() -> Self {
        Self::of(&["127.0.0.1", "localhost"], SOME_DAY_S, 20_000)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.at(name)
    }

    fn python(&self, script: &str, python: &Path, extra: &[(&str, &Path)]) -> Peer {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        let mut envs = vec![("CERT", cert.as_path()), ("KEY", key.as_path())];
        envs.extend(extra);
        Peer::start(python, "echo.py", script, &envs)
    }

    fn node(&self, modules: &Path) -> Peer {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        let envs = [
            ("CERT", cert.as_path()),
            ("KEY", key.as_path()),
            ("NODE_PATH", modules),
        ];
        Peer::start("node".as_ref(), "echo.cjs", WS, &envs)
    }

    /// Echoes until the peer has answered some hundreds, believing this one's authority.
    fn echo(&self, peer: &Peer, words: &str) -> Ended {
        let url = format!("wss://127.0.0.1:{}/", peer.port);
        let ca = self.file("ca.pem");
        let words = format!(
            "--ca {} --duration 10m --connect-timeout 60s --answer-timeout 60s {words}",
            ca.display()
        );
        peer.forget_lines();
        let generator = Generator::run(&url, &words);
        // The first may count messages of the last run, and one of its lines may come late.
        peer.work_off(4);
        generator.signal("INT");
        generator.end()
    }

    /// Believes this one's authority.
    fn run(&self, peer: &Peer, words: &str) -> Ended {
        let url = format!("wss://127.0.0.1:{}/", peer.port);
        let ca = self.file("ca.pem");
        Generator::run(&url, &format!("--ca {} {words}", ca.display())).end()
    }
}

/// Everything comes back, everybody is alive.
fn assert_echoed(ended: &Ended, connections: u64) {
    ended.assert_code(0);
    ended.assert_balanced();
    assert!(ended.count("/messages/sent") > 100, "{}", ended.story());
    assert_eq!(
        ended.count("/messages/received"),
        ended.count("/messages/sent")
    );
    for state in ["connected", "upgraded", "proven_alive"] {
        let count = ended.count(&format!("/connections/{state}"));
        assert_eq!(count, connections, "{state}: {}", ended.story());
    }
    assert_eq!(ended.value("/tls/is_insecure"), false);
}

#[test]
fn echoes_through_node_full_and_resumed() {
    let Some(modules) = node_modules() else {
        return;
    };
    let paper = Paper::good();
    let peer = paper.node(modules);
    let words = "--connections 60 --rate 300/s --size 16-20k";
    let full = paper.echo(&peer, words);
    assert_echoed(&full, 60);
    assert_eq!(
        (full.count("/tls/full"), full.count("/tls/resumed")),
        (60, 0)
    );
    assert_eq!(full.count("/tls/full_ms/count"), 60);
    // How many tickets it gives, and when, is its own business.
    let again = paper.echo(&peer, &format!("{words} --tls-resume --handshakes 4"));
    assert_echoed(&again, 60);
    assert_eq!(again.count("/tls/full") + again.count("/tls/resumed"), 60);
    assert!(again.count("/tls/resumed") > 0, "{}", again.value("/tls"));
}

#[test]
fn echoes_through_python_new_and_old() {
    let Some(python) = python() else { return };
    let paper = Paper::good();
    for (extra, tls12) in [(&[][..], 0), (&[("OLD", Path::new("1"))], 40)] {
        let peer = paper.python(WEBSOCKETS, python, extra);
        let ended = paper.echo(&peer, "--connections 40 --rate 200/s --payload binary");
        assert_echoed(&ended, 40);
        assert_eq!(ended.count("/tls/tls12"), tls12);
    }
}

#[test]
fn every_certificate_that_does_not_hold_has_its_class() {
    let Some(python) = python() else { return };
    let (right, old, named) = (
        Paper::good(),
        Paper::of(&["127.0.0.1"], SOME_DAY_S, 1),
        Paper::of(&["elsewhere.test"], SOME_DAY_S, 20_000),
    );
    let words = "--connections 3 --retries 0 --duration 8s --connect-timeout 60s";
    for (shown, believed, class) in [
        (&right, &named, "tls_certificate_untrusted"),
        (&old, &old, "tls_certificate_expired"),
        (&named, &named, "tls_certificate_name"),
    ] {
        let peer = shown.python(WEBSOCKETS, python, &[]);
        let ended = believed.run(&peer, words);
        assert_eq!(ended.code, Some(1), "{}", ended.story());
        let failed = ended.classes("/connections/failed");
        assert_eq!(failed, [(class.to_owned(), 3)], "{}", ended.story());
        // Under the name it is for, or believing anybody, it will do.
        let url = format!("wss://127.0.0.1:{}/", peer.port);
        let ended = Generator::run(&url, &format!("{words} --insecure")).end();
        assert_eq!(ended.count("/connections/upgraded"), 3, "{}", ended.story());
        assert_eq!(ended.value("/tls/is_insecure"), true);
        assert!(
            ended.stderr.contains("NO CERTIFICATE IS CHECKED"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.warnings().contains("INSECURE"),
            "{}",
            ended.warnings()
        );
    }
    let peer = named.python(WEBSOCKETS, python, &[]);
    let ended = named.run(&peer, &format!("{words} --server-name elsewhere.test"));
    assert_eq!(ended.count("/connections/upgraded"), 3, "{}", ended.story());
}

#[test]
fn an_end_without_close_notify_is_called_a_truncation() {
    let Some(python) = python() else { return };
    let paper = Paper::good();
    let peer = paper.python(TRUNCATING, python, &[]);
    let ended = paper.run(
        &peer,
        "--connections 5 --retries 0 --duration 8s --connect-timeout 60s",
    );
    assert_eq!(ended.code, Some(1), "{}", ended.story());
    let failed = ended.classes("/connections/failed");
    assert_eq!(
        failed,
        [("tls_truncated".to_owned(), 5)],
        "{}",
        ended.story()
    );
    ended.assert_balanced();
}

#[test]
fn handshakes_have_logs_of_their_own() {
    let Some(python) = python() else { return };
    let paper = Paper::good();
    let peer = paper.python(WEBSOCKETS, python, &[]);
    let scratch = Scratch::new("secured");
    let url = format!("wss://127.0.0.1:{}/", peer.port);
    let ca = paper.file("ca.pem");
    let words = format!("--ca {} --connections 20 --duration 8s", ca.display());
    let ended = Generator::report(&url, &words, scratch.at("bundle")).end();
    assert_eq!(ended.count("/tls/full"), 20, "{}", ended.story());
    let page = std::fs::read_to_string(scratch.at("bundle/report.html")).unwrap();
    assert!(page.contains("of it TLS, full"));
    // Read back by somebody else.
    let script = "
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
total = HdrHistogram(1000, 3600000000000, 3)
reader = HistogramLogReader(sys.argv[1], total)
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None: break
    total.add(histogram)
print(total.get_total_count())
";
    let log = scratch.at("bundle/tls_handshake.full.hlog");
    let output = std::process::Command::new(python)
        .args(["-c", script])
        .arg(log)
        .output()
        .unwrap();
    let counted = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        counted.trim(),
        "20",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// 14 November 2023: certificates begin an hour before.
const SOME_DAY_S: u64 = 1_700_000_000;
