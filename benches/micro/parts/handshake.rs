//! The opening handshake, whole and in pieces. Floor: `httparse` alone and the two blocks of SHA-1
//! that the answer cannot do without, nothing looked at.

use std::hint::black_box;
use std::mem::MaybeUninit;

use throng::http1::parse_head;
use throng::ws::handshake::{Upgrade, accept_key, append_accept};

use crate::cpu_time::Bench;

pub(crate) fn benches(c: &mut Bench) {
    for (name, request) in [
        ("short", micro::SHORT_REQUEST),
        ("browser", micro::BROWSER_REQUEST),
    ] {
        let bytes = request.as_bytes();
        let mut group = c.benchmark_group(format!("handshake/{name}"));
        group.bench_function("ours", |b| {
            let mut out = Vec::with_capacity(1024);
            b.iter(|| {
                out.clear();
                let parsed = parse_head(black_box(bytes), &mut 0, 16 << 10);
                let (head, length) = parsed.expect("well-formed").expect("complete");
                let upgrade = Upgrade::check(&head).expect("an upgrade");
                append_accept(&mut out, &upgrade, None, None);
                length
            });
        });
        group.bench_function("ours, parse only", |b| {
            b.iter(|| parse_head(black_box(bytes), &mut 0, 16 << 10).is_ok());
        });
        group.bench_function("floor: httparse + SHA-1", |b| {
            b.iter(|| {
                let mut headers = [const { MaybeUninit::uninit() }; 100];
                let mut request = httparse::Request::new(&mut []);
                let parsed = request.parse_with_uninit_headers(black_box(bytes), &mut headers);
                let mut state = [0; 5];
                sha1::block_api::compress(&mut state, black_box(&[[7; 64]; 2]));
                (parsed.is_ok(), state)
            });
        });
        group.finish();
    }
    let mut group = c.benchmark_group("accept key");
    group.bench_function("ours", |b| {
        b.iter(|| accept_key(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
    });
    group.bench_function("floor: two blocks of SHA-1", |b| {
        b.iter(|| {
            let mut state = [0; 5];
            sha1::block_api::compress(&mut state, black_box(&[[7; 64]; 2]));
            state
        });
    });
    group.finish();
}
