//! What a member of a topic can hear.

use super::session::Dialect;
use super::types::Event;
use super::world::World;

/// Members with the same ear are told the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ear {
    pub(crate) dialect: Dialect,
    /// It has no wish to hear who comes and goes.
    pub(crate) is_aloof: bool,
}

impl Ear {
    /// How many there are.
    pub(crate) const COUNT: usize = 2 * Dialect::COUNT;

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Dialect::ALL
            .into_iter()
            .flat_map(|dialect| [false, true].map(|is_aloof| Self { dialect, is_aloof }))
    }

    /// Its number among all.
    pub(crate) fn index(self) -> usize {
        2 * self.dialect as usize + usize::from(self.is_aloof)
    }

    /// Whether it wants to hear of such an event, if its dialect has words for it.
    pub(crate) fn wants(self, event: &Event) -> bool {
        !self.is_aloof || !matches!(event, Event::Join(_) | Event::Leave(_))
    }

    pub(crate) fn can_hear(self, world: &impl World, channel: &str, event: &Event) -> bool {
        self.wants(event) && world.has_words(self.dialect, channel, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_number_of_its_own() {
        let numbers: Vec<_> = Ear::all().map(Ear::index).collect();
        assert_eq!(numbers, (0..Ear::COUNT).collect::<Vec<_>>());
    }
}
