//! UTF-8 validation of a whole chunk. Floor: `simdutf8` bare, without a state that survives chunks.

use std::hint::black_box;

use criterion::Throughput;
use throng::ws::utf8::Utf8Stream;

use crate::cpu_time::Bench;

pub(crate) fn benches(c: &mut Bench) {
    for size in [512, 16 << 10] {
        for (kind, text) in [("ascii", micro::json(size)), ("mixed", micro::mixed(size))] {
            let mut group = c.benchmark_group(format!("utf8/{kind} {size}"));
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function("ours", |b| {
                b.iter(|| {
                    let mut stream = Utf8Stream::new();
                    stream.feed(black_box(&text)).and_then(|()| stream.finish())
                });
            });
            group.bench_function("std", |b| {
                b.iter(|| std::str::from_utf8(black_box(&text)).is_ok())
            });
            group.bench_function("floor: simdutf8", |b| {
                b.iter(|| simdutf8::basic::from_utf8(black_box(&text)).is_ok());
            });
            group.finish();
        }
    }
}
