//! A test tool, not an embedding example: a TCP proxy that forwards in pieces of 1 to 7 bytes.
//!
//! ```text
//! cargo run --release --example rechunk -- TARGET [LISTEN] [SEED]
//! ```
//!
//! It prints `rechunk LISTEN -> TARGET` when it accepts connections, and runs until it is killed.
//! `tests/autobahn/run.sh rechunk` puts it between the suite and the server.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use anyhow::Context;

#[path = "../tests/support/rechunk.rs"]
mod rechunk;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let target: SocketAddr = args
        .next()
        .context("usage: rechunk TARGET [LISTEN] [SEED]")?
        .parse()
        .context("TARGET is an address and a port, as 127.0.0.1:9000")?;
    let listen = args.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let seed = args.next().map_or(Ok(1), |seed| seed.parse())?;

    let listener = TcpListener::bind(&listen).with_context(|| listen)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "rechunk {} -> {target}", listener.local_addr()?)?;
    stdout.flush()?;
    Ok(rechunk::serve(&listener, target, seed)?)
}
