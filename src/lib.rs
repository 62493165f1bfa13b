//! Throng: a WebSocket edge server that holds a million connections on one Linux machine.
//!
//! The crate is layered; arrows say who may import whom, and `tests/it/tidy.rs` checks them:
//!
//! ```text
//!  main -> cli -> config, tuning  server -> everything (it alone knows everybody)
//!  service -> hub, dialect, auth, admin, reactor (it alone knows both hub and reactor)
//!  reactor -> ws, tls, sys, proxy, metrics, limits   admin -> http1, metrics, sys, hub's types
//!  dialect -> hub's types    journal -> hub, sys    hub -> ws (encode only)    auth -> config's types
//!  tls -> sys (pages for keys)    tuning -> sys
//!  ws -> http1, limits            sys, http1, proxy, metrics, limits -> nothing of ours
//! ```
//!
//! To embed the engine, implement [`reactor::App`] and hand it to the reactor: see
//! `examples/embed.rs`.

pub mod admin;
pub mod auth;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod echo;
pub mod http1;
pub mod hub;
pub mod journal;
pub mod limits;
pub mod metrics;
pub mod page;
pub mod proxy;
pub mod reactor;
pub mod server;
pub mod service;
pub mod sys;
pub mod tls;
pub mod tuning;
pub mod ws;
