//! Unmasking in place. Floor: memcpy of as many bytes, which also reads and writes each once.

use std::hint::black_box;

use criterion::Throughput;
use micro::KEY;
use throng::ws::mask::{unmask, unmask_ascii};

use crate::cpu_time::Bench;

pub(crate) fn benches(c: &mut Bench) {
    for size in [20, 512, 16 << 10] {
        let mut group = c.benchmark_group(format!("mask/{size}"));
        group.throughput(Throughput::Bytes(size as u64));
        let mut payloads = Payloads::new(size);
        group.bench_function("ours", |b| b.iter(|| unmask(payloads.next(), KEY)));
        group.bench_function("ours, and is it ASCII", |b| {
            b.iter(|| unmask_ascii(payloads.next(), KEY, 0))
        });
        group.bench_function("byte by byte", |b| {
            b.iter(|| {
                // As it is usually written; the compiler may make of it what it can.
                for (at, byte) in payloads.next().iter_mut().enumerate() {
                    *byte ^= KEY[at % 4];
                }
            });
        });
        group.bench_function("floor: memcpy", |b| {
            let payload = micro::json(size);
            b.iter(|| payloads.next().copy_from_slice(black_box(&payload)));
        });
        group.finish();
    }
}

/// Several payloads in turn, 32 KiB at least. Unmasking one and the same 20 bytes again would
/// measure how long a load waits for the stores before it, which never happens to received bytes.
struct Payloads {
    all: Vec<Vec<u8>>,
    at: usize,
}

impl Payloads {
    fn new(size: usize) -> Self {
        let all = vec![micro::json(size); (32 << 10) / size];
        Self { all, at: 0 }
    }

    #[inline(always)]
    fn next(&mut self) -> &mut [u8] {
        self.at += 1;
        if self.at == self.all.len() {
            self.at = 0;
        }
        black_box(&mut self.all[self.at])
    }
}
