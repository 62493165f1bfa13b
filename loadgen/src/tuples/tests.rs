use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::ports::UNPRIVILEGED;

fn space(sources: &str, ports: (u16, u16), listeners: u16, seed: u64) -> Arc<TupleSpace> {
    let listeners = (0..listeners)
        .map(|n| SocketAddr::from(([10, 0, 0, 1], 9000 + n)))
        .collect();
    let ports = PortSet::new(ports.0..=ports.1, &[]);
    Arc::new(TupleSpace::new(SourcePool::parse(sources).unwrap(), ports, listeners, seed).unwrap())
}

proptest! {
    /// Every tuple is handed out exactly once, whatever the shape of the space and the number of threads.
    #[test]
    fn tuples_never_collide(last in 1u8..40, ports in 1u16..60, listeners in 1u16..7, threads in 1usize..9, seed: u64) {
        let space = space(&format!("10.1.0.1-10.1.0.{last}"), (2000, 1999 + ports), listeners, seed);
        let mut seen = HashSet::new();
        for mut slice in space.slices(threads) {
            while let Ok((_, tuple)) = slice.take(0) {
                prop_assert!(seen.insert(tuple), "{tuple:?} twice");
            }
        }
        prop_assert_eq!(seen.len() as u64, space.capacity());
        prop_assert_eq!(space.capacity(), u64::from(last) * u64::from(ports) * u64::from(listeners));
    }

    #[test]
    fn a_permutation_is_a_bijection(len in 1u64..5000, seed: u64) {
        let permutation = Permutation::new(len, seed);
        let seen: HashSet<u64> = (0..len).map(|n| permutation.at(n)).collect();
        prop_assert_eq!(seen.len() as u64, len);
        prop_assert!(seen.iter().all(|&n| n < len));
    }
}

#[test]
fn the_seed_decides_the_order_and_the_order_is_not_the_ports_order() {
    let order = |seed| {
        let mut slice = space("10.1.0.1", (1024, 65535), 1, seed)
            .slices(1)
            .remove(0);
        (0..100)
            .map(|_| slice.take(0).unwrap().1.source.port())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert!(!order(1).is_sorted());
}

#[test]
fn listeners_are_loaded_evenly_at_every_moment() {
    let mut slice = space("10.1.0.1-10.1.0.4", (2000, 2099), 3, 5)
        .slices(2)
        .remove(1);
    let mut per_listener = [0i64; 3];
    while let Ok((_, tuple)) = slice.take(0) {
        per_listener[tuple.listener as usize] += 1;
        assert!(per_listener.iter().max().unwrap() - per_listener.iter().min().unwrap() <= 1);
    }
}

#[test]
fn an_id_gives_its_tuple_again() {
    let space = space("10.1.0.0/24", (1024, 65535), 4, 9);
    let mut slice = space.slices(3).remove(2);
    for _ in 0..1000 {
        let (id, tuple) = slice.take(0).unwrap();
        assert_eq!(space.tuple(id), tuple);
    }
}

#[test]
fn tuples_come_back_at_once_or_after_time_wait() {
    let mut slice = space("10.1.0.1", (2000, 2002), 1, 1).slices(1).remove(0);
    let ids: Vec<TupleId> = (0..3).map(|_| slice.take(0).unwrap().0).collect();
    assert_eq!(slice.take(0), Err(Exhausted { rested_at_ms: None }));
    slice.give_back_after_time_wait(ids[0], 1000);
    slice.give_back(ids[1]);
    assert_eq!(slice.take(1000).unwrap().0, ids[1]);
    assert_eq!(
        slice.take(1000),
        Err(Exhausted {
            rested_at_ms: Some(61_000)
        })
    );
    assert_eq!(slice.take(61_000).unwrap().0, ids[0]);
    assert_eq!(
        slice.counts(),
        TupleCounts {
            in_use: 3,
            taken: 0,
            reused: 2
        }
    );
}

#[test]
fn a_taken_port_is_counted_and_not_offered_again() {
    let mut slice = space("10.1.0.1", (2000, 2001), 1, 1).slices(1).remove(0);
    let (taken, _) = slice.take(0).unwrap();
    slice.skip_taken(taken);
    let (other, _) = slice.take(0).unwrap();
    assert_ne!(other, taken);
    assert_eq!(slice.take(u64::MAX), Err(Exhausted { rested_at_ms: None }));
    assert_eq!(
        slice.counts(),
        TupleCounts {
            in_use: 1,
            taken: 1,
            reused: 0
        }
    );
}

#[test]
fn a_million_tuples_cost_as_much_memory_as_one() {
    let space = space(
        "127.0.0.0/8",
        (*UNPRIVILEGED.start(), *UNPRIVILEGED.end()),
        1,
        3,
    );
    assert_eq!(space.capacity(), 16_777_214 * 64_512);
    let mut slice = space.slices(1).remove(0);
    for _ in 0..10_000 {
        slice.take(0).unwrap();
    }
    assert_eq!(slice.free.capacity() + slice.resting.capacity(), 0);
}

#[test]
fn an_empty_space_is_no_space() {
    let pool = SourcePool::parse("10.0.0.1").unwrap();
    assert!(
        TupleSpace::new(
            pool.clone(),
            PortSet::new(5..=5, &[(5, 5)]),
            vec![([1, 2, 3, 4], 5).into()],
            0
        )
        .is_none()
    );
    assert!(TupleSpace::new(pool, PortSet::new(5..=5, &[]), vec![], 0).is_none());
}
