//! From a configuration to running workers, and down again on a signal.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::adapt;
use super::facts::Facts;
use super::plan::Plan;
use super::report;
use super::stats::Stats;
use super::watch::{Watch, say};
use crate::config::{App, Config, Endpoint as Listen};
use crate::echo::Echo;
use crate::metrics::Board;
use crate::reactor::{Crew, CrewConfig, House, Started, WorkerConfig};
use crate::sys::{Endpoint, signals};

/// Serves until a signal ends it.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    // Before any thread exists, so that all of them inherit it: signals are for the main thread.
    signals::block().context("cannot block signals")?;
    let facts = Facts::gather();
    let plan = Plan::new(config, &facts);
    let house = House::new(usize::try_from(plan.connections_max)?);
    let board = Board::new(plan.workers + plan.shards);
    let stats = Arc::new(Stats::new(board.clone(), house.clone()));
    let crew_config = CrewConfig {
        endpoints: claim_all(config)?,
        workers: plan.workers,
        shards: plan.shards,
        descriptors_expected: plan.descriptors_expected,
        cores: if config.pin_cores {
            facts.cores.clone()
        } else {
            Vec::new()
        },
        worker: WorkerConfig {
            limits: config.limits.clone(),
            deflate: adapt::deflate(&config.deflate),
            connections_max: usize::try_from(plan.worker_connections_max)?,
            connections_expected: usize::try_from(plan.worker_connections_expected)?,
            house: house.clone(),
            board,
        },
    };
    let App::Echo = config.app;
    let page = stats.clone();
    let echo = match config.stats {
        true => Echo::with_stats(Arc::new(move || page.json())),
        false => Echo::default(),
    };
    let crew =
        Crew::start(crew_config, move |_| echo.clone()).context("cannot start the workers")?;
    let bound: Vec<_> = crew
        .endpoints()
        .iter()
        .map(|e| e.address().clone())
        .collect();
    // Whoever started us may not want to read it; that is no reason not to serve.
    let _ = io::stdout().write_all(report::startup(config, &facts, &plan, &bound).as_bytes());
    warn(crew.started());
    Ok(Watch::new(crew, stats, house, config).until_the_end())
}

/// Claims every address before anything else is done: a port in use is the commonest mistake.
fn claim_all(config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let options = adapt::listen_options(config);
    let claim = |listen| {
        Endpoint::claim(&adapt::address(listen), options)
            .with_context(|| format!("cannot listen on {listen}{}", cure(listen)))
    };
    config.listen.iter().map(claim).collect()
}

/// What to look at when an address cannot be had.
fn cure(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!(
            " (who has it: `ss -ltnp 'sport = :{}'`; elsewhere: --listen)",
            address.port()
        ),
        Listen::Unix(path) => format!(" (is {} writable for us, and free?)", path.display()),
    }
}

/// Says once what a worker could not have; it serves all the same.
fn warn(started: &[Started]) {
    if let Some(reason) = started.iter().find_map(|worker| worker.not_pinned.as_ref()) {
        say(&format!("workers are not pinned to cores: {reason}"));
    }
}
