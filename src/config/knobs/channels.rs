//! The knobs of channels: what one client may have, slow subscribers, and the history on disk.

use crate::config::fields::{DAY_MS, GIB, KIB, MIB, SECOND_MS, TIB_64, TICK_MS, choice, number};
use crate::config::knob::{Choice, Group, Kind, Number, Shelf};
use crate::config::{Damage, Knob, Sync};

pub(super) const MAX_CHANNELS: Knob = Knob {
    name: "max-channels",
    group: Group::Share,
    kind: Kind::Count(number!(share.channels_max: u32, 1, 65_536, zero "no limit")),
    brief: "Channels one connection may be in; more subscriptions are refused",
    story: "A subscription is 16 bytes here and a name in its client. Whoever needs more than a hundred \
        usually wants one channel with more in it.",
    example: "512",
    also: &[
        "channels-per-connection",
        "client-channel-limit",
        "subscriptions",
    ],
};

pub(super) const MAX_CHANNEL_NAME: Knob = Knob {
    name: "max-channel-name",
    group: Group::Share,
    kind: Kind::Bytes(number!(share.channel_bytes_max: u32, 1, 255)),
    brief: "Longest name of a channel; longer ones are unknown channels",
    story: "The default is the most there can be. A dry run counts those that are longer, and lets them in.",
    example: "64B",
    also: &["channel-max-length", "channel-name-length"],
};

pub(super) const MAX_CONNECTIONS_PER_USER: Knob = Knob {
    name: "max-connections-per-user",
    group: Group::Share,
    kind: Kind::Count(number!(share.user_connections_max: u32, 1, 1_000_000, zero "no limit")),
    brief: "Connections of one user; the ones beyond are closed and told not to come back",
    story: "Counted over all workers, by the name in the token. Those without a name are nobody's: for \
        them there is max-connections-per-ip. Every tab of a browser is a connection.",
    example: "20",
    also: &["user-connections", "user-connection-limit"],
};

pub(super) const MAX_MESSAGE_RATE: Knob = Knob {
    name: "max-message-rate",
    group: Group::Share,
    kind: Kind::Count(number!(share.message_rate: u32, 1, 1_000_000, zero "no limit")),
    brief: "Messages per second from one connection; who sends more is closed and may come back later",
    story: "As many as in a second may come at once. Counted is what arrives, whatever it asks for. A \
        person types two a second, a game sends sixty; the default is none because a device that \
        measures may do anything.",
    example: "100",
    also: &["message-rate", "messages-per-second", "rate-limit"],
};

pub(super) const MAX_BYTE_RATE: Knob = Knob {
    name: "max-byte-rate",
    group: Group::Share,
    kind: Kind::Bytes(number!(share.byte_rate: u32, KIB, GIB, zero "no limit")),
    brief: "Bytes per second from one connection; who sends more is closed and may come back later",
    story: "As many as in a second may come at once, and one message always may, however large: it is \
        paid for by the silence that has to follow.",
    example: "256KiB",
    also: &["byte-rate", "bytes-per-second", "bandwidth"],
};

pub(super) const MAX_PUBLICATION: Knob = Knob {
    name: "max-publication",
    group: Group::Share,
    kind: Kind::Bytes(
        number!(share.publication_bytes_max: u32, 1, GIB, zero "what max-message lets through"),
    ),
    brief: "Largest publication of a client; larger ones are refused, and the connection lives on",
    story: "A publication is kept once and sent to everybody, so it may be worth more than the message \
        it came in. What backends publish through the API is not asked.",
    example: "16KiB",
    also: &["publication-size", "message-size-limit"],
};

pub(super) const SLOW_SOFT: Knob = Knob {
    name: "slow-soft",
    group: Group::Slow,
    kind: Kind::Bytes(number!(slow.soft_bytes: usize, 1, GIB)),
    brief: "Queued bytes a subscriber may have for slow-soft-time; beyond, its namespace decides",
    story: "What its kernel does not take waits here by reference: a publication that a thousand wait for \
        is there once. What becomes of the slow is an option of the namespace (throng help slow).",
    example: "128KiB",
    also: &["client-queue", "soft-limit"],
};

pub(super) const SLOW_SOFT_TIME: Knob = Knob {
    name: "slow-soft-time",
    group: Group::Slow,
    kind: Kind::Duration(number!(slow.soft_ms: u32, TICK_MS, DAY_MS)),
    brief: "How long a subscriber may stay above slow-soft",
    story: "Long enough for a train in a tunnel, short enough for those who pay for its memory.",
    example: "30s",
    also: &["soft-seconds", "soft-time"],
};

