//! Clients of other people: OpenSSL, Python, Node, GnuTLS, NSS, Chromium (BoringSSL), Java (JSSE).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::{client, open, wait_for_stats};
use crate::harness::{Files, Launch, PATIENCE, Peer, Server, frame, op, tools, upgrade_request};

fn serve(name: &str) -> (Files, Server) {
    let files = Files::new(name);
    let server = Launch::new().tls(&files).start();
    (files, server)
}

/// A message that ends a line, for programs that read lines; its mask, four zeros, leaves it readable.
fn said(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap();
    let head = [op::FIN | op::TEXT, 0x80 | length, 0, 0, 0, 0];
    [&head[..], text.as_bytes(), b"\n"].concat()
}

/// Upgrades, and is answered before and after each of these commands to the program.
fn converse(peer: &mut Peer, commands: &[(&str, &str)]) {
    peer.write(upgrade_request(""));
    peer.expect("101 Switching Protocols");
    peer.write(said("first words"));
    peer.expect("first words");
    for (command, done) in commands {
        peer.write(command);
        peer.expect(done);
        peer.write(said("and on"));
        peer.expect("and on");
    }
}

#[test]
fn openssl_changes_keys_and_leaves_both_ways() {
    let (files, server) = serve("peer-openssl");
    let Some(mut peer) = Peer::s_client(server.tls_addr(), &files, &["-alpn", "http/1.1"]) else {
        return;
    };
    peer.expect("Verify return code: 0 (ok)");
    converse(
        &mut peer,
        &[
            ("K\n", "KEYUPDATE"),
            ("k\n", "KEYUPDATE"),
            ("K\n", "KEYUPDATE"),
        ],
    );
    // It leaves: close_notify, and no Close frame.
    peer.write("Q\n");
    wait_for_stats(&server, "\"ended\":1,");
    // We leave: a Close frame is answered, and ends with close_notify.
    let mut peer = Peer::s_client(server.tls_addr(), &files, &[]).unwrap();
    peer.expect("Verify return code: 0 (ok)");
    converse(&mut peer, &[]);
    peer.write(frame(op::FIN | op::CLOSE, &1000u16.to_be_bytes()));
    peer.expect("closed");
    let stats = wait_for_stats(&server, "\"ended\":2,");
    assert!(stats.contains("\"tls_truncated\":0,"), "{stats}");
}

/// Finished, a request and a message in one segment; then a big message, and goodbye.
const PYTHON: &str = r#"
import os, socket, ssl, struct, sys
address, authority = sys.argv[1].rsplit(":", 1), sys.argv[2]
context = ssl.create_default_context(cafile=authority)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
raw = socket.create_connection((address[0], int(address[1])))
raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    try:
        tls.do_handshake()
        break
    except ssl.SSLWantReadError:
        raw.sendall(outgoing.read())
        incoming.write(raw.recv(65536))
assert tls.version() == "TLSv1.3", tls.version()
assert outgoing.pending, "the Finished is still here"
def frame(payload):
    small = len(payload) < 126
    head = struct.pack(">BB", 0x82, 0x80 | len(payload)) if small else struct.pack(">BBQ", 0x82, 0xff, len(payload))
    return head + b"\0\0\0\0" + payload
