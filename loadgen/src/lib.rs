//! The load generator as a library; `main` only hands it the command line.
//!
//! Planning, schedules, statistics, the report and the samplers' parsers are pure: time, randomness and
//! the text of `/proc` are arguments, so that a whole run can be invented and its report judged
//! (`synthetic`). Sockets and clocks belong to the engine alone.

pub mod backoff;
pub mod bootstrap;
pub mod cli;
pub mod collect;
pub mod connect_cost;
pub mod dialect;
pub mod diff;
pub mod engine;
pub mod environment;
pub mod failures;
pub mod histograms;
pub mod identity;
pub mod joining;
pub mod ledger;
pub mod merge;
pub mod plan;
pub mod pool;
pub mod ports;
pub mod random;
pub mod regression;
pub mod report;
pub mod sample;
pub mod scenario;
pub mod schedule;
pub mod search;
pub mod sequence;
pub mod series;
pub mod summary;
pub mod synthetic;
pub mod target;
pub mod thresholds;
pub mod tuples;
pub mod units;
