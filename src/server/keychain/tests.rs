//! Files that are there, files that are not, and what is said about each.

use super::*;
use crate::config::tls::{ClientCerts, Tls};
use crate::tls::dev_cert::{DevCertificate, DevRequest};

/// A folder of the test's own, with a certificate and another one's key.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("throng-keys-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        for name in ["one", "two"] {
            let request = DevRequest {
                days: 20_000,
                ..DevRequest::default()
            };
            let made = DevCertificate::new(&request, 1_700_000_000).unwrap();
            folder.write(&format!("{name}.ca"), &made.authority);
            folder.write(&format!("{name}.cert"), &made.certificate);
            folder.write(&format!("{name}.key"), &made.key);
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.join(name))
    }

    fn tls(&self, cert: &str, key: &str) -> Tls {
        Tls {
            certificate: CertificateFiles {
                cert: self.path(cert),
                key: self.path(key),
                ocsp: None,
            },
            ..Tls::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(tls: &Tls) -> Result<Keychain, String> {
    Keychain::load_from(tls, None, None).map_err(|error| format!("{error:#}"))
}

#[test]
fn every_mistake_names_its_file_and_what_to_do() {
    let folder = Folder::new("mistakes");
    let good = folder.tls("one.cert", "one.key");
    folder.write("short.tickets", "secret\n");
    let none = Tls::default();
    let ca = Tls {
        client_certs: ClientCerts::Required,
        ..good.clone()
    };
    let no_ca = Tls {
        client_ca: folder.path("one.key"),
        ..ca.clone()
    };
    let tickets = Tls {
        ticket_keys: folder.path("short.tickets"),
        ..good.clone()
    };
    let cases = [
        (none, "TLS needs a certificate: --tls-cert FILE"),
        (
            folder.tls("none.cert", "one.key"),
            "none.cert: there is no such file; `throng dev-cert",
        ),
        (
            folder.tls("one.cert", "two.key"),
            "two.key: the key belongs to no certificate in /",
        ),
        (
            folder.tls("one.cert", "two.cert"),
            "two.cert: holds no private key, but a certificate",
        ),
        (
            folder.tls("one.key", "one.key"),
            "one.key: holds no certificate, but a private key",
        ),
        (ca, "--tls-client-ca FILE"),
        (no_ca, "one.key: holds no certificate"),
        (tickets, "short.tickets: line 1 is too short"),
    ];
    for (tls, expected) in cases {
        let said = load(&tls).unwrap_err();
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(load(&good).is_ok());
}

#[test]
fn credentials_are_used_where_nothing_is_named() {
    let folder = Folder::new("credentials");
    let text = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    folder.write("tls.cert", &text("one.cert"));
    folder.write("tls.key", &text("one.key"));
    let from = |tls: &Tls| Keychain::load_from(tls, None, Some(&folder.0));
    assert_eq!(
        from(&Tls::default()).unwrap().shown[0].0,
        folder.0.join("tls.cert")
    );
    // Chain and key in one file; what is named goes first.
    folder.write("both.pem", &(text("two.cert") + &text("two.key")));
    fs::remove_file(folder.0.join("tls.key")).unwrap();
    let mut tls = Tls::default();
    tls.certificate.cert = folder.path("both.pem");
    assert_eq!(from(&tls).unwrap().shown[0].0, folder.0.join("both.pem"));
}

#[test]
fn a_change_is_seen_whatever_file_it_is_in() {
    let folder = Folder::new("change");
    let secrets = "first secret of thirty-two characters\n";
    folder.write("tickets", secrets);
    let tls = Tls {
        more: vec![folder.tls("two.cert", "two.key").certificate],
        ticket_keys: folder.path("tickets"),
        client_certs: ClientCerts::Optional,
        client_ca: folder.path("one.ca"),
        ..folder.tls("one.cert", "one.key")
    };
    let before = load(&tls).unwrap();
    assert_eq!(before.shown.len(), 2);
    assert!(!load(&tls).unwrap().differs_from(&before));
    for (name, text) in [
        (
            "tickets",
            format!("second secret of thirty-two characters\n{secrets}"),
        ),
        (
            "one.ca",
            fs::read_to_string(folder.0.join("two.ca")).unwrap(),
        ),
    ] {
        let old = fs::read_to_string(folder.0.join(name)).unwrap();
        folder.write(name, &text);
        assert!(load(&tls).unwrap().differs_from(&before), "{name}");
        folder.write(name, &old);
        assert!(!load(&tls).unwrap().differs_from(&before), "{name}");
    }
    for (one, two) in [("one.cert", "two.cert"), ("one.key", "two.key")] {
        fs::copy(folder.0.join(two), folder.0.join(one)).unwrap();
    }
    assert!(load(&tls).unwrap().differs_from(&before));
}

#[test]
fn tickets_outlive_a_reload() {
    let folder = Folder::new("tickets");
    let tls = folder.tls("one.cert", "one.key");
    let before = load(&tls).unwrap();
    let after = Keychain::load_from(&tls, Some(&before), None).unwrap();
    let kept = (before.tickets.unwrap(), after.tickets.unwrap());
    assert!(Arc::ptr_eq(&kept.0, &kept.1));
    let off = Tls {
        tickets: false,
        ..tls
    };
    assert!(load(&off).unwrap().tickets.is_none());
}

#[test]
fn a_key_that_everybody_can_read_is_noticed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("modes");
    let tls = folder.tls("one.cert", "one.key");
    for (mode, expected) in [(0o644, 1), (0o640, 0), (0o600, 0)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.0.join("one.key"), permissions).unwrap();
        assert_eq!(load(&tls).unwrap().open_keys.len(), expected, "{mode:o}");
    }
}
