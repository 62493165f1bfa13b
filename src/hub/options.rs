//! What an operator decides: options per namespace, limits, and when a reader is too slow.

use hashbrown::HashMap;

use super::session::Session;
use super::types::ChannelName;

/// What a namespace's channels are like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Publications kept; 0 keeps none.
    pub history_size: u32,
    /// How long they are kept.
    pub history_ttl_ms: u64,
    /// What a subscriber gets of what it missed.
    pub recovery: Recovery,
    /// More missed publications than this are not recovered.
    pub recover_max: u32,
    /// Whether it is also kept on disk, if anything is.
    pub is_durable: bool,
    /// Whether it is known who is there.
    pub presence: bool,
    /// Whether subscribers are told who comes and goes.
    pub join_leave: bool,
    /// Who may subscribe without a subscription token.
    pub subscribe: Right,
    /// Who may publish.
    pub publish: Right,
    /// Who may read history and presence.
    pub read: Right,
    /// What becomes of subscribers that read too slowly.
    pub slow: Policy,
}

impl Default for Options {
    /// What a namespace has that says nothing: subscribing is for users, publishing for the API.
    fn default() -> Self {
        Self {
            history_size: 0,
            history_ttl_ms: 300_000,
            is_durable: true,
            recovery: Recovery::Stream,
            recover_max: 300,
            presence: false,
            join_leave: false,
            subscribe: Right::Users,
            publish: Right::Nobody,
            read: Right::Subscribers,
            slow: Policy::Disconnect,
        }
    }
}

impl Options {
    /// For trying things out: everybody may do everything.
    pub fn open() -> Self {
        Self {
            history_size: 100,
            history_ttl_ms: 3_600_000,
            presence: true,
            join_leave: true,
            subscribe: Right::Anyone,
            publish: Right::Anyone,
            read: Right::Anyone,
            ..Self::default()
        }
    }
}

/// What a subscriber gets of what it missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovery {
    /// Nothing.
    Off,
    /// All of it.
    Stream,
    /// The latest publication, also if it was never there before.
    Cache,
}

/// Who may do something without a token for it. The API may do everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Nobody.
    Nobody,
    /// Whoever is subscribed.
    Subscribers,
    /// Whoever has logged in as a user.
    Users,
    /// Everybody.
    Anyone,
}

impl Right {
    /// Whether that session has it.
    pub(crate) fn is_given_to(self, session: &Session, is_subscribed: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Subscribers => is_subscribed,
            Self::Users => !session.user.is_empty(),
            Self::Anyone => true,
        }
    }
}

/// What becomes of a subscriber that reads too slowly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// It is disconnected, and comes back when it can.
    Disconnect,
    /// It loses the oldest of what waits for it.
    DropOldest,
    /// It gets the latest of each key only.
    Conflate,
    /// It is told what it missed, and gets it from the history at its own speed.
    Resume,
}

/// When a reader is too slow: above `hard_bytes` at once, above `soft_bytes` after `soft_ms`, and
/// whenever it lags at all while all laggards of a worker together are above `total_bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tiers {
    /// Queued bytes one may have for a while.
    pub soft_bytes: usize,
    /// How long.
    pub soft_ms: u64,
    /// Queued bytes nobody may have.
    pub hard_bytes: usize,
    /// Queued bytes of all of them.
    pub total_bytes: usize,
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            soft_bytes: 256 << 10,
            soft_ms: 10_000,
            hard_bytes: 1 << 20,
            total_bytes: 256 << 20,
        }
    }
}

/// A limit; 0 is none. In a dry run what goes beyond it is counted and let through.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limit {
    /// The most there may be.
    pub max: u32,
    /// Only count.
    pub is_dry_run: bool,
}

impl Limit {
    /// A limit that is kept.
    pub const fn new(max: u32) -> Self {
        Self {
            max,
            is_dry_run: false,
        }
    }

