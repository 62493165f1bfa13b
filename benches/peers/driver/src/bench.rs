//! The rounds: who runs when, what is noted, and the warnings without which a figure would be
//! taken for more than it is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::load::Load;
use crate::options::{Mode, Options};
use crate::server::{Contestant, Server};
use crate::sheet::Sheet;
use crate::syscalls::{Counted, Strace};
use crate::usage::{Meter, Spent, resident_bytes};
use crate::{fanout, handshake, instructions, sys, syscalls};

/// Before anything is counted: buffers grow to size, branches are learnt.
pub(crate) const WARMUP: Duration = Duration::from_millis(500);
/// Below this the server waited for the client, and its rate is the client's.
const BUSY_MIN: f64 = 0.95;
/// Above this other processes had so much of the core that caches were theirs too.
const STARVED_MAX: f64 = 0.05;
/// Above this the split into user and system time is too coarse to compare.
const USER_ERROR_MAX: f64 = 0.1;
/// Descriptors the driver needs besides its connections.
const FILES_SPARE: usize = 64;
/// Time for a server to release what opening connections needed.
const SETTLE: Duration = Duration::from_millis(1500);

/// Measures everything that was asked for and writes the results.
pub(crate) fn run(options: &Options) -> Result<()> {
    let contestants = contestants(options)?;
    let names = contestants
        .iter()
        .map(|contestant| contestant.name.clone())
        .collect();
    let mut sheet = Sheet::new(names, options.baselines.clone());
    let per_table = prepare(options)?;
    let _preference = options.prefer.then(Preference::take).transpose()?;
    println!(
        "about {} s of load on two cores",
        expected_secs(options, contestants.len())
    );
    for &mode in &options.modes {
        // A case of `fanout` is long: who is compared in it takes turns within it.
        let cases = match mode {
            Mode::Fanout => fanout::cases(options).into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for round in 1..=rounds(mode, options) {
            let turns = cases.iter().flat_map(|case| {
                let contestants = contestants.iter();
                contestants.map(move |contestant| (case, contestant))
            });
            for (case, contestant) in turns {
                let bench = Bench {
                    options,
                    contestant,
                    round,
                };
                let measured = match (mode, case) {
                    (Mode::Echo, _) => bench.echo(&mut sheet),
                    (Mode::Idle, _) => bench.idle(&mut sheet),
                    (Mode::Handshake, _) => bench.handshake(&mut sheet),
                    (Mode::Syscalls, _) => bench.syscalls(&mut sheet),
                    (Mode::Instructions, _) => bench.instructions(&mut sheet),
                    (Mode::Fanout, Some(case)) => bench.fanout(case, per_table, &mut sheet),
                    (Mode::Fanout, None) => Ok(()),
                };
                // One contestant that fails must not cost the others their round.
                if let Err(error) = measured {
                    println!("{}: {mode:?} failed: {error:#}", contestant.name);
                }
            }
            // After each round: who is interrupted keeps what he has waited for.
            write_results(&sheet, &options.results)?;
        }
    }
    println!("\nwritten to {}", options.results.display());
    print!("\n{}", sheet.to_markdown());
    Ok(())
}

/// One contestant in one round.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) contestant: &'a Contestant,
    pub(crate) round: usize,
}

