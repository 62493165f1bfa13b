//! The properties that fuzz targets and tests share: a fuzz target is one call of one of these,
//! and `cargo test` replays its seeds through the same function.
//!
//! A property panics when it does not hold. Nothing here is part of the API.

mod pipe;
mod records;

#[cfg(test)]
pub(crate) use pipe::certificate;
pub use pipe::{Endpoint, Pipe, server_options, tls_connection};
pub use records::{Pair, Receiver, record_layer};
