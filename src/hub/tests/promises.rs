//! What the hub promises, one thing at a time.

use super::sim::{Sim, json};
use crate::hub::{
    Answer, ClientId, Dialect, Disconnect, Draft, HistoryQuery, Limit, Limits, Namespaces, Options,
    Policy, Position, Question, Refusal, Right, Subscribe, Tiers, Unsubscribed, UserOrder,
};

fn open() -> Sim {
    Sim::new(2, Namespaces::open(Options::open()), Limits::default())
}

fn publish(sim: &mut Sim, channel: &str, bytes: usize) -> Answer {
    let text = format!("\"{}\"", "x".repeat(bytes));
    sim.ask(channel, Question::Publish(Draft::new(json(&text))))
}

/// A channel that lives at that worker.
fn channel_at(sim: &Sim, worker: usize, prefix: &str) -> String {
    let names = (0..).map(|n| format!("{prefix}{n}"));
    let mut homes = names.filter(|name| sim.hubs[0].home(name) == worker);
    homes.next().expect("there are names for every worker")
}

#[test]
fn a_small_room_does_not_wait_for_a_large_one() {
    let mut sim = open();
    let (large, small) = (channel_at(&sim, 0, "large"), channel_at(&sim, 0, "small"));
    for _ in 0..1000 {
        let conn = sim.connect(0, "");
        sim.subscribe(conn, &large, false);
    }
    let (ann, bob) = (sim.connect(0, "ann"), sim.connect(0, "bob"));
    sim.subscribe(ann, &small, false);
    sim.subscribe(bob, &small, false);
    sim.settle();
    let before = sim.out.told;
    sim.publish(ann, &large, "");
    sim.publish(ann, &small, "");
    assert!(sim.fan_out(0, 100), "a thousand are not told at once");
    let told = &sim.out.clients[&bob].channels[&small];
    assert_eq!(told.next, 1, "bob has it in the first slice");
    let mut slices = 1;
    while sim.fan_out(0, 100) {
        slices += 1;
    }
    assert_eq!(sim.out.told - before, 1002);
    assert!((9..=12).contains(&slices), "{slices} slices");
}

#[test]
fn who_comes_and_goes_is_news_only_where_somebody_can_hear_it() {
    let mut sim = open();
    // One channel that lives here and one that lives elsewhere.
    for channel in [channel_at(&sim, 0, "near"), channel_at(&sim, 1, "far")] {
        let come_as = |sim: &mut Sim, dialect, is_aloof| {
            let conn = sim.connect_with(0, "", dialect);
            let client = sim.out.clients.get_mut(&conn);
            client.expect("it has just come").is_aloof = is_aloof;
            sim.subscribe(conn, &channel, false);
            sim.carry_all();
            conn
        };
        let come = |sim: &mut Sim, dialect| come_as(sim, dialect, false);
        let events = |sim: &Sim| sim.hubs[0].events_waiting();
        for _ in 0..100 {
            come(&mut sim, Dialect::Raw);
            assert_eq!(events(&sim), 0, "nobody has words for it");
            come_as(&mut sim, Dialect::Centrifuge, true);
            assert_eq!(events(&sim), 0, "nobody wants to hear it");
        }
        let listener = come(&mut sim, Dialect::Centrifuge);
        let first = come(&mut sim, Dialect::Raw);
        for _ in 0..9 {
            come(&mut sim, Dialect::Raw);
        }
        sim.close(first);
        sim.carry_all();
        assert_eq!(
            events(&sim),
            12,
            "eleven came, itself among them, and one went"
        );
        let before = sim.out.comings;
        sim.settle();
        assert_eq!(sim.out.comings - before, 12, "one listener hears them all");
        sim.close(listener);
        sim.carry_all();
        come(&mut sim, Dialect::Raw);
        assert_eq!(events(&sim), 0, "it is gone, and so is its interest");
    }
}

#[test]
fn publications_in_a_row_leave_in_one_write() {
    let mut sim = open();
    let channel = channel_at(&sim, 0, "room");
    let conn = sim.connect(0, "ann");
    sim.subscribe(conn, &channel, false);
    sim.settle();
    for _ in 0..5 {
        sim.publish(conn, &channel, "");
    }
    assert!(!sim.fan_out(0, 2), "five frames cost one of the budget");
    assert_eq!(sim.out.clients[&conn].channels[&channel].next, 5);
}

