//! permessage-deflate. Floor: `zlib-rs` bare, with an engine that is reset and not made anew.

use std::hint::black_box;

use criterion::Throughput;
use throng::ws::deflate::{Agreed, Codec, Compression, DeflateConfig, Half, Mode};
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::cpu_time::Bench;

const WINDOW_BITS: u8 = 12;

pub(crate) fn benches(c: &mut Bench) {
    for size in [158, 1 << 10, 16 << 10] {
        let text = micro::json(size);
        compress(c, &text);
        inflate(c, &text);
    }
}

fn compress(c: &mut Bench, text: &[u8]) {
    let mut group = c.benchmark_group(format!("deflate/{}", text.len()));
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (name, keeps_context) in [("ours, shared", false), ("ours, dedicated", true)] {
        let (mut codec, mut link) = codec(keeps_context);
        group.bench_function(name, |b| {
            b.iter(|| codec.compress(&mut link, black_box(text)).map(<[u8]>::len));
        });
    }
    group.bench_function("floor: zlib-rs", |b| {
        let mut engine = Deflate::new_with_config(zlib_rs::DeflateConfig {
            level: i32::from(DeflateConfig::default().level),
            window_bits: -i32::from(WINDOW_BITS),
            ..zlib_rs::DeflateConfig::default()
        });
        let mut room = vec![0; text.len() + text.len() / 8 + 64];
        b.iter(|| {
            engine.reset();
            engine.compress(black_box(text), &mut room, DeflateFlush::SyncFlush)
        });
    });
    group.finish();
}

fn inflate(c: &mut Bench, text: &[u8]) {
    let (mut codec, mut link) = codec(false);
    let compressed = codec
        .compress(&mut link, text)
        .expect("JSON gets smaller")
        .to_vec();
    let mut group = c.benchmark_group(format!("inflate/{}", text.len()));
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ours", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            codec.refill(1 << 20);
            let input = black_box(&compressed);
            codec.inflate(&mut link, &mut None, input, &mut out, 1 << 20)
        });
        assert_eq!(out, text);
    });
    group.bench_function("floor: zlib-rs", |b| {
        let input = [&compressed[..], &[0, 0, 0xff, 0xff]].concat();
        let mut engine = Inflate::new(false, 15);
        let mut room = vec![0; text.len()];
        b.iter(|| {
            engine.reset(false);
            engine.decompress(black_box(&input), &mut room, InflateFlush::NoFlush)
        });
        assert_eq!(room, text);
    });
    group.finish();
}

fn codec(keeps_context: bool) -> (Codec, Compression) {
    let half = Half::new(WINDOW_BITS, keeps_context);
    let config = DeflateConfig {
        mode: Mode::Dedicated,
        window_bits: WINDOW_BITS,
        ..DeflateConfig::default()
    };
    let agreed = Agreed {
        ours: half,
        theirs: half,
    };
    (Codec::new(&config), Compression::new(Some(agreed)))
}
