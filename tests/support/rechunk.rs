//! A TCP proxy that forwards every byte: to the server in pieces of 1 to 7, back as it comes.
//!
//! Each piece is a `write` of its own on a socket without Nagle, so a server behind it meets
//! every header, mask and code point cut at every place. The receiver's kernel may still join
//! pieces; what is promised is that none is joined here. The way back is not cut: the client's parser
//! is not ours to test, and would cost as much again. Two blocking threads per connection:
//! back-pressure comes for nothing, and the kernel is the bottleneck (about a microsecond a piece).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Forwards every connection made to `listener` to `target`, until accepting fails.
///
/// The sizes follow from `seed` and from the number of the connection: the same run cuts alike.
pub(crate) fn serve(listener: &TcpListener, target: SocketAddr, seed: u64) -> io::Result<()> {
    for number in 0u64.. {
        let (client, _) = listener.accept()?;
        // A refused target looks to the client like a server that hung up, which it is.
        let Ok(server) = TcpStream::connect(target) else {
            continue;
        };
        let sizes = Sizes::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        join(client, server, sizes)?;
    }
    Ok(())
}

/// Starts the two directions of one connection.
fn join(client: TcpStream, server: TcpStream, sizes: Sizes) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || forward(client, server, Some(sizes)));
    thread::spawn(move || forward(server_too, client_too, None));
    Ok(())
}

/// One direction: ends with the source's end of file, which it passes on.
fn forward(mut from: TcpStream, mut to: TcpStream, mut sizes: Option<Sizes>) {
    if copy(&mut from, &mut to, &mut sizes).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
    } else {
        // A reset on one side must not leave the other one waiting.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, sizes: &mut Option<Sizes>) -> io::Result<()> {
    let mut buffer = [0; 65536];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let size = sizes.as_mut().map_or(rest.len(), Sizes::next);
            let (piece, later) = rest.split_at(size.min(rest.len()));
            to.write_all(piece)?;
            rest = later;
        }
    }
}

/// Seeded sizes of 1 to 7 bytes (xorshift64).
#[derive(Clone, Copy)]
pub(crate) struct Sizes(u64);

impl Sizes {
    /// The sequence that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next size.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub(crate) fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % 7 + 1
    }
}
