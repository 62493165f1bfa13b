//! `throng dev-cert`: an authority, a certificate and its key, in three files, for development.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::problem::json_string;
use crate::config::quantity::parse_count;
use crate::config::suggest::nearest;
use crate::config::{Place, Problem};
use crate::sys::clock;
use crate::tls::dev_cert::{DevCertificate, DevRequest};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--help`.
    pub help: bool,
    /// `--out`: the folder the files go to.
    pub out: PathBuf,
    /// `--name`, each of them.
    pub names: Vec<String>,
    /// `--days`.
    pub days: u32,
    /// `--force`: files that are there are replaced.
    pub force: bool,
    /// `--json`.
    pub json: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            help: false,
            out: PathBuf::from("."),
            names: Vec::new(),
            days: DevRequest::default().days,
            force: false,
            json: false,
        }
    }
}

impl Options {
    /// What the rest of a command line asks for, and everything that was not understood.
    pub fn parse(mut rest: VecDeque<OsString>) -> (Self, Vec<Problem>) {
        let (mut options, mut problems) = (Self::default(), Vec::new());
        while let Some(arg) = rest.pop_front() {
            let word = arg.to_string_lossy().into_owned();
            if let Err((cause, cure)) = options.argument(&word, &mut rest) {
                problems.push(Problem::error(Place::CommandLine, cause, cure));
            }
        }
        (options, problems)
    }

    fn argument(
        &mut self,
        word: &str,
        rest: &mut VecDeque<OsString>,
    ) -> Result<(), (String, String)> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        match name {
            "--help" | "-h" => self.help = true,
            "--force" => self.force = true,
            "--json" => self.json = true,
            "--out" => self.out = value(name, "DIR", attached, rest)?.into(),
            "--name" => self.names.push(value(name, "NAME", attached, rest)?),
            "--days" => {
                let days = value(name, "N", attached, rest)?;
                let count = parse_count(&days).ok().and_then(|n| u32::try_from(n).ok());
                let is_fit = |days: &u32| (1..=DAYS_MAX).contains(days);
                self.days = count.filter(is_fit).ok_or_else(|| {
                    let cause = format!("--days {days:?} is not a number from 1 to {DAYS_MAX}");
                    (cause, "write --days 365".to_owned())
                })?;
            }
            _ => {
                let known = ["--help", "--force", "--json", "--out", "--name", "--days"];
                let cure = match nearest(name, known) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "throng dev-cert --help lists the flags".to_owned(),
                };
                return Err((format!("unknown argument {name:?}"), cure));
            }
        }
        Ok(())
    }

    fn request(&self) -> DevRequest {
        let names = match self.names.is_empty() {
            true => DevRequest::default().names,
            false => self.names.clone(),
        };
        DevRequest {
            names,
            days: self.days,
        }
    }
}

/// Browsers take no certificate that is good for longer.
const DAYS_MAX: u32 = 825;

/// The value after `=`, or the next argument unless that is a flag itself.
pub(super) fn value(
    name: &str,
    placeholder: &str,
    attached: Option<String>,
    rest: &mut VecDeque<OsString>,
) -> Result<String, (String, String)> {
    let is_value = |next: &&OsString| !next.to_string_lossy().starts_with("--");
    let next = match attached {
        None if rest.front().filter(is_value).is_some() => rest.pop_front(),
        attached => attached.map(OsString::from),
    };
    let next = next.map(|next| next.to_string_lossy().into_owned());
    next.ok_or_else(|| {
        (
            format!("{name} has no value"),
            format!("write {name} {placeholder}"),
        )
    })
}

/// Why nothing was made.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub cure: String,
}

/// Makes the files; what to say about them.
pub fn make(options: &Options) -> Result<String, Failure> {
    let request = options.request();
    let made = DevCertificate::new(&request, clock::unix_s()).map_err(|bad| Failure {
        cause: bad.to_string(),
        cure: "write --name app.test, --name '*.app.test' or --name 10.0.0.1".to_owned(),
    })?;
    let paths = ["ca.pem", "cert.pem", "key.pem"].map(|name| options.out.join(name));
    let failed = |path: &Path, error: &io::Error| Failure {
        cause: format!("cannot write {}: {error}", path.display()),
        cure: match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "--force replaces it, --out writes elsewhere".to_owned()
            }
            _ => "--out names the folder".to_owned(),
        },
    };
    fs::create_dir_all(&options.out).map_err(|error| failed(&options.out, &error))?;
    if let Some(path) = paths.iter().find(|path| !options.force && path.exists()) {
        return Err(failed(path, &io::ErrorKind::AlreadyExists.into()));
    }
    let texts = [
        (&made.authority, 0o644),
        (&made.certificate, 0o644),
        (&made.key, 0o600),
    ];
    for (path, (text, mode)) in paths.iter().zip(texts) {
        write(path, text, mode).map_err(|error| failed(path, &error))?;
    }
    let paths = paths.map(|path| path.display().to_string());
    Ok(match options.json {
        true => json(&paths, &request),
        false => text(&paths, &request),
    })
}

/// Always a new file: the mode of an old one would stay as it was, and readers of it would see the
/// new key.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

fn text([authority, certificate, key]: &[String; 3], request: &DevRequest) -> String {
    let mut text = format!(
        "\
{certificate} and {key}
  for {names}, for {days} days
{authority}
  vouches for them. To trust it:
    curl      --cacert {authority}
    Node      NODE_EXTRA_CA_CERTS={authority}
    Python    ssl.create_default_context(cafile=\"{authority}\")
    Debian    cp {authority} /usr/local/share/ca-certificates/throng-dev.crt && update-ca-certificates
    browsers  import it under Certificates, Authorities
",
        names = request.names.join(", "),
        days = request.days,
    );
    text.push_str("Its key was not kept: it vouches for nothing else, now or later.\n");
    text
}

fn json([authority, certificate, key]: &[String; 3], request: &DevRequest) -> String {
    let mut text = String::new();
    let names: Vec<_> = request.names.iter().map(|name| json_string(name)).collect();
    let _ = writeln!(
        text,
        "{{\"authority\":{},\"certificate\":{},\"key\":{},\"names\":[{}],\"days\":{}}}",
        json_string(authority),
        json_string(certificate),
        json_string(key),
        names.join(","),
        request.days
    );
    text
}

/// `throng dev-cert --help`.
pub fn help() -> String {
    "\
Usage: throng dev-cert [--out DIR] [--name NAME]... [--days N] [--force] [--json]

Makes a certificate for development, and an authority that vouches for it: ca.pem to be trusted by
clients, cert.pem and key.pem for the server. The authority's key is not kept, so whoever trusts it
trusts this one certificate.

  --out DIR                   The folder for the three files (default: here)
  --name NAME                 A host name or address it is for; repeat it
                              (default: localhost, 127.0.0.1, ::1)
  --days N                    How long it is good for (default: 365, at most 825)
  --force                     Replace files that are there
  --json                      Say where the files are as one JSON object
  --help, -h                  Print this text

Examples:
  throng dev-cert --out dev
  throng dev-cert --out dev --name chat.test --name '*.chat.test' --name 192.168.1.20
"
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Options, Vec<String>) {
        let words = line.split_whitespace().map(OsString::from).collect();
        let (options, problems) = Options::parse(words);
        let causes = problems.into_iter().map(|problem| problem.cause);
        (options, causes.collect())
    }

    #[test]
    fn flags_say_what_is_wanted() {
        let (options, causes) = parsed("--out dev --name=a.test --name ::1 --days 30 --force");
        assert_eq!(causes, [""; 0]);
        assert_eq!(options.request().names, ["a.test", "::1"]);
        assert_eq!((options.days, options.force), (30, true));
        assert_eq!(options.out, Path::new("dev"));
        assert_eq!(parsed("").0.request(), DevRequest::default());
    }

    #[test]
    fn mistakes_are_all_reported() {
        let (_, causes) = parsed("--nam a --days 0 --days 9000 --out --name");
        assert_eq!(causes.len(), 6, "{causes:?}");
        assert!(causes[0].contains("--nam"));
    }
}
