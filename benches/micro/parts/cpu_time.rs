//! Measuring CPU time of the thread instead of time that passes: a machine that also does something
//! else then blurs the result instead of doubling it.

use std::time::Duration;

use ::cpu_time::ThreadTime;
use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// What every bench is given.
pub(crate) type Bench = Criterion<CpuTime>;

/// The time this thread had a core.
pub(crate) struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, began: ThreadTime) -> Duration {
        began.elapsed()
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, time: &Duration) -> f64 {
        time.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // Seconds are seconds.
        static WALL: WallTime = WallTime;
        WALL.formatter()
    }
}
