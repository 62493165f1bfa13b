//! Where the server can listen, and what it says where it cannot.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::harness::{Launch, PATIENCE, Wire, op};

/// A path for a Unix socket that no other test uses; removed with the value.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        let name = format!("throng-{}-{name}.sock", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn endpoint(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    fn open(&self) -> Wire<UnixStream> {
        let stream = UnixStream::connect(&self.0).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut wire = Wire::over(stream);
        let head = wire.upgrade("");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        wire
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn ipv6() {
    let server = Launch::new().listen("[::1]:0").start();
    assert!(server.addr().is_ipv6());
    let mut wire = Wire::open(server.addr());
    wire.echo(op::TEXT, b"over IPv6");
}

#[test]
fn a_unix_socket() {
    let path = SocketPath::new("one");
    let _server = Launch::new().listen(&path.endpoint()).start();
    let mut wire = path.open();
    wire.echo(op::TEXT, b"over a path");
    wire.echo(op::BINARY, &vec![5; 300_000]);
    wire.send_frame(op::FIN | op::CLOSE, &[0x03, 0xe8]);
    assert_eq!(wire.expect_close(), 1000);
    wire.expect_end();
}

#[test]
fn a_unix_socket_serves_every_worker() {
    let path = SocketPath::new("two");
    let _server = Launch::new().workers(2).listen(&path.endpoint()).start();
    let mut wires: Vec<_> = (0..32).map(|_| path.open()).collect();
    for wire in &mut wires {
        wire.echo(op::TEXT, b"which worker?");
    }
}

#[test]
fn a_socket_file_left_behind_is_replaced() {
    let path = SocketPath::new("stale");
    drop(Launch::new().listen(&path.endpoint()).start());
    let _server = Launch::new().listen(&path.endpoint()).start();
    path.open().echo(op::TEXT, b"again");
}

#[test]
fn a_socket_somebody_serves_is_not_taken_over() {
    let path = SocketPath::new("taken");
    let _server = Launch::new().listen(&path.endpoint()).start();
    let (status, output) = Launch::new().listen(&path.endpoint()).run_to_end();
    assert!(!status.success(), "{output}");
    path.open().echo(op::TEXT, b"still the first");
}

#[test]
fn several_at_once() {
    let path = SocketPath::new("several");
    let server = Launch::new()
        .listen("127.0.0.1:0")
        .listen("[::1]:0")
        .listen(&path.endpoint())
        .start();
    let addrs = server.addrs();
    assert_eq!(addrs.len(), 2, "{}", server.output());
    for addr in addrs {
        Wire::open(addr).echo(op::TEXT, b"here");
    }
    path.open().echo(op::TEXT, b"and here");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, output) = Launch::new().listen(&address).run_to_end();
    assert!(!status.success(), "{output}");
    assert!(output.contains(&address), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}
