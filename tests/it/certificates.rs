//! Certificate files as they should be, and every way in which they are not.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use throng::tls::certificates::{Cause, Certificate, Contents, load_authorities};
use throng::tls::dev_cert::{DevCertificate, DevRequest};
use throng::tls::{OptionError, ServerOptions, ServerTls};

const NOW_S: u64 = 1_790_000_000;

fn made() -> DevCertificate {
    DevCertificate::new(&DevRequest::default(), NOW_S).unwrap()
}

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("certificates-{name}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_certificate_is_loaded_from_one_file_or_from_several() {
    let folder = Folder::new("load");
    let made = made();
    let chain = folder.write(
        "chain.pem",
        [made.certificate.as_str(), &made.authority].concat(),
    );
    let key = folder.write("key.pem", &made.key);
    let both = folder.write("both.pem", [made.key.as_str(), &made.certificate].concat());
    let ocsp = folder.write("ocsp.der", [1, 2, 3]);
    let loaded = Certificate::load(&chain, &key, Some(&ocsp)).unwrap();
    assert_eq!(loaded.chain.len(), 2);
    assert_eq!(loaded.ocsp.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(loaded.facts.names, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(load_authorities(&chain).unwrap(), loaded.chain);
    let other = Certificate::load(&both, &both, None).unwrap();
    assert_eq!(other.key, loaded.key);
    assert_ne!(other.fingerprint(), loaded.fingerprint());
    let again = Certificate::load(&chain, &key, Some(&ocsp)).unwrap();
    assert_eq!(again.fingerprint(), loaded.fingerprint());
    assert!(!format!("{loaded:?}").contains(&made.key[30..60]));
}

#[test]
fn errors_name_the_file_and_the_cure() {
    let folder = Folder::new("errors");
    let good = made();
    let key = folder.write("key.pem", &good.key);
    let chain = folder.write("chain.pem", &good.certificate);
    let half = &good.certificate[..good.certificate.len() / 2];
    let broken = good.certificate.replacen("MII", "MIJ", 1);
    let cases: [(&str, &[u8], Cause); 7] = [
        ("empty", b"", Cause::NoCertificate(Contents::Nothing)),
        (
            "key",
            good.key.as_bytes(),
            Cause::NoCertificate(Contents::PrivateKey),
        ),
        (
            "der",
            &[0x30, 0x82, 1, 1],
            Cause::NoCertificate(Contents::Der),
        ),
        ("half", half.as_bytes(), Cause::NoEnd),
        (
            "letters",
            b"-----BEGIN CERTIFICATE-----\n*&^%\n-----END CERTIFICATE-----\n",
            Cause::NotBase64,
        ),
        ("broken", broken.as_bytes(), Cause::BrokenCertificate(1)),
        ("long", &vec![b'x'; (1 << 20) + 1], Cause::TooLong),
    ];
    for (name, text, cause) in cases {
        let path = folder.write(name, text);
        let error = Certificate::load(&path, &key, None).unwrap_err();
        assert_eq!(error, cause.of(&path), "{name}");
        assert!(error.to_string().starts_with(path.to_str().unwrap()));
    }
    let two = [good.key.as_str(), &made().key].concat();
    let encrypted = good.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    for (name, text, cause) in [
        ("two", two.as_str(), Cause::SeveralKeys),
        ("encrypted", &encrypted, Cause::EncryptedKey),
        (
            "chain",
            &good.certificate,
            Cause::NoKey(Contents::Certificate),
        ),
    ] {
        let path = folder.write(name, text);
        let error = Certificate::load(&chain, &path, None).unwrap_err();
        assert_eq!(error, cause.of(&path), "{name}");
    }
    let absent = folder.0.join("absent.pem");
    let error = Certificate::load(&absent, &key, None).unwrap_err();
    assert_eq!(error.cause, Cause::Unreadable(io::ErrorKind::NotFound));
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_found_out() {
    let (one, other) = (made(), made());
    let folder = Folder::new("mismatch");
    let refused = |chain: &[&str], key: &str| {
        let chain = folder.write("chain.pem", chain.concat());
        let key = folder.write("key.pem", key);
        let certificates = vec![Certificate::load(&chain, &key, None).unwrap()];
        let options = ServerOptions {
            certificates,
            ..ServerOptions::default()
        };
        match ServerTls::new(&options) {
            Err(OptionError::Certificate(0, cause)) => Some(cause),
            other => other.map(|_| None).unwrap(),
        }
    };
    assert_eq!(refused(&[&one.certificate, &one.authority], &one.key), None);
    let mismatch = refused(&[&one.certificate, &one.authority], &other.key);
    assert_eq!(mismatch, Some(Cause::KeyMismatch));
    let turned = refused(&[&one.authority, &one.certificate], &one.key);
    assert_eq!(turned, Some(Cause::WrongOrder(2)));
    let unusable = "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n";
    let unusable = refused(&[&one.certificate], unusable);
    assert_eq!(unusable, Some(Cause::UnusableKey));
}

#[test]
fn dev_cert_makes_what_can_be_served_and_replaces_nothing_unasked() {
    let folder = Folder::new("dev");
    let out = folder.0.join("made here");
    let throng = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throng"));
        command.arg("dev-cert").arg("--out").arg(&out).args(args);
        command.output().unwrap()
    };
    let made = throng(&["--name", "a.test", "--json"]);
    assert!(made.status.success(), "{made:?}");
    let said: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(said["names"], serde_json::json!(["a.test"]));
    let path = |key: &str| PathBuf::from(said[key].as_str().unwrap());
    let certificate = Certificate::load(&path("certificate"), &path("key"), None).unwrap();
    assert_eq!(certificate.facts.names, ["a.test"]);
    assert_eq!(load_authorities(&path("authority")).unwrap().len(), 1);
    let mode = fs::metadata(path("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a key is for its owner");

    let again = throng(&[]);
    assert_eq!(again.status.code(), Some(1));
    let told = String::from_utf8(again.stderr).unwrap();
    assert!(
        told.contains("ca.pem") && told.contains("--force"),
        "{told}"
    );
    assert!(throng(&["--force"]).status.success());
    let replaced = Certificate::load(&path("certificate"), &path("key"), None).unwrap();
    assert_eq!(replaced.facts.names, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(throng(&["--days", "many"]).status.code(), Some(2));
}
