use std::hash::{BuildHasherDefault, DefaultHasher};

use super::*;

type TestGate = Gate<BuildHasherDefault<DefaultHasher>>;

const SECOND: u64 = SECOND_US;

fn gate(limits: Admission) -> TestGate {
    Gate::with_hasher(&limits, BuildHasherDefault::default())
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// How many of `count` handshakes at that time are let in.
fn admitted(gate: &TestGate, ip: Option<IpAddr>, now_us: u64, count: usize) -> usize {
    let outcomes = (0..count).map(|_| gate.admit(ip, now_us));
    outcomes.filter(Result::is_ok).count()
}

fn rates(ip_handshakes_per_s: u32, handshakes_per_s: u32) -> Admission {
    Admission {
        ip_handshakes_per_s,
        handshakes_per_s,
        ..Admission::default()
    }
}

fn connections(ip_connections_max: u32) -> Admission {
    Admission {
        ip_connections_max,
        ..Admission::default()
    }
}

#[test]
fn without_limits_nothing_is_kept() {
    let gate = gate(Admission::default());
    assert_eq!(admitted(&gate, ip("10.0.0.1"), 0, 10_000), 10_000);
    assert_eq!(gate.admit(ip("10.0.0.1"), 0), Ok(Ticket(None)));
    assert!(gate.connections.get().is_none() && gate.buckets.get().is_none());
    assert_eq!(gate.counts(), GateCounts::default());
}

#[test]
fn an_address_has_a_rate_and_a_burst_of_a_second() {
    let gate = gate(rates(20, 0));
    let (one, other) = (ip("10.0.0.1"), ip("10.0.0.2"));
    let start = 5 * SECOND;
    assert_eq!(admitted(&gate, one, start, 100), 20);
    assert_eq!(gate.admit(one, start), Err(Over::IpHandshakes));
    assert_eq!(
        admitted(&gate, other, start, 100),
        20,
        "another has its own"
    );
    assert_eq!(admitted(&gate, one, start + SECOND / 20, 100), 1);
    assert_eq!(admitted(&gate, one, start + SECOND / 2, 100), 9);
    assert_eq!(
        admitted(&gate, one, start + 60 * SECOND, 100),
        20,
        "no more is saved up"
    );
    assert_eq!(gate.counts().over_ip_handshakes, 81 + 80 + 99 + 91 + 80);
}

#[test]
fn rates_hold_over_time_whatever_they_are() {
    for per_s in [1, 3, 7, 999, 3_000, 10_000] {
        let gate = gate(rates(per_s, 0));
        // Ten seconds of somebody who never stops, after the burst of the first moment.
        let ip = ip("2001:db8::1");
        admitted(&gate, ip, 0, 20_000);
        let let_in: usize = (1..=10_000)
            .map(|ms| admitted(&gate, ip, ms * 1_000, 12))
            .sum();
        let wanted = 10 * per_s as usize;
        let is_close = (wanted..=wanted + wanted / 9).contains(&let_in);
        assert!(is_close, "{let_in} of {wanted}");
    }
}

#[test]
fn everybody_together_has_a_rate() {
    let gate = gate(rates(0, 1_000));
    let from = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
    let start = 9 * SECOND;
    let let_in = (0..5_000)
        .filter(|n| gate.admit(from(*n), start).is_ok())
        .count();
    assert_eq!(let_in, 1_000);
    assert_eq!(
        gate.admit(None, start),
        Err(Over::Handshakes),
        "Unix sockets count"
    );
    let let_in = (0..5_000)
        .filter(|n| gate.admit(from(*n), start + SECOND / 10).is_ok())
        .count();
    assert_eq!(let_in, 100);
    assert_eq!(gate.counts().over_handshakes, 4_000 + 1 + 4_900);
}

#[test]
fn an_address_has_so_many_connections() {
    let gate = gate(connections(3));
    let one = ip("10.0.0.1");
    let mut tickets: Vec<_> = (0..3).map(|_| gate.admit(one, 0).unwrap()).collect();
    assert_eq!(gate.admit(one, 0), Err(Over::IpConnections));
    assert!(gate.admit(ip("10.0.0.2"), 0).is_ok());
    assert!(gate.admit(None, 0).is_ok());
    gate.leave(tickets.pop().unwrap());
    tickets.push(gate.admit(one, 0).unwrap());
    assert_eq!(gate.admit(one, 0), Err(Over::IpConnections));
    assert_eq!(gate.counts().over_ip_connections, 2);
    for ticket in tickets {
        gate.leave(ticket);
    }
    assert_eq!(admitted(&gate, one, 0, 9), 3, "all places are free again");
}

#[test]
fn what_counts_as_one_address() {
    let table = [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("10.0.0.1", "::ffff:10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
    ];
    for (first, second, is_one) in table {
        let gate = gate(connections(1));
        let _ticket = gate.admit(ip(first), 0).unwrap();
        assert_eq!(
            gate.admit(ip(second), 0).is_err(),
            is_one,
            "{first} {second}"
        );
    }
}

#[test]
fn a_dry_run_counts_and_lets_in() {
    let limits = Admission {
        ip_connections_max: 1,
        ip_handshakes_per_s: 2,
        handshakes_per_s: 3,
        is_dry_run: true,
    };
    let gate = gate(limits.clone());
    let tickets: Vec<_> = (0..10)
        .map(|_| gate.admit(ip("10.0.0.1"), 0).unwrap())
        .collect();
    let expected = GateCounts {
        over_ip_connections: 9,
        over_ip_handshakes: 8,
        over_handshakes: 7,
        untracked: 0,
    };
    assert_eq!(gate.counts(), expected);
    for ticket in tickets {
        gate.leave(ticket);
    }
    // In earnest from now on; the ten have left, whatever they were counted as.
    gate.set(&Admission {
        is_dry_run: false,
        ..limits
    });
    assert_eq!(admitted(&gate, ip("10.0.0.1"), 60 * SECOND, 5), 1);
}

#[test]
fn memory_is_bounded_and_a_full_table_lets_in() {
    let gate = gate(connections(1));
    let addresses = 3 * SLOTS as u32;
    let tickets: Vec<_> = (0..addresses)
        .map(|n| gate.admit(Some(IpAddr::from(n.to_be_bytes())), 0).unwrap())
        .collect();
    let untracked = gate.counts().untracked as usize;
    let tracked = tickets.iter().filter(|ticket| ticket.0.is_some()).count();
    assert_eq!(tracked + untracked, tickets.len());
    assert!(tracked <= SLOTS && tracked > SLOTS * 9 / 10, "{tracked}");
    for ticket in tickets {
        gate.leave(ticket);
    }
    let table = gate.connections.get().unwrap();
    let is_empty = |slot: &AtomicU64| slot.load(Relaxed) & NUMBER_MASK == 0;
    assert!(table.0.iter().all(is_empty), "everybody has left");
    assert_eq!(size_of::<Ticket>(), 8);
}

#[test]
fn threads_never_let_in_one_too_many_for_good() {
    let gate = gate(connections(1_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2_000_u32 {
                    let from = |n: u32| Some(IpAddr::from((round % 7 + n).to_be_bytes()));
                    let tickets = [0, 1, 2, 3].map(|n| gate.admit(from(n), 0).unwrap());
                    tickets.into_iter().for_each(|ticket| gate.leave(ticket));
                }
            });
        }
    });
    let counted: u64 = gate
        .connections
        .get()
        .unwrap()
        .0
        .iter()
        .map(|slot| slot.load(Relaxed) & NUMBER_MASK)
        .sum();
    assert_eq!((counted, gate.counts().untracked), (0, 0));
}
