//! The table itself: complete, without doubles, and consistent with what a machine has by itself.

use super::super::goal::{Ends, Goal};
use super::super::host::Host;
use super::super::knob::{Applied, Stop};
use super::*;

#[test]
fn every_row_is_complete_and_the_only_one_of_its_name() {
    for knob in all() {
        assert_eq!(all().filter(|other| other.name == knob.name).count(), 1);
        for (what, text) in [
            ("why", knob.why),
            ("symptom", knob.symptom),
            ("verified", knob.verified),
        ] {
            assert!(!text.is_empty(), "{}: {what}", knob.name);
            assert!(!text.contains("  "), "{}: blanks in {text:?}", knob.name);
        }
        let why_ends = knob.why.ends_with('.') && !knob.symptom.ends_with('.');
        assert!(why_ends, "{}: why is prose, a symptom is a list", knob.name);
    }
}

#[test]
fn what_is_set_is_asked_for_and_has_a_formula() {
    let host = Host::stock(24 << 30).with("net.netfilter.nf_conntrack_max", &[262_144]);
    let host = Host {
        conntrack_count: Some(1),
        ..host
    };
    let goal = Goal {
        sources: Some(1),
        ..Goal::new(1_000_000, Ends::Both, 2)
    };
    for knob in all() {
        let is_set = !matches!(knob.applied, Applied::No(_));
        let need = (knob.demand)(&goal, &host).need;
        if is_set {
            assert!(!need.is_empty(), "{} asks for nothing", knob.name);
            assert!(!knob.formula.is_empty(), "{}", knob.name);
        }
        if let (true, Some(own)) = (is_set, (knob.own)(&host)) {
            assert_eq!(own.len(), need.len(), "{}: as many numbers", knob.name);
        }
    }
}

#[test]
fn needs_grow_with_the_goal_and_never_overflow() {
    let host = Host::stock(24 << 30);
    let most = u64::from(u32::MAX);
    for knob in all() {
        let need = |connections| (knob.demand)(&Goal::new(connections, Ends::Both, 2), &host).need;
        let steps = [1, 10_000, 1_000_000, 16_000_000, most].map(need);
        for pair in steps.windows(2) {
            assert!(
                pair[0].iter().zip(&pair[1]).all(|(few, many)| few <= many),
                "{}: {pair:?}",
                knob.name
            );
        }
    }
}

#[test]
fn ten_thousand_connections_are_no_trouble_for_a_stock_machine() {
    let goal = Goal::new(10_000, Ends::Server, 2);
    let host = Host::stock(2 << 30);
    for knob in all() {
        let stop = (knob.demand)(&goal, &host).stop;
        let is_in_the_way = match stop {
            Some(Stop::Connections(most)) => most < goal.connections,
            Some(Stop::Rate(most)) => most < goal.rate_per_s,
            None => false,
        };
        assert!(!is_in_the_way, "{}: {stop:?}", knob.name);
    }
}

#[test]
fn descriptor_tables_add_up() {
    assert_eq!(tables_room(20_000, 1), 19_956);
    assert_eq!(tables_room(20_000, 2), 2 * 19_952);
    assert_eq!(tables_room(30, 4), 0);
    assert_eq!(tables_room(u64::MAX, 9), u64::MAX);
}
