//! Certificates in files, and other people's programs to show them to.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use throng::tls::certificates::Certificate;
use throng::tls::dev_cert::{DevCertificate, DevRequest};
use throng::tls::{Choices, ServerOptions, ServerTls};

use super::{PATIENCE, tools};

/// Certificates in a folder of the test's own.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}"));
        fs::create_dir_all(&folder).unwrap();
        let files = Self(folder);
        files.make("localhost", 20_000);
        files
    }

    /// Makes (anew) an authority, a certificate of that name and its key, good for so many days from
    /// 2023 on.
    pub(crate) fn make(&self, name: &str, days: u32) {
        let names = [name, "localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let made = DevCertificate::new(&DevRequest { names, days }, 1_700_000_000).unwrap();
        for (name, text, mode) in [
            ("ca.pem", made.authority, 0o644),
            ("cert.pem", made.certificate, 0o644),
            ("key.pem", made.key, 0o600),
        ] {
            fs::write(self.0.join(name), text).unwrap();
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(self.0.join(name), mode).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn options(&self) -> ServerOptions {
        let [chain, key] = ["cert.pem", "key.pem"].map(|name| self.0.join(name));
        ServerOptions {
            certificates: vec![Certificate::load(&chain, &key, None).unwrap()],
            ..ServerOptions::default()
        }
    }

    pub(crate) fn server(&self, choices: Choices) -> ServerTls {
        let options = ServerOptions {
            choices,
            ..self.options()
        };
        ServerTls::new(&options).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program one can talk to, both its outputs as one text.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    text: String,
}

impl Peer {
    pub(crate) fn start(program: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, output) = channel();
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for mut pipe in pipes {
            let send = send.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = pipe.read(&mut bytes) {
                    if send.send(bytes[..length].to_vec()).is_err() {
                        return;
                    }
                }
            });
        }
        Self {
            input: child.stdin.take(),
            child,
            output,
            text: String::new(),
        }
    }

    /// `openssl s_client` to `address`.
    pub(crate) fn s_client(address: SocketAddr, files: &Files, args: &[&str]) -> Option<Self> {
        let (address, authority) = (address.to_string(), files.path("ca.pem"));
        let always = [
            "s_client",
            "-connect",
            &address,
            "-servername",
            "localhost",
            "-CAfile",
            &authority,
            "-verify_return_error",
        ];
        Some(Self::start(
            tools::openssl()?,
            &[&always[..], args].concat(),
        ))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn write(&mut self, text: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_ref()).unwrap();
        input.flush().unwrap();
    }

    /// Reads until `text` has come, anew since the last time.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        loop {
            if let Some(at) = self.text.find(text) {
                self.text.drain(..at + text.len());
                return;
            }
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} never came:\n{}", self.text),
            }
        }
    }

    /// Everything until it ends.
    pub(crate) fn rest(&mut self) -> String {
        self.input = None;
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.text)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
