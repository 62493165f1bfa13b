//! A million random operations on several hubs whose letters arrive in any order that keeps each
//! sender's: what clients are told, and what the homes know, equals a plain model at every step.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use super::sim::Sim;
use crate::hub::{
    Answer, Dialect, HistoryQuery, Limit, Limits, Namespaces, Options, Policy, Question, Recovery,
    Tiers,
};

fn namespaces() -> Namespaces {
    let kept = Options {
        history_size: 12,
        history_ttl_ms: 60_000,
        recover_max: 9,
        ..Options::open()
    };
    let fleeting = Options {
        history_size: 0,
        ..kept.clone()
    };
    let cache = Options {
        recovery: Recovery::Cache,
        ..kept.clone()
    };
    let slow = |slow| Options {
        slow,
        join_leave: false,
        ..kept.clone()
    };
    // Laggards are to find that what they missed is gone.
    let forgetful = Options {
        history_size: 5,
        ..slow(Policy::Resume)
    };
    Namespaces::new(kept.clone(), kept.clone())
        .with("plain", fleeting)
        .with("cache", cache)
        .with("drop", slow(Policy::DropOldest))
        .with("conflate", slow(Policy::Conflate))
        .with("resume", forgetful)
}

fn limits() -> Limits {
    Limits {
        channels_per_connection: Limit::new(6),
        tiers: Tiers {
            soft_bytes: 4000,
            soft_ms: 1000,
            hard_bytes: 10_000,
            total_bytes: 100_000,
        },
        ..Limits::default()
    }
}

const CHANNELS: [&str; 14] = [
    "one",
    "two",
    "three",
    "#bob",
    "plain:a",
    "plain:b",
    "cache:a",
    "cache:b",
    "drop:a",
    "drop:b",
    "conflate:a",
    "conflate:b",
    "resume:a",
    "resume:b",
];
const USERS: [&str; 5] = ["", "ann", "bob", "cid", "dot"];

/// One random operation.
fn operate(sim: &mut Sim, dice: &mut Dice) {
    let workers = sim.out.workers;
    let conns: Vec<_> = sim.out.clients.keys().copied().collect();
    let pick = dice.roll(conns.len().max(1));
    let conn = conns.get(pick).copied();
    let mut channel = CHANNELS[dice.roll(CHANNELS.len())];
    // Half of them stay where they know their way, so that somebody is there to be told.
    if let Some(client) = conn.and_then(|conn| sim.out.clients.get(&conn))
        && dice.roll(2) > 0
    {
        let known: Vec<_> = client.channels.keys().chain(client.left.keys()).collect();
        let known = known.get(dice.roll(known.len().max(1)));
        channel = CHANNELS
            .into_iter()
            .find(|channel| Some(*channel) == known.map(|known| &***known))
            .unwrap_or(channel);
    }
    match (dice.roll(100), conn) {
        (0..3, _) | (_, None) if conns.len() < 60 => {
            let (worker, user) = (dice.roll(workers), USERS[dice.roll(USERS.len())]);
            let dialect = Dialect::ALL[conns.len() % Dialect::COUNT];
            let conn = sim.connect_with(worker, user, dialect);
            let client = sim.out.clients.get_mut(&conn).expect("it has just come");
            client.is_aloof = conn.is_multiple_of(2);
        }
        (3, Some(conn)) => sim.close(conn),
        (5..17, Some(conn)) => {
            let is_recovering = dice.roll(3) > 0;
            subscribe(sim, conn, channel, is_recovering);
        }
        (17..22, Some(conn)) => {
            if sim.out.clients[&conn].channels.contains_key(channel) {
                sim.unsubscribe(conn, channel);
            }
        }
        (22..35, Some(conn)) => {
            let key = ["a", "b", "c"][dice.roll(3)];
            sim.publish(conn, channel, key);
        }
        (4, Some(conn)) => {
            let client = sim.out.clients.get_mut(&conn).expect("it is one of them");
            client.is_stalled = true;
        }
        (35, Some(conn)) => sim.wake(conn),
        (38..40, _) => sim.pass_time(dice.roll(4000) as u64),
        (40..41, _) => sim.at(dice.roll(workers), |hub, _| hub.sweep()),
        (41..60, _) => {
            sim.fan_out(dice.roll(workers), 1 + dice.roll(20));
        }
        _ => {
            sim.carry(dice.roll(workers), dice.roll(workers));
        }
    }
    let condemned: Vec<_> = sim
        .out
        .clients
        .iter()
        .filter(|(_, client)| client.disconnected.is_some())
        .map(|(conn, _)| *conn)
        .collect();
    for conn in condemned {
        sim.close(conn);
    }
}

fn subscribe(sim: &mut Sim, conn: u64, channel: &str, is_recovering: bool) {
    let client = &sim.out.clients[&conn];
    let user = sim.hubs[client.worker]
        .session(client.session)
        .map(|session| session.user.to_string());
    let is_member = client.channels.contains_key(channel);
    let is_foreign = channel == "#bob" && user.as_deref() != Some("bob");
    let is_full = client.channels.len() >= 6;
    let done = sim.subscribe(conn, channel, is_recovering);
    assert_eq!(done, !is_member && !is_foreign && !is_full, "{channel}");
    if !done && !is_member {
        let client = sim.out.clients.get_mut(&conn).expect("it is connected");
        client.channels.remove(channel);
    }
}

