//! `[[namespaces]]`: what the channels of a namespace are like, and who may do what there.
//!
//! The options are knobs of their own: one table, read by the file, the help and the README.

use super::Knob;
use super::fields::{DAY_MS, SECOND_MS, choice, number};
use super::knob::{Choice, Group, Kind, Number, Toggle};

/// One of `[[namespaces]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What stands before the `:` of its channels; [`PLAIN`] for channels without one, [`PERSONAL`] for
    /// those of users.
    pub name: String,
    /// Publications kept; 0 keeps none.
    pub history_size: u32,
    /// How long they are kept.
    pub history_ttl_ms: u64,
    /// Whether they are kept on disk, if anything is.
    pub is_durable: bool,
    /// What a subscriber gets of what it missed.
    pub recovery: Recovery,
    /// More missed publications than this are not recovered.
    pub recover_max: u32,
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

/// The name of the namespace of channels whose names have no `:`.
pub const PLAIN: &str = "";
/// The name of the namespace of users' personal channels, which begin with it.
pub const PERSONAL: &str = "#";
/// The longest name of a namespace.
pub const NAME_BYTES_MAX: usize = 64;
/// More namespaces than anybody keeps apart.
pub const NAMESPACES_MAX: usize = 256;

/// What a subscriber gets of what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing.
    Off,
    /// All of it.
    Stream,
    /// The latest publication.
    Cache,
}

/// Who may do something without a token for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The API only.
    Nobody,
    /// Whoever is subscribed.
    Subscribers,
    /// Whoever has a name.
    Users,
    /// Everybody.
    Anyone,
}

/// What becomes of a subscriber that reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is disconnected.
    Disconnect,
    /// It loses the oldest of what waits for it.
    DropOldest,
    /// It gets the latest of each key only.
    Conflate,
    /// It is told what it missed, and gets it from the history.
    Resume,
}