pub(super) const SLOW_HARD: Knob = Knob {
    name: "slow-hard",
    group: Group::Slow,
    kind: Kind::Bytes(number!(slow.hard_bytes: usize, 1, GIB)),
    brief: "Queued bytes no subscriber may have, not for a moment",
    story: "Keep it below queue-max, which cuts off whoever is above it, whatever its namespace says.",
    example: "2MiB",
    also: &["hard-limit", "client-queue-max-size"],
};

pub(super) const SLOW_TOTAL: Knob = Knob {
    name: "slow-total",
    group: Group::Slow,
    kind: Kind::Bytes(number!(slow.total_bytes: usize, MIB, TIB_64)),
    brief: "Queued bytes of all slow subscribers together; beyond, every one of them is too slow",
    story: "Each worker has its share of it. A frame that many wait for is counted for each of them, so \
        this is a bound and not what they cost.",
    example: "1GiB",
    also: &["total-limit", "queue-total"],
};

pub(super) const HISTORY_MEMORY: Knob = Knob {
    name: "history-memory",
    group: Group::History,
    kind: Kind::Bytes(number!(history.memory_bytes: u64, MIB, TIB_64)),
    brief: "Memory of all histories together; beyond, the oldest publication of all goes first",
    story: "Each worker has its share of it. How many publications a channel keeps and for how long are \
        options of its namespace; this is what holds when there are more channels than anybody \
        thought of.",
    example: "1GiB",
    also: &["history-size-total", "history-bytes"],
};

pub(super) const HISTORY_DIR: Knob = Knob {
    name: "history-dir",
    group: Group::History,
    kind: Kind::PathOrWord(Shelf {
        placeholder: "DIR",
        word: "off",
        read: |config| config.history.dir.as_deref(),
        write: |config, path| config.history.dir = path,
    }),
    brief: "Where histories are kept on disk, so that they survive a restart; off keeps them in memory",
    story: "With it, a publication is answered and told when the file has it, so that none that was \
        acknowledged is lost when the process is killed; what a power cut may take, history-sync says. \
        Offsets and epochs go on after a restart, and clients recover as if nothing had been. The \
        directory is made if it is not there, and is one server's at a time. When the log in it has \
        grown by history-memory (64 MiB at least), what is kept is written anew and the rest removed.",
    example: "/var/lib/throng/history",
    also: &["data-dir", "persistence", "history-path", "state-dir"],
};

pub(super) const HISTORY_SYNC: Knob = Knob {
    name: "history-sync",
    group: Group::History,
    kind: Kind::Choice(choice!(history.sync:
        "always" => Sync::Always,
        "interval" => Sync::Interval,
        "off" => Sync::Off)),
    brief: "When the file is forced to the disk: before each answer, once per interval, or never",
    story: "A killed process loses nothing under any of them: the kernel has what was acknowledged. A \
        power cut takes with always nothing, with interval what the last history-sync-interval brought, \
        with off what the kernel had not written, half a minute or so; after a cut that may have taken \
        something epochs are new, so that clients are told. always costs a disk's round trip per \
        answer, shared by all who publish meanwhile.",
    example: "always",
    also: &["fsync", "appendfsync", "durability"],
};

pub(super) const HISTORY_SYNC_INTERVAL: Knob = Knob {
    name: "history-sync-interval",
    group: Group::History,
    kind: Kind::Duration(number!(history.sync_interval_ms: u32, 10, 60 * SECOND_MS)),
    brief: "Time between two syncs, if history-sync is interval",
    story: "What a power cut may take at most.",
    example: "200ms",
    also: &["fsync-interval", "flush-interval"],
};

pub(super) const HISTORY_DAMAGED: Knob = Knob {
    name: "history-damaged",
    group: Group::History,
    kind: Kind::Choice(choice!(history.damaged:
        "refuse" => Damage::Refuse,
        "skip" => Damage::Skip)),
    brief: "What to do at start about a history file that is damaged in its middle",
    story: "The torn end that a killed server leaves is no damage: it was acknowledged to nobody. But bytes \
        that have changed since are, and only an operator knows whether a backup is at hand. skip goes \
        on with what can be read, and gives every channel a new epoch so that clients are told.",
    example: "skip",
    also: &["corruption", "repair"],
};
