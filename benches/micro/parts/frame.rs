//! The frame header. Floor: the same fields read without any check.

use std::hint::black_box;

use throng::ws::frame::{Opcode, Role, parse_header, write_header};

use crate::cpu_time::Bench;

pub(crate) fn benches(c: &mut Bench) {
    for (size, header) in [
        (20, &b"\x81\x94\x01\x02\x03\x04"[..]),
        (512, b"\x82\xfe\x02\x00\x01\x02\x03\x04"),
        (65_536, b"\x82\xff\0\0\0\0\0\x01\0\0\x01\x02\x03\x04"),
    ] {
        let mut group = c.benchmark_group(format!("frame header/{size}"));
        group.bench_function("ours", |b| {
            b.iter(|| parse_header(black_box(header), Role::Server))
        });
        group.bench_function("floor: no checks", |b| {
            b.iter(|| trusting(black_box(header)))
        });
        group.bench_function("ours, write", |b| {
            let mut into = [0; 16];
            b.iter(|| {
                let len = black_box(size);
                write_header(black_box(&mut into), true, false, Opcode::Text, None, len)
            });
        });
        group.finish();
    }
}

/// Believes everything: opcode, length, key, length of the header.
fn trusting(bytes: &[u8]) -> Option<(u8, u64, [u8; 4], usize)> {
    let (len, at) = match bytes.get(1)? & 0x7f {
        126 => (u16::from_be_bytes(*bytes[2..].first_chunk()?).into(), 4),
        127 => (u64::from_be_bytes(*bytes[2..].first_chunk()?), 10),
        short => (short.into(), 2),
    };
    Some((bytes[0], len, *bytes[at..].first_chunk()?, at + 4))
}