#[test]
fn a_full_house_refuses_publications_and_loses_none() {
    let mut sim = open();
    let (near, far) = (channel_at(&sim, 0, "near"), channel_at(&sim, 1, "far"));
    let (ann, bob) = (sim.connect(0, "ann"), sim.connect(0, "bob"));
    sim.subscribe(bob, &near, false);
    sim.settle();
    // Nobody fans out, nobody reads letters.
    let attempts = 40_000;
    let mut refused = 0;
    for _ in 0..attempts {
        let number = sim.publish(ann, &near, "");
        let answer = sim.out.answers.remove(&number);
        refused += usize::from(answer == Some(Answer::Refused(Refusal::Busy)));
    }
    assert!(refused > 0 && refused < attempts, "{refused} refused");
    assert_eq!(sim.hubs[0].events_waiting(), attempts - refused);
    let session = sim.out.clients[&ann].session;
    let mut posted = 0;
    let busy = loop {
        let draft = Draft::new(json("1"));
        let done = sim.at(0, |hub, world| {
            hub.publish(world, session, &far, draft, Default::default())
        });
        match done {
            Ok(()) => posted += 1,
            Err(refusal) => break refusal,
        }
        assert!(
            posted < 100_000,
            "the way to a worker that does not read is bounded"
        );
    };
    assert_eq!(busy, Refusal::Busy);
    sim.out.logs.remove(&far);
    sim.settle();
    assert_eq!(
        sim.out.clients[&bob].channels[&near].next,
        attempts - refused
    );
    let Answer::History(page) = sim.ask(&far, Question::History(HistoryQuery::default())) else {
        panic!("it keeps a history");
    };
    assert_eq!(page.position.offset, posted, "what was taken has arrived");
}

#[test]
fn what_waits_for_its_fan_out_is_bounded_in_bytes() {
    let mut sim = open();
    let channel = channel_at(&sim, 0, "room");
    let conn = sim.connect(0, "");
    sim.subscribe(conn, &channel, false);
    sim.settle();
    // Nobody fans out.
    let taken = (0..1_000)
        .map(|_| publish(&mut sim, &channel, 1 << 20))
        .take_while(|answer| *answer != Answer::Refused(Refusal::Busy))
        .count();
    assert!((32..=64).contains(&taken), "{taken} of a mebibyte each");
    sim.close(conn);
    assert_eq!(sim.hubs[0].events_waiting(), 0, "nobody is left to be told");
}

#[test]
fn what_waits_for_another_worker_is_bounded_in_bytes() {
    let mut sim = open();
    let (near, far) = (channel_at(&sim, 0, "near"), channel_at(&sim, 1, "far"));
    let (ann, bob) = (sim.connect(0, "ann"), sim.connect(1, "bob"));
    sim.subscribe(bob, &near, false);
    sim.settle();
    let session = sim.out.clients[&ann].session;
    let large = || Draft::new(json(&format!("\"{}\"", "x".repeat(1 << 20))));
    // Worker 1 reads no letters. Its mailbox holds 16 of them, whatever their size.
    let sent = (0..1_000)
        .map(|_| {
            sim.at(0, |hub, world| {
                hub.publish(world, session, &far, large(), Default::default())
            })
        })
        .take_while(|done| *done != Err(Refusal::Busy))
        .count();
    assert_eq!(sent, 32, "of a mebibyte each, on the way to their home");
    assert_eq!(
        publish(&mut sim, &near, 1),
        Answer::Refused(Refusal::Busy),
        "nor is there room for what subscribers there would be told"
    );
    sim.settle();
    assert_eq!(sim.hubs[1].tally().published, sent as u64);
    assert_eq!(sim.hubs[0].letters_waiting(), 0);
    assert!(sim.hubs[0].has_room(1));
}

