//! The server under a supervisor: what it is told, what it passes on to us, and the unit.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Launch, PATIENCE, Server, Wire, op};

/// The supervisor's end of the notification socket; its path is removed with the value.
struct Supervisor {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Supervisor {
    fn new(name: &str) -> Self {
        let path = scratch(&format!("{name}.notify"));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    fn launch(&self) -> Launch {
        Launch::new().env("NOTIFY_SOCKET", self.path.display())
    }

    /// The next message that contains `needle`; others in between are let pass.
    fn wait_for(&self, needle: &str) -> String {
        let mut room = [0; 1024];
        loop {
            let length = self.socket.recv(&mut room);
            let length = length.unwrap_or_else(|error| panic!("no {needle}: {error}"));
            let text = String::from_utf8(room[..length].to_vec()).unwrap();
            if text.contains(needle) {
                return text;
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A path no other test uses.
fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("throng-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_supervisor_hears_of_start_health_and_end() {
    let supervisor = Supervisor::new("life");
    let mut server = supervisor
        .launch()
        .workers(2)
        .env("WATCHDOG_USEC", 3_000_000)
        .flag("drain-secs", "1500ms")
        .flag("close-timeout", "1h")
        .start();
    let ready = supervisor.wait_for("READY=1");
    assert!(
        ready.contains("\nSTATUS=0 connections, 2 workers\n"),
        "{ready}"
    );
    let mut wire = Wire::open(server.addr());
    supervisor.wait_for("WATCHDOG=1");
    supervisor.wait_for("WATCHDOG=1");
    server.signal("TERM");
    let stopping = supervisor.wait_for("STOPPING=1");
    assert!(
        stopping.contains("STATUS=draining, 1 connections left"),
        "{stopping}"
    );
    // The peer does not answer its Close: the server says that it needs longer.
    let extend = supervisor.wait_for("EXTEND_TIMEOUT_USEC=");
    assert!(
        extend.starts_with("EXTEND_TIMEOUT_USEC=10000000\n"),
        "{extend}"
    );
    supervisor.wait_for("WATCHDOG=1");
    assert_eq!(wire.expect_close(), 1001);
    wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe9]);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
}

#[test]
fn a_watchdog_meant_for_somebody_else_is_not_fed() {
    let supervisor = Supervisor::new("other");
    let server = supervisor
        .launch()
        .env("WATCHDOG_USEC", 3_000_000)
        .env("WATCHDOG_PID", 1)
        .start();
    supervisor.wait_for("READY=1");
    // The next regular message comes after five seconds, in which one would have been fed twice.
    let mut room = [0; 1024];
    let length = supervisor.socket.recv(&mut room).unwrap();
    assert!(room[..length].starts_with(b"STATUS="));
    drop(server);
}

#[test]
fn sighup_reloads_what_can_be_and_a_broken_file_changes_nothing() {
    let supervisor = Supervisor::new("reload");
    let file = scratch("reload.toml");
    fs::write(&file, "max_message = 1000\nstats = true\n").unwrap();
    let server = supervisor.launch().flag("config", file.display()).start();
    supervisor.wait_for("READY=1");
    let refused = |server: &Server| {
        let mut wire = Wire::open(server.addr());
        wire.send_frame(op::FIN | op::BINARY, &[1; 2000]);
        wire.expect_close()
    };
    assert_eq!(refused(&server), 1009);

    fs::write(&file, "max_message = 5000\nbacklog = 16\n").unwrap();
    let mut open = Wire::open(server.addr());
    server.signal("HUP");
    let reloading = supervisor.wait_for("RELOADING=1");
    let time = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    let ready = supervisor.wait_for("READY=1");
    assert!(ready.contains("changed: max-message"), "{ready}");
    assert!(ready.contains("a restart is needed for backlog"), "{ready}");
    // Workers read their letters in turn: after an answer, the limit is in force.
    open.echo(op::TEXT, b"a turn");
    open.echo(op::BINARY, &[2; 2000]);

    fs::write(&file, "max_message = \"none\"\nnonsense = 1\n").unwrap();
    server.signal("HUP");
    let ready = supervisor.wait_for("not reloaded");
    assert!(
        ready.starts_with("READY=1\n"),
        "the old one serves on: {ready}"
    );
    server.wait_log("max_message");
    server.wait_log("nonsense");
    open.echo(op::BINARY, &[3; 2000]);
    Wire::open(server.addr()).echo(op::BINARY, &[4; 2000]);
    let _ = fs::remove_file(file);
}

#[test]
fn an_inherited_socket_serves_every_worker_and_survives_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let launch = || {
        Launch::new()
            .workers(2)
            .flag("drain-secs", "300ms")
            .inherit(listener.try_clone().unwrap())
    };
    let mut server = launch().start();
    assert_eq!(
        server.addr(),
        address,
        "the inherited one replaces --listen"
    );
    server.wait_log("1 sockets inherited (unknown)");

    // Connections without a pause, while one server goes and another comes.
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let stream = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let mut wire = Wire::connect(address);
                let head = wire.upgrade("");
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        let more = |than: usize| {
            while served.load(Ordering::Relaxed) < than && !stream.is_finished() {
                thread::yield_now();
            }
        };
        more(200);
        let mut held = Wire::open(address);
        server.signal("TERM");
        assert_eq!(held.expect_close(), 1001);
        assert_eq!(server.wait_exit().code(), Some(0), "{}", server.output());
        server = launch().start();
        let by_now = served.load(Ordering::Relaxed);
        more(by_now + 200);
        stop.store(true, Ordering::Relaxed);
        stream.join().expect("nobody was refused or reset");
    });
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let server = Launch::new()
        .env("LISTEN_FDS", 1)
        .env("LISTEN_PID", 1)
        .start();
    assert!(!server.log().contains("inherited"), "{}", server.log());
    Wire::open(server.addr()).echo(op::TEXT, b"on our own");
}

#[test]
fn what_does_not_listen_is_refused_at_start() {
    let file = fs::File::open("/dev/null").unwrap();
    let (status, output) = Launch::new().inherit(file).run_to_end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("LISTEN_FDS"), "{output}");
}

#[test]
fn the_configuration_we_ship_is_sound() {
    let file = shipped("throng.toml");
    let verdict = Command::new(env!("CARGO_BIN_EXE_throng"))
        .args(["check-config", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(verdict.status.success(), "{verdict:?}");
    // The unit allows for the drain of that file.
    let (unit, toml) = (read("throng.service"), read("throng.toml"));
    let seconds = |text: &str, key: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(key));
        let digits = value.unwrap().trim_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap()
    };
    assert!(seconds(&unit, "TimeoutStopSec=") >= seconds(&toml, "drain_secs") + 15);
    assert!(seconds(&unit, "LimitNOFILE=") >= 1_100_000);
}

/// The sandbox is as tight as the README says. Needs systemd-analyze, not a running systemd.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn the_unit_exposes_little() {
    let unit = shipped("throng.service");
    let analysed = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(&unit)
        .output();
    let Ok(analysed) = analysed else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the unit's exposure was NOT checked, systemd-analyze is missing \
             (Debian: apt-get install systemd)"
        );
        return;
    };
    let text = String::from_utf8_lossy(&analysed.stdout);
    let level = text
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for "));
    let level = level.unwrap_or_else(|| panic!("{analysed:?}")).1;
    let level: f64 = level.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(level <= 1.5, "exposure {level}:\n{text}");
}

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tuning/systemd")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(shipped(name)).unwrap()
}
