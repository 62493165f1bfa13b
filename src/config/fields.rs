//! How tables of knobs are written: what reads and writes a field, and the usual bounds.

/// A `Number` over a field: `number!(limits.ping_interval_ms: u32, 100, DAY, zero "off")`.
macro_rules! number {
    ($($field:ident).+ : $type:ty, $min:expr, $max:expr) => {
        number!(@ $($field).+ : $type, $min, $max, None)
    };
    ($($field:ident).+ : $type:ty, $min:expr, $max:expr, zero $meaning:literal) => {
        number!(@ $($field).+ : $type, $min, $max, Some($meaning))
    };
    (@ $($field:ident).+ : $type:ty, $min:expr, $max:expr, $zero:expr) => {
        Number {
            min: $min,
            max: $max,
            zero: $zero,
            read: |config| config.$($field).+ as u64,
            // Lossless: `max` fits the field, which a test proves for every entry.
            write: |config, value| config.$($field).+ = value as $type,
        }
    };
}

/// A `Tally` over a field.
macro_rules! tally {
    ($field:ident, $min:expr, $max:expr) => {
        Tally {
            min: $min,
            max: $max,
            read: |config| config.$field,
            write: |config, count: Count| config.$field = count,
        }
    };
}

/// A `Choice` over an enum; forgetting a variant does not compile.
macro_rules! choice {
    ($($field:ident).+ : $($word:literal => $variant:path),+) => {
        Choice {
            words: &[$($word),+],
            read: |config| match config.$($field).+ { $($variant => $word),+ },
            write: |config, word| {
                config.$($field).+ = match word {
                    $($word => $variant,)+
                    _ => return false,
                };
                true
            },
        }
    };
}

pub(super) use {choice, number, tally};

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
/// More than any machine has.
pub(super) const TIB_64: u64 = 1 << 46;
/// The wheel's tick; nothing shorter can be kept.
pub(super) const TICK_MS: u64 = 100;
pub(super) const SECOND_MS: u64 = 1_000;
pub(super) const HOUR_MS: u64 = 3_600 * SECOND_MS;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;
