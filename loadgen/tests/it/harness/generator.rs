//! Runs the real `loadgen`, bounded in time, watched from outside.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{PATIENCE, now};

/// A generator at work; dropped, it is killed.
pub(crate) struct Generator {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    report: Option<PathBuf>,
}

/// What is left of it.
pub(crate) struct Ended {
    /// `None`: ended by a signal, which no run may.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    /// Highest resident memory seen.
    pub(crate) rss_bytes_max: u64,
    /// `summary.json` when there is a report, else what `--json` printed.
    summary: Value,
}

impl Generator {
    /// `loadgen run --target URL` with these words.
    pub(crate) fn run(url: &str, words: &str) -> Self {
        let mut line = vec!["run", "--target", url, "--json", "--quiet"];
        line.extend(words.split_whitespace());
        Self::start(&line, None)
    }

    /// The same, leaving a bundle.
    pub(crate) fn report(url: &str, words: &str, dir: PathBuf) -> Self {
        let report = dir.display().to_string();
        let mut line = vec!["run", "--target", url, "--json", "--quiet"];
        line.extend(["--report", &report]);
        line.extend(words.split_whitespace());
        Self::start(&line, Some(dir))
    }

    /// The same, telling its progress on standard error.
    pub(crate) fn told(url: &str, words: &str, dir: PathBuf) -> Self {
        let report = dir.display().to_string();
        let mut line = vec!["run", "--target", url, "--json", "--report", &report];
        line.extend(words.split_whitespace());
        Self::start(&line, Some(dir))
    }

    /// Waits until its progress has said this so many times; or fails, when it ends before.
    pub(crate) fn wait_until_told(&self, what: &str, times: usize) {
        let until = now() + PATIENCE;
        while self.stderr.text().matches(what).count() < times {
            assert!(
                !self.ends_within(LOOK) && now() < until,
                "`{what}` was not said {times} times: {}",
                self.stderr.text()
            );
        }
    }

    fn start(words: &[&str], report: Option<PathBuf>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let stdout = Stream::of(child.stdout.take().expect("it was piped"));
        let stderr = Stream::of(child.stderr.take().expect("it was piped"));
        Self {
            child,
            stdout,
            stderr,
            report,
        }
    }

    /// Sends a signal by name ("STOP", "CONT", "INT").
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Whether it has ended within this time.
    pub(crate) fn ends_within(&self, bound: Duration) -> bool {
        self.stdout.closes_within(bound)
    }

    /// Waits until it has ended by itself, within its patience.
    pub(crate) fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// Waits until it has ended by itself. The bound is part of what is tested.
    pub(crate) fn end_within(mut self, bound: Duration) -> Ended {
        let until = now() + bound;
        let mut rss_bytes_max = 0;
        // The pipe closes with the process. Until then there is its memory to look at.
        while !self.stdout.closes_within(LOOK) {
            rss_bytes_max = rss_bytes_max.max(rss_peak_bytes(self.child.id()));
            assert!(
                now() < until,
                "still running after {bound:?}; it printed {:?} and {:?}",
                self.stdout.text(),
                self.stderr.text()
            );
        }
        assert!(self.stderr.closes_within(PATIENCE), "stderr stayed open");
        let code = self.child.wait().unwrap().code();
        let json = match &self.report {
            Some(dir) => fs::read_to_string(dir.join("summary.json")).unwrap_or_default(),
            None => self.stdout.text(),
        };
        let summary = serde_json::from_str(&json).unwrap_or_default();
        Ended {
            code,
            stderr: self.stderr.text(),
            rss_bytes_max,
            summary,
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// By their documented names and not by our own type: other programs read them like this.
impl Ended {
    pub(crate) fn value(&self, pointer: &str) -> &Value {
        let found = self.summary.pointer(pointer);
        found.unwrap_or_else(|| panic!("no {pointer} in the summary; {}", self.story()))
    }

    /// A count.
    pub(crate) fn count(&self, pointer: &str) -> u64 {
        let value = self.value(pointer);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{pointer} is {value}"))
    }

    /// A number.
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        let value = self.value(pointer);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{pointer} is {value}"))
    }

    /// A count in a table of classes, where what did not happen is absent.
    pub(crate) fn class(&self, table: &str, class: &str) -> u64 {
        let count = self.value(table).get(class);
        count.map_or(0, |count| count.as_u64().expect("a count is a number"))
    }

    /// The classes of a table with their counts.
    pub(crate) fn classes(&self, table: &str) -> Vec<(String, u64)> {
        let table = self.value(table).as_object().expect("classes are a table");
        let pair = |(class, count): (&String, &Value)| {
            (class.clone(), count.as_u64().expect("a count is a number"))
        };
        table.iter().map(pair).collect()
    }

    pub(crate) fn warnings(&self) -> String {
        self.value("/verdict/warnings").to_string()
    }

    /// Whether there is a summary at all.
    pub(crate) fn has_summary(&self) -> bool {
        self.summary.is_object()
    }

    /// The equation that always holds, for the whole and for every cohort.
    pub(crate) fn assert_balanced(&self) {
        let cohorts = self.value("/cohorts").as_object();
        let cohorts = cohorts.expect("cohorts are a table").keys();
        let books = cohorts.map(|name| format!("/cohorts/{name}/messages"));
        for at in books.chain(["/messages".to_owned()]) {
            let of = |field: &str| self.count(&format!("{at}/{field}"));
            assert_eq!(
                of("sent"),
                of("received") + of("lost") + of("in_flight"),
                "{at}; {}",
                self.story()
            );
        }
    }

    /// Ended with this exit code; or with 3, where this machine gave the generator so little time that it
    /// allows no statement, and says so. Two cores that run other tests and a compiler do that.
    pub(crate) fn assert_code(&self, expected: i32) {
        let is_starved = self.is_starved();
        assert!(
            self.code == Some(expected) || is_starved,
            "not exit code {expected}: {}",
            self.story()
        );
    }

    /// Ended without a statement, for want of processor time.
    pub(crate) fn is_starved(&self) -> bool {
        self.code == Some(3) && self.count("/generator/limited_s") > 0
    }

    /// What a failing test's message needs.
    pub(crate) fn story(&self) -> String {
        let part = |name: &str| match self.summary.get(name) {
            Some(part) => format!("{name}: {part}\n"),
            None => String::new(),
        };
        let parts: String = ["connections", "messages", "generator", "verdict"]
            .map(part)
            .concat();
        format!("exit code {:?}\n{parts}{}", self.code, self.stderr)
    }
}

/// Runs one of the commands that only read and write files: exit code and output.
pub(crate) fn loadgen(words: &[&Path]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let output = command.args(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// How often memory is looked at while nothing else happens.
const LOOK: Duration = Duration::from_millis(25);

/// One output stream of the child.
struct Stream {
    end: Receiver<()>,
    text: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Stream {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let (open, end) = channel();
        let text = std::sync::Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let kept = std::sync::Arc::clone(&text);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                kept.lock().unwrap().extend(&chunk[..count]);
            }
            drop(open);
        });
        Self { end, text }
    }

    fn closes_within(&self, bound: Duration) -> bool {
        self.end.recv_timeout(bound) == Err(RecvTimeoutError::Disconnected)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// The process's own high-water mark; 0 once it is gone.
fn rss_peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
