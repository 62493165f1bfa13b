//! The slab of connections: entries of one cache line, found by slot and generation.
//!
//! The reactor's own is not public, because nothing outside may hold a connection; this is the same
//! crate with an entry of the same size and the same check. Floor: an array of such entries, indexed.

use std::hint::black_box;

use slab::Slab;
use throng::reactor::ConnId;

use crate::cpu_time::Bench;

const CONNECTIONS: usize = 1_000_000;
/// As many as stay in the first-level cache.
const FEW: usize = 256;

pub(crate) fn benches(c: &mut Bench) {
    let mut group = c.benchmark_group("slab/1M");
    let (mut slab, ids) = filled(CONNECTIONS);
    group.bench_function("remove and insert", |b| {
        let mut ids = ids.iter().cycle();
        let mut generation = CONNECTIONS as u32;
        b.iter(|| {
            let id = ids.next().expect("a cycle does not end");
            black_box(slab.try_remove(id.index() as usize));
            generation = generation.wrapping_add(1);
            slab.insert(Entry::new(generation))
        });
    });
    group.finish();
    for connections in [FEW, CONNECTIONS] {
        let (mut slab, ids) = filled(connections);
        let mut group = c.benchmark_group(format!("lookup/{connections}"));
        group.bench_function("by slot and generation", |b| {
            let mut ids = ids.iter().cycle();
            b.iter(|| {
                let id = *ids.next().expect("a cycle does not end");
                let entry = slab.get_mut(id.index() as usize);
                let entry = entry.filter(|entry| entry.generation == id.generation());
                entry.expect("none was removed").rest[0] += 1;
            });
        });
        group.bench_function("floor: an array", |b| {
            // A word beside each, where the slab has its tag.
            let entries = (0..connections as u32).map(|generation| (0_u64, Entry::new(generation)));
            let mut array: Vec<_> = entries.collect();
            let mut ids = ids.iter().cycle();
            b.iter(|| {
                let id = *ids.next().expect("a cycle does not end");
                array[id.index() as usize].1.rest[0] += 1;
            });
        });
        group.finish();
    }
}

/// The size of a connection, and where its generation is.
struct Entry {
    generation: u32,
    rest: [u32; 13],
}

// With slab's tag, a word, it is a cache line, as the reactor's is.
const _: () = assert!(size_of::<Entry>() == 56);

impl Entry {
    fn new(generation: u32) -> Self {
        Self {
            generation,
            rest: [0; 13],
        }
    }
}

/// A full slab, and its ids in no order.
fn filled(connections: usize) -> (Slab<Entry>, Vec<ConnId>) {
    let mut slab = Slab::with_capacity(connections);
    let mut ids: Vec<_> = (1..=connections as u32)
        .map(|generation| ConnId::new(generation, slab.insert(Entry::new(generation)) as u32))
        .collect();
    let mut seed = 42;
    for at in (1..ids.len()).rev() {
        ids.swap(at, micro::next_random(&mut seed) as usize % (at + 1));
    }
    (slab, ids)
}
