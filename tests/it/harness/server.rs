//! Starts the server, learns where it listens, and takes it down with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::PATIENCE;
use super::vitals::Vitals;
use super::{Files, Wire, op};

/// How a server is to be started. The defaults are one worker on a free port of 127.0.0.1.
pub(crate) struct Launch {
    listen: Vec<String>,
    flags: Vec<String>,
    workers: u32,
    descriptors_max: Option<u32>,
    environment: Vec<(String, String)>,
    inherited: Option<OwnedFd>,
    admin: Option<String>,
    is_tls: bool,
    app: &'static str,
}

impl Launch {
    pub(crate) fn new() -> Self {
        Self {
            listen: Vec::new(),
            flags: Vec::new(),
            workers: 1,
            descriptors_max: None,
            environment: Vec::new(),
            inherited: None,
            admin: None,
            is_tls: false,
            app: "echo",
        }
    }

    /// With channels instead of echoes.
    pub(crate) fn hub(mut self) -> Self {
        self.app = "hub";
        self
    }

    /// Listens here instead of on the default address (repeatable).
    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    pub(crate) fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Adds `--flag value`.
    pub(crate) fn flag(mut self, name: &str, value: impl ToString) -> Self {
        self.flags.push(format!("--{name}"));
        self.flags.push(value.to_string());
        self
    }

    /// With an admin port at this address; without it, there is none: the default one would be wanted
    /// by every server of every test.
    pub(crate) fn admin(mut self, address: &str) -> Self {
        self.admin = Some(address.to_owned());
        self
    }

    /// With a listener for TLS, too, which shows the certificate in these files.
    pub(crate) fn tls(mut self, files: &Files) -> Self {
        self.is_tls = true;
        self.flag("tls-listen", "127.0.0.1:0")
            .flag("tls-cert", files.path("cert.pem"))
            .flag("tls-key", files.path("key.pem"))
    }

    /// Hard and soft limit of open descriptors the server lives under.
    pub(crate) fn descriptors_max(mut self, limit: u32) -> Self {
        self.descriptors_max = Some(limit);
        self
    }

    /// An environment variable of the server's.
    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Passes a listening socket on, as systemd does: descriptor 3, and `LISTEN_FDS`.
    pub(crate) fn inherit(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.inherited = Some(socket.into());
        self
    }

    /// Starts the server and waits until it says where it listens.
    pub(crate) fn start(mut self) -> Server {
        if self.listen.is_empty() {
            self.listen.push("127.0.0.1:0".to_owned());
        }
        let mut command = self.command();
        let mut child = command
            .stdin(self.inherited.take().map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = Transcript::of(child.stderr.take().unwrap());
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let mut server = Server {
            child,
            stdout,
            stderr,
            endpoints: Vec::new(),
            admin: None,
        };
        for _ in 0..self.listen.len() + usize::from(self.is_tls) {
            let path = match self.app {
                "hub" => "/connection/websocket",
                _ => "/echo",
            };
            let line = server.stdout.wait_for(path);
            let line = line.unwrap_or_else(|| panic!("no endpoint: {}", server.output()));
            server.endpoints.push(line);
        }
        if self.admin.is_some() {
            let line = server.stdout.wait_for("  admin ");
            server.admin =
                Some(line.unwrap_or_else(|| panic!("no admin port: {}", server.output())));
        }
        server
    }

    /// Runs the server where it is expected to refuse to start; gives its status and its output.
    pub(crate) fn run_to_end(self) -> (ExitStatus, String) {
        let output = self.command().stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&text).into_owned())
    }

    fn command(&self) -> Command {
        // The shell sets the limit and becomes the server: same process id, no unsafe pre_exec.
        let mut script = String::new();
        if let Some(limit) = self.descriptors_max {
            script += &format!("ulimit -n {limit} && ");
        }
        if self.inherited.is_some() {
            // It comes as standard input, the only way to pass a descriptor on without unsafe code.
            script += "exec 3<&0 </dev/null && export LISTEN_FDS=1 LISTEN_PID=$$ && ";
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script} exec \"$0\" \"$@\"")]);
        command.arg(binary());
        let environment = self.environment.iter();
        command.envs(environment.map(|(name, value)| (name, value)));
        command.args(["serve", "--workers", &self.workers.to_string()]);
        command.args(["--app", self.app]);
        // Servers of several tests run side by side: pinned, all of them would share one core.
        command.args(["--pin-cores", "off"]);
        command.args(["--admin", self.admin.as_deref().unwrap_or("off")]);
        for address in &self.listen {
            command.args(["--listen", address]);
        }
        command.args(&self.flags);
        command
    }
}

