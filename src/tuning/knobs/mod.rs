//! The table: every limit of the machine that matters to many connections, in the order in which one
//! meets them. The doctor, `throng tune`, the plan of the generator and the chapters of
//! `tuning/README.md` are all made from it.

use super::knob::Knob;

mod arrivals;
mod clients;
mod descriptors;
mod memory;
mod processors;
mod tracking;

/// Limits of one kind.
#[derive(Debug)]
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// What they have in common.
    pub about: &'static str,
    /// The rows.
    pub knobs: &'static [Knob],
}

/// All of them.
pub const CHAPTERS: &[Chapter] = &[
    descriptors::CHAPTER,
    memory::CHAPTER,
    tracking::CHAPTER,
    arrivals::CHAPTER,
    clients::CHAPTER,
    processors::CHAPTER,
];

pub use descriptors::{NOFILE, tables_room, unit_nofile};
pub use tracking::buckets;

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    CHAPTERS.iter().flat_map(|chapter| chapter.knobs)
}

/// The row with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Knob> {
    all().find(|knob| knob.name == name)
}

/// The next power of two, or everything.
fn power_of_two(value: u64) -> u64 {
    value.checked_next_power_of_two().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
