//! The limits of the machine: what they are, what they should be, and what has been hit.
//!
//! ```text
//!  /proc, /sys, /etc --ProcRoot--> Host \
//!                                         > Diagnosis (the first wall, needs, cures)
//!  connections, rate ----------> Goal   /   Recommendation (files, settings) --> apply, undo
//!  knobs: the one table of what is known --/
//! ```
//!
//! Judging is pure: facts in, findings out. [`host`], [`recipes`] and [`counters`] read, below a root
//! that a test may choose; [`apply`] alone writes. The table ([`knobs`]) is the only place where a
//! limit is described: the doctor, `throng tune`, the server's start-up report, the plan of the load
//! generator and `tuning/README.md` come from it.

pub mod apply;
pub mod cgroup;
pub mod counters;
pub mod diagnosis;
pub mod files;
pub mod goal;
pub mod host;
pub mod knob;
pub mod knobs;
pub mod markdown;
pub mod recipes;
pub mod recommendation;
pub mod root;
#[cfg(test)]
pub(crate) mod tree;

pub use diagnosis::{Diagnosis, Finding, Grade};
pub use goal::{Ends, Goal};
pub use host::Host;
pub use knob::{Knob, Stop};
pub use recommendation::Recommendation;
pub use root::ProcRoot;
