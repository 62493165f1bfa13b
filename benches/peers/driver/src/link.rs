//! One WebSocket connection of the driver, opened and upgraded the slow and simple way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};

use crate::wire;

/// How long any single answer may take; a server under strace or valgrind is slow.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Connections per source address: well below the 28 000 ports one address has by default.
const LINKS_PER_SOURCE: usize = 4000;

/// Opens, upgrades and returns a non-blocking connection. Dropping it resets it, which leaves
/// no TIME_WAIT behind to run out of ports on.
pub(crate) fn open(address: SocketAddr, index: usize, request: &[u8]) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&source(index).into())?;
    socket.connect(&address.into()).context("connect")?;
    socket.set_tcp_nodelay(true)?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(request)?;
    let mut response = [0; wire::RESPONSE_BYTES_MAX];
    let mut filled = 0;
    while !response[..filled].ends_with(b"\r\n\r\n") {
        let received = stream
            .read(&mut response[filled..])
            .context("upgrade response")?;
        ensure!(received > 0, "closed instead of upgraded");
        filled += received;
    }
    ensure!(
        wire::is_accepted(&response[..filled]),
        "not upgraded: {}",
        String::from_utf8_lossy(&response[..filled])
    );
    ensure!(
        wire::names_deflate(&response[..filled]) == wire::names_deflate(request),
        "deflate was not agreed on as offered"
    );
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn source(index: usize) -> SocketAddr {
    let block = (index / LINKS_PER_SOURCE) as u32;
    let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
    SocketAddr::from((Ipv4Addr::from(first + block), 0))
}
