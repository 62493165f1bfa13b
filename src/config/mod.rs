//! What the server is told: one table of knobs, read from flags and from a TOML file.
//!
//! Two steps, kept apart so that every mistake is reported and not only the first:
//!
//! ```text
//!  command line --cli::args--> [Setting]  \
//!                                          > resolve --> Config, origins, warnings
//!  throng.toml  ----file-----> [Setting]  /          \-> or every problem found
//! ```
//!
//! Flags win over the file, the file over the defaults. [`knobs::KNOBS`] is the only list of
//! knobs: flags, file keys, `--help` and the table in the README come from it.

use std::path::PathBuf;

use crate::limits::Limits;
use crate::proxy::Source;

pub mod endpoint;
mod fields;
pub mod file;
pub mod knob;
pub mod knobs;
pub mod namespace;
pub mod origin;
pub mod problem;
pub mod quantity;
pub mod resolve;
pub mod suggest;
pub mod tls;
pub mod tokens;

pub use endpoint::Endpoint;
pub use knob::Knob;
pub use namespace::Namespace;
pub use origin::Origin;
pub use problem::{Place, Problem};
pub use resolve::{Resolved, Setting, resolve};
pub use tls::Tls;
pub use tokens::Tokens;

/// Everything the server needs to know before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to accept connections; never empty.
    pub listen: Vec<Endpoint>,
    /// Event loops; `Auto` is one per core this process may use.
    pub workers: Count,
    /// Connections in all workers together; `Auto` is what descriptors and memory allow.
    pub max_connections: Count,
    /// Memory of process and connections above which newcomers are refused; 0 leaves it to the
    /// limits of the machine.
    pub max_memory_bytes: u64,
    /// What answers the messages.
    pub app: App,
    /// Whether `GET /stats` answers.
    pub stats: bool,
    /// Whether there is a page to look at, at `/`.
    pub page: bool,
    /// Where operators and backends come in: API, metrics, health; `None` for nowhere.
    pub admin: Option<Endpoint>,
    /// The file with the API's key; `None` looks in the usual places, and makes one.
    pub admin_key_file: Option<PathBuf>,
    /// Load balancers that say first who the client is.
    pub proxy_from: Vec<Source>,
    /// What one connection may cost and how long it may take.
    pub limits: Limits,
    /// Compression (RFC 7692).
    pub deflate: Deflate,
    /// TLS.
    pub tls: Tls,
    /// Who may connect.
    pub auth: Auth,
    /// How many may connect, and how fast.
    pub admission: Admission,
    /// What one client may have.
    pub share: Share,
    /// When a subscriber is too slow.
    pub slow: Slow,
    /// What is kept of what was published, and where.
    pub history: History,
    /// `[[namespaces]]`: what channels are like.
    pub namespaces: Vec<Namespace>,
    /// How long the goodbyes are spread after the first SIGTERM; 0 closes everybody at once.
    pub drain_ms: u32,
    /// Connections the kernel may hold ready for `accept`, per listener.
    pub backlog: u32,
    /// How long sent bytes may stay unacknowledged before the kernel gives up; 0 leaves it alone.
    pub user_timeout_ms: u32,
    /// Whether each worker stays on a core of its own.
    pub pin_cores: bool,
}

/// A number, or "work it out".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Derived from the machine when the server starts.
    Auto,
    /// This many.
    Exactly(u32),
}

/// The applications that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Channels, users, history and presence.
    Hub,
    /// Sends every message back.
    Echo,
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether clients without a token may.
    pub anonymous: Anonymous,
    /// Which pages may; never empty.
    pub origins: Vec<Origin>,
    /// How far the clocks of whoever signs tokens may be off.
    pub leeway_ms: u32,
    /// What tokens are checked with.
    pub tokens: Tokens,
}

/// Whether clients without a token may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// On listeners that only this machine reaches, as long as no key is configured.
    Auto,
    /// Never.
    Off,
    /// Always.
    On,
}

/// How many may connect, and how fast; 0 is as many and as fast as they like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Connections from one address (IPv6: one /64).
    pub ip_connections_max: u32,
    /// Handshakes per second from one address (IPv6: one /64).
    pub ip_handshakes_per_s: u32,
    /// Handshakes per second in all.
    pub handshakes_per_s: u32,
    /// Whether who is over a limit is only counted; it holds for [`Share`], too.
    pub is_dry_run: bool,
}

