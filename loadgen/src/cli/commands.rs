//! What each command does. The exit code is part of the interface: pipelines read nothing else.

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use super::launch::Found;
use super::{Command, RunOptions, SearchOptions, Vary, conclusion, launch};
use crate::diff::Comparison;
use crate::merge::merge;
use crate::plan::{Plan, PlanRequest};
use crate::report::bundle::Bundle;
use crate::sample::root::ProcRoot;
use crate::summary::Outcome;
use crate::synthetic::{self, Invention};
use throng::tuning::Host;

/// The run held.
const OK: u8 = 0;
/// A threshold was crossed, or a strict diff found a difference.
const CROSSED: u8 = 1;
/// The run cannot carry a statement.
const NO_STATEMENT: u8 = 3;

/// Runs a command and says how it ended.
pub fn execute(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Help(text) => print(&text),
        Command::Plan(options) => plan(&options),
        Command::Diff {
            a,
            b,
            html,
            seed,
            strict,
        } => diff(&a, &b, html.as_deref(), seed, strict),
        Command::Merge { parts, into } => {
            let summary = merge(&parts, &into)?;
            print(&format!(
                "{} connections of {} bundles in {}\n",
                summary.connections.proven_alive,
                parts.len(),
                into.display()
            ))
        }
        Command::Report(dir) => {
            crate::report::draw(&dir)?;
            print(&format!("{}\n", dir.join("report.html").display()))
        }
        Command::Demo { dir, seed, added } => {
            let added_ms = added.as_secs_f64() * 1e3;
            synthetic::write(
                &dir,
                &Invention {
                    seed,
                    added_ms,
                    command: std::env::args().collect(),
                    ..Invention::default()
                },
            )?;
            print(&format!("{}\n", dir.join("report.html").display()))
        }
        Command::Run(options) => {
            let summary = launch::run(&options)?;
            let text = if options.json {
                summary.to_json()
            } else {
                conclusion::of_run(&summary)
            };
            print(&text)?;
            Ok(code_of(summary.verdict.outcome))
        }
        Command::Search(options) => search(&options),
    }
}

fn search(options: &SearchOptions) -> anyhow::Result<u8> {
    let Found {
        knee,
        generator_limited_from,
        summary,
    } = launch::search(options)?;
    let what = match options.vary {
        Vary::Rate => "messages/s",
        Vary::Connections => "connections",
    };
    let text = if options.run.json {
        let knee = serde_json::json!({
            "vary": what, "holds": knee.holds, "fails": knee.fails, "settled": knee.settled,
            "generator_limited_from": generator_limited_from,
            "curve": knee.curve.iter().map(|(value, trials)| serde_json::json!({
                "value": value, "passed": trials.passed, "trials": trials.count, "p99_ms": trials.observed_ms,
            })).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&serde_json::json!({ "knee": knee, "summary": summary }))?
            + "\n"
    } else {
        conclusion::of_search(&knee, what, generator_limited_from)
    };
    print(&text)?;
    Ok(match (knee.holds, knee.settled) {
        (Some(_), true) => OK,
        (None, true) => CROSSED,
        (_, false) => NO_STATEMENT,
    })
}

const fn code_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pass => OK,
        Outcome::Fail => CROSSED,
        Outcome::Invalid => NO_STATEMENT,
    }
}

fn plan(options: &RunOptions) -> anyhow::Result<u8> {
    let plan = plan_of(options, options.seed.unwrap_or(1))?;
    let text = if options.json {
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        plan.to_string()
    };
    print(&text)
}

/// The plan of a run on this host: resolves the targets, asks the routing table for the default source.
pub fn plan_of(options: &RunOptions, seed: u64) -> anyhow::Result<Plan> {
    let mut listeners: Vec<SocketAddr> = Vec::new();
    for target in &options.scenario.targets {
        listeners.extend(
            target
                .resolve()
                .map_err(|error| anyhow::anyhow!("{target}: {error}"))?,
        );
    }
    let host = Host::read(&ProcRoot::machine());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let connections = options.scenario.connections();
    let request = PlanRequest {
        connections,
        target_is_here: listeners
            .first()
            .is_some_and(|listener| is_here(listener.ip())),
        default_source: listeners
            .first()
            .and_then(|listener| source_towards(*listener)),
        listeners,
        sources: options.sources.clone(),
        ports: options.ports.clone(),
        threads: options
            .threads
            .unwrap_or_else(|| threads_for(connections, cores, &host)),
        ramp_per_s: options.scenario.ramp_per_s as u64,
        queued_share: 0.1,
    };
    Ok(Plan::new(&request, &host, seed)?)
}

/// One thread per core, and more when each may hold only so many descriptors: every thread has a table of
/// its own.
fn threads_for(connections: u64, cores: u64, host: &Host) -> u64 {
    // The same margin as the plan's `nofile` line, or `auto` would fall short of its own advice.
    let per_thread = (host
        .nofile_hard
        .unwrap_or(u64::MAX / 16)
        .saturating_sub(1000)
        * 10
        / 11)
        .max(1);
    cores.max(connections.div_ceil(per_thread)).min(1024)
}

/// An address is ours when it can be bound.
fn is_here(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The address the routing table would choose; "connecting" a UDP socket sends nothing.
fn source_towards(listener: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if listener.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(listener).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn diff(a: &Path, b: &Path, html: Option<&Path>, seed: u64, strict: bool) -> anyhow::Result<u8> {
    let (a, b) = (Bundle::read(a)?, Bundle::read(b)?);
    let comparison = Comparison::new(&a, &b, seed);
    if let Some(file) = html {
        std::fs::write(file, crate::report::comparison_page(&comparison, &a, &b))?;
    }
    print(&comparison.to_string())?;
    Ok(if strict && comparison.real().next().is_some() {
        CROSSED
    } else {
        OK
    })
}

/// Standard output; a reader that went away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<u8> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(OK),
    }
}