#[test]
fn all_histories_together_are_bounded() {
    let limits = Limits {
        history_bytes_max: 100_000,
        ..Limits::default()
    };
    let mut sim = Sim::new(1, Namespaces::open(Options::open()), limits);
    for n in 0..2000 {
        publish(&mut sim, &format!("room{}", n % 50), 1000);
        assert!(sim.hubs[0].history_bytes() <= 100_000);
    }
    assert!(sim.hubs[0].tally().history_evicted > 1800);
    // The newest are those that are left, and positions still count.
    let Answer::History(page) = sim.ask("room49", Question::History(HistoryQuery::default()))
    else {
        panic!("it keeps a history");
    };
    assert_eq!(page.position.offset, 40);
    assert_eq!(page.publications.last().map(|p| p.offset), Some(40));
}

#[test]
fn pages_of_history_begin_and_end_where_they_are_asked_to() {
    let mut sim = open();
    for _ in 0..10 {
        publish(&mut sim, "room", 1);
    }
    let mut page = |query| match sim.ask("room", Question::History(query)) {
        Answer::History(page) => {
            let offsets: Vec<_> = page.publications.iter().map(|p| p.offset).collect();
            Ok((offsets, page.position))
        }
        Answer::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    };
    let (none, top) = page(HistoryQuery {
        limit: Some(0),
        ..Default::default()
    })
    .expect("it keeps a history");
    assert_eq!((none.len(), top.offset), (0, 10));
    let since = |offset| Some(Position { offset, ..top });
    let query = |limit, since, reverse| HistoryQuery {
        limit,
        since,
        reverse,
    };
    let mut offsets = |asked| page(asked).map(|(offsets, _)| offsets);
    assert_eq!(offsets(query(Some(3), None, false)), Ok(vec![1, 2, 3]));
    assert_eq!(offsets(query(Some(3), None, true)), Ok(vec![10, 9, 8]));
    assert_eq!(offsets(query(None, since(8), false)), Ok(vec![9, 10]));
    assert_eq!(offsets(query(Some(2), since(3), true)), Ok(vec![2, 1]));
    assert_eq!(
        offsets(query(None, since(11), false)),
        Err(Refusal::BadPosition)
    );
    let foreign = Some(Position {
        offset: 3,
        epoch: crate::hub::Epoch::new(77),
    });
    assert_eq!(
        offsets(query(None, foreign, false)),
        Err(Refusal::BadPosition)
    );
}

#[test]
fn a_user_can_be_reached_wherever_it_is() {
    let mut sim = open();
    let bobs = [
        sim.connect(0, "bob"),
        sim.connect(1, "bob"),
        sim.connect(1, "bob"),
    ];
    let ann = sim.connect(1, "ann");
    for conn in bobs {
        sim.subscribe(conn, "#bob", false);
    }
    assert!(!sim.subscribe(ann, "#bob", false), "not hers");
    sim.out
        .clients
        .get_mut(&ann)
        .expect("she is here")
        .channels
        .clear();
    sim.settle();
    sim.publish(ann, "#bob", "");
    sim.settle();
    for conn in bobs {
        assert_eq!(sim.out.clients[&conn].channels["#bob"].next, 1);
    }
    let one = sim.hubs[1].client_id(bobs[1]);
    let order = |sim: &mut Sim, order: UserOrder| {
        sim.at(0, |hub, world| hub.order(world, "bob", &order));
        sim.settle();
    };
    let (channel, why) = (Box::from("#bob"), Unsubscribed::ByServer);
    order(
        &mut sim,
        UserOrder::Unsubscribe {
            channel,
            why,
            client: Some(one),
        },
    );
    let is_in = |sim: &Sim, conn| sim.out.clients[&conn].channels.contains_key("#bob");
    assert_eq!(bobs.map(|conn| is_in(&sim, conn)), [true, false, true]);
    order(
        &mut sim,
        UserOrder::Disconnect {
            why: Disconnect::ByServer,
            client: None,
        },
    );
    let why = |sim: &Sim, conn| sim.out.clients[&conn].disconnected;
    assert_eq!(
        bobs.map(|conn| why(&sim, conn)),
        [Some(Disconnect::ByServer); 3]
    );
    assert_eq!(why(&sim, ann), None);
    assert_ne!(one, ClientId::default());
}

