//! What a supervisor is told: systemd's notification protocol, a datagram of `KEY=value` lines.
//!
//! ```text
//!  READY=1 ── SIGHUP: RELOADING=1, READY=1 ──┐            WATCHDOG=1 while every worker turns
//!     └────────────── SIGTERM: STOPPING=1, EXTEND_TIMEOUT_USEC=.. each second ──> exit
//! ```
//!
//! Twenty lines of ours instead of a crate: `sd-notify` would remove the variables from the
//! environment, which no process with threads may do, or be told not to, and then does what is below.
//! The environment is read once, before the first thread starts.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::sys::clock;

/// A supervisor that does not read must not stop us for longer than this.
const PATIENCE: Duration = Duration::from_millis(500);

/// The way to the supervisor, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
}

/// What the environment says about our supervisor.
#[derive(Debug, Default)]
pub struct Supervisor {
    /// Where it listens.
    pub notifier: Notifier,
    /// How often it wants to hear that we are well; `None` if it does not.
    pub watchdog: Option<Duration>,
}

impl Supervisor {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. The error is one to log: who cannot
    /// tell its supervisor can still serve.
    pub fn from_env() -> (Self, Option<io::Error>) {
        Self::read(|name| std::env::var_os(name), std::process::id())
    }

    fn read(var: impl Fn(&str) -> Option<OsString>, pid: u32) -> (Self, Option<io::Error>) {
        let number = |name: &str| var(name)?.to_str()?.parse::<u64>().ok();
        // Without a number it is meant for whoever reads it.
        let is_ours = number("WATCHDOG_PID").is_none_or(|meant| meant == u64::from(pid));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0);
        let (notifier, error) = match var("NOTIFY_SOCKET").map(|path| Notifier::to(&path)) {
            None => (Notifier::default(), None),
            Some(Ok(notifier)) => (notifier, None),
            Some(Err(error)) => (Notifier::default(), Some(error)),
        };
        let supervisor = Self {
            notifier,
            watchdog: watchdog.map(Duration::from_micros),
        };
        (supervisor, error)
    }
}

impl Notifier {
    /// To the socket of that name: a path, or `@` and an abstract name.
    pub(super) fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => abstract_address(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::other(
                    "NOTIFY_SOCKET is neither a path nor @name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket: Some(socket),
        })
    }

    /// Whether anybody listens.
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// We serve. `status` is one line for `systemctl status`.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// We read our configuration again; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        let now_us = clock::monotonic_ns() / 1_000;
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=reading the configuration\n"
        ));
    }

    /// We are going down.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={status}\n"));
    }

    /// We are still at it, and want so much more time from now on.
    pub fn extend(&self, by: Duration, status: &str) {
        let by_us = by.as_micros();
        self.send(&format!("EXTEND_TIMEOUT_USEC={by_us}\nSTATUS={status}\n"));
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}\n"));
    }

    /// We are well.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// A supervisor that is gone is no reason to stop.
    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(state.as_bytes());
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> (Supervisor, Option<io::Error>) {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name)?;
            Some(found.1.into())
        };
        Supervisor::read(var, 7)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut room = [0; 512];
        let length = socket.recv(&mut room).unwrap();
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let name = format!("throng-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let _ = std::fs::remove_file(&path);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_address(name.as_bytes()).unwrap()).unwrap();
        let at_name = format!("@{name}");
        for (socket, address) in [
            (by_path, path.to_str().unwrap()),
            (by_name, at_name.as_str()),
        ] {
            let (supervisor, error) = read(&[("NOTIFY_SOCKET", address)]);
            assert!(error.is_none() && supervisor.notifier.is_connected());
            supervisor.notifier.ready("serving");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=serving\n");
            supervisor.notifier.extend(Duration::from_secs(2), "3 left");
            assert_eq!(
                heard(&socket),
                "EXTEND_TIMEOUT_USEC=2000000\nSTATUS=3 left\n"
            );
            supervisor.notifier.reloading();
            let text = heard(&socket);
            let time = text.lines().nth(1).unwrap().strip_prefix("MONOTONIC_USEC=");
            let time_us: u64 = time.unwrap().parse().unwrap();
            assert!(time_us > 0 && time_us <= clock::monotonic_ns() / 1_000);
        }
        let _ = std::fs::remove_file(path);
    }

    #[test]
    fn without_a_supervisor_nothing_is_said_and_nothing_fails() {
        let (nobody, error) = read(&[]);
        assert!(error.is_none() && nobody.watchdog.is_none());
        nobody.notifier.ready("to nobody");
        for address in ["vsock:2:1", "", "relative", "/nowhere/at/all"] {
            let (nobody, error) = read(&[("NOTIFY_SOCKET", address)]);
            assert!(
                error.is_some() && !nobody.notifier.is_connected(),
                "{address}"
            );
        }
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let usec = ("WATCHDOG_USEC", "10000000");
        let watchdog = |vars: &[(&str, &str)]| read(vars).0.watchdog;
        assert_eq!(watchdog(&[usec]), Some(Duration::from_secs(10)));
        let ours = [usec, ("WATCHDOG_PID", "7")];
        assert_eq!(watchdog(&ours), Some(Duration::from_secs(10)));
        assert_eq!(watchdog(&[usec, ("WATCHDOG_PID", "8")]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "soon")]), None);
    }
}
