//! Does it survive? A server for every way to be wrong that we know.
//!
//! Against each of them a run ends within its own time limits, does not panic, stays small, does not exit
//! 0, and names what went wrong with a class that no other way has.

mod ways;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::{Ended, Generator, PATIENCE, Server};
use ways::{Load, WAYS, Way};

/// Limits that every run has, beside its own length and the patience for connects.
const LIMITS: &str = "--connections 4 --answer-timeout 1s --retries 1";
/// A run that ends by itself has ended by now, also on a machine that does much else. That limits are kept to
/// the tick is tested where time is an argument (`engine/tests`).
const BOUND: Duration = PATIENCE;
/// A failure that was not met is given so many times as much time before it is called missing: on a busy
/// machine two seconds may not be enough to begin.
const MORE_TIME: [u32; 2] = [3, 9];
/// No peer may make us need more. All of our memory counts, not only what grew.
const RSS_BYTES_MAX: u64 = 64 << 20;
/// Runs side by side: most of them only wait.
const AT_ONCE: usize = 8;

/// Ways that have one name between them, and why no client could tell them apart (or need to).
const SAME: &[(&str, &str)] = &[
    (
        "handshake_timeout",
        "no whole answer came in time, be it none or one byte at a time",
    ),
    (
        "answer_timeout",
        "the peer keeps the protocol and does not answer; pings are no answer, and not reading shows as none",
    ),
    (
        "protocol_message_too_big",
        "told by one header or by many, it is the sum that nobody will take",
    ),
];

#[test]
fn every_way_is_survived_and_has_its_name() {
    let mut jobs: Vec<Job> = WAYS.iter().map(Job::of).collect();
    jobs.push(Job::refusing());
    jobs.push(Job::with_a_full_backlog());
    let names = distinct(&jobs);
    assert!(names >= 14, "{names} classes only");
    let left = Mutex::new(jobs.into_iter());
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let job = left.lock().unwrap().next();
                    let Some(job) = job else { return };
                    let verdict = job.run();
                    verdicts.lock().unwrap().extend(verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap();
    assert!(verdicts.is_empty(), "{}", verdicts.join("\n\n"));
}

/// How many classes the table names; one that names several ways says why.
fn distinct(jobs: &[Job]) -> usize {
    let mut ways: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for job in jobs {
        ways.entry(job.class).or_default().push(job.name);
    }
    for (class, names) in &ways {
        let is_explained = SAME.iter().any(|(same, _)| same == class);
        assert_eq!(names.len() > 1, is_explained, "{class}: {names:?}");
    }
    ways.len()
}

/// One generator against one server.
struct Job {
    name: &'static str,
    class: &'static str,
    load: Load,
    url: String,
    /// Whoever keeps the address as it is.
    _host: Box<dyn Send>,
}

impl Job {
    fn of(way: &Way) -> Self {
        let story = way.story;
        let server = Server::start(story);
        Self {
            name: way.name,
            class: way.class,
            load: way.load,
            url: server.url(),
            _host: Box::new(server),
        }
    }

    /// Nobody listens: the port was free a moment ago, and the address belongs to nobody else.
    fn refusing() -> Self {
        let gone = TcpListener::bind("127.77.1.1:0").unwrap();
        Self {
            name: "does not listen",
            class: "refused",
            load: ways::ECHO,
            url: format!("ws://{}/", gone.local_addr().unwrap()),
            _host: Box::new(()),
        }
    }

    /// Somebody listens, and accepts nobody: the kernel drops every further SYN.
    fn with_a_full_backlog() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let wait = Duration::from_millis(200);
        let fill = |_| TcpStream::connect_timeout(&address, wait);
        let queued: Vec<TcpStream> = (0..100).map(fill).map_while(Result::ok).collect();
        assert!(queued.len() < 100, "the queue of one never filled");
        Self {
            name: "never accepts",
            class: "connect_timeout",
            load: ways::IMPATIENT,
            url: format!("ws://{address}/"),
            _host: Box::new((listener, queued)),
        }
    }

    /// What is wrong with the run, if anything.
    fn run(self) -> Option<String> {
        let mut ended = self.run_for(self.load.seconds);
        for times in MORE_TIME {
            if !ended.has_summary() || self.is_met(&ended) {
                break;
            }
            ended = self.run_for(times * self.load.seconds);
        }
        let findings = self.findings(&ended);
        let what = format!("against a server that {}:", self.name);
        (!findings.is_empty()).then(|| format!("{what} {}\n{}", findings.join("; "), ended.story()))
    }

    fn run_for(&self, seconds: u32) -> Ended {
        let Load {
            words,
            connect_timeout,
            ..
        } = self.load;
        let words =
            format!("{LIMITS} --duration {seconds}s --connect-timeout {connect_timeout} {words}");
        Generator::run(&self.url, &words).end_within(BOUND)
    }

    fn is_met(&self, ended: &Ended) -> bool {
        names_of(ended).contains_key(self.class)
    }

    fn findings(&self, ended: &Ended) -> Vec<String> {
        let mut findings = Vec::new();
        if !matches!(ended.code, Some(1 | 3)) {
            findings.push(format!("exit code {:?}", ended.code));
        }
        if ended.stderr.contains("panicked") {
            findings.push("a panic".into());
        }
        if ended.rss_bytes_max > RSS_BYTES_MAX {
            findings.push(format!("{} MiB of memory", ended.rss_bytes_max >> 20));
        }
        if !ended.has_summary() {
            findings.push("no summary".into());
            return findings;
        }
        ended.assert_balanced();
        let names = names_of(ended);
        if !names.contains_key(self.class) {
            findings.push(format!("{names:?} instead of {}", self.class));
        }
        // The others would be false alarms: none of them happened.
        let others = WAYS.iter().map(|way| way.class);
        let mut others =
            others.filter(|class| *class != self.class && !CONSEQUENCES.contains(class));
        if let Some(other) = others.find(|class| names.contains_key(*class)) {
            findings.push(format!("{other} as well: {names:?}"));
        }
        findings
    }
}

/// What also happens when a connection goes wrong in another way: its messages are never answered.
const CONSEQUENCES: &[&str] = &["answer_timeout"];

/// Every class that the summary names, with its count.
fn names_of(ended: &Ended) -> BTreeMap<String, u64> {
    let tables = [
        "/connections/failed",
        "/messages/error_classes",
        "/messages/lost_classes",
    ];
    tables
        .iter()
        .flat_map(|table| ended.classes(table))
        .collect()
}