#[test]
fn a_user_has_so_many_connections_and_a_dry_run_has_more() {
    for (is_dry_run, cut_off) in [(false, 1), (true, 0)] {
        let limits = Limits {
            connections_per_user: Limit { max: 2, is_dry_run },
            ..Limits::default()
        };
        let mut sim = Sim::new(2, Namespaces::open(Options::open()), limits);
        let first = sim.connect(0, "bob");
        sim.connect(1, "bob");
        sim.settle();
        sim.close(first);
        sim.connect(0, "bob");
        sim.settle();
        sim.connect(1, "bob");
        for _ in 0..9 {
            sim.connect(1, "");
        }
        sim.settle();
        let ended = sim.out.clients.values();
        let ended = ended.filter(|client| client.disconnected == Some(Disconnect::UserLimit));
        assert_eq!(ended.count(), cut_off);
        let counted: u64 = sim.hubs.iter().map(|hub| hub.tally().user_limit).sum();
        assert_eq!(counted, 1);
    }
}

#[test]
fn a_user_counts_once_on_however_many_workers_it_is() {
    for max in [0, 100] {
        for (workers, homes) in [(1, 1), (2, 2), (5, 2)] {
            let limits = Limits {
                connections_per_user: Limit::new(max),
                ..Limits::default()
            };
            let open = Namespaces::open(Options::open());
            let mut sim = Sim::with_homes(workers, homes, open, limits);
            let users = |sim: &mut Sim| -> usize {
                sim.settle();
                sim.hubs.iter().map(|hub| hub.users()).sum()
            };
            let everywhere = |sim: &mut Sim, user| -> Vec<_> {
                (0..2 * workers)
                    .map(|n| sim.connect(n % workers, user))
                    .collect()
            };
            let anns = everywhere(&mut sim, "ann");
            everywhere(&mut sim, "");
            let bobs = everywhere(&mut sim, "bob");
            assert_eq!(users(&mut sim), 2, "the anonymous are nobody");
            for left in (0..anns.len()).rev() {
                sim.close(anns[left]);
                assert_eq!(users(&mut sim), 1 + usize::from(left > 0));
            }
            bobs.into_iter().for_each(|bob| sim.close(bob));
            assert_eq!(users(&mut sim), 0);
        }
    }
}

#[test]
fn rights_are_what_the_namespace_says() {
    let options = Options {
        subscribe: Right::Users,
        publish: Right::Subscribers,
        history_size: 5,
        ..Options::default()
    };
    let mut sim = Sim::new(
        1,
        Namespaces::new(options.clone(), options),
        Limits::default(),
    );
    let (ann, nobody) = (sim.connect(0, "ann"), sim.connect(0, ""));
    let mut tried = |conn, channel: &'static str| {
        let session = sim.out.clients[&conn].session;
        sim.at(0, |hub, world| {
            let draft = Draft::new(json("1"));
            let request = Default::default();
            let published = hub.publish(world, session, channel, draft, request);
            let how = Subscribe::default();
            let subscribed = hub.subscribe(world, session, channel, how, Default::default());
            (published, subscribed)
        })
    };
    let denied = Err(Refusal::PermissionDenied);
    let unknown = Err(Refusal::UnknownChannel);
    assert_eq!(tried(nobody, "room"), (denied, denied));
    assert_eq!(tried(nobody, "other:room"), (unknown, unknown));
    assert_eq!(tried(nobody, "ro om"), (unknown, unknown));
    assert_eq!(tried(nobody, "#"), (denied, denied));
    assert!(sim.subscribe(ann, "room", false));
    let number = sim.publish(ann, "room", "");
    assert!(matches!(
        sim.out.answers[&number],
        Answer::Published { receivers: 1, .. }
    ));
}

