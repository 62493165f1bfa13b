//! From a configuration to running workers.

use std::process::ExitCode;

use crate::config::Config;

/// Serves until a signal ends it.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "the engine is not linked yet (would serve on {:?})",
        config.listen
    )
}
