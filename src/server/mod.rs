//! The server: it alone knows everybody, and puts the parts together.
//!
//! ```text
//!  Config, Facts (the machine) -> Plan (workers, connections, advice) -> run -> report
//! ```

pub mod adapt;
mod admin_port;
mod backend;
mod expiry;
pub mod facts;
mod figures;
mod history;
mod hub_app;
mod hub_figures;
mod keychain;
pub mod memory;
pub mod notify;
pub mod plan;
mod pulse;
mod reload;
pub mod report;
pub mod run;
pub mod stats;
mod tls;
mod watch;

pub use run::run;
pub use watch::Reread;
