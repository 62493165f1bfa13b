//! What the admin port needs of the server around it.

use std::fmt::Debug;

use super::Exposition;

/// The server, as it is asked about itself. Nobody who answers may wait for anything: a health check
/// that hangs is worse than one that fails.
pub trait Host: Debug + Send + Sync + 'static {
    /// Whether newcomers should be sent here; if not, why. Quick to say no.
    fn readiness(&self) -> Result<(), String>;

    /// Whether this process should go on living; if not, why. Slow to say no, for a no ends every
    /// connection there is.
    fn liveness(&self) -> Result<(), String>;

    /// How the process is.
    fn vitals(&self) -> Vitals;

    /// The server's figures.
    fn expose(&self, page: &mut Exposition);

    /// The same for people and scripts: a JSON object.
    fn stats(&self) -> String;
}

/// How a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// How long it has been up.
    pub uptime_ms: u64,
    /// Resident memory, if it could be found out.
    pub rss_bytes: Option<u64>,
}
