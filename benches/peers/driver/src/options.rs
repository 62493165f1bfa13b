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
    Fanout,
}

impl Mode {
    /// What is measured unless something else is said.
    fn sizes(self) -> Vec<usize> {
        match self {
            // A chat message, and what the peers send without copying it twice.
            Self::Fanout => vec![100, 16_384],
            _ => vec![20, 512, 16_384],
        }
    }

    /// Whose figures are 1.00 unless something else is said.
    fn baselines(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Fanout => &["floor", "uws"],
            _ => &["uws"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
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
    /// Sizes of JSON that is fanned out deflated.
    pub(crate) json: Vec<usize>,
    pub(crate) subscribers: Vec<usize>,
    pub(crate) connections: usize,
    pub(crate) idle_connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) close: Close,
    pub(crate) text: bool,
    pub(crate) servers: Vec<Contestant>,
    pub(crate) only: Vec<String>,
    pub(crate) baselines: Vec<String>,
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
            sizes: Mode::Echo.sizes(),
            json: vec![4096],
            subscribers: vec![1000, 18_000],
            connections: 200,
            idle_connections: 18_000,
            in_flight: 128,
            close: Close::Rst,
            text: false,
            servers: Vec::new(),
            only: Vec::new(),
            baselines: Mode::Echo.baselines(),
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
        let (mut sizes, mut baselines) = (None, None);
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
                "fanout" => options.modes = vec![Mode::Fanout],
                "all" => options.modes = Self::default().modes,
                "--rounds" => options.rounds = number(&value()?)?,
                "--seconds" => options.duration = Duration::from_secs_f64(number(&value()?)?),
                "--sizes" => sizes = Some(list_or_none(&value()?, number)?),
                "--json" => options.json = list_or_none(&value()?, number)?,
                "--subscribers" => options.subscribers = list(&value()?, number)?,
                "--connections" => options.connections = number(&value()?)?,
                "--idle-connections" => options.idle_connections = number(&value()?)?,
                "--in-flight" => options.in_flight = number(&value()?)?,
                "--close" => options.close = close(&value()?)?,
                "--text" => options.text = true,
                "--server" => options.servers.push(Contestant::parse(&value()?)?),
                "--only" => options.only = list(&value()?, |name| Ok(name.to_owned()))?,
                "--baseline" => baselines = Some(list(&value()?, |name| Ok(name.to_owned()))?),
                "--server-core" => options.server_core = number(&value()?)?,
                "--client-core" => options.client_core = number(&value()?)?,
                "--prefer" => options.prefer = true,
                "--results" => options.results = PathBuf::from(value()?),
                _ => bail!("unknown word {word:?}; --help lists the known ones"),
            }
        }
        let mode = options.modes[0];
        options.sizes = sizes.unwrap_or_else(|| mode.sizes());
        options.baselines = baselines.unwrap_or_else(|| mode.baselines());
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
        let is_fanout = self.modes == [Mode::Fanout];
        ensure!(
            !self.sizes.is_empty() || is_fanout && !self.json.is_empty(),
            "--sizes must name a size"
        );
        ensure!(
            !self.subscribers.contains(&0),
            "somebody must subscribe, if only the publisher"
        );
        ensure!(
            self.json.iter().all(|&size| size >= JSON_BYTES_MIN),
            "--json must be at least {JSON_BYTES_MIN}"
        );
        let largest = self
            .sizes
            .iter()
            .chain(&self.json)
            .max()
            .copied()
            .unwrap_or(0);
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

/// The least that is worth deflating for everybody.
const JSON_BYTES_MIN: usize = 64;

fn number<T: FromStr>(word: &str) -> Result<T> {
    word.parse()
        .ok()
        .with_context(|| format!("{word:?} is not a number that fits here"))
}

fn list<T>(words: &str, item: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    words.split(',').map(item).collect()
}

fn list_or_none<T>(words: &str, item: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    match words {
        "none" => Ok(Vec::new()),
        words => list(words, item),
    }
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
        let options = parse("fanout --subscribers 5,6 --sizes none")
            .unwrap()
            .unwrap();
        assert_eq!(options.modes, [Mode::Fanout]);
        assert_eq!(options.subscribers, [5, 6]);
        assert!(options.sizes.is_empty());
        assert_eq!(options.json, [4096]);
        assert!(parse("echo --help").unwrap().is_none());
    }

    #[test]
    fn a_mode_has_sizes_and_baselines_of_its_own() {
        let of = |line| {
            let options = parse(line).unwrap().unwrap();
            (options.sizes, options.baselines.join(","))
        };
        assert_eq!(of("echo"), (vec![20, 512, 16_384], "uws".to_owned()));
        assert_eq!(of("fanout"), (vec![100, 16_384], "floor,uws".to_owned()));
        let said = of("--baseline throng --sizes 7 fanout");
        assert_eq!(said, (vec![7], "throng".to_owned()));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for line in [
            "--rounds 0",
            "--rounds many",
            "--sizes",
            "--sizes 2000000",
            "echo --sizes none",
            "fanout --sizes none --json none",
            "fanout --json 63",
            "fanout --subscribers 0",
            "--server-core 1",
            "--close softly",
            "walk",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
