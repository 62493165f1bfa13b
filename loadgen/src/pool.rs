//! Source addresses: single IPs, ranges `a-b` and CIDR blocks, IPv4 and IPv6, in one pool.
//!
//! A pool is a handful of spans however many addresses it holds: `10.0.0.0/8` costs as much as one
//! address. The n-th address is computed, never stored.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that connections may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePool {
    spans: Vec<Span>,
    address_count: u64,
}

/// A block of addresses as `ip route` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// First address of the block.
    pub network: IpAddr,
    /// Length of the prefix.
    pub prefix: u8,
}

/// Why a source was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolError {
    /// Not an IP, a range or a CIDR block.
    NotAnAddress,
    /// A prefix longer than the address.
    Prefix,
    /// A range that ends before it starts, or starts in one family and ends in the other.
    Range,
    /// The same address twice: two connections would be given one tuple.
    Overlap,
    /// IPv4 and IPv6 in one pool; no target can be reached from both.
    MixedFamilies,
    /// Nothing in the list.
    Empty,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAddress => "a source is an IP, a range a-b or a block a/prefix",
            Self::Prefix => "the prefix is longer than the address",
            Self::Range => "a range rises within one address family",
            Self::Overlap => "the same address stands in the pool twice",
            Self::MixedFamilies => "IPv4 and IPv6 sources cannot share a pool",
            Self::Empty => "the pool has no address",
        })
    }
}

impl std::error::Error for PoolError {}

/// A run of addresses; `cover` is what has to be routed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    first: u128,
    count: u64,
    v6: bool,
    cover: Vec<Cidr>,
}

impl SourcePool {
    /// Reads a comma-separated list, e.g. `127.0.0.0/16,10.0.0.5,10.1.0.1-10.1.0.9`.
    pub fn parse(list: &str) -> Result<Self, PoolError> {
        let spans: Result<Vec<Span>, PoolError> = list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(Span::parse)
            .collect();
        Self::of(spans?)
    }

    /// The first `count` addresses of 127.0.0.0/8: the kernel owns all of it, nothing needs a route.
    #[must_use]
    pub fn loopback(count: u64) -> Self {
        let count = count.clamp(1, 1 << 24);
        let first = u128::from(u32::from(Ipv4Addr::LOCALHOST));
        let count = count.min((1 << 24) - 2);
        Self {
            spans: vec![Span {
                first,
                count,
                v6: false,
                cover: Vec::new(),
            }],
            address_count: count,
        }
    }

    /// One address.
    #[must_use]
    pub fn single(ip: IpAddr) -> Self {
        Self {
            spans: vec![Span::run(value_of(ip), value_of(ip), ip.is_ipv6())],
            address_count: 1,
        }
    }

    /// How many addresses; never 0.
    #[must_use]
    pub const fn address_count(&self) -> u64 {
        self.address_count
    }

