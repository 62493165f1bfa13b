//! What must not be found: keys, in a core dump, in the log, or among the figures.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::stats;
use crate::harness::{Files, Http, Launch, Peer, Server, frame, op, tools, upgrade_request};

/// Derives the keys of a connection from what OpenSSL wrote down of it, takes the private key apart,
/// and looks for all of it in the files that follow. RFC 8446, 7.1 and 7.3.
const SEARCH: &str = r##"
import hashlib, hmac, struct, subprocess, sys
key_log, private_key, places = sys.argv[1], sys.argv[2], sys.argv[3:]
def expand(secret, label, length):
    label = b"tls13 " + label
    text = struct.pack(">H", length) + bytes([len(label)]) + label + b"\0\1"
    return hmac.new(secret, text, hashlib.sha256).digest()[:length]
secrets = {}
for line in open(key_log):
    if line.startswith("#"):
        continue
    name, _, secret = line.split()
    secret = bytes.fromhex(secret)
    secrets[name] = secret
    secrets[name + " key"] = expand(secret, b"key", 16)
    secrets[name + " next"] = expand(secret, b"traffic upd", 32)
assert "CLIENT_TRAFFIC_SECRET_0" in secrets and "SERVER_TRAFFIC_SECRET_0" in secrets
der = subprocess.run(["openssl", "pkey", "-in", private_key, "-outform", "der"], capture_output=True).stdout
at = der.index(b"\x04\x20", der.index(b"\x02\x01\x01\x04")) + 2
scalar = der[at:at + 32]
secrets["private key"], secrets["private key, in words"] = scalar, scalar[::-1]
secrets["private key, as PEM"] = open(private_key, "rb").read().split(b"\n")[1]
for place in places:
    held = open(place, "rb").read()
    for name, secret in secrets.items():
        for form in (secret, secret.hex().encode(), secret.hex().upper().encode()):
            if form in held:
                print("found", name, "in", place)
print("searched", len(secrets), "secrets in", len(places), "places")
"##;

#[test]
fn no_key_is_in_a_core_the_log_or_the_figures() {
    let (Some(openssl), Some(python), Some(gcore)) =
        (tools::openssl(), tools::python(), tools::gcore())
    else {
        return;
    };
    let files = Files::new("wss-secrets");
    let server = Launch::new().tls(&files).admin("127.0.0.1:0").start();
    let address = server.tls_addr().to_string();
    let (key_log, authority) = (files.path("keylog"), files.path("ca.pem"));
    let args = [
        "s_client",
        "-connect",
        &address,
        "-CAfile",
        &authority,
        "-keylogfile",
        &key_log,
    ];
    let narrow = ["-ciphersuites", "TLS_AES_128_GCM_SHA256"];
    let mut peer = Peer::start(openssl, &[&args[..], &narrow].concat());
    peer.expect("Verify return code: 0 (ok)");
    peer.write(upgrade_request(""));
    peer.expect("101 Switching");
    peer.write(frame(op::FIN | op::TEXT, b"whisper\n"));
    peer.expect("whisper");
    let text = [
        server.output(),
        stats(&server),
        Http::connect(server.admin_addr()).get("/metrics").body,
    ];
    let said = files.path("said");
    fs::write(&said, text.concat()).unwrap();
    let search = |places: &[&str]| {
        let key = files.path("key.pem");
        let args = [&["-c", SEARCH, &key_log, &key][..], places].concat();
        let found = Peer::start(python, &args).rest();
        assert!(found.contains("searched"), "{found}");
        found
    };
    let Some(core) = core_of(gcore, &server, &files) else {
        return;
    };
    let found = search(&[&core, &said]);
    assert!(!found.contains("found"), "{found}");
    // The search finds what is there: with its memory in the core, the keys are.
    fs::write(format!("/proc/{}/coredump_filter", server.pid()), "0x33").unwrap();
    let core = core_of(gcore, &server, &files).expect("it worked before");
    let found = search(&[&core]);
    assert!(found.contains("found CLIENT_TRAFFIC_SECRET_0"), "{found}");
}

/// A core of the server, which goes on; `None` where nobody may look into another process.
fn core_of(gcore: &Path, server: &Server, files: &Files) -> Option<String> {
    let pid = server.pid().to_string();
    let core = files.path("core");
    let output = Command::new(gcore)
        .args(["-o", &core, &pid])
        .output()
        .unwrap();
    let core = format!("{core}.{pid}");
    if fs::metadata(&core).is_ok() {
        return Some(core);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    writeln!(
        std::io::stderr(),
        "\nSKIPPED no_key_is_in_a_core: no core: {text}\n"
    )
    .ok();
    None
}
