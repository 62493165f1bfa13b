//! What a worker is made of: bounds, choices, and what it shares with the others.

use std::sync::Arc;

use super::house::{House, WORKERS_MAX};
use super::tls::TlsConfig;
use crate::limits::Limits;
use crate::metrics::Board;
use crate::proxy::Trusted;
use crate::ws::deflate::DeflateConfig;

/// What a worker is made of.
pub struct WorkerConfig {
    /// The bounds of each connection.
    pub limits: Limits,
    /// Compression.
    pub deflate: DeflateConfig,
    /// TLS, if there is a listener for it.
    pub tls: Option<TlsConfig>,
    /// Whose connections begin with a header of the PROXY protocol.
    pub proxy_from: Trusted,
    /// What a worker's descriptors allow. Newcomers beyond it go to a worker that has room.
    pub connections_max: usize,
    /// How many to expect: entries are laid out for them at the start, so that a ramp never moves
    /// them. That takes address space; memory is touched when connections come.
    pub connections_expected: usize,
    /// The same for all workers together.
    pub house: Arc<House>,
    /// Where the workers' figures can be read.
    pub board: Arc<Board>,
}

impl Default for WorkerConfig {
    /// Default limits, no compression, a million connections in all.
    fn default() -> Self {
        let connections_max = 1_000_000;
        Self {
            limits: Limits::default(),
            deflate: DeflateConfig::default(),
            tls: None,
            proxy_from: Trusted::default(),
            connections_max,
            connections_expected: connections_max,
            house: House::new(connections_max),
            board: Board::new(WORKERS_MAX),
        }
    }
}
