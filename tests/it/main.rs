//! The black-box tests: one binary, the real server, clients we did not write.

mod allocations;
mod cli;
mod tidy;
