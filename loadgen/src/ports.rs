//! Source ports: a range, less what the kernel keeps back and less what a local listener holds.

use std::ops::RangeInclusive;

/// The ports an allocator may bind, as rising spans: a lookup is a binary search, never a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet {
    /// (first port, last port, ports in all spans before this one).
    spans: Vec<(u16, u16, u32)>,
    len: u32,
}

impl PortSet {
    /// The ports of `range` that stand in none of `withheld`.
    #[must_use]
    pub fn new(range: RangeInclusive<u16>, withheld: &[(u16, u16)]) -> Self {
        let mut withheld = withheld.to_vec();
        withheld.sort_unstable();
        let mut set = Self {
            spans: Vec::new(),
            len: 0,
        };
        let mut next = u32::from(*range.start());
        let end = u32::from(*range.end()) + 1;
        for (first, last) in withheld {
            set.push(next, u32::from(first).min(end));
            next = next.max(u32::from(last) + 1);
        }
        set.push(next, end);
        set
    }

    /// How many ports.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether nothing is left to bind.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The n-th port.
    #[must_use]
    pub fn nth(&self, n: u32) -> Option<u16> {
        let at = self
            .spans
            .partition_point(|&(_, _, before)| before <= n)
            .checked_sub(1)?;
        let (first, last, before) = self.spans[at];
        let port = u32::from(first) + (n - before);
        (port <= u32::from(last)).then_some(port as u16)
    }

    /// The spans for people: `1024-8999, 9001-65535`.
    #[must_use]
    pub fn describe(&self) -> String {
        let spans: Vec<String> = self
            .spans
            .iter()
            .map(|(first, last, _)| format!("{first}-{last}"))
            .collect();
        spans.join(", ")
    }

    fn push(&mut self, first: u32, end: u32) {
        if first < end {
            self.spans.push((first as u16, (end - 1) as u16, self.len));
            self.len += end - first;
        }
    }
}

/// Every port an ordinary process may bind. The kernel's own range (`ip_local_port_range`) does not
/// matter to an explicit bind: it only limits the ports that the kernel picks.
pub const UNPRIVILEGED: RangeInclusive<u16> = 1024..=65535;

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(set: &PortSet) -> Vec<u16> {
        (0..set.len()).map(|n| set.nth(n).unwrap()).collect()
    }

    #[test]
    fn withheld_ports_are_left_out() {
        for (range, withheld, expected) in [
            (10..=14, &[][..], vec![10, 11, 12, 13, 14]),
            (10..=14, &[(12, 12)][..], vec![10, 11, 13, 14]),
            (10..=14, &[(0, 10), (14, 99)][..], vec![11, 12, 13]),
            (10..=14, &[(13, 14), (12, 13), (11, 11)][..], vec![10]),
            (10..=14, &[(1, 100)][..], vec![]),
            (65534..=65535, &[][..], vec![65534, 65535]),
            (65534..=65535, &[(65535, 65535)][..], vec![65534]),
        ] {
            let set = PortSet::new(range, withheld);
            assert_eq!(listed(&set), expected, "{withheld:?}");
            assert_eq!(set.nth(set.len()), None);
            assert_eq!(set.is_empty(), expected.is_empty());
        }
    }

    #[test]
    fn the_whole_range_is_64512_ports() {
        assert_eq!(PortSet::new(UNPRIVILEGED, &[]).len(), 64_512);
        assert_eq!(
            PortSet::new(UNPRIVILEGED, &[(9000, 9000)]).describe(),
            "1024-8999, 9001-65535"
        );
    }
}