    /// Whether the addresses are IPv6.
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.spans.first().is_some_and(|span| span.v6)
    }

    /// The n-th address, counted over all spans; past the end, the last.
    #[must_use]
    pub fn nth(&self, n: u64) -> IpAddr {
        let mut left = n.min(self.address_count - 1);
        for span in &self.spans {
            if left < span.count {
                return ip_of(span.first + u128::from(left), span.v6);
            }
            left -= span.count;
        }
        unreachable!("the counts of the spans add up to address_count")
    }

    /// A pool of the first `count` addresses, so that a plan routes no more than it needs.
    #[must_use]
    pub fn first(&self, count: u64) -> Self {
        let mut left = count.clamp(1, self.address_count);
        let mut spans = Vec::new();
        for span in &self.spans {
            let taken = left.min(span.count);
            if taken == 0 {
                break;
            }
            left -= taken;
            spans.push(Span {
                count: taken,
                ..span.clone()
            });
        }
        Self {
            spans,
            address_count: count.clamp(1, self.address_count),
        }
    }

    /// The blocks that `ip route add local` must know; those inside 127.0.0.0/8 need nothing.
    #[must_use]
    pub fn blocks_to_route(&self) -> Vec<Cidr> {
        let loopback = |ip: IpAddr| ip.is_loopback();
        self.spans
            .iter()
            .flat_map(|span| &span.cover)
            .filter(|cidr| !loopback(cidr.network))
            .copied()
            .collect()
    }

    /// Spans for people: `10.0.0.1 - 10.0.0.16 (16)`.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let describe = |span: &Span| {
            let first = ip_of(span.first, span.v6);
            match span.count {
                1 => first.to_string(),
                n => format!(
                    "{first} - {} ({n} addresses)",
                    ip_of(span.first + u128::from(n) - 1, span.v6)
                ),
            }
        };
        self.spans.iter().map(describe).collect()
    }

    fn of(mut spans: Vec<Span>) -> Result<Self, PoolError> {
        let v6 = spans.first().ok_or(PoolError::Empty)?.v6;
        if spans.iter().any(|span| span.v6 != v6) {
            return Err(PoolError::MixedFamilies);
        }
        spans.sort_by_key(|span| span.first);
        if spans
            .windows(2)
            .any(|pair| pair[0].first + u128::from(pair[0].count) > pair[1].first)
        {
            return Err(PoolError::Overlap);
        }
        let address_count = spans
            .iter()
            .fold(0u64, |sum, span| sum.saturating_add(span.count));
        Ok(Self {
            spans,
            address_count,
        })
    }
}

impl Span {
    fn parse(item: &str) -> Result<Self, PoolError> {
        let ip = |text: &str| {
            text.trim()
                .parse::<IpAddr>()
                .map_err(|_| PoolError::NotAnAddress)
        };
        if let Some((network, prefix)) = item.split_once('/') {
            return Self::block(ip(network)?, prefix.parse().map_err(|_| PoolError::Prefix)?);
        }
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (ip(first)?, ip(last)?),
            None => (ip(item)?, ip(item)?),
        };
        if first.is_ipv4() != last.is_ipv4() || value_of(first) > value_of(last) {
            return Err(PoolError::Range);
        }
        Ok(Self::run(value_of(first), value_of(last), first.is_ipv6()))
    }

    fn block(ip: IpAddr, prefix: u8) -> Result<Self, PoolError> {
        let width: u8 = if ip.is_ipv6() { 128 } else { 32 };
        let host_bits = width.checked_sub(prefix).ok_or(PoolError::Prefix)?;
        let mask = if host_bits == 128 {
            u128::MAX
        } else {
            (1u128 << host_bits) - 1
        };
        let network = value_of(ip) & !mask;
        let cover = vec![Cidr {
            network: ip_of(network, ip.is_ipv6()),
            prefix,
        }];
        // The lowest address names the network (IPv4) or any router on it (IPv6), the highest IPv4 one
        // is the broadcast: bind() may take them, connect() from them fails.
        let (low, high) = match (host_bits, ip.is_ipv6()) {
            (0 | 1, _) => (0, 0),
            (_, true) => (1, 0),
            (_, false) => (1, 1),
        };
        let count = (mask - low - high)
            .saturating_add(1)
            .min(SPAN_ADDRESSES_MAX) as u64;
        Ok(Self {
            first: network + low,
            count,
            v6: ip.is_ipv6(),
            cover,
        })
    }

    fn run(first: u128, last: u128, v6: bool) -> Self {
        let count = (last - first).saturating_add(1).min(SPAN_ADDRESSES_MAX) as u64;
        Self {
            first,
            count,
            v6,
            cover: cover_of(first, first + u128::from(count) - 1, v6),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// The fewest blocks that hold exactly `first..=last`: at most two per bit of the address.
fn cover_of(mut first: u128, last: u128, v6: bool) -> Vec<Cidr> {
    let width: u32 = if v6 { 128 } else { 32 };
    let mut blocks = Vec::new();
    while first <= last {
        let fits = 127 - (last - first).saturating_add(1).leading_zeros();
        let bits = first.trailing_zeros().min(fits).min(width);
        blocks.push(Cidr {
            network: ip_of(first, v6),
            prefix: (width - bits) as u8,
        });
        match first.checked_add(1 << bits) {
            Some(next) => first = next,
            None => break,
        }
    }
    blocks
}

fn value_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn ip_of(value: u128, v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from(value))
    } else {
        IpAddr::V4(Ipv4Addr::from(value as u32))
    }
}

