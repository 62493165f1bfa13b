//! The table of knobs: everything an operator can set, in the order of `--help`.
//!
//! A new knob is one entry here and one field in [`Config`](super::Config). The tests go over the
//! whole table, so its flag, its file key, its range and its place in the README come with it.

use super::fields::{
    DAY_MS, GIB, HOUR_MS, KIB, MIB, SECOND_MS, TIB_64, TICK_MS, choice, number, tally,
};
use super::knob::{Choice, Door, Group, Kind, List, Number, Shelf, Tally, Toggle};
use super::{Anonymous, App, Count, DeflateMode, Knob};

mod channels;
mod tls;

/// The knob of this name (`max-message`).
pub fn find(name: &str) -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == name)
}

/// Every knob.
pub static KNOBS: &[Knob] = &[
    Knob {
        name: "listen",
        group: Group::Serving,
        kind: Kind::Endpoints(List {
            read: |config| &config.listen,
            slot: |config| &mut config.listen,
            none: None,
        }),
        brief: "Where to accept connections; repeat it to listen on several addresses",
        story: "A TCP address with its port, or the path of a Unix socket after \"unix:\". \
            \":9000\" is every IPv4 address of this machine, \"[::]:9000\" every IPv6 address. \
            The default is reachable from this machine only. Port 0 lets the kernel choose; \
            the start-up report prints what it chose. Flags replace the list in the file.",
        example: "[::1]:9001",
        also: &["bind", "port", "address", "addr", "host", "socket"],
    },
    Knob {
        name: "workers",
        group: Group::Serving,
        kind: Kind::CountOrAuto(tally!(workers, 1, 256)),
        brief: "Event loops, each with its own listener, timers and descriptor table",
        story: "auto is one per core this process may run on (taskset and cpusets are honoured). \
            Workers share nothing, so more of them than cores only adds switching. Further ones \
            join by themselves when --max-connections needs the descriptors of their tables.",
        example: "2",
        also: &["threads", "cores", "processes", "concurrency"],
    },
    Knob {
        name: "max-connections",
        group: Group::Serving,
        kind: Kind::CountOrAuto(tally!(max_connections, 1, 16_000_000)),
        brief: "Connections in all workers together; beyond that, new ones are refused",
        story: "auto is what the memory allows, up to a million or what one worker per core has \
            descriptors for. The descriptor limit counts per worker: where those per core are not \
            enough, more join as they fill. What a limit does not allow, the start-up report \
            names, with the command that raises it.",
        example: "100000",
        also: &["connections", "max-clients", "limit"],
    },
    Knob {
        name: "max-memory",
        group: Group::Serving,
        kind: Kind::Bytes(
            number!(max_memory_bytes: u64, 16 * MIB, TIB_64, zero "what the machine has"),
        ),
        brief: "Memory above which new connections are refused with 503",
        story: "Counted are the process (RSS) and the kernel's share of its connections, about 3970 \
            bytes each. Whatever is set, newcomers are also refused when the control group or the \
            machine has less than a twentieth left, so that the OOM killer, which would take \
            everybody, is not the one to decide. Whoever is connected stays. Health checks are \
            newcomers, too.",
        example: "8GiB",
        also: &["memory", "memory-limit", "max-rss", "memory-max"],
    },
    Knob {
        name: "app",
        group: Group::Serving,
        kind: Kind::Choice(choice!(app: "hub" => App::Hub, "echo" => App::Echo)),
        brief: "What answers the messages: channels and users (hub), or each one sent back (echo)",
        story: "hub speaks to Centrifugo's clients on /connection/websocket, chats on /ws/chat and takes \
            anything on /raw/CHANNEL; as long as nothing is configured it also has /echo. echo has \
            nothing but /echo, for measuring, and asks nobody who they are. GET /healthz answers 200 \
            on the same port, whatever the application.",
        example: "echo",
        also: &["application", "handler", "mode"],
    },
    Knob {
        name: "stats",
        group: Group::Serving,
        kind: Kind::Switch(Toggle {
            read: |config| config.stats,
            write: |config, is_on| config.stats = is_on,
        }),
        brief: "GET /stats answers with counts and bytes, as JSON",
        story: "Connections, counters and memory of the whole server, on the same port as everything \
            else: for the load generator (--gauge) and for scripts. Switch it off where that port is \
            open to the world.",
        example: "off",
        also: &["status", "metrics", "gauge"],
    },
    Knob {
        name: "page",
        group: Group::Serving,
        kind: Kind::Switch(Toggle {
            read: |config| config.page,
            write: |config, is_on| config.page = is_on,
        }),
        brief: "GET / answers with a page: a small chat and live counters, to see that it works",
        story: "It comes with the official JavaScript client of Centrifugo and asks nobody else for \
            anything. Its counters are those of --stats. Switch it off where that port is open to the \
            world.",
        example: "off",
        also: &["demo", "ui", "dashboard", "web"],
    },
    Knob {
        name: "drain-secs",
        group: Group::Serving,
        kind: Kind::Duration(number!(drain_ms: u32, TICK_MS, HOUR_MS, zero "all at once")),
        brief: "Time over which connections are closed after SIGTERM or SIGINT",
        story: "The first signal stops accepting and sends every peer a Close (1001) spread evenly \
            over this time, so that they do not all reconnect elsewhere in the same instant. A \
            second signal ends the process at once. Keep it below TimeoutStopSec of the unit.",
        example: "30s",
        also: &["drain", "grace", "shutdown-timeout", "stop-timeout"],
    },
    tls::PROXY_FROM,
    tls::LISTEN,
    tls::CERT,
    tls::KEY,
    tls::OCSP,
    tls::MODE,
    tls::MIN_VERSION,
    tls::POST_QUANTUM,
    tls::CLIENT_CERTS,
    tls::CLIENT_CA,
    tls::TICKETS,
    tls::TICKET_KEYS,
    Knob {
        name: "anonymous",
        group: Group::Access,
        kind: Kind::Choice(choice!(auth.anonymous:
            "auto" => Anonymous::Auto,
            "off" => Anonymous::Off,
            "on" => Anonymous::On)),
        brief: "Whether clients without a token may connect",
        story: "auto lets them in where only this machine can connect (loopback addresses, Unix \
            sockets), and only as long as no key is configured: for trying things out. A token that \
            is no good is refused whatever is written here.",
        example: "off",
        also: &["allow-anonymous", "anonymous-connect", "insecure"],
    },
    Knob {
        name: "origins",
        group: Group::Access,
        kind: Kind::Origins(List {
            read: |config| &config.auth.origins,
            slot: |config| &mut config.auth.origins,
            none: None,
        }),
        brief: "Pages that may connect, by scheme, host and port; repeat it for several",
        story: "A browser sends its cookies to whoever a page connects to, and says which page it is. \
            Compared is the whole origin: https://example.com is neither its subdomains nor its port \
            8443. same is the host and port that were connected to, * is any. Clients that are no \
            browsers say nothing and are not asked.",
        example: "https://app.example.com",
        also: &["allowed-origins", "origin", "cors", "check-origin"],
    },
    Knob {
        name: "token-leeway",
        group: Group::Access,
        kind: Kind::Duration(number!(auth.leeway_ms: u32, SECOND_MS, HOUR_MS, zero "none")),
        brief: "How far the clock of whoever signs tokens may be off",
        story: "A token is good for that much longer than it says, and that much earlier.",
        example: "30s",
        also: &["leeway", "clock-skew"],
    },
    Knob {
        name: "max-connections-per-ip",
        group: Group::Admission,
        kind: Kind::Count(
            number!(admission.ip_connections_max: u32, 1, 1_000_000, zero "no limit"),
        ),
        brief: "Connections from one address; more are refused with 503",
        story: "An IPv6 network of 64 bits counts as one address: that is what one customer has. Leave \
            it off behind a proxy, where everybody has the proxy's address, and mind that offices and \
            mobile networks put thousands behind one.",
        example: "200",
        also: &["ip-limit", "connections-per-ip"],
    },
    Knob {
        name: "max-handshakes-per-ip",
        group: Group::Admission,
        kind: Kind::Count(number!(admission.ip_handshakes_per_s: u32, 1, 10_000, zero "no limit")),
        brief: "Handshakes per second from one address; more are refused with 503",
        story: "As many as in a second may come at once. Who is refused is told to come back later \
            (Retry-After). Counted are addresses as in max-connections-per-ip.",
        example: "20",
        also: &["handshake-rate-per-ip", "ip-rate"],
    },
    Knob {
        name: "max-handshakes",
        group: Group::Admission,
        kind: Kind::Count(number!(admission.handshakes_per_s: u32, 1, 1_000_000, zero "no limit")),
        brief: "Handshakes per second in all; more are refused with 503",
        story: "When a network comes back, everybody does. A handshake costs about thirty times a message, \
            so leave room for those who are connected: half of what the load generator measured.",
        example: "10000",
        also: &["handshake-rate", "connection-rate", "connect-rate"],
    },
    Knob {
        name: "limits-dry-run",
        group: Group::Admission,
        kind: Kind::Switch(Toggle {
            read: |config| config.admission.is_dry_run,
            write: |config, is_on| config.admission.is_dry_run = is_on,
        }),
        brief: "Count who is over a limit of [limits], and let them in",
        story: "For finding out whom a limit would hit before it does: limits of addresses, of \
            connections and of users, with the counters that /metrics shows. Slow subscribers are not \
            counted only: their queues are memory.",
        example: "on",
        also: &["dry-run"],
    },
    channels::MAX_CHANNELS,
    channels::MAX_CHANNEL_NAME,
    channels::MAX_CONNECTIONS_PER_USER,
    channels::MAX_MESSAGE_RATE,
    channels::MAX_BYTE_RATE,
    channels::MAX_PUBLICATION,
    channels::SLOW_SOFT,
    channels::SLOW_SOFT_TIME,
    channels::SLOW_HARD,
    channels::SLOW_TOTAL,
    Knob {
        name: "max-message",
        group: Group::Sizes,
        kind: Kind::Bytes(number!(limits.message_bytes_max: usize, 1, GIB)),
        brief: "Largest message, after reassembly and inflating; more is closed with 1009",
        story: "A frame that announces more is refused from its header, before a byte of it is \
            kept, and a compressed message as soon as it inflates beyond. It also bounds what a \
            peer can make the server hold for an unfinished message.",
        example: "16MiB",
        also: &["max-payload", "max-frame", "max-size", "message-size"],
    },
    Knob {
        name: "max-head",
        group: Group::Sizes,
        kind: Kind::Bytes(number!(limits.head_bytes_max: usize, 256, 64 * KIB)),
        brief: "Largest request head of the opening handshake; more is answered with 431",
        story: "Browsers send their cookies along; raise it if yours are large.",
        example: "32KiB",
        also: &["max-header", "header-size", "head-size"],
    },
    Knob {
        name: "handshake-timeout",
        group: Group::Times,
        kind: Kind::Duration(number!(limits.handshake_timeout_ms: u32, TICK_MS, HOUR_MS)),
        brief: "From accept to a complete request head; slower peers are dropped",
        story: "Whoever connects and says nothing, or drips a header a minute, is gone after this.",
        example: "5s",
        also: &["connect-timeout", "header-timeout"],
    },
    Knob {
        name: "message-timeout",
        group: Group::Times,
        kind: Kind::Duration(number!(limits.message_time_ms: u32, TICK_MS, DAY_MS)),
        brief: "How long a message may stay unfinished; later is closed with 1008",
        story: "Counted from its first byte to its last. With this and --max-message, fragments \
            need no limit of their own. Raise it for large messages over slow links.",
        example: "2m",
        also: &["read-timeout", "fragment-timeout"],
    },
    Knob {
        name: "ping-interval",
        group: Group::Times,
        kind: Kind::Duration(number!(limits.ping_interval_ms: u32, TICK_MS, DAY_MS, zero "off")),
        brief: "Silence after which the server pings; 0 turns pings off",
        story: "NATs and load balancers forget flows that are idle for 30 to 60 seconds, and a \
            peer that vanished can only be noticed by asking. Each interval is varied a little so \
            that a million connections do not ping in step.",
        example: "55s",
        also: &["heartbeat", "keepalive", "keep-alive", "idle-timeout"],
    },
    Knob {
        name: "pong-timeout",
        group: Group::Times,
        kind: Kind::Duration(number!(limits.pong_timeout_ms: u32, TICK_MS, HOUR_MS)),
        brief: "How long a peer may take to show a sign of life after a ping",
        story: "Time in which the server itself stood still is not held against its peers.",
        example: "20s",
        also: &["ping-timeout"],
    },
    Knob {
        name: "close-timeout",
        group: Group::Times,
        kind: Kind::Duration(number!(limits.close_timeout_ms: u32, TICK_MS, HOUR_MS)),
        brief: "How long a peer may take to answer a Close and to hang up",
        story: "After it the connection is dropped, whatever the peer still owes.",
        example: "1s",
        also: &["linger"],
    },
    Knob {
        name: "queue-high",
        group: Group::Queues,
        kind: Kind::Bytes(number!(limits.queue_bytes_high: usize, 1, GIB)),
        brief: "Queued bytes above which the server stops reading from that peer",
        story: "A peer that does not read its answers is not asked for more questions. Reading \
            resumes when the queue has drained. Left alone, it follows a smaller --queue-max.",
        example: "128KiB",
        also: &["high-water-mark", "high-water", "queue-soft"],
    },
    Knob {
        name: "queue-max",
        group: Group::Queues,
        kind: Kind::Bytes(number!(limits.queue_bytes_max: usize, 1, 2 * GIB)),
        brief: "Queued bytes above which a peer that does not read is cut off",
        story: "What a slow reader can cost at most. It has to hold one whole message; left alone, \
            it grows to twice --max-message.",
        example: "8MiB",
        also: &[
            "max-backpressure",
            "send-buffer",
            "write-buffer",
            "max-queue",
        ],
    },
    channels::HISTORY_MEMORY,
    channels::HISTORY_DIR,
    channels::HISTORY_SYNC,
    channels::HISTORY_SYNC_INTERVAL,
    channels::HISTORY_DAMAGED,
    Knob {
        name: "admin",
        group: Group::Admin,
        kind: Kind::EndpointOrOff(Door {
            read: |config| config.admin.as_ref(),
            write: |config, endpoint| config.admin = endpoint,
        }),
        brief: "Where operators and backends come in: HTTP API, /metrics, /healthz/ready and /live",
        story: "A listener and threads of its own: whatever happens here, clients do not notice. The \
            API needs a key, metrics and health checks do not, so keep it away from the world. If \
            the default address is taken, the server goes without and says so.",
        example: "unix:/run/throng/admin.sock",
        also: &[
            "api",
            "admin-port",
            "internal-port",
            "prometheus",
            "metrics-port",
            "http-api",
        ],
    },
    Knob {
        name: "admin-key-file",
        group: Group::Admin,
        kind: Kind::PathOrWord(Shelf {
            placeholder: "FILE",
            word: "auto",
            read: |config| config.admin_key_file.as_deref(),
            write: |config, path| config.admin_key_file = path,
        }),
        brief: "The file with the key that the HTTP API asks for (X-API-Key)",
        story: "auto takes the first of: the variable THRONG_ADMIN_KEY, the file admin.key among \
            systemd's credentials, and the file admin.key in the user's state directory \
            (~/.local/state/throng), which is made if there is none. Where none of these can be \
            had, the API refuses everybody. A key has 16 to 256 characters.",
        example: "/etc/throng/admin.key",
        also: &["admin-key", "api-key", "apikey", "http-api-key"],
    },
    Knob {
        name: "deflate",
        group: Group::Compression,
        kind: Kind::Choice(choice!(deflate.mode:
            "off" => DeflateMode::Off,
            "shared" => DeflateMode::Shared,
            "dedicated" => DeflateMode::Dedicated)),
        brief: "permessage-deflate: none, one context per worker, or windows per connection",
        story: "shared remembers nothing between messages and costs an idle connection 0 bytes. \
            dedicated keeps the windows of both directions, which compresses a stream of similar \
            small messages far better and costs memory for every connection that uses it. Peers \
            that do not offer the extension are never affected.",
        example: "off",
        also: &["compression", "permessage-deflate", "gzip"],
    },
    Knob {
        name: "deflate-window",
        group: Group::Compression,
        kind: Kind::Count(number!(deflate.window_bits: u8, 9, 15)),
        brief: "Largest window of our side, as a power of two",
        story: "12 is 4 KiB, 15 is 32 KiB. Long messages and, in dedicated mode, streams of similar ones \
            compress better with more; in dedicated mode each connection pays for it.",
        example: "15",
        also: &["window-bits", "server-max-window-bits"],
    },
    Knob {
        name: "deflate-level",
        group: Group::Compression,
        kind: Kind::Count(number!(deflate.level: u8, 1, 9)),
        brief: "1 is quick, 9 is small",
        story: "Compression runs on the worker's own time, so every step up delays its peers.",
        example: "6",
        also: &["compression-level"],
    },
    Knob {
        name: "deflate-min",
        group: Group::Compression,
        kind: Kind::Bytes(number!(deflate.min_bytes: usize, 1, MIB, zero "compress everything")),
        brief: "Smallest payload worth compressing; less goes out as it is",
        story: "Short messages gain little and cost as much set-up as long ones.",
        example: "1KiB",
        also: &["threshold", "compression-threshold", "min-size"],
    },
    Knob {
        name: "deflate-inflaters",
        group: Group::Compression,
        kind: Kind::Count(number!(deflate.inflaters_max: usize, 1, 4096)),
        brief: "Messages each worker may be in the middle of inflating",
        story: "An inflater is about 40 KiB and is held only while a message is inflated; with \
            none free, the next message waits its turn.",
        example: "64",
        also: &["inflaters"],
    },
    Knob {
        name: "backlog",
        group: Group::Machine,
        kind: Kind::Count(number!(backlog: u32, 1, 1_048_576)),
        brief: "Connections the kernel may hold ready for accept, per listener",
        story: "The kernel silently lowers it to net.core.somaxconn, so the default leaves the \
            decision to that sysctl. The start-up report prints what came of it.",
        example: "16384",
        also: &["somaxconn", "accept-queue"],
    },
    Knob {
        name: "user-timeout",
        group: Group::Machine,
        kind: Kind::Duration(
            number!(user_timeout_ms: u32, SECOND_MS, HOUR_MS, zero "the kernel's default"),
        ),
        brief: "How long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT)",
        story: "Without it the kernel retransmits to a vanished peer for about a quarter of an hour. A peer \
            that takes no byte for so long counts as vanished, whatever its namespace does with slow \
            subscribers.",
        example: "1m",
        also: &["tcp-user-timeout"],
    },
    Knob {
        name: "pin-cores",
        group: Group::Machine,
        kind: Kind::Switch(Toggle {
            read: |config| config.pin_cores,
            write: |config, is_on| config.pin_cores = is_on,
        }),
        brief: "Keep each worker on one core",
        story: "Caches stay warm and measurements repeatable. Where the system refuses (a sandbox \
            without sched_setaffinity) the server goes on unpinned and says so.",
        example: "off",
        also: &["affinity", "cpu-affinity", "pin"],
    },
];

#[cfg(test)]
mod tests;
