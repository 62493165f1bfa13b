//! The black-box tests: one binary, the real server, clients we did not write.

mod cli;
mod tidy;
