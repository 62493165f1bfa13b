//! Does it drive others, too? Servers that people use, as they come from their registries.
//!
//! Each prints its port, and a line for every [`LINE_EVERY`] messages: a run ends when enough was said, however
//! long that takes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::harness::{Generator, PATIENCE, Scratch, node_modules, python};

const WS: &str = "
const { WebSocketServer } = require('ws');
const options = { host: '127.0.0.1', port: 0, perMessageDeflate: true };
const server = new WebSocketServer(options, () => console.log(server.address().port));
let messages = 0;
server.on('connection', (socket) => {
  socket.on('message', (message, isBinary) => {
    socket.send(message, { binary: isBinary });
    if (++messages % 300 == 0) console.log(messages);
  });
});
";

const WEBSOCKETS: &str = "
import asyncio
from websockets.asyncio.server import serve

messages = 0

async def echo(socket):
    global messages
    async for message in socket:
        await socket.send(message)
        messages += 1
        if messages % 300 == 0:
            print(messages, flush=True)

async def main():
    async with serve(echo, '127.0.0.1', 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
";

/// As the scripts above have it.
const LINE_EVERY: u64 = 300;

/// A server of another language; dropped, it is killed.
pub(crate) struct Peer {
    child: Child,
    pub(crate) port: u16,
    lines: mpsc::Receiver<String>,
    _script: Scratch,
}

impl Peer {
    /// Starts a script that prints its port.
    pub(crate) fn start(
        program: &std::path::Path,
        name: &str,
        script: &str,
        envs: &[(&str, &std::path::Path)],
    ) -> Self {
        let scratch = Scratch::new(name);
        let mut child = Command::new(program)
            .arg(scratch.file(name, script))
            .envs(envs.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let line = lines
            .recv_timeout(PATIENCE)
            .expect("the peer says its port");
        let port = line.trim().parse();
        Self {
            child,
            port: port.unwrap_or_else(|_| panic!("{name} printed {line:?}")),
            lines,
            _script: scratch,
        }
    }

    /// Waits until the peer has printed so many lines; what it said of earlier runs does not count.
    pub(crate) fn work_off(&self, lines: usize) {
        for _ in 0..lines {
            let line = self.lines.recv_timeout(PATIENCE);
            line.unwrap_or_else(|error| panic!("the peer was not asked enough: {error}"));
        }
    }

    /// Forgets what the peer has printed.
    pub(crate) fn forget_lines(&self) {
        let _of_the_last_run = self.lines.try_iter().count();
    }

    /// Echoes over a few hundred connections: everything comes back, everybody is alive.
    fn echoes(&self, words: &str) {
        let url = format!("ws://127.0.0.1:{}/", self.port);
        let words = format!(
            "--connections 300 --rate 900/s --size 16-2k --duration 10m --connect-timeout 60s \
             --answer-timeout 60s {words}"
        );
        self.forget_lines();
        let generator = Generator::run(&url, &words);
        // The first may count messages of the last run, and one of its lines may come late.
        self.work_off(4);
        generator.signal("INT");
        let ended = generator.end();
        ended.assert_code(0);
        ended.assert_balanced();
        let count = |at: &str| ended.count(at);
        assert!(
            count("/messages/sent") >= 2 * LINE_EVERY,
            "{words}: {}",
            ended.story()
        );
        assert_eq!(
            count("/messages/received"),
            count("/messages/sent"),
            "{words}"
        );
        for state in ["connected", "upgraded", "proven_alive"] {
            assert_eq!(
                count(&format!("/connections/{state}")),
                300,
                "{state}, {words}"
            );
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn drives_ws_of_npm() {
    let Some(modules) = node_modules() else {
        return;
    };
    let peer = Peer::start("node".as_ref(), "echo.cjs", WS, &[("NODE_PATH", modules)]);
    peer.echoes("--payload text");
    peer.echoes("--payload binary --deflate");
}

#[test]
fn drives_websockets_of_python() {
    let Some(python) = python() else { return };
    let peer = Peer::start(python, "echo.py", WEBSOCKETS, &[]);
    peer.echoes("--payload binary");
    peer.echoes("--payload text --deflate");
}
