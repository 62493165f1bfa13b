//! The timer wheel with a million timers. Floor: a visit to as many links in the same order; the
//! cache misses are the cost, whatever the algorithm.

use std::hint::black_box;

use criterion::BenchmarkGroup;
use throng::reactor::wheel::{Link, Links, Wheel};

use crate::cpu_time::{Bench, CpuTime};

const TIMERS: u32 = 1_000_000;
/// The default ping interval, in ticks of 100 ms.
const INTERVAL: u32 = 250;

pub(crate) fn benches(c: &mut Bench) {
    let mut group = c.benchmark_group("timer wheel/1M");
    let order = shuffled();
    schedule(&mut group, &order);
    expire(&mut group, &order);
    group.bench_function("floor: visit a link", |b| {
        let mut links = vec![Link::UNLINKED; TIMERS as usize];
        let mut order = order.iter().cycle();
        b.iter(|| {
            let index = *order.next().expect("a cycle does not end");
            std::mem::take(black_box(&mut links[index as usize]))
        });
    });
    group.finish();
}

/// Moves timers that are set, in no order: what a write to a random connection costs.
fn schedule(group: &mut BenchmarkGroup<'_, CpuTime>, order: &[u32]) {
    let (mut wheel, mut table) = set(order);
    let mut next = order.iter().cycle();
    let mut tick = 0;
    group.bench_function("ours, move a timer", |b| {
        b.iter(|| {
            let index = *next.next().expect("a cycle does not end");
            tick = (tick + 1) % INTERVAL;
            wheel.schedule(&mut table, index, tick + 1);
        });
    });
    wheel.check(&mut table);
}

/// What pinging a million quiet connections costs the wheel: each timer fires and is set again.
fn expire(group: &mut BenchmarkGroup<'_, CpuTime>, order: &[u32]) {
    let (mut wheel, mut table) = set(order);
    let mut now = 0;
    group.bench_function("ours, expire one and set it again", |b| {
        b.iter(|| {
            loop {
                if let Some(index) = wheel.expire(&mut table, now) {
                    wheel.schedule(&mut table, index, now + INTERVAL);
                    break;
                }
                now += 1;
            }
        });
    });
    wheel.check(&mut table);
    assert_eq!(wheel.len(), TIMERS as usize, "no timer gets lost");
}

/// A wheel with all timers set, spread over the interval in random order.
fn set(order: &[u32]) -> (Wheel, Table) {
    let mut wheel = Wheel::new(0);
    let mut table = Table(vec![Link::UNLINKED; TIMERS as usize]);
    for (at, index) in order.iter().enumerate() {
        wheel.schedule(&mut table, *index, 1 + at as u32 % INTERVAL);
    }
    (wheel, table)
}

fn shuffled() -> Vec<u32> {
    let mut order: Vec<u32> = (0..TIMERS).collect();
    let mut seed = 42;
    for at in (1..order.len()).rev() {
        order.swap(at, micro::next_random(&mut seed) as usize % (at + 1));
    }
    order
}

struct Table(Vec<Link>);

impl Links for Table {
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self.0[index as usize]
    }
}