/// One who does not read, among those who do, under each policy.
#[test]
fn a_stalled_subscriber_costs_what_it_may_and_nobody_else_anything() {
    let tiers = Tiers {
        soft_bytes: 3000,
        soft_ms: 1000,
        hard_bytes: 20_000,
        total_bytes: 1 << 20,
    };
    for policy in [
        Policy::Disconnect,
        Policy::DropOldest,
        Policy::Conflate,
        Policy::Resume,
    ] {
        let options = Options {
            slow: policy,
            ..Options::open()
        };
        let limits = Limits {
            tiers,
            ..Limits::default()
        };
        // Names of this kind may skip, in the model.
        let name = if policy == Policy::Conflate {
            "conflate"
        } else {
            "room"
        };
        let mut sim = Sim::new(1, Namespaces::open(options), limits);
        let (stalled, sound) = (sim.connect(0, "ann"), sim.connect(0, "bob"));
        sim.subscribe(stalled, name, false);
        sim.subscribe(sound, name, false);
        sim.settle();
        sim.out
            .clients
            .get_mut(&stalled)
            .expect("it is here")
            .is_stalled = true;
        let publish = |sim: &mut Sim, count| {
            for _ in 0..count {
                sim.publish(sound, name, "k");
                sim.fan_out(0, 10);
            }
        };
        publish(&mut sim, 4);
        assert_eq!(
            sim.out.clients[&stalled].channels[name].next, 4,
            "within its tier"
        );
        sim.pass_time(1001);
        publish(&mut sim, 50);
        assert_eq!(
            sim.out.clients[&sound].channels[name].next, 54,
            "{policy:?}"
        );
        let laggard = &sim.out.clients[&stalled];
        assert!(
            laggard.queued_bytes <= 6000,
            "{policy:?}: soft for too long"
        );
        if policy == Policy::Disconnect {
            assert_eq!(laggard.disconnected, Some(Disconnect::Slow));
            continue;
        }
        sim.settle();
        let told = &sim.out.clients[&stalled].channels[name];
        assert_eq!(told.next, 54, "{policy:?}: it is live again");
        publish(&mut sim, 1);
        assert_eq!(
            sim.out.clients[&stalled].channels[name].next, 55,
            "{policy:?}"
        );
    }
}

/// A room of one worker with one who is too slow and one who is not, under `drop-oldest`.
fn dropping(history_size: u32, has_gap_words: bool, word_bytes: usize) -> (Sim, u64, u64) {
    let options = Options {
        slow: Policy::DropOldest,
        history_size,
        ..Options::open()
    };
    let tiers = Tiers {
        hard_bytes: 3_000,
        ..Tiers::default()
    };
    let limits = Limits {
        tiers,
        ..Limits::default()
    };
    let mut sim = Sim::new(1, Namespaces::open(options), limits);
    sim.out.has_gap_words = has_gap_words;
    sim.word_bytes = word_bytes;
    // Who hears of those who come, too.
    let [stalled, sound] =
        ["ann", "bob"].map(|user| sim.connect_with(0, user, Dialect::Centrifuge));
    for conn in [stalled, sound] {
        sim.subscribe(conn, "room", false);
    }
    sim.settle();
    let client = sim.out.clients.get_mut(&stalled).expect("it is here");
    client.is_stalled = true;
    (sim, stalled, sound)
}

/// In every kind of channel and dialect; one publication may be more than is kept for a laggard.
#[test]
fn who_loses_the_oldest_is_told_how_many() {
    for (history_size, has_gap_words, word_bytes) in [
        (100, true, 16 << 10),
        (100, false, 16 << 10),
        (0, true, 16 << 10),
        (0, false, 16 << 10),
        (0, false, 300 << 10),
    ] {
        let (mut sim, stalled, sound) = dropping(history_size, has_gap_words, word_bytes);
        for _ in 0..100 {
            sim.publish(sound, "room", "");
            sim.fan_out(0, 10);
        }
        let before = sim.out.told;
        sim.settle();
        // What is told adds up, or the world had complained; and most of it was lost.
        assert_eq!(sim.out.clients[&stalled].channels["room"].next, 100);
        assert_eq!(sim.out.gaps, 1, "{history_size} {has_gap_words}");
        assert!((1..20).contains(&(sim.out.told - before)));
        sim.publish(sound, "room", "");
        sim.settle();
        assert_eq!(sim.out.clients[&stalled].channels["room"].next, 101);
    }
}

#[test]
fn a_gap_that_nothing_follows_ends_the_subscription() {
    for has_gap_words in [true, false] {
        let (mut sim, stalled, sound) = dropping(100, has_gap_words, 300 << 10);
        for _ in 0..10 {
            sim.publish(sound, "room", "");
            sim.fan_out(0, 10);
        }
        let third = sim.connect(0, "cid");
        sim.subscribe(third, "room", false);
        sim.fan_out(0, 10);
        sim.settle();
        let channels = &sim.out.clients[&stalled].channels;
        assert_eq!(channels.contains_key("room"), has_gap_words);
    }
}