impl Bench<'_> {
    /// Starts the server on its core and moves the driver to its own.
    pub(crate) fn start(&self) -> Result<Server> {
        let server = Server::start(self.contestant, &[], self.options.server_core)?;
        sys::pin_to(self.options.client_core)?;
        Ok(server)
    }

    pub(crate) fn meter(&self, server: &Server) -> Result<Meter> {
        Meter::start(
            server.pid(),
            self.options.server_core,
            self.options.duration,
        )
    }

    pub(crate) fn note(&self, sheet: &mut Sheet, label: &str, decimals: usize, figure: f64) {
        sheet.note(label, decimals, &self.contestant.name, figure);
    }

    fn echo(&self, sheet: &mut Sheet) -> Result<()> {
        for &size in &self.options.sizes {
            let server = self.start()?;
            let (connections, text) = (self.options.connections, self.options.text);
            let mut load = Load::open(server.address, connections, size, text)?;
            load.run_for(WARMUP)?;
            let meter = self.meter(&server)?;
            let messages = load.run_for(self.options.duration)? as f64;
            let spent = meter.stop()?;
            let rate = messages * 1e9 / spent.wall_ns;
            self.say(&format!("{size} B: {rate:.0} messages/s"), &spent);
            self.note(sheet, &format!("{size} B: messages/s"), 0, rate);
            self.note(
                sheet,
                &format!("{size} B: user ns/message"),
                0,
                spent.user_ns() / messages,
            );
            self.note(
                sheet,
                &format!("{size} B: system ns/message"),
                0,
                spent.system_ns() / messages,
            );
            self.note(
                sheet,
                &format!("{size} B: CPU ns/message"),
                0,
                spent.total_ns / messages,
            );
            self.note(
                sheet,
                &format!("{size} B: server busy %"),
                0,
                spent.busy() * 100.0,
            );
        }
        Ok(())
    }

    fn idle(&self, sheet: &mut Sheet) -> Result<()> {
        let server = self.start()?;
        // What the first connections bring in (code, buffers, the allocator's first pages) is
        // not the price of a connection.
        let mut first = Load::open(server.address, 16, IDLE_PAYLOAD, self.options.text)?;
        first.run_count(1000)?;
        let before = resident_bytes(server.pid())?;
        let count = self.options.idle_connections;
        let mut load = Load::open(server.address, count, IDLE_PAYLOAD, self.options.text)?;
        load.run_count(count as u64)?;
        std::thread::sleep(SETTLE);
        let grown = resident_bytes(server.pid())?.saturating_sub(before);
        let per_connection = grown as f64 / count as f64;
        println!(
            "round {} {}: {per_connection:.0} bytes/idle connection",
            self.round, self.contestant.name
        );
        self.note(sheet, "resident bytes/idle connection", 0, per_connection);
        Ok(())
    }

    fn handshake(&self, sheet: &mut Sheet) -> Result<()> {
        let server = self.start()?;
        let (in_flight, close) = (self.options.in_flight, self.options.close);
        let mut storm = handshake::Storm::new(server.address, in_flight, close);
        storm.run_for(WARMUP)?;
        let meter = self.meter(&server)?;
        let upgrades = storm.run_for(self.options.duration)? as f64;
        let spent = meter.stop()?;
        storm.finish()?;
        let per_core = upgrades * 1e9 / spent.total_ns;
        self.say(
            &format!("{per_core:.0} handshakes/s per server core"),
            &spent,
        );
        self.note(sheet, "handshakes/s per server core", 0, per_core);
        self.note(
            sheet,
            "handshakes/s seen",
            0,
            upgrades * 1e9 / spent.wall_ns,
        );
        self.note(
            sheet,
            "user us/handshake",
            2,
            spent.user_ns() / 1e3 / upgrades,
        );
        self.note(
            sheet,
            "system us/handshake",
            2,
            spent.system_ns() / 1e3 / upgrades,
        );
        self.note(
            sheet,
            "CPU us/handshake",
            2,
            spent.total_ns / 1e3 / upgrades,
        );
        Ok(())
    }

    fn syscalls(&self, sheet: &mut Sheet) -> Result<()> {
        let (name, text) = (&self.contestant.name, self.options.text);
        for &size in &self.options.sizes {
            let server = self.start()?;
            let mut load = Load::open(server.address, self.options.connections, size, text)?;
            load.run_count(syscalls::MESSAGES)?;
            let counted = self.count_syscalls(&server, || load.run_count(syscalls::MESSAGES))?;
            println!("{name}, {size} B: {}", counted.per(syscalls::MESSAGES));
            let calls = counted.total() as f64 / syscalls::MESSAGES as f64;
            self.note(sheet, &format!("{size} B: syscalls/message"), 3, calls);
        }
        let server = self.start()?;
        let (in_flight, close) = (self.options.in_flight, self.options.close);
        let mut storm = handshake::Storm::new(server.address, in_flight, close);
        storm.run_count(syscalls::HANDSHAKES)?;
        let counted = self.count_syscalls(&server, || storm.run_count(syscalls::HANDSHAKES))?;
        println!("{name}, handshake: {}", counted.per(syscalls::HANDSHAKES));
        let calls = counted.total() as f64 / syscalls::HANDSHAKES as f64;
        self.note(sheet, "syscalls/handshake", 2, calls);
        Ok(())
    }

    pub(crate) fn count_syscalls(
        &self,
        server: &Server,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Counted> {
        // strace works while the server stands still, so it may have the server's core; the
        // driver's own is never free.
        sys::pin_to(self.options.server_core)?;
        let strace = Strace::attach(server.pid())?;
        sys::pin_to(self.options.client_core)?;
        let worked = work();
        let counted = strace.detach()?;
        worked.map(|()| counted)
    }

    fn instructions(&self, sheet: &mut Sheet) -> Result<()> {
        for &size in &self.options.sizes {
            let per_message = instructions::per_message(self.options, self.contestant, size)?;
            println!(
                "{}, {size} B: {per_message:.0} instructions/message",
                self.contestant.name
            );
            self.note(
                sheet,
                &format!("{size} B: user instructions/message"),
                0,
                per_message,
            );
        }
        Ok(())
    }

    /// One line for each run, with what makes it less than it seems.
    pub(crate) fn say(&self, what: &str, spent: &Spent) {
        let (busy, starved) = (spent.busy(), spent.starved());
        let mut line = format!(
            "round {} {}: {what}, server {:.0} % busy",
            self.round,
            self.contestant.name,
            busy * 100.0
        );
        if busy < BUSY_MIN {
            line.push_str(" (WARNING: it waited for the client; the rate is the client's)");
        }
        if starved > STARVED_MAX {
            line.push_str(&format!(
                " (noise: others had its core {:.0} % of the time)",
                starved * 100.0
            ));
        }
        if spent.user_error() > USER_ERROR_MAX {
            let error = spent.user_error() * 100.0;
            line.push_str(&format!(" (short: user time is +-{error:.0} %)"));
        }
        println!("{line}");
    }
}

