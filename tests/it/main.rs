//! The black-box tests: one binary, the real server, clients we did not write.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod admin;
mod allocations;
mod certificates;
mod cli;
mod closing;
mod deflate;
mod drain;
mod durable;
mod echo;
mod fairness;
mod handshake;
mod harness;
mod listeners;
mod pressure;
mod rechunk;
mod seeds;
mod service;
mod shards;
mod slow;
mod stats;
mod systemd;
mod tidy;
mod tls;
mod tls_costs;
mod violations;
mod wss;
mod wss_costs;