request = ("GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()
tls.write(request + frame(b"early words"))
raw.sendall(outgoing.read())
heard = b""
def hear(length, end):
    global heard
    while not (len(heard) >= length and heard.endswith(end)):
        try:
            said = tls.read(1 << 20)
            assert said, heard
            heard += said
        except ssl.SSLWantReadError:
            data = raw.recv(65536)
            assert data, "hung up"
            incoming.write(data)
hear(0, b"early words")
assert heard.startswith(b"HTTP/1.1 101 ")
big, heard = os.urandom(200000), b""
tls.write(frame(big))
raw.sendall(outgoing.read())
hear(200000, big)
try:
    tls.unwrap()
except ssl.SSLWantReadError:
    raw.sendall(outgoing.read())
    data = raw.recv(65536)
    incoming.write(data)
    tls.unwrap()
print("done")
"#;

#[test]
fn python_speaks_with_its_finished_and_says_goodbye() {
    let (files, server) = serve("peer-python");
    let Some(python) = tools::python() else {
        return;
    };
    let (address, authority) = (server.tls_addr().to_string(), files.path("ca.pem"));
    let text = Peer::start(python, &["-c", PYTHON, &address, &authority]).rest();
    assert!(text.contains("done"), "{text}");
    let stats = wait_for_stats(&server, "\"ended\":1,");
    assert!(stats.contains("\"tls_truncated\":0,"), "{stats}");
}

/// Connects twice: the second time it resumes.
const NODE: &str = r#"
const fs = require("fs"), tls = require("tls"), WebSocket = require("ws");
const [url, ca] = [process.argv[1], fs.readFileSync(process.argv[2])];
let session;
function once(then) {
  const ws = new WebSocket(url, { ca, session, perMessageDeflate: true });
  let socket;
  ws.on("upgrade", (response) => {
    socket = response.socket;
    console.log(socket.getProtocol(), "reused", socket.isSessionReused());
  });
  ws.on("open", () => ws.send("hello from node ".repeat(5000)));
  ws.on("message", (data) => {
    if (data.length !== 80000) throw new Error("length " + data.length);
    session = socket.getSession();
    ws.close(1000);
  });
  ws.on("close", (code) => { console.log("closed", code); then(); });
}
once(() => once(() => console.log("done")));
"#;

#[test]
fn node_resumes() {
    let (files, server) = serve("peer-node");
    let Some((node, modules)) = tools::node() else {
        return;
    };
    // The certificate's name, not the address: names are what sessions are kept by.
    let url = format!("wss://localhost:{}/echo", server.tls_addr().port());
    let mut command = Command::new(node);
    command.args(["-e", NODE, &url, &files.path("ca.pem")]);
    command.env("NODE_PATH", modules.join("node_modules"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        text.contains("TLSv1.3 reused false") && text.contains("done"),
        "{text}"
    );
    assert!(text.contains("TLSv1.3 reused true"), "{text}");
    wait_for_stats(&server, "\"tls_resumed\":1,");
}

#[test]
fn gnutls_changes_keys() {
    let (files, server) = serve("peer-gnutls");
    let Some(gnutls) = tools::gnutls() else {
        return;
    };
    let (port, authority) = (server.tls_addr().port().to_string(), files.path("ca.pem"));
    // It keeps what it has to say for itself until it ends, unless it is told otherwise.
    let args = [
        "--output=0",
        gnutls.to_str().unwrap(),
        "--inline-commands",
        "--x509cafile",
        &authority,
        "--verify-hostname",
        "localhost",
        "--port",
        &port,
        "127.0.0.1",
    ];
    let mut peer = Peer::start("stdbuf".as_ref(), &args);
    peer.expect("Handshake was completed");
    converse(&mut peer, &[("^rekey1^\n", "Rekey was completed")]);
    peer.rest();
    wait_for_stats(&server, "\"ended\":1,");
}

#[test]
fn nss_talks() {
    let (files, server) = serve("peer-nss");
    let Some((tstclnt, certutil)) = tools::nss() else {
        return;
    };
    let trust = format!("sql:{}", files.path("nss"));
    fs::create_dir_all(files.path("nss")).unwrap();
    let authority = files.path("ca.pem");
    for args in [
        &["-N", "-d", &trust, "--empty-password"][..],
        &[
            "-A", "-d", &trust, "-n", "ca", "-t", "C,,", "-i", &authority,
        ],
    ] {
        let text = Peer::start(certutil, args).rest();
        assert!(!text.contains("rror"), "{args:?}: {text}");
    }
    let port = server.tls_addr().port().to_string();
    let args = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-a",
        "localhost",
        "-d",
        &trust,
    ];
    let only = ["-V", "tls1.3:tls1.3"];
    let mut peer = Peer::start(tstclnt, &[&args[..], &only].concat());
    converse(&mut peer, &[]);
    // Its input stays open: at the end of it, it would spin.
    drop(peer);
    wait_for_stats(&server, "\"ended\":1,");
    let older = [&args[..], &["-V", "tls1.2:tls1.2"]].concat();
    Peer::start(tstclnt, &older).expect("SSL_ERROR_PROTOCOL_VERSION_ALERT");
}

/// The client of the JDK: `HttpClient` and its `WebSocket`, on JSSE.
const JAVA: &str = r#"
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.*;
import javax.net.ssl.*;

public class Peer {
  public static void main(String[] args) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    var factory = CertificateFactory.getInstance("X.509");
    trusted.setCertificateEntry("ca", factory.generateCertificate(new FileInputStream(args[1])));
    var managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    managers.init(trusted);
    SSLContext context = SSLContext.getInstance("TLSv1.3");
    context.init(null, managers.getTrustManagers(), null);
    HttpClient client = HttpClient.newBuilder().sslContext(context).build();
    var heard = new CompletableFuture<Integer>();
    var closed = new CompletableFuture<Integer>();
    WebSocket.Listener listener = new WebSocket.Listener() {
      int length = 0;
      public CompletionStage<?> onText(WebSocket ws, CharSequence text, boolean last) {
        length += text.length();
        if (last) heard.complete(length);
        ws.request(1);
        return null;
      }
      public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
        closed.complete(code);
        return null;
      }
      public void onError(WebSocket ws, Throwable error) {
        error.printStackTrace();
        heard.completeExceptionally(error);
        closed.completeExceptionally(error);
      }
    };
    WebSocket ws = client.newWebSocketBuilder().buildAsync(URI.create(args[0]), listener).get();
    ws.sendText("hello from java ".repeat(5000), true).get();
    System.out.println("heard " + heard.get());
    ws.sendClose(1000, "").get();
    System.out.println("closed " + closed.get());
    System.exit(0);
  }
}
"#;

