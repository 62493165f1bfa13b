//! A contestant and its running process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::sys;

/// How long a server may take until it listens; under valgrind that is seconds.
const START_MAX: Duration = Duration::from_secs(20);

/// A name and a command line in which `PORT` stands for the port.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
}

impl Contestant {
    /// From `name=command with arguments PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').context("a server is NAME=COMMAND")?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        ensure!(
            !name.is_empty() && !command.is_empty(),
            "a server is NAME=COMMAND"
        );
        Ok(Self {
            name: name.to_owned(),
            command,
        })
    }

    /// The program is there. `$PATH` is not searched: what is measured is named.
    pub(crate) fn exists(&self) -> bool {
        PathBuf::from(&self.command[0]).is_file()
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the contestant on `core`, behind `wrapper` (empty, or valgrind and its options),
    /// and returns once it listens. The caller is pinned to `core` meanwhile.
    pub(crate) fn start(contestant: &Contestant, wrapper: &[String], core: usize) -> Result<Self> {
        let port = free_port()?;
        let words: Vec<String> = wrapper
            .iter()
            .chain(&contestant.command)
            .map(|word| word.replace("PORT", &port.to_string()))
            .collect();
        let log = std::env::temp_dir().join(format!("compare-{}-{port}.log", contestant.name));
        let mut command = Command::new(&words[0]);
        let output = File::create(&log)?;
        command.args(&words[1..]).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        sys::die_with_parent(&mut command);
        // A child inherits the core of whoever starts it.
        sys::pin_to(core)?;
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", words[0]))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child, address };
        let started = server.wait_until_listening();
        let said = fs::read_to_string(&log).unwrap_or_default();
        fs::remove_file(&log).ok();
        started.with_context(|| format!("{} said:\n{said}", contestant.name))?;
        Ok(server)
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at start: {status}");
            }
            ensure!(
                Instant::now() < deadline,
                "does not listen after {START_MAX:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server in an orderly way (valgrind writes its counts then) and waits for it.
    pub(crate) fn terminate(mut self, patience: Duration) -> Result<()> {
        sys::signal(self.pid(), libc::SIGTERM)?;
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "still there {patience:?} after SIGTERM"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port nobody listens on. Another process may take it first; the server then says so.
fn free_port() -> Result<u16> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(probe.local_addr()?.port())
}
