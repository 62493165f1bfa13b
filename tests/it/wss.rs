//! The server on a port for TLS: what an operator sees of it, and what it says to whom.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use throng::tls::certificates::load_authorities;
use throng::tls::{ClientOptions, ClientTls, Trust};

use crate::harness::tls::TlsStream;
use crate::harness::{Files, Http, Launch, Peer, Server, Wire, op, tools, upgrade_request};

mod peers;
mod secrets;

/// Attempts until something that happens between two turns of the loop has happened. Each is a turn.
const ATTEMPTS_MAX: usize = 1000;

/// A client that trusts what is in `ca.pem` now.
fn client(files: &Files) -> ClientTls {
    let options = ClientOptions {
        trust: Trust::Authorities(load_authorities(files.path("ca.pem").as_ref()).unwrap()),
        ..ClientOptions::default()
    };
    ClientTls::new(&options, "localhost").unwrap()
}

/// Connects and upgrades; `None` if it does not trust the server.
fn open(server: &Server, tls: &ClientTls) -> Option<Wire<TlsStream>> {
    let stream = TlsStream::connect(server.tls_addr(), tls);
    stream.established.as_ref()?;
    let mut wire = Wire::over(stream);
    let head = wire.upgrade("");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Some(wire)
}

fn stats(server: &Server) -> String {
    Http::connect(server.addr()).get("/stats").body
}

/// Asks for figures until `part` is among them.
fn wait_for_stats(server: &Server, part: &str) -> String {
    let mut all = (0..ATTEMPTS_MAX).map(|_| stats(server));
    all.find(|stats| stats.contains(part))
        .unwrap_or_else(|| panic!("never: {part}: {}", stats(server)))
}

#[test]
fn messages_come_back_over_tls_as_they_do_without() {
    let files = Files::new("wss-echo");
    for mode in ["compact", "rustls", "ktls"] {
        let server = Launch::new().tls(&files).flag("tls-mode", mode).start();
        let mut wire = open(&server, &client(&files)).expect("it is trusted");
        for length in [0, 1, 125, 126, 16_384, 65_536, 300_000] {
            wire.echo(op::BINARY, &vec![7; length]);
        }
        wire.send_frame(op::FIN | op::CLOSE, &1000u16.to_be_bytes());
        assert_eq!(wire.expect_close(), 1000);
        wire.expect_end();
        assert!(!wire.stream.is_truncated, "close_notify came first");
        let stats = wait_for_stats(&server, "\"ended\":1,");
        assert!(stats.contains("\"tls_truncated\":0,"), "{mode}: {stats}");
        if mode == "ktls" && !stats.contains("\"tls_in_kernel\":1,") {
            server.wait_log("keeps no TLS records");
        }
    }
}

#[test]
fn new_certificates_are_for_newcomers_and_old_ones_stay_if_they_are_no_good() {
    let files = Files::new("wss-reload");
    let server = Launch::new().tls(&files).start();
    let before = client(&files);
    let mut old = open(&server, &before).expect("the first certificate");
    old.echo(op::TEXT, b"before");
    files.make("other.test", 20_000);
    server.signal("HUP");
    server.wait_log("reloaded, nothing changed; new certificates");
    let after = client(&files);
    let opened = (0..ATTEMPTS_MAX).find_map(|_| open(&server, &after));
    opened
        .expect("the second certificate")
        .echo(op::TEXT, b"new");
    assert!(open(&server, &before).is_none(), "it is gone");
    old.echo(op::TEXT, b"whoever is connected does not notice");
    // A key that is not that of the certificate: everything stays.
    let key = fs::read(files.path("key.pem")).unwrap();
    files.make("third.test", 20_000);
    fs::write(files.path("key.pem"), key).unwrap();
    server.signal("HUP");
    server.wait_log("key.pem: the key belongs to no certificate in ");
    server.wait_log("not reloaded");
    open(&server, &after)
        .expect("still the second")
        .echo(op::TEXT, b"still");
    assert!(stats(&server).contains("\"reloads\":1,\"failed_reloads\":1,"));
}