#[test]
fn java_talks() {
    let (files, server) = serve("peer-java");
    let Some(java) = tools::java() else {
        return;
    };
    fs::write(files.path("Peer.java"), JAVA).unwrap();
    let url = format!("wss://localhost:{}/echo", server.tls_addr().port());
    let output = Command::new(java)
        .args([&files.path("Peer.java"), &url, &files.path("ca.pem")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        text.contains("heard 80000") && text.contains("closed 1000"),
        "{text}"
    );
    let stats = wait_for_stats(&server, "\"ended\":1,");
    assert!(stats.contains("\"tls_handshakes\":1,"), "{stats}");
}

/// Tells a listener of the test's own what became of it: a page ends when its browser does.
const PAGE: &str = r#"<!doctype html><script>
const tell = (text) => fetch("TELL?" + encodeURIComponent(text), {mode: "no-cors"});
const ws = new WebSocket("WSS");
const text = "hello from chromium ".repeat(4000);
ws.onopen = () => ws.send(text);
ws.onmessage = (event) => { ws.close(1000); heard = event.data === text; };
ws.onclose = (event) => tell("heard " + heard + ", closed " + event.code + " " + event.wasClean);
let heard = false;
</script>"#;

#[test]
fn chromium_talks() {
    let (files, server) = serve("peer-chromium");
    let (Some(chromium), Some(openssl)) = (tools::chromium(), tools::openssl()) else {
        return;
    };
    let told = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.tls_addr().port();
    let page = PAGE.replace("TELL", &format!("http://{}/", told.local_addr().unwrap()));
    let page = page.replace("WSS", &format!("wss://localhost:{port}/echo"));
    fs::write(files.path("page.html"), page).unwrap();
    let mut browser = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .arg(format!("--user-data-dir={}", files.path("profile")))
        .arg(format!(
            "--ignore-certificate-errors-spki-list={}",
            key_hash(openssl, &files)
        ))
        .arg(format!("file://{}", files.path("page.html")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = first_line_of(&told);
    browser.kill().unwrap();
    browser.wait().unwrap();
    assert!(
        line.contains("heard%20true%2C%20closed%201000%20true"),
        "{line}"
    );
    // BoringSSL has the key exchange of tomorrow, and so have we.
    wait_for_stats(&server, "\"tls_handshakes\":1,");
}

/// The request line of whoever comes first.
fn first_line_of(listener: &TcpListener) -> String {
    let (send, heard) = std::sync::mpsc::channel();
    let listener = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let _ = (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        let _ = send.send(line);
    });
    heard
        .recv_timeout(PATIENCE)
        .expect("the page tells what became of it")
}

/// What Chromium knows a key by: the SHA-256 of its public half, in base64.
fn key_hash(openssl: &std::path::Path, files: &Files) -> String {
    let script = r#""$0" x509 -in "$1" -pubkey -noout | "$0" pkey -pubin -outform der |
        "$0" dgst -sha256 -binary | "$0" base64"#;
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(openssl)
        .arg(files.path("cert.pem"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn whoever_is_cut_off_is_counted() {
    let (files, server) = serve("peer-cut");
    let wire = open(&server, &client(&files)).expect("it is trusted");
    drop(wire); // a FIN, and no close_notify before it
    wait_for_stats(&server, "\"tls_truncated\":1,");
}
