//! One echoed message, all but the kernel. Floor: the two copies that stand for the kernel here
//! (in and out) and the unmasking between them.

use std::hint::black_box;

use criterion::Throughput;
use micro::KEY;
use micro::world::World;
use throng::ws::deflate::{Codec, Compression};
use throng::ws::frame::{HEADROOM, Role};
use throng::ws::inbound::{Inbound, Rules, Step};
use throng::ws::mask::unmask;
use throng::ws::message::Framed;

use crate::cpu_time::{Bench, CpuTime};

/// Connections served per turn: what a busy worker's poll reports.
const CONNECTIONS: usize = 64;

pub(crate) fn benches(c: &mut Bench) {
    for size in [20, 512, 16 << 10] {
        let payload = micro::json(size);
        let frame = micro::masked_frame(&payload);
        let mut group = c.benchmark_group(format!("echo/{size} x {CONNECTIONS}"));
        group.throughput(Throughput::Elements(CONNECTIONS as u64));
        group.bench_function("ours, a worker's turn", |b| {
            let mut world = World::new(CONNECTIONS, &frame);
            b.iter(|| world.turn());
        });
        group.bench_function("ours, protocol only", |b| protocol(b, &frame));
        group.bench_function("floor: copy in, unmask, copy out", |b| {
            let payload_at = HEADROOM + frame.len() - payload.len();
            let mut memory = vec![0; 3 * apart(frame.len())];
            let [arriving, buffer, sent] = three(&mut memory);
            arriving[..frame.len()].copy_from_slice(&frame);
            b.iter(|| {
                for _ in 0..CONNECTIONS {
                    let end = HEADROOM + frame.len();
                    buffer[HEADROOM..end].copy_from_slice(black_box(&arriving[..frame.len()]));
                    unmask(&mut buffer[payload_at..end], KEY);
                    let reply = &buffer[HEADROOM + KEY.len()..end];
                    black_box(&mut sent[..reply.len()]).copy_from_slice(reply);
                }
            });
        });
        group.finish();
    }
}

/// The same messages through the protocol alone, without connections, events and a loop.
fn protocol(b: &mut criterion::Bencher<'_, CpuTime>, frame: &[u8]) {
    let rules = Rules {
        role: Role::Server,
        message_bytes_max: 1 << 20,
        empty_fragments_max: 16,
    };
    let (mut codec, mut link) = (Codec::default(), Compression::default());
    let mut inbound = Inbound::new();
    let mut memory = vec![0; 3 * apart(frame.len())];
    let [arriving, buffer, sent] = three(&mut memory);
    arriving[..frame.len()].copy_from_slice(frame);
    b.iter(|| {
        for _ in 0..CONNECTIONS {
            let input = &mut buffer[..HEADROOM + frame.len()];
            input[HEADROOM..].copy_from_slice(black_box(&arriving[..frame.len()]));
            let mut at = HEADROOM;
            let step = inbound.step(&rules, &mut link, &mut codec, input, &mut at);
            let Ok(Step::Message(message)) = step else {
                panic!("a whole frame is a message");
            };
            let Framed::InPlace { start, end } = message.into_frame(None) else {
                panic!("a reply to a whole frame lies where the frame was");
            };
            black_box(&mut sent[..end - start]).copy_from_slice(&input[start..end]);
        }
    });
}

/// How far apart buffers lie: whole pages and a third. `rep movsb`, which is what
/// copies so many bytes, is 30 times slower on a Zen 4 between buffers that begin at nearly the
/// same place of their pages, and then nothing else would be measured.
fn apart(len: usize) -> usize {
    (HEADROOM + len).next_multiple_of(4096) + 1344
}

/// Three buffers of the same length.
fn three(memory: &mut [u8]) -> [&mut [u8]; 3] {
    let apart = memory.len() / 3;
    let (first, rest) = memory.split_at_mut(apart);
    let (second, third) = rest.split_at_mut(apart);
    [first, second, third]
}