/// What one client may have; 0 is as much as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Channels of one connection.
    pub channels_max: u32,
    /// Bytes of a channel's name.
    pub channel_bytes_max: u32,
    /// Connections of one user.
    pub user_connections_max: u32,
    /// Messages per second from one connection.
    pub message_rate: u32,
    /// Bytes per second from one connection.
    pub byte_rate: u32,
    /// Bytes of one publication.
    pub publication_bytes_max: u32,
}

/// When a subscriber is too slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Queued bytes one may have for a while.
    pub soft_bytes: usize,
    /// How long.
    pub soft_ms: u32,
    /// Queued bytes nobody may have.
    pub hard_bytes: usize,
    /// Queued bytes of all slow ones together.
    pub total_bytes: usize,
}

/// What is kept of what was published, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Memory of all histories.
    pub memory_bytes: u64,
    /// The directory; `None` keeps them in memory only.
    pub dir: Option<PathBuf>,
    /// When files are forced to the disk.
    pub sync: Sync,
    /// How often, if from time to time.
    pub sync_interval_ms: u32,
    /// What to do about a damaged file.
    pub damaged: Damage,
}

/// When the files of the history are forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before a publication is acknowledged.
    Always,
    /// From time to time.
    Interval,
    /// When the kernel likes.
    Off,
}

/// What to do about a file of the history that is damaged in its middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Not start.
    Refuse,
    /// Go on with what can be read.
    Skip,
}

/// How much memory compression may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeflateMode {
    /// Never negotiated.
    Off,
    /// One compressor per worker, nothing remembered between messages: 0 bytes per connection.
    Shared,
    /// Windows per connection: better ratios, paid for by each connection that uses them.
    Dedicated,
}

/// How permessage-deflate is negotiated and rationed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// Off, shared or dedicated.
    pub mode: DeflateMode,
    /// Largest window of our side, as a power of two.
    pub window_bits: u8,
    /// 1 is quick, 9 is small.
    pub level: u8,
    /// The smallest payload worth compressing.
    pub min_bytes: usize,
    /// Messages one worker may be in the middle of inflating.
    pub inflaters_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Endpoint::Tcp(([127, 0, 0, 1], 9000).into())],
            workers: Count::Auto,
            max_connections: Count::Auto,
            max_memory_bytes: 0,
            app: App::Hub,
            // The default address is this machine's own; whoever opens it to the world decides anew.
            stats: true,
            page: true,
            admin: Some(Endpoint::Tcp(([127, 0, 0, 1], 9001).into())),
            admin_key_file: None,
            proxy_from: Vec::new(),
            limits: Limits::default(),
            deflate: Deflate::default(),
            tls: Tls::default(),
            auth: Auth::default(),
            // Off: behind a proxy everybody has the proxy's address, and nobody would guess why
            // the hundredth client is refused.
            admission: Admission::default(),
            share: Share::default(),
            slow: Slow::default(),
            history: History::default(),
            namespaces: Vec::new(),
            // Leaves a default systemd unit (90 s to stop) room to finish.
            drain_ms: 10_000,
            // More than any kernel's default ceiling: net.core.somaxconn alone decides.
            backlog: 65_535,
            // A little less than a ping and its timeout: the kernel notices dead paths first.
            user_timeout_ms: 30_000,
            pin_cores: true,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            anonymous: Anonymous::Auto,
            origins: vec![Origin::Same],
            // Machines that keep time by NTP agree to well within a second.
            leeway_ms: 5_000,
            tokens: Tokens::default(),
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            // What the hub defends as its own default, and as many as other servers give.
            channels_max: 128,
            channel_bytes_max: 255,
            // Off, like the limits of addresses: a limit that surprises is a fault.
            user_connections_max: 0,
            message_rate: 0,
            byte_rate: 0,
            publication_bytes_max: 0,
        }
    }
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            // A second of video, or a thousand messages of chat.
            soft_bytes: 256 << 10,
            soft_ms: 10_000,
            // A quarter of queue-max: what is queued before anybody looks has room above it.
            hard_bytes: 1 << 20,
            total_bytes: 256 << 20,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            // A hundred publications of 500 bytes in each of 3 000 channels.
            memory_bytes: 256 << 20,
            dir: None,
            // What databases of this kind default to: nothing is lost to a crash of ours, and at most
            // a second to one of the machine's.
            sync: Sync::Interval,
            sync_interval_ms: 1_000,
            damaged: Damage::Refuse,
        }
    }
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            // Costs nothing where peers do not offer it, and no memory where they do.
            mode: DeflateMode::Shared,
            // 4 KiB: chat-sized messages gain little from more, and dedicated mode keeps them all.
            window_bits: 12,
            level: 1,
            // Below this, the header of a block eats what the block saves.
            min_bytes: 64,
            inflaters_max: 16,
        }
    }
}
