//! Every flag, once.

use super::Verb;

/// One flag.
pub(super) struct Flag {
    /// With its dashes.
    pub(super) name: &'static str,
    /// What its value stands for; empty for a flag without one.
    pub(super) value: &'static str,
    /// Commands that have it.
    pub(super) verbs: &'static [Verb],
    /// Heading in the help.
    pub(super) group: &'static str,
    /// May stand more than once.
    pub(super) many: bool,
    /// What it does, and its default.
    pub(super) help: &'static str,
}

const fn flag(
    name: &'static str,
    value: &'static str,
    verbs: &'static [Verb],
    group: &'static str,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        value,
        verbs,
        group,
        many: false,
        help,
    }
}

const fn many(flag: Flag) -> Flag {
    Flag { many: true, ..flag }
}

const LOAD: &[Verb] = &[Verb::Run, Verb::Search, Verb::Plan];
const ENGINE: &[Verb] = &[Verb::Run, Verb::Search];

/// The table.
pub(super) const FLAGS: &[Flag] = &[
    many(flag(
        "--target",
        "URL",
        LOAD,
        "Where",
        "ws://HOST:PORT/PATH or wss://...; HOST:9000-9009 are ten listeners; repeatable",
    )),
    flag(
        "--connections",
        "N",
        LOAD,
        "Where",
        "connections to hold: 1000, 100k, 1M (default 100)",
    ),
    flag(
        "--source",
        "LIST",
        LOAD,
        "Where",
        "addresses to come from: IPs, a-b, CIDR, comma-separated, IPv6 too (default: 127.0.0.0/8 for loopback targets, else this host's own)",
    ),
    flag(
        "--ports",
        "A-B",
        LOAD,
        "Where",
        "source ports to bind (default 1024-65535, less reserved and listening ones)",
    ),
    flag(
        "--scenario",
        "KIND",
        ENGINE,
        "What",
        "idle, echo, broadcast, churn, storm, slow or zoo (default echo)",
    ),
    flag(
        "--scenario-file",
        "FILE",
        LOAD,
        "What",
        "TOML with cohorts and phases; replaces the flags of this section",
    ),
    flag(
        "--rate",
        "N/s",
        ENGINE,
        "What",
        "messages per second, all connections together, at intended times (open loop); without it every connection sends when answered (closed loop)",
    ),
    flag(
        "--arrivals",
        "KIND",
        ENGINE,
        "What",
        "even (default) or poisson",
    ),
    flag(
        "--in-flight",
        "N",
        ENGINE,
        "What",
        "unanswered messages per connection in a closed loop (default 1)",
    ),
    flag(
        "--size",
        "BYTES",
        ENGINE,
        "What",
        "payload: 64, 1k, or a range 64-512 (default 64)",
    ),
    flag(
        "--payload",
        "KIND",
        ENGINE,
        "What",
        "text (default) or binary",
    ),
    flag("--deflate", "", ENGINE, "What", "offer permessage-deflate"),
    flag(
        "--subprotocol",
        "NAME",
        ENGINE,
        "What",
        "Sec-WebSocket-Protocol",
    ),
    many(flag(
        "--header",
        "NAME: VALUE",
        ENGINE,
        "What",
        "a further header of the upgrade; {n} in the value becomes the connection's number; repeatable",
    )),
    flag(
        "--heartbeat",
        "TIME",
        ENGINE,
        "What",
        "ping a connection that has been quiet this long (default 30s)",
    ),
    flag(
        "--life",
        "TIME",
        ENGINE,
        "What",
        "churn: mean life of a connection (default 10s)",
    ),
    flag(
        "--read",
        "BYTES/s",
        ENGINE,
        "What",
        "slow: reading speed of each connection (default 1k/s)",
    ),
    flag(
        "--beast",
        "KIND",
        ENGINE,
        "What",
        "zoo: vanish, ignore-pings, dribble-upgrade, tiny-fragments, never-read, ping-flood",
    ),
    flag(
        "--bystanders",
        "N",
        ENGINE,
        "What",
        "zoo, slow: ordinary connections beside them, 10 messages/s each, measured without them for half the run and with them for the other (default 100)",
    ),
    flag(
        "--publishers",
        "N",
        ENGINE,
        "What",
        "broadcast: how many connections publish (default 1), at --rate together (default 1/s)",
    ),
    flag(
        "--cut",
        "SHARE",
        ENGINE,
        "What",
        "storm: cut this share at once in the middle of the run (default 50%)",
    ),
    flag(
        "--cut-by",
        "HOW",
        ENGINE,
        "What",
        "storm: rst (default), fin or silence",
    ),
    flag(
        "--backoff",
        "KIND",
        ENGINE,
        "What",
        "storm: how clients come back: immediate, fixed, full-jitter (default), socket-io, reconnecting, phoenix, signalr",
    ),
    flag(
        "--duration",
        "TIME",
        ENGINE,
        "How",
        "length of the run, the ramp included: 30s, 5m (default 30s)",
    ),
    flag(
        "--ramp",
        "N/s",
        LOAD,
        "How",
        "connects per second (default: as fast as handshakes complete)",
    ),
    flag(
        "--handshakes",
        "N",
        ENGINE,
        "How",
        "connects and handshakes under way at once (default 512)",
    ),
    flag(
        "--retries",
        "N",
        ENGINE,
        "How",
        "attempts after a failed one, each counted with its cause (default 3)",
    ),
    flag(
        "--connect-timeout",
        "TIME",
        ENGINE,
        "How",
        "for the SYN-ACK and for the upgrade, each (default 10s)",
    ),
    flag(
        "--answer-timeout",
        "TIME",
        ENGINE,
        "How",
        "after which a message is lost (default 10s)",
    ),
    flag(
        "--alive-window",
        "TIME",
        ENGINE,
        "How",
        "proven alive: heard from within this (default: heartbeat + 5s)",
    ),
    flag(
        "--threads",
        "N",
        LOAD,
        "How",
        "engine threads, or auto (default): one per core, more when descriptors run short",
    ),
    flag(
        "--seed",
        "N",
        &[Verb::Run, Verb::Search, Verb::Plan, Verb::Diff, Verb::Demo],
        "How",
        "of every random choice (default: drawn and reported)",
    ),
    flag(
        "--ca",
        "FILE",
        ENGINE,
        "TLS",
        "PEM file of the authorities to believe for wss:// (default: the system's)",
    ),
    flag(
        "--insecure",
        "",
        ENGINE,
        "TLS",
        "believe any certificate; the terminal and the report say so",
    ),
    flag(
        "--server-name",
        "NAME",
        ENGINE,
        "TLS",
        "the name to ask for and to check (default: the target's host)",
    ),
    flag(
        "--tls-resume",
        "",
        ENGINE,
        "TLS",
        "keep session tickets and resume with them, as clients that come back do (default: every handshake is a full one)",
    ),
    flag(
        "--server-pid",
        "PID",
        ENGINE,
        "Report",
        "sample this process beside the traffic (memory, processor, threads, descriptors)",
    ),
    flag(
        "--gauge",
        "URL",
        ENGINE,
        "Report",
        "the server's own count of connections, JSON or Prometheus text: http://HOST:PORT/stats#NAME (default #connections); reconciled each second",
    ),
    many(flag(
        "--fail-if",
        "CONDITION",
        ENGINE,
        "Report",
        "fail the run: 'p99>50ms', 'lost>0', 'proven_alive<100%', 'service.p99.9>1s'; repeatable",
    )),
    flag(
        "--report",
        "DIR",
        ENGINE,
        "Report",
        "leave a bundle: report.html, headline.png, summary.json, .hlog, CSV, environment",
    ),
    flag("--json", "", LOAD, "Report", "print the result as JSON"),
    flag("--quiet", "", ENGINE, "Report", "no progress while running"),
    flag(
        "--vary",
        "WHAT",
        &[Verb::Search],
        "Search",
        "rate (default) or connections",
    ),
    flag(
        "--from",
        "N",
        &[Verb::Search],
        "Search",
        "lowest value to try",
    ),
    flag(
        "--to",
        "N",
        &[Verb::Search],
        "Search",
        "highest value to try",
    ),
    flag(
        "--step",
        "TIME",
        &[Verb::Search],
        "Search",
        "how long each value is held (default 10s)",
    ),
    flag(
        "--html",
        "FILE",
        &[Verb::Diff],
        "Output",
        "write the comparison as a page",
    ),
    flag(
        "--strict",
        "",
        &[Verb::Diff],
        "Output",
        "exit 1 when a difference is real",
    ),
    flag(
        "--add",
        "TIME",
        &[Verb::Demo],
        "Output",
        "added to every answer, so that diff has something to find",
    ),
    flag(
        "--into",
        "DIR",
        &[Verb::Merge],
        "Output",
        "the merged bundle",
    ),
];
