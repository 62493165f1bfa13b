//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::server::Contestant;

/// What `--help` prints.
pub(crate) const HELP: &str = include_str!("help.txt");

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Echo,
    Idle,
    Handshake,
    Syscalls,
    Instructions,
}

/// How the client ends a connection in `handshake`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    Rst,
    Fin,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) modes: Vec<Mode>,
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) sizes: Vec<usize>,
    pub(crate) connections: usize,
    pub(crate) idle_connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) close: Close,
    pub(crate) text: bool,
    pub(crate) servers: Vec<Contestant>,
    pub(crate) only: Vec<String>,
    pub(crate) baseline: String,
    pub(crate) server_core: usize,
    pub(crate) client_core: usize,
    pub(crate) prefer: bool,
    pub(crate) results: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            modes: vec![Mode::Echo, Mode::Idle, Mode::Handshake, Mode::Syscalls],
            rounds: 3,
            duration: Duration::from_secs(5),
            sizes: vec![20, 512, 16_384],
            connections: 200,
            idle_connections: 18_000,
            in_flight: 128,
            close: Close::Rst,
            text: false,
            servers: Vec::new(),
            only: Vec::new(),
            baseline: "uws".to_owned(),
            server_core: 0,
            client_core: 1,
            prefer: false,
            results: PathBuf::from("benches/results"),
        }
    }
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} takes a value"))
            };
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "echo" => options.modes = vec![Mode::Echo],
                "idle" => options.modes = vec![Mode::Idle],
                "handshake" => options.modes = vec![Mode::Handshake],
                "syscalls" => options.modes = vec![Mode::Syscalls],
                "instructions" | "--callgrind" => options.modes = vec![Mode::Instructions],
                "all" => options.modes = Self::default().modes,
                "--rounds" => options.rounds = number(&value()?)?,
                "--seconds" => options.duration = Duration::from_secs_f64(number(&value()?)?),
                "--sizes" => options.sizes = list(&value()?, number)?,
                "--connections" => options.connections = number(&value()?)?,
                "--idle-connections" => options.idle_connections = number(&value()?)?,
                "--in-flight" => options.in_flight = number(&value()?)?,
                "--close" => options.close = close(&value()?)?,
                "--text" => options.text = true,
                "--server" => options.servers.push(Contestant::parse(&value()?)?),
                "--only" => options.only = list(&value()?, |name| Ok(name.to_owned()))?,
                "--baseline" => options.baseline = value()?,
                "--server-core" => options.server_core = number(&value()?)?,
                "--client-core" => options.client_core = number(&value()?)?,
                "--prefer" => options.prefer = true,
                "--results" => options.results = PathBuf::from(value()?),
                _ => bail!("unknown word {word:?}; --help lists the known ones"),
            }
        }
        options.check()?;
        Ok(Some(options))
    }

    fn check(&self) -> Result<()> {
        ensure!(self.rounds > 0, "--rounds must be at least 1");
        ensure!(
            self.connections > 0 && self.in_flight > 0,
            "there must be connections"
        );
        ensure!(
            self.idle_connections > 0,
            "--idle-connections must be at least 1"
        );
        ensure!(!self.sizes.is_empty(), "--sizes must name a size");
        let largest = self.sizes.iter().max().copied().unwrap_or(0);
        ensure!(
            largest <= 1 << 20,
            "every contestant's message limit is 1 MiB"
        );
        ensure!(
            self.server_core != self.client_core,
            "server and client need a core each"
        );
        Ok(())
    }
}

fn number<T: FromStr>(word: &str) -> Result<T> {
    word.parse()
        .ok()
        .with_context(|| format!("{word:?} is not a number that fits here"))
}

fn list<T>(words: &str, item: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    words.split(',').map(item).collect()
}

fn close(word: &str) -> Result<Close> {
    match word {
        "rst" => Ok(Close::Rst),
        "fin" => Ok(Close::Fin),
        _ => bail!("--close is rst or fin, not {word:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_and_their_values() {
        let options = parse("handshake --rounds 7 --close fin --sizes 1,2")
            .unwrap()
            .unwrap();
        assert_eq!(options.modes, [Mode::Handshake]);
        assert_eq!((options.rounds, options.close), (7, Close::Fin));
        assert_eq!(options.sizes, [1, 2]);
        assert!(parse("echo --help").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for line in [
            "--rounds 0",
            "--rounds many",
            "--sizes",
            "--sizes 2000000",
            "--server-core 1",
            "--close softly",
            "walk",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
