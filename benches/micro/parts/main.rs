//! What single parts cost, and beside each its floor: the least that any implementation could do.
//!
//! Names are `part/size/contestant`; `ours` is the product, `floor: ...` says what the floor is,
//! anything else is the obvious way to do it.

use std::time::Duration;

use cpu_time::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};

mod cpu_time;
mod deflate;
mod echo;
mod frame;
mod handshake;
mod mask;
mod slots;
mod utf8;
mod wheel;

criterion_group! {
    name = parts;
    // Short runs, many samples: a machine that does something else shows up as spread.
    config = Criterion::default()
        .with_measurement(CpuTime)
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50);
    targets = frame::benches, mask::benches, utf8::benches, deflate::benches, handshake::benches,
        wheel::benches, slots::benches, echo::benches
}
criterion_main!(parts);
