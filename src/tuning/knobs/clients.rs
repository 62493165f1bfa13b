//! What limits the side that connects.

use super::super::goal::Goal;
use super::super::host::Host;
use super::super::knob::{Applied, Demand, Knob, Order, Side};
use super::Chapter;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Ports, where connections begin",
    about: "A source address has one port for each connection to the same address and port: 28 232 by \
            default, 64 512 at the most. Many connections from one machine need many source addresses; \
            on the loopback any of 127.0.0.0/8 will do. Accepted sockets share the listener's port, so \
            a server never runs out.",
    knobs: KNOBS,
};

const KNOBS: &[Knob] = &[
    Knob {
        name: RANGE,
        label: "source ports",
        side: Side::Client,
        order: Order::Widen,
        demand: port_range,
        own: |_| Some(vec![32_768, 60_999]),
        formula: "1024 65535, where the kernel picks the ports",
        why: "The ports that the kernel picks from. It tries those of one parity first and then the \
              others, so a range should start and end on different ones; a connect costs 16 us up to \
              half full and 380 us beyond. Our generator binds ports itself and is not held by it.",
        symptom: "EADDRNOTAVAIL from connect",
        verified: "tests/walls/run.py: connects from one address end at the size of the range, less what is \
                   reserved",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_tw_reuse",
        side: Side::Client,
        applied: Applied::No(
            "2, the default, already covers the loopback; 1 helps clients that open and \
                              close all the time",
        ),
        own: |_| Some(vec![2]),
        why: "Lets an outgoing connection take a port that is in TIME_WAIT. It does nothing for a server.",
        symptom: "EADDRNOTAVAIL under churn",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_timestamps",
        applied: Applied::No("1 is the default, and right"),
        demand: |_, host| {
            Demand::remark(
                host.sysctl("net.ipv4.tcp_timestamps") == Some(0),
                "off: TIME_WAIT ports cannot be reused, SYN cookies lose window scaling",
            )
        },
        own: |_| Some(vec![1]),
        why: "Tell old segments from new ones; tcp_tw_reuse and full SYN cookies depend on them.",
        symptom: "EADDRNOTAVAIL under churn",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
    Knob {
        name: "net.ipv4.tcp_fin_timeout",
        applied: Applied::No("it does not shorten TIME_WAIT, which is 60 seconds, always"),
        own: |_| Some(vec![60]),
        why: "How long a closed socket waits for the peer's FIN.",
        symptom: "sockets in FIN-WAIT-2 behind peers that vanished",
        verified: "not varied here",
        ..Knob::SYSCTL
    },
];

fn port_range(goal: &Goal, host: &Host) -> Demand {
    let Some(sources) = goal.sources else {
        return Demand::NOTHING;
    };
    let lowest = host.lowest_port();
    let usable = host.sysctls.get(RANGE).and_then(|range| match **range {
        [first, last] if first <= last => Some(last - first + 1 - reserved(host, first, last)),
        _ => None,
    });
    let widest = 65_536 - lowest;
    Demand::all_of(&[lowest, 65_535])
        .stops_at(usable.map(|usable| usable.saturating_mul(sources)))
        .cured_by(format!(
            "sysctl -w {RANGE}=\"{lowest} 65535\"; and {} source addresses, or a generator that binds \
             ports itself",
            goal.connections.div_ceil(widest)
        ))
}

/// Ports of the range that are kept back.
fn reserved(host: &Host, first: u64, last: u64) -> u64 {
    let held = |&(from, to): &(u16, u16)| {
        let (from, to) = (u64::from(from).max(first), u64::from(to).min(last));
        (to + 1).saturating_sub(from)
    };
    host.reserved_ports.iter().map(held).sum()
}

const RANGE: &str = "net.ipv4.ip_local_port_range";
