//! The wheel beside a sorted map, over random days of work and across the wrap of the ticks.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Table(Vec<Link>);

impl Links for Table {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0[index as usize]
    }
}

fn table(entries: usize) -> Table {
    Table(vec![Link::UNLINKED; entries])
}

fn drain(wheel: &mut Wheel, links: &mut Table, now: u32) -> Vec<u32> {
    let mut fired: Vec<_> = std::iter::from_fn(|| wheel.expire(links, now)).collect();
    fired.sort_unstable();
    fired
}

#[test]
fn timers_fire_at_their_tick_and_not_before() {
    for start in [0, 7, u32::MAX - 2, u32::MAX / 2 - 1] {
        let (mut wheel, mut links) = (Wheel::new(start), table(3));
        wheel.schedule(&mut links, 0, start.wrapping_add(2));
        wheel.schedule(&mut links, 1, start.wrapping_add(2));
        wheel.schedule(&mut links, 2, start.wrapping_add(5));
        assert_eq!(wheel.next_tick(), Some(start.wrapping_add(2)));
        assert_eq!(
            drain(&mut wheel, &mut links, start.wrapping_add(1)),
            [0u32; 0]
        );
        assert_eq!(drain(&mut wheel, &mut links, start.wrapping_add(2)), [0, 1]);
        assert_eq!(wheel.next_tick(), Some(start.wrapping_add(5)));
        assert_eq!(drain(&mut wheel, &mut links, start.wrapping_add(500)), [2]);
        assert!(wheel.is_empty() && wheel.next_tick().is_none());
        wheel.check(&mut links);
    }
}

#[test]
fn a_timer_set_to_the_past_fires_with_the_next_tick() {
    let (mut wheel, mut links) = (Wheel::new(100), table(2));
    wheel.schedule(&mut links, 0, 100);
    wheel.schedule(&mut links, 1, 3);
    assert_eq!(wheel.expire(&mut links, 100), None);
    assert_eq!(drain(&mut wheel, &mut links, 101), [0, 1]);
}

#[test]
fn an_owner_that_sets_its_timer_to_now_does_not_hold_the_loop() {
    let (mut wheel, mut links) = (Wheel::new(0), table(1));
    wheel.schedule(&mut links, 0, 1);
    assert_eq!(wheel.expire(&mut links, 1), Some(0));
    wheel.schedule(&mut links, 0, 1);
    assert_eq!(wheel.expire(&mut links, 1), None, "not again in this tick");
    assert_eq!(wheel.expire(&mut links, 2), Some(0));
}

#[test]
fn a_timer_beyond_the_reach_fires_at_the_edge() {
    let (mut wheel, mut links) = (Wheel::new(50), table(2));
    wheel.schedule(&mut links, 0, 50 + REACH);
    wheel.schedule(&mut links, 1, 50 + 10 * REACH);
    assert_eq!(drain(&mut wheel, &mut links, 50 + REACH - 1), [0u32; 0]);
    assert_eq!(drain(&mut wheel, &mut links, 50 + REACH), [0, 1]);
}

#[test]
fn a_drain_cut_by_the_budget_goes_on_where_it_stopped() {
    let (mut wheel, mut links) = (Wheel::new(0), table(10));
    for index in 0..10 {
        wheel.schedule(&mut links, index, 1 + index % 2);
    }
    let mut fired: Vec<_> = (0..3).filter_map(|_| wheel.expire(&mut links, 2)).collect();
    assert_eq!(
        wheel.next_tick(),
        Some(1),
        "the poll must not wait while timers are due"
    );
    // In between one of the due is cancelled and another moved away.
    let mut rest = (0..10).filter(|index| !fired.contains(index) && index % 2 == 0);
    let (cancelled, moved) = (rest.next().unwrap(), rest.next().unwrap());
    wheel.cancel(&mut links, cancelled);
    wheel.schedule(&mut links, moved, 9);
    wheel.check(&mut links);
    fired.extend(drain(&mut wheel, &mut links, 3));
    fired.extend([cancelled, moved]);
    fired.sort_unstable();
    assert_eq!(fired, Vec::from_iter(0..10));
    assert_eq!(drain(&mut wheel, &mut links, 9), [moved]);
}

#[test]
fn time_that_goes_back_fires_nothing_and_breaks_nothing() {
    let (mut wheel, mut links) = (Wheel::new(1000), table(2));
    let furthest = 1000 + REACH;
    wheel.schedule(&mut links, 0, 1001);
    wheel.schedule(&mut links, 1, furthest);
    assert_eq!(wheel.expire(&mut links, 10), None);
    assert_eq!(wheel.next_tick(), Some(1001));
    assert_eq!(wheel.expire(&mut links, 1001), Some(0));
    assert_eq!(wheel.expire(&mut links, 10), None);
    assert_eq!(
        wheel.next_tick(),
        Some(furthest),
        "a wheel turned back would mistake the slot"
    );
}