#[test]
fn what_is_wrong_with_files_is_said_at_the_start() {
    let files = Files::new("wss-start");
    let launch = |cert: &str, key: &str| {
        let launch = Launch::new()
            .listen("127.0.0.1:0")
            .flag("tls-listen", "127.0.0.1:0");
        launch
            .flag("tls-cert", files.path(cert))
            .flag("tls-key", files.path(key))
    };
    for (cert, key, part) in [
        (
            "none.pem",
            "key.pem",
            "none.pem: there is no such file; `throng dev-cert",
        ),
        (
            "cert.pem",
            "ca.pem",
            "ca.pem: holds no private key, but a certificate",
        ),
        (
            "ca.pem",
            "key.pem",
            "key.pem: the key belongs to no certificate",
        ),
    ] {
        let (status, text) = launch(cert, key).run_to_end();
        assert!(!status.success() && text.contains(part), "{part}: {text}");
    }
    let alone = Launch::new()
        .listen("127.0.0.1:0")
        .flag("tls-listen", "127.0.0.1:0");
    let (status, text) = alone.run_to_end();
    assert!(
        !status.success() && text.contains("--tls-cert FILE --tls-key FILE"),
        "{text}"
    );
    // These two are worth a word, and no reason not to start.
    files.make("localhost", 1);
    fs::copy(files.path("key.pem"), files.path("open.pem")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(files.path("open.pem"), mode).unwrap();
    let server = launch("cert.pem", "open.pem").start();
    server.wait_log("everybody can read ");
    server.wait_log("expired ");
}

#[test]
fn figures_tell_failures_apart_and_when_certificates_end() {
    let files = Files::new("wss-figures");
    let server = Launch::new().tls(&files).admin("127.0.0.1:0").start();
    open(&server, &client(&files)).expect("it is trusted");
    let mut http = Http::connect(server.tls_addr());
    let answer = http.get("/");
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("This port speaks TLS"),
        "{}",
        answer.body
    );
    TcpStream::connect(server.tls_addr())
        .unwrap()
        .write_all(b"\0\0\0\0\0\0")
        .unwrap();
    let metrics = |part: &str| {
        let mut pages =
            (0..ATTEMPTS_MAX).map(|_| Http::connect(server.admin_addr()).get("/metrics").body);
        assert!(pages.any(|page| page.contains(part)), "never: {part}");
    };
    metrics("\nthrong_tls_handshakes_total 1\n");
    for reason in ["plain_http", "not_tls"] {
        metrics(&format!(
            "\nthrong_tls_handshakes_failed_total{{reason=\"{reason}\"}} 1\n"
        ));
    }
    let end_s = 1_700_000_000_u64 + 20_000 * 86_400;
    metrics(&format!("/cert.pem\"}} {end_s}\n"));
}

#[test]
fn tls_12_and_strangers_are_refused_or_let_in_as_configured() {
    let files = Files::new("wss-policy");
    let server = Launch::new().tls(&files).start();
    let Some(mut peer) = Peer::s_client(server.tls_addr(), &files, &["-tls1_2"]) else {
        return;
    };
    let text = peer.rest();
    assert!(text.contains("alert protocol version"), "{text}");
    wait_for_stats(&server, "\"tls_failed_version\":1,");

    let server = Launch::new()
        .tls(&files)
        .flag("tls-min-version", "1.2")
        .start();
    let mut peer = Peer::s_client(server.tls_addr(), &files, &["-tls1_2"]).unwrap();
    peer.expect("Verify return code: 0 (ok)");
    peer.write(upgrade_request(""));
    peer.expect("101 Switching");
    // OpenSSL's `R` asks for a renegotiation, which is refused: it does not happen, and no harm comes
    // of the asking.
    peer.write("R\n");
    peer.expect("RENEGOTIATING");
    peer.expect("no renegotiation");
    wait_for_stats(&server, "\"tls_12\":1,");
    let mut again = Peer::s_client(server.tls_addr(), &files, &["-tls1_2"]).unwrap();
    again.expect("Verify return code: 0 (ok)");

    let demanding = Launch::new()
        .tls(&files)
        .flag("tls-client-certs", "required");
    let server = demanding
        .flag("tls-client-ca", files.path("ca.pem"))
        .start();
    let mut peer = Peer::s_client(server.tls_addr(), &files, &[]).unwrap();
    peer.write(upgrade_request(""));
    // Its input stays open: at the end of that it would leave, perhaps before the alert has come.
    peer.expect("alert certificate required");
    wait_for_stats(&server, "\"tls_failed_certificate\":1,");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| files.path(name));
    let shown = ["-cert", &cert, "-key", &key];
    let mut peer = Peer::s_client(server.tls_addr(), &files, &shown).unwrap();
    peer.write(upgrade_request(""));
    peer.expect("101 Switching");
}

#[test]
fn a_load_balancer_says_who_its_client_is() {
    let files = Files::new("wss-proxy");
    let server = Launch::new()
        .tls(&files)
        .flag("proxy-from", "127.0.0.0/8")
        .start();
    let Some(curl) = tools::curl() else {
        return;
    };
    let authority = files.path("ca.pem");
    let ask = |scheme: &str, address, extra: &[&str]| {
        let url = format!("{scheme}://{address}/healthz");
        let always = ["--silent", "--show-error", "--cacert", &authority, &url];
        Peer::start(curl, &[&always[..], extra].concat()).rest()
    };
    let proxied = ["--haproxy-protocol"];
    assert_eq!(ask("http", server.addr(), &proxied), "ok\n");
    assert_eq!(ask("https", server.tls_addr(), &proxied), "ok\n");
    let text = ask("http", server.addr(), &[]);
    assert!(text.contains("no PROXY protocol header"), "{text}");
    let text = ask("https", server.tls_addr(), &[]);
    assert!(text.contains("alert"), "{text}");
    // Nobody is trusted: whoever says it unasked is told so.
    let server = Launch::new().start();
    let text = ask("http", server.addr(), &proxied);
    assert!(text.contains("not trusted"), "{text}");
}