/// `THRONG_TEST_BIN` points the same tests at another build: release, sanitised, cross-compiled.
fn binary() -> String {
    std::env::var("THRONG_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_throng").to_owned())
}

/// A running server; dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    stdout: Transcript,
    stderr: Transcript,
    endpoints: Vec<String>,
    admin: Option<String>,
}

impl Server {
    /// One worker, default limits.
    pub(crate) fn start() -> Self {
        Launch::new().start()
    }

    /// The first TCP endpoint.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addrs()[0]
    }

    /// Every TCP endpoint, in the order the server printed them.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        let url = |line: &String| {
            let rest = line.split("ws://").nth(1)?;
            rest.split('/').next()?.parse().ok()
        };
        self.endpoints.iter().filter_map(url).collect()
    }

    /// Where it speaks TLS.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        let line = self
            .endpoints
            .iter()
            .find_map(|line| line.split("wss://").nth(1));
        let address = line.expect("launched with TLS").split('/').next();
        address.expect("a word").parse().expect("it is one")
    }

    /// Where the admin port is.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        let line = self.admin.as_deref().expect("launched with an admin port");
        let rest = line.split("http://").nth(1).expect("an address");
        let address = rest.split(' ').next().expect("a word");
        address.parse().expect("it is one")
    }

    /// `ws://HOST:PORT/echo` of the first TCP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/echo", self.addr())
    }

    pub(crate) fn vitals(&self) -> Vitals {
        Vitals::of(self.child.id())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Someone to watch `/proc` with; takes a connection of its own, so take it first.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            pid: self.child.id(),
            wire: Wire::open(self.addr()),
        }
    }

    /// Sends a signal by name ("TERM", "INT", "STOP", ...).
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        // The pipe closes with the process, so this wait has the bound that `Child::wait` lacks.
        assert!(self.stdout.wait_end(), "still running: {}", self.output());
        self.child.wait().unwrap()
    }

    /// Everything printed so far, for a failing test's message.
    pub(crate) fn output(&self) -> String {
        format!(
            "\n--- stdout\n{}--- stderr\n{}---",
            self.stdout.text(),
            self.stderr.text()
        )
    }

    /// Waits until the server logs a line with this in it; the line.
    pub(crate) fn wait_log(&self, needle: &str) -> String {
        let line = self.stderr.wait_for(needle);
        line.unwrap_or_else(|| panic!("never logged: {needle}{}", self.output()))
    }

    /// Standard error so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "what a failing test is read with")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.output());
        }
    }
}

/// Waits for `/proc` to show what a test expects.
///
/// There is no event to wait for, so it looks again after each ping the server answered: every
/// look is at least one turn of the server's loop later than the one before.
pub(crate) struct Watch {
    pid: u32,
    wire: Wire,
}

impl Watch {
    /// Looks until `settled` holds, or panics with `what` was awaited.
    pub(crate) fn until(&mut self, what: &str, settled: impl Fn(&Vitals) -> bool) -> Vitals {
        for _ in 0..LOOKS_MAX {
            let now = Vitals::of(self.pid);
            if settled(&now) {
                return now;
            }
            self.wire.send_frame(op::FIN | op::PING, b"next turn");
            self.wire.expect(op::FIN | op::PONG, b"next turn");
        }
        panic!("never happened: {what}; {:?}", Vitals::of(self.pid));
    }
}

/// A look costs 100 us or more: this is tens of seconds, where a second would do.
const LOOKS_MAX: u32 = 200_000;

/// One output stream of the child: kept whole, and handed on line by line.
struct Transcript {
    lines: Receiver<String>,
    text: Arc<Mutex<String>>,
}

impl Transcript {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
                let _ = sender.send(line);
            }
        });
        Self { lines, text }
    }

    /// The next unread line that contains `needle`; `None` at the end of the stream.
    fn wait_for(&self, needle: &str) -> Option<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).ok()?;
            if line.contains(needle) {
                return Some(line);
            }
        }
    }

    fn wait_end(&self) -> bool {
        use std::sync::mpsc::RecvTimeoutError::Disconnected;
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(end) => return end == Disconnected,
            }
        }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}
