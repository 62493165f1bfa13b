//! Claims, listeners and what accepted streams inherit, on the loopback of this machine.

use super::*;
use crate::sys::{AcceptFailure, Socket};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};

fn any_port(ip: &str) -> Address {
    format!("{ip}:0").parse().unwrap()
}

fn claim(address: &Address) -> io::Result<Endpoint> {
    Endpoint::claim(address, ListenOptions::default())
}

fn port_of(endpoint: &Endpoint) -> SocketAddr {
    match endpoint.address() {
        Address::Tcp(address) => *address,
        Address::Unix(_) => panic!("a TCP endpoint"),
    }
}

/// Accepts the connection that is known to be on its way.
fn accept(listener: &Listener) -> Socket {
    loop {
        match listener.accept() {
            Ok(socket) => return socket,
            Err(error) => assert_eq!(AcceptFailure::of(&error), AcceptFailure::Drained),
        }
    }
}

/// A directory that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("throng-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> (PathBuf, Address) {
        let path = self.0.join("s");
        (path.clone(), Address::Unix(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn addresses_parse_and_print_alike() {
    for text in [
        "127.0.0.1:9000",
        "[::1]:9000",
        "unix:/run/throng.sock",
        "unix:here",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "9000",
        ":9000",
        "localhost:9000",
        "127.0.0.1",
        "127.0.0.1:70000",
        "unix:",
        "/run/x",
    ] {
        assert_eq!(text.parse::<Address>(), Err(AddressError), "{text}");
    }
}

#[test]
fn workers_share_the_port_a_claim_resolved() {
    for ip in ["127.0.0.1", "[::1]"] {
        let Ok(endpoint) = claim(&any_port(ip)) else {
            assert_ne!(ip, "127.0.0.1", "a machine may lack IPv6, not IPv4");
            continue;
        };
        let address = port_of(&endpoint);
        assert_ne!(address.port(), 0);
        let listeners = [endpoint.listen().unwrap(), endpoint.listen().unwrap()];
        // The kernel spreads by hash: 64 connections miss one of two listeners once in 2^63.
        let peers: Vec<_> = (0..64)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let mut accepted = [0, 0];
        while accepted.iter().sum::<usize>() < peers.len() {
            for (listener, count) in listeners.iter().zip(&mut accepted) {
                *count += usize::from(listener.accept().is_ok());
            }
        }
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }
}

#[test]
fn a_second_server_is_told_that_the_port_is_in_use() {
    let first = claim(&any_port("127.0.0.1")).unwrap();
    let taken = first.address().clone();
    assert_eq!(
        claim(&taken).unwrap_err().kind(),
        io::ErrorKind::AddrInUse,
        "claimed"
    );
    let listener = first.listen().unwrap();
    assert_eq!(
        claim(&taken).unwrap_err().kind(),
        io::ErrorKind::AddrInUse,
        "listening"
    );
    drop(first);
    assert_eq!(
        claim(&taken).unwrap_err().kind(),
        io::ErrorKind::AddrInUse,
        "listener alone"
    );
    drop(listener);
    claim(&taken).unwrap();
}

#[test]
fn a_port_with_connections_in_time_wait_can_be_claimed_again() {
    let endpoint = claim(&any_port("127.0.0.1")).unwrap();
    let address = endpoint.address().clone();
    let listener = endpoint.listen().unwrap();
    let peer = TcpStream::connect(port_of(&endpoint)).unwrap();
    // Who closes first keeps the TIME_WAIT, and that is the server's side here.
    let ours = accept(&listener);
    drop((ours, listener, endpoint));
    drop(peer);
    claim(&address).unwrap().listen().unwrap();
}

#[test]
fn accepted_streams_inherit_the_options() {
    let options = ListenOptions {
        user_timeout_ms: 12_345,
        notsent_lowat_bytes: 54_321,
        receive_buffer_bytes: Some(32 << 10),
        send_buffer_bytes: Some(48 << 10),
        ..ListenOptions::default()
    };
    let endpoint = Endpoint::claim(&any_port("127.0.0.1"), options).unwrap();
    let listener = endpoint.listen().unwrap();
    let peer = TcpStream::connect(port_of(&endpoint)).unwrap();
    let ours = accept(&listener);
    assert_eq!(ours.peer(), peer.local_addr().ok());
    let socket = SockRef::from(&ours);
    assert!(socket.nonblocking().unwrap());
    assert!(socket.tcp_nodelay().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert_eq!(
            socket.tcp_user_timeout().unwrap().unwrap().as_millis(),
            12_345
        );
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 54_321);
        // Linux doubles what it is asked for, to pay for its own bookkeeping.
        assert_eq!(socket.recv_buffer_size().unwrap(), 64 << 10);
        assert_eq!(socket.send_buffer_size().unwrap(), 96 << 10);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_deferred_accept_finds_the_request_already_there() {
    let options = ListenOptions {
        defer_accept_s: 5,
        ..ListenOptions::default()
    };
    let endpoint = Endpoint::claim(&any_port("127.0.0.1"), options).unwrap();
    let listener = endpoint.listen().unwrap();
    let mut peer = TcpStream::connect(port_of(&endpoint)).unwrap();
    let early = listener.accept().unwrap_err();
    assert_eq!(AcceptFailure::of(&early), AcceptFailure::Drained);
    peer.write_all(b"GET /").unwrap();
    let mut room = [0; 8];
    assert_eq!(accept(&listener).recv(&mut room).unwrap(), 5);
}

#[test]
fn failures_are_sorted_by_what_they_ask_for() {
    use AcceptFailure::{Closed, Drained, Exhausted, PeerGone};
    let table = [
        (libc::EAGAIN, Drained),
        (libc::ECONNABORTED, PeerGone),
        (libc::EINTR, PeerGone),
        (libc::ENETDOWN, PeerGone),
        (libc::EMFILE, Exhausted),
        (libc::ENFILE, Exhausted),
        (libc::ENOBUFS, Exhausted),
        (libc::ENOMEM, Exhausted),
        (libc::EINVAL, Closed),
        (libc::EBADF, Closed),
    ];
    for (errno, expected) in table {
        assert_eq!(
            AcceptFailure::of(&io::Error::from_raw_os_error(errno)),
            expected,
            "{errno}"
        );
    }
}

#[test]
fn a_unix_endpoint_is_shared_by_duplicates_and_refuses_a_second_server() {
    let scratch = Scratch::new("shared");
    let (path, address) = scratch.socket();
    let endpoint = claim(&address).unwrap();
    let listeners = [endpoint.listen().unwrap(), endpoint.listen().unwrap()];
    for listener in &listeners {
        let _peer = UnixStream::connect(&path).unwrap();
        assert!(accept(listener).peer().is_none());
    }
    assert_eq!(
        claim(&address).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    assert!(path.exists(), "the loser leaves the winner's path alone");
}

#[test]
fn a_retired_unix_endpoint_serves_its_queue_and_refuses_the_rest() {
    let scratch = Scratch::new("retired");
    let (path, address) = scratch.socket();
    let endpoint = claim(&address).unwrap();
    let listener = endpoint.listen().unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    let alias = scratch.0.join("alias");
    std::fs::hard_link(&path, &alias).unwrap();
    endpoint.retire();
    assert!(!path.exists());
    let refused = UnixStream::connect(&alias).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    accept(&listener);
    assert_eq!(
        AcceptFailure::of(&listener.accept().unwrap_err()),
        AcceptFailure::Drained
    );
    drop(waiting);
}

#[test]
fn a_stale_path_is_replaced_and_anything_else_is_not() {
    let scratch = Scratch::new("stale");
    let (path, address) = scratch.socket();
    // `std` leaves its path behind, as a killed server does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let endpoint = claim(&address).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(endpoint);
    assert!(!path.exists(), "removed on drop");

    std::fs::write(&path, "a file of somebody's").unwrap();
    assert_eq!(
        claim(&address).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    assert!(path.exists());
}

#[test]
fn a_successors_path_is_not_removed() {
    let scratch = Scratch::new("successor");
    let (path, address) = scratch.socket();
    let endpoint = claim(&address).unwrap();
    std::fs::remove_file(&path).unwrap();
    let successor = claim(&address).unwrap();
    drop(endpoint);
    assert!(path.exists());
    drop(successor);
    assert!(!path.exists());
}

#[test]
fn an_inherited_listener_serves_through_duplicates_and_outlives_us() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let passed = OwnedFd::from(listener.try_clone().unwrap());
    let inherited = Endpoint::inherit(vec![passed], ListenOptions::default()).unwrap();
    let [endpoint] = &inherited[..] else {
        panic!("{inherited:?}");
    };
    assert_eq!(endpoint.address(), &Address::Tcp(address));
    assert!(endpoint.is_inherited() && endpoint.is_shared());
    let ours = endpoint.listen().unwrap();
    assert_eq!(
        ours.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock,
        "whatever mode it came in"
    );
    endpoint.retire();
    drop((ours, inherited));
    let client = TcpStream::connect(address).unwrap();
    // Its owner still listens; our option let it be accepted when there is something to read.
    (&client).write_all(b"x").unwrap();
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap();
}

#[test]
fn what_does_not_listen_is_not_inherited() {
    let bound = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for fd in [bound.into(), datagram.into(), file.into()] {
        assert!(Endpoint::inherit(vec![fd], ListenOptions::default()).is_err());
    }
}

#[test]
fn sockets_with_one_address_are_dealt_out() {
    let sockets = |count: usize| {
        let first = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        first.set_reuse_port(true).unwrap();
        first
            .bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0))))
            .unwrap();
        let address = first.local_addr().unwrap();
        let more = (1..count).map(|_| {
            let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&address).unwrap();
            socket
        });
        let all: Vec<_> = std::iter::once(first)
            .chain(more.collect::<Vec<_>>())
            .collect();
        for socket in &all {
            socket.listen(8).unwrap();
        }
        let fds = all.into_iter().map(OwnedFd::from).collect();
        Endpoint::inherit(fds, ListenOptions::default()).unwrap()
    };
    for (count, workers) in [(1, 4), (2, 4), (3, 4), (4, 4), (7, 3), (1, 1)] {
        let endpoints = sockets(count);
        let mut served = vec![0; count];
        for seat in 0..workers {
            let mine = (0..count).filter(|&index| endpoints[index].is_for(seat, workers));
            let mine: Vec<_> = mine.collect();
            assert!(
                !mine.is_empty(),
                "{count} sockets, worker {seat} of {workers} has none"
            );
            mine.iter().for_each(|&index| served[index] += 1);
        }
        assert!(
            served.iter().all(|&by| by > 0),
            "{count}, {workers}: {served:?}"
        );
        let most = workers.div_ceil(count);
        assert!(served.iter().all(|&by| by <= most), "{served:?}");
    }
}