/// Nothing is under way: the homes know what the model knows, and every client has heard all.
fn compare(sim: &mut Sim) {
    compare_users(sim);
    for channel in CHANNELS {
        let log = sim.out.logs.get(channel).cloned().unwrap_or_default();
        let kept = sim.kept(channel);
        let page = sim.ask(channel, Question::History(HistoryQuery::default()));
        if let Answer::History(page) = page {
            let offsets: Vec<_> = page
                .publications
                .iter()
                .map(|p| p.offset as usize)
                .collect();
            let wanted: Vec<_> = (log.len() - kept + 1..=log.len()).collect();
            assert_eq!(offsets, wanted, "{channel}: what is kept");
            assert_eq!(page.position.offset as usize, log.len(), "{channel}");
        } else {
            assert!(channel.starts_with("plain"), "{channel}: {page:?}");
        }
        let Answer::Presence(presence) = sim.ask(channel, Question::Presence) else {
            panic!("every namespace here has presence");
        };
        let present: BTreeSet<_> = presence.clients.iter().map(|c| c.client).collect();
        let mut wanted = BTreeSet::new();
        for (conn, client) in &sim.out.clients {
            let Some(member) = client.channels.get(channel) else {
                continue;
            };
            wanted.insert(sim.hubs[client.worker].client_id(*conn));
            assert!(member.is_live, "{conn} {channel}: never answered");
            assert_eq!(member.next, log.len(), "{conn} {channel}: heard all");
        }
        assert_eq!(present, wanted, "{channel}: who is there");
        compare_latest(sim, channel);
    }
}

/// Each user is counted once, wherever and however often it is there.
fn compare_users(sim: &Sim) {
    let clients = sim.out.clients.values();
    let users = clients.filter_map(|client| {
        let session = sim.hubs[client.worker].session(client.session)?;
        Some(&session.user).filter(|user| !user.is_empty())
    });
    let wanted = users.collect::<BTreeSet<_>>().len();
    let counted: usize = sim.hubs.iter().map(|hub| hub.users()).sum();
    assert_eq!(counted, wanted, "different users");
}

/// Whoever is conflated ends with the latest of each key it was told anything of.
fn compare_latest(sim: &Sim, channel: &str) {
    let mut latest = BTreeMap::new();
    for (number, key, _) in sim.out.logs.get(channel).into_iter().flatten() {
        latest.insert(key.clone(), *number);
    }
    for client in sim.out.clients.values() {
        let told = client.channels.get(channel).map(|member| &member.latest);
        for (key, number) in told.into_iter().flatten() {
            assert_eq!(latest[key], *number, "{channel}: the latest of {key}");
        }
    }
}

fn run(seed: u64, workers: usize, operations: usize, has_gap_words: bool) -> Sim {
    // A fourth of many workers has joined later, and is nobody's home.
    let homes = workers - workers / 4;
    let mut limits = limits();
    if seed.is_multiple_of(2) {
        // Nobody reaches it, but every connection is counted.
        limits.connections_per_user = Limit::new(100);
    }
    let mut sim = Sim::with_homes(workers, homes, namespaces(), limits);
    sim.out.has_gap_words = has_gap_words;
    let mut dice = Dice::new(seed);
    for at in 1..=operations {
        operate(&mut sim, &mut dice);
        if at % 5000 == 0 {
            sim.settle();
            compare(&mut sim);
        }
    }
    sim.settle();
    compare(&mut sim);
    sim
}

/// The sum over all hubs.
fn tallied(sim: &Sim, what: impl Fn(&crate::hub::Tally) -> u64) -> u64 {
    sim.hubs.iter().map(|hub| what(hub.tally())).sum()
}

#[test]
fn a_million_operations_equal_the_model() {
    let share = 1_000_000 / 8;
    let mut totals = [0; 10];
    for (workers, seeds) in [(1, 0..2), (2, 2..4), (3, 4..6), (8, 6..8)] {
        for seed in seeds {
            let has_gap_words = seed % 2 == 0;
            let sim = run(0x9E37_79B9 + seed, workers, share, has_gap_words);
            let counted = [
                sim.out.told,
                sim.out.comings,
                sim.out.recovered,
                sim.out.not_recovered,
                sim.out.gaps,
                tallied(&sim, |tally| tally.published),
                tallied(&sim, |tally| tally.slow_disconnected),
                tallied(&sim, |tally| tally.slow_held),
                tallied(&sim, |tally| tally.slow_lost),
                tallied(&sim, |tally| tally.channel_limit),
            ];
            totals.iter_mut().zip(counted).for_each(|(a, b)| *a += b);
        }
    }
    // A world in which nothing of this happened would prove nothing.
    println!(
        "told, comings, recovered, not, gaps, published, cut off, held, lost, limited: {totals:?}"
    );
    assert!(totals.iter().all(|total| *total > 50), "{totals:?}");
}

#[test]
fn memory_is_back_at_its_start() {
    let mut sim = Sim::new(3, namespaces(), limits());
    let used = allocation_counter::measure(|| {
        let mut dice = Dice::new(77);
        for _ in 0..100_000 {
            operate(&mut sim, &mut dice);
        }
        for conn in sim.out.clients.keys().copied().collect::<Vec<_>>() {
            sim.close(conn);
        }
        sim.settle();
        sim.forget();
        for _ in 0..3 {
            sim.pass_time(2 * 24 * 3_600_000);
            for worker in 0..3 {
                sim.at(worker, |hub, _| hub.sweep());
                sim.fan_out(worker, 10);
            }
        }
        for hub in &sim.hubs {
            assert_eq!(hub.sessions(), 0);
            assert_eq!(hub.users(), 0);
            assert_eq!(hub.channels(), 0);
            assert_eq!(hub.history_bytes(), 0);
            assert_eq!(hub.events_waiting(), 0);
        }
    });
    assert!(used.bytes_total > 10_000_000, "it did something");
    // Lists that were used keep room for a few entries.
    assert!(used.bytes_current < 32_768, "{} left", used.bytes_current);
}