impl Default for Namespace {
    fn default() -> Self {
        Self {
            name: String::new(),
            history_size: 0,
            // Longer than a phone is in a lift, shorter than anybody's idea of an archive.
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

/// The option of this name (`history-size`).
pub fn find(name: &str) -> Option<&'static Knob<Namespace>> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// A [`Choice`] of rights over a field.
macro_rules! right {
    ($field:ident) => {
        choice!($field:
            "nobody" => Right::Nobody,
            "subscribers" => Right::Subscribers,
            "users" => Right::Users,
            "anyone" => Right::Anyone)
    };
}

/// A [`Toggle`] over a field.
macro_rules! toggle {
    ($field:ident) => {
        Toggle {
            read: |namespace| namespace.$field,
            write: |namespace, is_on| namespace.$field = is_on,
        }
    };
}

/// Every option of a namespace but its name.
pub static OPTIONS: &[Knob<Namespace>] = &[
    Knob {
        name: "history-size",
        group: Group::Namespace,
        kind: Kind::Count(number!(history_size: u32, 1, 1_000_000, zero "none")),
        brief: "Publications each channel keeps, for history and recovery",
        story: "What is kept is shared with what is on its way, so it costs its bytes once. All histories \
            together are bounded by history-memory.",
        example: "100",
        also: &["history", "size"],
    },
    Knob {
        name: "history-ttl",
        group: Group::Namespace,
        kind: Kind::Duration(number!(history_ttl_ms: u64, SECOND_MS, 365 * DAY_MS)),
        brief: "How long a publication is kept",
        story: "Counted from when it was published, also over a restart.",
        example: "1h",
        also: &["ttl", "history-lifetime"],
    },
    Knob {
        name: "durable",
        group: Group::Namespace,
        kind: Kind::Switch(toggle!(is_durable)),
        brief: "Whether the history is kept on disk, if history-dir is set",
        story: "A publication to a durable channel waits for the file before it is told. Switch it off \
            where every tenth of a millisecond counts and a restart may lose the history.",
        example: "off",
        also: &["persist", "persistent"],
    },
    Knob {
        name: "recovery",
        group: Group::Namespace,
        kind: Kind::Choice(choice!(recovery:
            "off" => Recovery::Off,
            "stream" => Recovery::Stream,
            "cache" => Recovery::Cache)),
        brief: "What a subscriber that comes back gets: nothing, all it missed, or the latest",
        story: "stream sends every missed publication, or says that it cannot. cache sends the latest one \
            to everybody who does not have it, newcomers too: for values, not events.",
        example: "cache",
        also: &["force-recovery", "recovery-mode", "recover"],
    },
    Knob {
        name: "recover-max",
        group: Group::Namespace,
        kind: Kind::Count(number!(recover_max: u32, 1, 1_000_000)),
        brief: "Missed publications that are still sent; who missed more is told so",
        story: "Bounds what a storm of clients that come back at once may ask for.",
        example: "1000",
        also: &["recovery-max-publication-limit", "recovery-limit"],
    },
    Knob {
        name: "presence",
        group: Group::Namespace,
        kind: Kind::Switch(toggle!(presence)),
        brief: "Whether it is known who is in a channel",
        story: "Whoever has a connection is there, and nobody else: an entry goes with its connection, \
            however that ends.",
        example: "on",
        also: &["online"],
    },
    Knob {
        name: "join-leave",
        group: Group::Namespace,
        kind: Kind::Switch(toggle!(join_leave)),
        brief: "Whether subscribers are told who comes and goes",
        story: "Clients of Centrifugo are told if their subscription asks for it. A room of N \
            who listen costs N messages for each who comes: leave it off in large rooms.",
        example: "on",
        also: &["join-leave-events", "joins"],
    },
    Knob {
        name: "subscribe",
        group: Group::Namespace,
        kind: Kind::Choice(right!(subscribe)),
        brief: "Who may subscribe without a subscription token",
        story: "users are those whose token names one. nobody leaves it to subscription tokens and the API.",
        example: "anyone",
        also: &["allow-subscribe-for-client", "subscribers"],
    },
    Knob {
        name: "publish",
        group: Group::Namespace,
        kind: Kind::Choice(right!(publish)),
        brief: "Who may publish",
        story: "nobody leaves it to the API: what clients send goes through your backend then.",
        example: "subscribers",
        also: &["allow-publish-for-client", "publishers"],
    },
    Knob {
        name: "read",
        group: Group::Namespace,
        kind: Kind::Choice(right!(read)),
        brief: "Who may ask for history and presence",
        story: "Recovery is no question of this: whoever may subscribe gets what it missed.",
        example: "users",
        also: &["allow-history-for-client", "allow-presence-for-client"],
    },
    Knob {
        name: "slow",
        group: Group::Namespace,
        kind: Kind::Choice(choice!(slow:
            "disconnect" => Policy::Disconnect,
            "drop-oldest" => Policy::DropOldest,
            "conflate" => Policy::Conflate,
            "resume" => Policy::Resume)),
        brief: "What becomes of subscribers that read too slowly",
        story: "disconnect closes the connection; its client comes back and recovers. drop-oldest keeps \
            the newest and says how many were lost, and which if there is a history: Centrifuge's clients in \
            the tags missed and missed_offsets of the next publication, chats in a gap message. On /raw \
            there are no words for that: choose disconnect or resume there. conflate keeps the latest of \
            each key: for prices and positions. resume says what was missed and sends it from the history, \
            as fast as it is read. When is too slow: slow-soft, slow-hard and slow-total.",
        example: "conflate",
        also: &["slow-consumer", "slow-policy", "backpressure"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::literal;
    use std::collections::BTreeSet;

    #[test]
    fn every_option_has_a_default_and_an_example_that_differs() {
        let default = Namespace::default();
        let names: BTreeSet<_> = OPTIONS.iter().map(|option| option.name).collect();
        assert_eq!(names.len(), OPTIONS.len());
        for option in OPTIONS {
            let mut namespace = default.clone();
            let shown = option.show(&default);
            option.accept(&mut namespace, &shown).expect(option.name);
            assert_eq!(namespace, default, "{}", option.name);
            option
                .accept(&mut namespace, option.example)
                .expect(option.name);
            assert_eq!(option.show(&namespace), option.example, "{}", option.name);
            assert_ne!(namespace, default, "{}", option.name);
            assert!(option.story.ends_with('.') && !option.brief.ends_with('.'));
            assert!(option.also.iter().all(|word| !names.contains(word)));
            let line = option.line(&literal(&option.kind, option.example));
            assert!(line.starts_with("[[namespaces]] "), "{line}");
        }
    }

    #[test]
    fn bounds_fit_their_fields() {
        for option in OPTIONS {
            let (Kind::Count(number) | Kind::Duration(number)) = &option.kind else {
                continue;
            };
            for edge in [number.min, number.max] {
                let mut namespace = Namespace::default();
                (number.write)(&mut namespace, edge);
                assert_eq!((number.read)(&namespace), edge, "{}", option.name);
            }
        }
    }
}
