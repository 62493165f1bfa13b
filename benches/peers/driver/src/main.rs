//! The driver of the comparison: starts each contestant on one core, loads it from another,
//! reads from the kernel what that cost, and makes one table of it. `benches/README.md` says how
//! to read the table.

mod audience;
mod bench;
mod broadcast;
mod crowd;
mod fanout;
mod frames;
mod handshake;
mod instructions;
mod json;
mod link;
mod load;
mod options;
mod sampler;
mod server;
mod sheet;
mod sys;
mod syscalls;
mod usage;
mod wire;

use anyhow::Result;

fn main() -> Result<()> {
    match options::Options::parse(std::env::args().skip(1))? {
        Some(options) => bench::run(&options),
        None => {
            print!("{}", options::HELP);
            Ok(())
        }
    }
}
