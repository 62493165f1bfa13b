//! From a configuration to running workers, and down again on a signal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::{Config, Count, Endpoint as Listen};
use crate::echo::Echo;
use crate::reactor::{Crew, CrewConfig, WorkerConfig};
use crate::sys::signals::{self, Signal};
use crate::sys::{Address, Endpoint, ListenOptions, affinity, rlimit};

/// Descriptors a worker needs for itself: its poll, waker and listeners, what it inherited of the
/// other workers' polls and wakers, and the standard streams.
const DESCRIPTORS_OF_OUR_OWN: u64 = 64;
/// How often the main thread looks whether the workers are still there.
const WATCH: Duration = Duration::from_millis(200);

/// Serves until a signal ends it.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    // Before any thread exists, so that all of them inherit it: signals are for the main thread.
    signals::block().context("cannot block signals")?;
    let nofile = rlimit::raise_nofile().context("cannot read the descriptor limit")?;
    let cores = affinity::cores();
    let workers = match config.workers {
        Count::Auto => cores.len().max(1),
        Count::Exactly(workers) => workers as usize,
    };
    let per_worker = connections_per_worker(&config, workers, nofile.soft);
    let crew_config = CrewConfig {
        endpoints: claim_all(&config)?,
        workers,
        cores: if config.pin_cores { cores } else { Vec::new() },
        worker: WorkerConfig {
            limits: config.limits.clone(),
            deflate: crate::ws::deflate::DeflateConfig::default(),
            connections_max: per_worker,
        },
    };
    let crew = Crew::start(crew_config, |_| Echo).context("cannot start the workers")?;
    announce(&crew, workers, per_worker);
    Ok(watch(crew, &config))
}

/// What each worker may hold: its share of what was asked for, within its descriptor table.
fn connections_per_worker(config: &Config, workers: usize, descriptors: u64) -> usize {
    let table =
        usize::try_from(descriptors.saturating_sub(DESCRIPTORS_OF_OUR_OWN)).unwrap_or(usize::MAX);
    let table = table.clamp(1, u32::MAX as usize - 1);
    match config.max_connections {
        Count::Auto => table,
        Count::Exactly(all) => (all as usize).div_ceil(workers).min(table),
    }
}

/// Claims every address before anything else is done: a port in use is the commonest mistake.
fn claim_all(config: &Config) -> anyhow::Result<Vec<Endpoint>> {
    let options = ListenOptions {
        backlog: config.backlog,
        user_timeout_ms: config.user_timeout_ms,
        ..ListenOptions::default()
    };
    let claim = |listen: &Listen| {
        let address = match listen {
            Listen::Tcp(address) => Address::Tcp(*address),
            Listen::Unix(path) => Address::Unix(path.clone()),
        };
        Endpoint::claim(&address, options).with_context(|| {
            format!("cannot listen on {address} (is another server running there? see `ss -ltnp`)")
        })
    };
    config.listen.iter().map(claim).collect()
}

#[expect(
    clippy::print_stdout,
    reason = "this line is the program's output: scripts wait for it"
)]
fn announce<L: Send + 'static>(crew: &Crew<L>, workers: usize, per_worker: usize) {
    for endpoint in crew.endpoints() {
        match endpoint.address() {
            Address::Tcp(address) => println!("throng: ready on ws://{address}/echo"),
            Address::Unix(path) => println!("throng: ready on unix:{}", path.display()),
        }
    }
    println!(
        "throng: {workers} workers, up to {} connections",
        workers * per_worker
    );
}

/// Waits for a signal or for the workers' end. The first SIGTERM or SIGINT drains, the second
/// ends at once.
fn watch<L: Send + 'static>(mut crew: Crew<L>, config: &Config) -> ExitCode {
    let mut draining = false;
    while !crew.is_finished() {
        match signals::wait(WATCH) {
            Some(Signal::Terminate | Signal::Interrupt) if draining => crew.stop(),
            Some(Signal::Terminate | Signal::Interrupt) => {
                draining = true;
                crew.drain(Duration::from_millis(config.drain_ms.into()));
            }
            _ => {}
        }
    }
    let (_, sound) = crew.join();
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