#[test]
#[should_panic(expected = "broken way back")]
fn the_check_finds_a_broken_link() {
    let (mut wheel, mut links) = (Wheel::new(0), table(3));
    for index in 0..3 {
        wheel.schedule(&mut links, index, 4);
    }
    links.0[1].prev = 0;
    wheel.check(&mut links);
}

#[test]
#[should_panic(expected = "bitmap and list disagree")]
fn the_check_finds_a_forgotten_bit() {
    let (mut wheel, mut links) = (Wheel::new(0), table(1));
    wheel.schedule(&mut links, 0, 4);
    wheel.occupied[0] = 0;
    wheel.check(&mut links);
}

/// What a worker does to its wheel.
#[derive(Clone, Debug)]
enum Op {
    Schedule {
        index: u32,
        in_ticks: i32,
    },
    Cancel {
        index: u32,
    },
    /// Time passes, and at most `budget` timers are served.
    Expire {
        ticks: u32,
        budget: usize,
    },
}

fn op(entries: u32) -> impl Strategy<Value = Op> {
    let near = prop_oneof![
        -3..40_i32,
        0..3000_i32,
        Just(REACH as i32),
        Just(REACH as i32 + 1)
    ];
    let pass = prop_oneof![4 => 0..5_u32, 1 => 0..3000_u32];
    prop_oneof![
        4 => (0..entries, near).prop_map(|(index, in_ticks)| Op::Schedule { index, in_ticks }),
        1 => (0..entries).prop_map(|index| Op::Cancel { index }),
        3 => (pass, 0..6_usize).prop_map(|(ticks, budget)| Op::Expire { ticks, budget }),
    ]
}

/// The obvious implementation: a map from a timer to the number of ticks (unwrapped) it is due at.
struct Model {
    due: BTreeMap<u32, u64>,
    now: u64,
    /// Up to where timers have been served: behind `now` while the budget is short.
    cursor: u64,
}

impl Model {
    fn schedule(&mut self, index: u32, tick: u64) {
        let (first, last) = (self.cursor + 1, self.cursor + u64::from(REACH));
        self.due.insert(index, tick.clamp(first, last));
    }

    fn earliest(&self) -> Option<u64> {
        self.due.values().copied().min()
    }

    /// Checks that `fired` was a legal answer, and follows it.
    fn expire(&mut self, fired: Option<u32>) {
        match (self.earliest().filter(|tick| *tick <= self.now), fired) {
            (None, None) => self.cursor = self.now,
            (Some(tick), Some(index)) => {
                assert_eq!(
                    self.due.remove(&index),
                    Some(tick),
                    "entry {index} is not the earliest"
                );
                self.cursor = tick;
            }
            (expected, fired) => panic!("due: {expected:?}, fired: {fired:?}"),
        }
    }
}

proptest! {
    #[test]
    fn the_wheel_agrees_with_a_sorted_map(
        start in prop_oneof![Just(0_u32), any::<u32>(), u32::MAX - 2000..=u32::MAX],
        ops in prop::collection::vec(op(24), 0..300),
    ) {
        let (mut wheel, mut links) = (Wheel::new(start), table(24));
        // Unwrapped ticks begin high enough for a deadline in the past.
        let epoch = u64::from(start) + (1 << 32);
        let mut model = Model { due: BTreeMap::new(), now: epoch, cursor: epoch };
        for op in ops {
            match op {
                Op::Schedule { index, in_ticks } => {
                    let tick = model.now.strict_add_signed(in_ticks.into());
                    wheel.schedule(&mut links, index, tick as u32);
                    model.schedule(index, tick);
                }
                Op::Cancel { index } => {
                    wheel.cancel(&mut links, index);
                    model.due.remove(&index);
                }
                Op::Expire { ticks, budget } => {
                    model.now += u64::from(ticks);
                    for _ in 0..budget {
                        model.expire(wheel.expire(&mut links, model.now as u32));
                    }
                }
            }
            wheel.check(&mut links);
            prop_assert_eq!(wheel.len(), model.due.len());
            prop_assert_eq!(wheel.next_tick(), model.earliest().map(|tick| tick as u32));
            for index in 0..24 {
                prop_assert_eq!(links.link(index).is_linked(), model.due.contains_key(&index));
            }
        }
    }
}
