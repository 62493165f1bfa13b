//! The history on disk, from the configuration to the workers: read at start, written from then on.

use std::sync::Arc;

use anyhow::Context as _;

use super::watch::say;
use crate::config::{self, Config, Damage};
use crate::hub::Namespaces;
use crate::journal::{self, Journal, Settings, Sync};
use crate::service::Memory;

/// A history that was read, and the log that goes on.
pub(super) struct History {
    /// The secret that names are hashed with: it outlives the process, so that homes do.
    pub(super) secret: u64,
    /// For each home.
    pub(super) memories: Vec<Memory>,
    pub(super) journal: Arc<Journal>,
}

/// What the log may grow by before everything is handed out anew, beside the memory of histories: a log
/// of a few channels is not walked every minute.
const GROWTH_BYTES_MIN: u64 = 64 << 20;

/// Opens the history, if there is to be one.
pub(super) fn open(
    config: &Config,
    homes: usize,
    namespaces: &Arc<Namespaces>,
) -> anyhow::Result<Option<History>> {
    let history = &config.history;
    let Some(dir) = &history.dir else {
        return Ok(None);
    };
    let settings = Settings {
        dir: dir.clone(),
        is_synced: history.sync == config::Sync::Always,
        skips_damage: history.damaged == Damage::Skip,
        homes: u16::try_from(homes)?,
        namespaces: namespaces.clone(),
    };
    let mut opened = journal::open(&settings).context("the history cannot be read")?;
    for note in opened.notes.drain(..) {
        say(&note);
    }
    let (secret, epochs) = (opened.secret, opened.epochs.clone());
    let kept: Vec<_> = opened.kept.iter_mut().map(std::mem::take).collect();
    let sync = match history.sync {
        config::Sync::Always => Sync::Always,
        config::Sync::Interval => Sync::EveryMs(history.sync_interval_ms),
        config::Sync::Off => Sync::Off,
    };
    let growth_bytes_max = history.memory_bytes.max(GROWTH_BYTES_MIN);
    let journal = Journal::start(opened, sync, growth_bytes_max, say)
        .with_context(|| format!("the history cannot be written in {}", dir.display()))?;
    let memories = kept.into_iter().zip(epochs).enumerate();
    let memories = memories.filter_map(|(worker, (kept, epoch))| {
        let scribe = journal.scribe(worker as u16)?;
        Some(Memory {
            kept,
            epoch,
            scribe,
        })
    });
    Ok(Some(History {
        secret,
        memories: memories.collect(),
        journal: Arc::new(journal),
    }))
}