/// The peers built beside the driver, the product, and what `--server` adds; less what is not
/// wanted or not there.
fn contestants(options: &Options) -> Result<Vec<Contestant>> {
    let here = std::env::current_exe()?;
    let here = here.parent().context("the driver has no directory")?;
    let mut all = match options.modes == [Mode::Fanout] {
        true => fanout::contestants(here)?,
        false => echoers(here)?,
    };
    all.extend(options.servers.iter().cloned());
    if !options.only.is_empty() {
        all.retain(|contestant| options.only.contains(&contestant.name));
    }
    all.retain(|contestant| {
        let exists = contestant.exists();
        if !exists {
            println!(
                "skipped: {} is not built ({})",
                contestant.name, contestant.command[0]
            );
        }
        exists
    });
    ensure!(!all.is_empty(), "nobody to measure");
    Ok(all)
}

/// The servers that echo, in the order in which they are measured.
fn echoers(peers: &Path) -> Result<Vec<Contestant>> {
    let peer = |name: &str, program: &str| Contestant {
        name: name.to_owned(),
        command: vec![
            peers.join(program).display().to_string(),
            "--port".into(),
            "PORT".into(),
        ],
    };
    let product =
        "throng=target/release/throng serve --app echo --listen 127.0.0.1:PORT --workers 1";
    Ok(vec![
        peer("uws", "uws"),
        Contestant::parse(product)?,
        peer("floor", "floor"),
        peer("fastwebsockets", "peer-fastwebsockets"),
        peer("tungstenite", "peer-tungstenite"),
    ])
}

/// Claims what the measurement needs from the machine, or says what is missing. How many connections
/// a descriptor table may hold.
fn prepare(options: &Options) -> Result<usize> {
    let cores = sys::allowed_cores()?;
    for core in [options.server_core, options.client_core] {
        ensure!(
            cores.contains(&core),
            "core {core} is not available; these are: {cores:?}"
        );
    }
    let files = sys::raise_files_limit()?;
    let needed = options.idle_connections + FILES_SPARE;
    if options.modes.contains(&Mode::Idle) {
        ensure!(
            files >= needed,
            "`ulimit -Hn` is {files}, {needed} are needed: use --idle-connections"
        );
    }
    Ok(files.saturating_sub(FILES_SPARE).max(1))
}

/// Precedence over the rest of the machine, given back when it goes.
struct Preference;

impl Preference {
    fn take() -> Result<Self> {
        sys::set_niceness(-15).context("--prefer needs root")?;
        Ok(Self)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        sys::set_niceness(0).ok();
    }
}

fn rounds(mode: Mode, options: &Options) -> usize {
    match mode {
        Mode::Echo | Mode::Handshake | Mode::Fanout => options.rounds,
        // Counts and sizes repeat to a per cent.
        Mode::Idle | Mode::Syscalls | Mode::Instructions => 1,
    }
}

fn expected_secs(options: &Options, contestants: usize) -> u64 {
    let timed = (WARMUP + options.duration).as_secs_f64() + 0.2;
    let sizes = options.sizes.len() as f64;
    let once = |mode: &Mode| match mode {
        Mode::Echo => sizes * timed,
        Mode::Handshake => timed,
        Mode::Idle => 5.0,
        Mode::Syscalls => (sizes + 1.0) * 4.0,
        Mode::Instructions => sizes * 12.0,
        // Opening connections and tracing come on top.
        Mode::Fanout => fanout::cases(options).len() as f64 * (timed + 3.0),
    };
    let all = options
        .modes
        .iter()
        .map(|mode| once(mode) * rounds(*mode, options) as f64);
    (all.sum::<f64>() * contestants as f64).ceil() as u64
}

fn write_results(sheet: &Sheet, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("results.md"), sheet.to_markdown())?;
    fs::write(directory.join("results.json"), sheet.to_json())?;
    Ok(())
}

/// What an idle connection said before it fell silent.
const IDLE_PAYLOAD: usize = 20;
