//! TLS with peers we did not write, over real sockets: OpenSSL's `s_client` and `s_server`, Python.
//!
//! `tests/run.sh` installs both where it may; without them these tests say that they are skipped.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use throng::tls::certificates::load_authorities;
use throng::tls::sessions::{Ending, Trouble};
use throng::tls::{
    Choices, ClientAuth, ClientOptions, ClientTls, Mode, Refusal, ServerTls, Suite, Tickets, Trust,
};

use crate::harness::tls::{TlsEcho, TlsStream};
use crate::harness::{Files, Peer, tools};

const SUITES: [(Suite, &str); 3] = [
    (Suite::Aes128Gcm, "TLS_AES_128_GCM_SHA256"),
    (Suite::Aes256Gcm, "TLS_AES_256_GCM_SHA384"),
    (Suite::Chacha20Poly1305, "TLS_CHACHA20_POLY1305_SHA256"),
];

#[test]
fn openssl_talks_changes_keys_and_leaves() {
    let files = Files::new("s_client");
    for mode in [Mode::Compact, Mode::Rustls] {
        let choices = Choices {
            mode,
            ..Choices::default()
        };
        let echo = TlsEcho::start(files.server(choices));
        for (suite, name) in SUITES {
            let args = ["-alpn", "http/1.1", "-ciphersuites", name];
            let Some(mut peer) = Peer::s_client(echo.address, &files, &args) else {
                return;
            };
            peer.expect("Verify return code: 0 (ok)");
            peer.write("one\n");
            peer.expect("one\n");
            // `K` changes its keys and asks for ours, `k` only changes its own.
            for command in ["K\n", "k\n", "K\n"] {
                peer.write(command);
                peer.expect("KEYUPDATE");
                peer.write("after it\n");
                peer.expect("after it\n");
            }
            // Ours, which asks for theirs.
            peer.write("~ours\n");
            peer.expect("~ours\n");
            peer.write("and on\n");
            peer.expect("and on\n");
            peer.write("Q\n");
            let report = echo.report();
            assert_eq!(report.ending, Ending::Closed, "{report:?}");
            assert!(!report.is_truncated);
            let compact = (mode == Mode::Compact).then_some(suite);
            assert_eq!(report.compact_suite, compact);
            let introduction = report.introduction.unwrap();
            assert_eq!(introduction.server_name.as_deref(), Some("localhost"));
            assert!(introduction.has_alpn);
        }
    }
}

#[test]
fn openssl_hears_why_it_is_refused() {
    let files = Files::new("refused");
    let one = |suites| Choices {
        suites,
        ..Choices::default()
    };
    let cases: [(Choices, &[&str], &str, Refusal); 4] = [
        (
            Choices::default(),
            &["-tls1_2"],
            "alert protocol version",
            Refusal::Version,
        ),
        (
            Choices::default(),
            &["-alpn", "h2"],
            "alert no application protocol",
            Refusal::Protocol,
        ),
        (
            one(vec![Suite::Aes128Gcm]),
            &["-ciphersuites", "TLS_AES_256_GCM_SHA384"],
            "alert handshake failure",
            Refusal::NothingInCommon,
        ),
        (
            Choices::default(),
            &["-groups", "secp521r1"],
            "alert handshake failure",
            Refusal::NothingInCommon,
        ),
    ];
    for (choices, args, alert, refusal) in cases {
        let echo = TlsEcho::start(files.server(choices));
        let Some(mut peer) = Peer::s_client(echo.address, &files, args) else {
            return;
        };
        let text = peer.rest();
        assert!(text.contains(alert), "{args:?}: {text}");
        let report = echo.report();
        let expected = Ending::Broken(Trouble::Handshake(refusal));
        assert_eq!(report.ending, expected, "{args:?}");
    }
}

#[test]
fn openssl_of_another_age_is_served_if_that_is_allowed() {
    let files = Files::new("tls12");
    let choices = Choices {
        tls12: true,
        ..Choices::default()
    };
    let echo = TlsEcho::start(files.server(choices));
    let Some(mut peer) = Peer::s_client(echo.address, &files, &["-tls1_2"]) else {
        return;
    };
    peer.write("hello from 2008\n");
    peer.expect("hello from 2008\n");
    // A renegotiation is refused, and the connection goes on or ends; it does not renegotiate.
    peer.write("Q\n");
    let report = echo.report();
    assert_eq!(report.compact_suite, None);
    assert!(!report.introduction.unwrap().is_tls13);
    assert_eq!(report.ending, Ending::Closed);
}