    /// Whether there may be that many; `beyond` counts those that are too many.
    pub fn allows(self, count: usize, beyond: &mut u64) -> bool {
        if self.max == 0 || count <= self.max as usize {
            return true;
        }
        *beyond += 1;
        self.is_dry_run
    }
}

/// What a connection and a user may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Channels of one connection.
    pub channels_per_connection: Limit,
    /// Connections of one user.
    pub connections_per_user: Limit,
    /// Bytes of a channel's name.
    pub channel_bytes: Limit,
    /// Messages per second of one connection.
    pub message_rate: Limit,
    /// Bytes per second of one connection.
    pub byte_rate: Limit,
    /// Bytes of what a client publishes at once.
    pub publication_bytes: Limit,
    /// Bytes of all histories on one worker.
    pub history_bytes_max: usize,
    /// When a reader is too slow.
    pub tiers: Tiers,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels_per_connection: Limit::new(128),
            connections_per_user: Limit::new(0),
            channel_bytes: Limit::new(255),
            message_rate: Limit::new(0),
            byte_rate: Limit::new(0),
            publication_bytes: Limit::new(0),
            history_bytes_max: 64 << 20,
            tiers: Tiers::default(),
        }
    }
}

/// The options of every namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespaces {
    options: Vec<Options>,
    named: HashMap<Box<str>, u16, foldhash::fast::FixedState>,
    /// Names in a namespace that nobody configured are as good as those in none.
    is_open: bool,
}

impl Namespaces {
    const PLAIN: u16 = 0;
    const PERSONAL: u16 = 1;

    /// Namespaces of which only these exist: that of names without one, that of personal channels,
    /// and those to be added with [`with`](Self::with).
    pub fn new(plain: Options, personal: Options) -> Self {
        Self {
            options: vec![plain, personal],
            named: HashMap::default(),
            is_open: false,
        }
    }

    /// For trying things out: every channel there can be, with the same options.
    pub fn open(options: Options) -> Self {
        Self {
            is_open: true,
            ..Self::new(options.clone(), options)
        }
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &str, options: Options) -> Self {
        self.named.insert(name.into(), self.options.len() as u16);
        self.options.push(options);
        self
    }

    /// Which namespace that channel is in, if there is such a one.
    pub fn of(&self, name: ChannelName<'_>) -> Option<u16> {
        if name.personal_to().is_some() {
            return Some(Self::PERSONAL);
        }
        match name.namespace() {
            "" => Some(Self::PLAIN),
            namespace => match self.named.get(namespace) {
                Some(number) => Some(*number),
                None => self.is_open.then_some(Self::PLAIN),
            },
        }
    }

    /// The options of that namespace.
    pub fn at(&self, number: u16) -> &Options {
        &self.options[number as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_namespaces_exist() {
        let name = |name| ChannelName::new(name).expect("a good name");
        let chat = Options {
            presence: true,
            ..Options::default()
        };
        let closed = Namespaces::new(Options::default(), Options::open()).with("chat", chat);
        assert_eq!(closed.of(name("news:1")), None);
        let options = |text| closed.at(closed.of(name(text)).expect("it exists"));
        assert!(options("chat:1").presence);
        assert!(!options("chat").presence);
        assert_eq!(options("#bob:x").publish, Right::Anyone);
        let open = Namespaces::open(Options::open());
        assert_eq!(open.of(name("news:1")), Some(Namespaces::PLAIN));
    }

    #[test]
    fn a_dry_run_counts_and_lets_through() {
        let mut beyond = 0;
        assert!(Limit::new(2).allows(2, &mut beyond));
        assert!(!Limit::new(2).allows(3, &mut beyond));
        assert_eq!(beyond, 1);
        let dry = Limit {
            max: 2,
            is_dry_run: true,
        };
        assert!(dry.allows(3, &mut beyond));
        assert_eq!(beyond, 2);
        assert!(Limit::new(0).allows(usize::MAX, &mut beyond));
    }
}