/// 2^32 addresses a span: with 64 000 ports each that is 2.7e14 tuples, and every index stays a u64.
const SPAN_ADDRESSES_MAX: u128 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &str) -> Vec<String> {
        SourcePool::parse(list)
            .unwrap()
            .blocks_to_route()
            .iter()
            .map(Cidr::to_string)
            .collect()
    }

    #[test]
    fn pools_are_counted_and_indexed() {
        for (list, count, first, last) in [
            ("10.0.0.5", 1, "10.0.0.5", "10.0.0.5"),
            ("10.0.0.1-10.0.0.9", 9, "10.0.0.1", "10.0.0.9"),
            ("127.0.0.0/16", 65_534, "127.0.0.1", "127.0.255.254"),
            ("10.0.0.77/24", 254, "10.0.0.1", "10.0.0.254"),
            ("10.0.0.4/31", 2, "10.0.0.4", "10.0.0.5"),
            ("10.0.0.4/32", 1, "10.0.0.4", "10.0.0.4"),
            ("10.0.0.9,10.0.0.1-10.0.0.3", 4, "10.0.0.1", "10.0.0.9"),
            ("fd00::/120", 255, "fd00::1", "fd00::ff"),
            ("fd00::/32", 1 << 32, "fd00::1", "fd00::1:0:0"),
            ("0.0.0.0/0", (1 << 32) - 2, "0.0.0.1", "255.255.255.254"),
            ("255.255.255.255", 1, "255.255.255.255", "255.255.255.255"),
        ] {
            let pool = SourcePool::parse(list).unwrap();
            assert_eq!(pool.address_count(), count, "{list}");
            assert_eq!(pool.nth(0).to_string(), first, "{list}");
            assert_eq!(pool.nth(count - 1).to_string(), last, "{list}");
        }
    }

    #[test]
    fn what_is_not_a_pool_is_refused() {
        for (list, error) in [
            ("", PoolError::Empty),
            (" , ", PoolError::Empty),
            ("ten", PoolError::NotAnAddress),
            ("10.0.0.0/33", PoolError::Prefix),
            ("fd00::/x", PoolError::Prefix),
            ("10.0.0.9-10.0.0.1", PoolError::Range),
            ("10.0.0.1-fd00::1", PoolError::Range),
            ("10.0.0.0/24,10.0.0.7", PoolError::Overlap),
            ("10.0.0.1,fd00::1", PoolError::MixedFamilies),
        ] {
            assert_eq!(SourcePool::parse(list), Err(error), "{list}");
        }
    }

    #[test]
    fn routes_cover_exactly_what_is_used() {
        assert_eq!(routes("10.99.0.0/16"), ["10.99.0.0/16"]);
        assert_eq!(
            routes("10.0.0.1-10.0.0.6"),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        assert_eq!(routes("fd00::4-fd00::7"), ["fd00::4/126"]);
        assert_eq!(routes("127.0.0.0/16,10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(routes("0.0.0.0-255.255.255.255"), ["0.0.0.0/0"]);
    }

    #[test]
    fn a_prefix_of_a_pool_keeps_its_order() {
        let pool = SourcePool::parse("10.0.0.1-10.0.0.3,10.0.1.1-10.0.1.9").unwrap();
        let short = pool.first(5);
        assert_eq!(short.address_count(), 5);
        assert!((0..5).all(|n| short.nth(n) == pool.nth(n)));
        assert_eq!(SourcePool::loopback(3).nth(2).to_string(), "127.0.0.3");
    }
}