#[test]
fn openssl_resumes_staples_and_shows_itself() {
    let files = Files::new("resumes");
    let mut options = files.options();
    options.tickets = Some(Arc::new(Tickets::for_this_process()));
    options.certificates[0].ocsp = Some(vec![0x30, 3, 0x0A, 1, 6]);
    let authorities = load_authorities(files.path("ca.pem").as_ref()).unwrap();
    options.client_auth = ClientAuth::Optional(authorities);
    let echo = TlsEcho::start(ServerTls::new(&options).unwrap());
    let [session, certificate, key] = ["session", "cert.pem", "key.pem"].map(|n| files.path(n));
    let first = ["-sess_out", &session, "-status"];
    let Some(mut peer) = Peer::s_client(echo.address, &files, &first) else {
        return;
    };
    peer.expect("OCSP Response Status: unauthorized (0x6)");
    peer.write("one\n");
    peer.expect("one\n");
    peer.write("Q\n");
    assert!(!echo.report().introduction.unwrap().is_resumed);
    peer.rest();

    let mut peer = Peer::s_client(echo.address, &files, &["-sess_in", &session]).unwrap();
    peer.expect("Reused, TLSv1.3");
    peer.write("two\n");
    peer.expect("two\n");
    peer.write("Q\n");
    assert!(echo.report().introduction.unwrap().is_resumed);

    let shown = ["-cert", &certificate, "-key", &key];
    let mut peer = Peer::s_client(echo.address, &files, &shown).unwrap();
    peer.write("three\n");
    peer.expect("three\n");
    peer.write("Q\n");
    let introduction = echo.report().introduction.unwrap();
    assert_eq!(introduction.peer.unwrap().subject, "CN=localhost");
}

#[test]
fn our_client_talks_to_openssl_and_resumes() {
    let files = Files::new("s_server");
    let [authority, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|n| files.path(n));
    // With `-rev` it answers every line with its reverse.
    let args = [
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        &certificate,
        "-key",
        &key,
        "-rev",
        "-naccept",
        "4",
    ];
    let Some(openssl) = tools::openssl() else {
        return;
    };
    let mut peer = Peer::start(openssl, &args);
    peer.expect("ACCEPT ");
    peer.expect("\n");
    let address = listening(&peer);
    for mode in [Mode::Compact, Mode::Rustls] {
        let options = ClientOptions {
            choices: Choices {
                mode,
                ..Choices::default()
            },
            trust: Trust::Authorities(load_authorities(authority.as_ref()).unwrap()),
            resumes: true,
            ..ClientOptions::default()
        };
        let tls = ClientTls::new(&options, "localhost").unwrap();
        for is_resumed in [false, true] {
            let mut stream = TlsStream::connect(address, &tls);
            assert_eq!(stream.introduction().unwrap().is_resumed, is_resumed);
            for _ in 0..3 {
                stream.refresh();
                stream.say(b"stressed\n");
                assert_eq!(stream.receive_exact(9), b"desserts\n");
            }
            stream.close();
        }
    }
}

/// Where the `openssl s_server` listens: it was asked for any port, and says which it has.
fn listening(peer: &Peer) -> SocketAddr {
    let table = fs::read_to_string("/proc/net/tcp").expect("this is Linux");
    let inodes: Vec<String> = fs::read_dir(format!("/proc/{}/fd", peer.id()))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let port = table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_listening = fields[3] == "0A" && inodes.iter().any(|inode| inode == fields[9]);
        let port = fields[1].split_once(':')?.1;
        is_listening.then(|| u16::from_str_radix(port, 16).unwrap())
    });
    SocketAddr::from(([127, 0, 0, 1], port.expect("it listens")))
}

/// A megabyte there and back in records of all sizes, and both goodbyes.
const PYTHON: &str = r#"
import socket, ssl, sys
address, authority = sys.argv[1].rsplit(":", 1), sys.argv[2]
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["http/1.1"])
with socket.create_connection((address[0], int(address[1]))) as raw:
    tls = context.wrap_socket(raw, server_hostname="localhost")
    assert tls.version() == "TLSv1.3", tls.version()
    assert tls.selected_alpn_protocol() == "http/1.1"
    for size in (1, 100, 16383, 16384, 16385, 300000, 700000):
        tls.sendall(b"x" * size)
        while size:
            size -= len(tls.recv(size))
    tls.unwrap()
print("done")
"#;

#[test]
fn python_sends_a_megabyte_and_says_goodbye() {
    let files = Files::new("python");
    for mode in [Mode::Compact, Mode::Rustls] {
        let choices = Choices {
            mode,
            ..Choices::default()
        };
        let echo = TlsEcho::start(files.server(choices));
        let (address, authority) = (echo.address.to_string(), files.path("ca.pem"));
        let args = ["-c", PYTHON, &address, &authority];
        let Some(python) = tools::python() else {
            return;
        };
        let mut peer = Peer::start(python, &args);
        let text = peer.rest();
        assert!(text.contains("done"), "{text}");
        let report = echo.report();
        assert_eq!((report.ending, report.echoed), (Ending::Closed, 1_049_253));
    }
}

#[test]
fn a_request_in_the_clear_is_called_by_its_name() {
    let files = Files::new("clear");
    let echo = TlsEcho::start(files.server(Choices::default()));
    let mut stream = std::net::TcpStream::connect(echo.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let plain = Ending::Broken(Trouble::Handshake(Refusal::PlainHttp));
    assert_eq!(echo.report().ending, plain);
}
