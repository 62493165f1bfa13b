use super::*;
use crate::ports::UNPRIVILEGED;

fn request(connections: u64, listener: &str, sources: Option<&str>) -> PlanRequest {
    let listener: SocketAddr = listener.parse().unwrap();
    PlanRequest {
        connections,
        listeners: vec![listener],
        target_is_here: listener.ip().is_loopback(),
        sources: sources.map(|list| SourcePool::parse(list).unwrap()),
        default_source: (!listener.ip().is_loopback()).then(|| "10.0.0.2".parse().unwrap()),
        ports: UNPRIVILEGED,
        threads: 2,
        ramp_per_s: 40_000,
        queued_share: 0.1,
    }
}

fn plan(request: &PlanRequest, host: &Host) -> Plan {
    Plan::new(request, host, 1).unwrap()
}

#[test]
fn a_million_to_another_host() {
    let plan = plan(
        &request(1_000_000, "10.0.0.1:9000", Some("10.99.0.0/16")),
        &Host::default(),
    );
    assert_eq!((plan.source_count, plan.ports_per_source), (16, 64_512));
    assert_eq!(plan.tuples, 16 * 64_512);
    assert_eq!(plan.setup, ["ip route add local 10.99.0.0/16 dev lo"]);
    assert_eq!(plan.undo, ["ip route del local 10.99.0.0/16 dev lo"]);
    assert_eq!(
        plan.setup_on_server,
        ["ip route add 10.99.0.0/16 via 10.0.0.2"]
    );
    assert_eq!(plan.memory.server_kernel_bytes, 3_970_000_000);
    assert_eq!(plan.memory.here_bytes, 4_098_000_000 + 128_000_000);
    assert_eq!(plan.first_wall(), None);
}

#[test]
fn both_ends_on_loopback_cost_twice_and_avoid_the_listeners_port() {
    let plan = plan(
        &request(1_000_000, "127.0.0.1:9000", None),
        &Host::default(),
    );
    assert_eq!(plan.source_count, 16);
    assert_eq!(plan.ports, "1024-8999, 9001-65535");
    assert_eq!(
        plan.memory.here_bytes,
        3_970_000_000 + 80_000_000 + 4_098_000_000 + 128_000_000
    );
    assert!(plan.setup.is_empty() && plan.undo.is_empty());
}

#[test]
fn the_undo_is_the_reverse() {
    let plan = plan(
        &request(200_000, "[fd00::1]:9000", Some("fd01::4-fd01::6")),
        &Host::default(),
    );
    assert_eq!(
        plan.setup,
        [
            "ip -6 route add local fd01::4/127 dev lo",
            "ip -6 route add local fd01::6/128 dev lo"
        ]
    );
    assert_eq!(
        plan.undo,
        [
            "ip -6 route del local fd01::6/128 dev lo",
            "ip -6 route del local fd01::4/127 dev lo"
        ]
    );
    assert!(plan.notes.iter().any(|note| note.contains("IPV6_FREEBIND")));
}

#[test]
fn requests_that_make_no_sense() {
    let host = Host::default();
    let error = |request: &PlanRequest| Plan::new(request, &host, 1).unwrap_err();
    assert_eq!(
        error(&request(0, "10.0.0.1:9000", None)),
        PlanError::NoConnections
    );
    assert_eq!(
        error(&request(1, "10.0.0.1:9000", Some("fd00::1"))),
        PlanError::Families
    );
    let mut none = request(1, "10.0.0.1:9000", None);
    none.default_source = None;
    assert_eq!(error(&none), PlanError::NoSource);
    none.listeners.clear();
    assert_eq!(error(&none), PlanError::NoTarget);
    let mut low = request(1, "127.0.0.1:9000", None);
    low.ports = 9000..=9000;
    assert_eq!(error(&low), PlanError::NoPorts);
}

/// The limits of the machine are the doctor's and tested there; here, that the lowest of all is named,
/// ours among them, and that ours has its own cure.
#[test]
fn the_first_wall_is_the_lowest_limit() {
    let roomy = || Host {
        nofile_hard: Some(4_000_000),
        ..Host::stock(64 << 30)
    };
    let cases: [(&str, u64, u64, Host); 5] = [
        ("source tuples", 1_032_192, 64_511 * 16, roomy()),
        (
            "descriptors (RLIMIT_NOFILE)",
            1_000_000,
            (20_000 - 48) * 2,
            Host {
                nofile_hard: Some(20_000),
                ..roomy()
            },
        ),
        (
            "open files of the machine (fs.file-max)",
            1_000_000,
            150_000,
            roomy().with("fs.file-max", &[300_000]),
        ),
        (
            "epoll registrations (fs.epoll.max_user_watches)",
            1_000_000,
            262_144,
            roomy().with("fs.epoll.max_user_watches", &[524_288]),
        ),
        (
            "connection tracking (net.netfilter.nf_conntrack_max)",
            1_000_000,
            262_100,
            Host {
                conntrack_count: Some(44),
                ..roomy().with("net.netfilter.nf_conntrack_max", &[262_144])
            },
        ),
    ];
    for (name, connections, at, host) in cases {
        let plan = plan(
            &request(connections, "127.0.0.1:9000", Some("127.0.0.1-127.0.0.16")),
            &host,
        );
        let wall = plan
            .first_wall()
            .unwrap_or_else(|| panic!("{name}: no wall"));
        assert_eq!((wall.name.as_str(), wall.at_connections), (name, at));
        assert!(plan.to_string().contains("FIRST WALL"), "{plan}");
        let by_threads = wall
            .cure
            .starts_with("--threads 51 (a table of its own each)");
        assert_eq!(by_threads, name.starts_with("descriptors"), "{}", wall.cure);
    }
}

#[test]
fn a_conntrack_that_tracks_nothing_is_no_wall() {
    let plan = plan(
        &request(1_000_000, "127.0.0.1:9000", None),
        &Host::stock(64 << 30),
    );
    assert!(
        plan.walls
            .iter()
            .all(|wall| !wall.name.contains("conntrack"))
    );
    assert!(
        plan.notes
            .iter()
            .any(|note| note.contains("tracks nothing"))
    );
}

#[test]
fn settings_are_judged_where_they_belong() {
    let host = Host {
        nofile_hard: Some(4_000_000),
        ..Host::stock(64 << 30).with("fs.epoll.max_user_watches", &[100])
    };
    let away = plan(
        &request(1_000_000, "10.0.0.1:9000", Some("10.99.0.0/16")),
        &host,
    );
    let knob = |plan: &Plan, name: &str| {
        let found = plan.knobs.iter().find(|knob| knob.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert!(knob(&away, "fs.file-max").met);
    let watches = knob(&away, "fs.epoll.max_user_watches");
    assert!(!watches.met);
    assert_eq!(
        watches.command,
        "sysctl -w fs.epoll.max_user_watches=1010000"
    );
    // The accept queue is the other machine's: a need, and no judgement.
    let queue = knob(&away, "net.core.somaxconn");
    assert_eq!(
        (queue.need, queue.now, queue.met),
        (vec![32_768], None, true)
    );
    let here = plan(&request(1_000_000, "127.0.0.1:9000", None), &host);
    let queue = knob(&here, "net.core.somaxconn");
    assert_eq!((queue.now, queue.met), (Some(vec![4096]), false));
    let names: Vec<_> = here.knobs.iter().map(|knob| knob.name).collect();
    assert_eq!(
        names.iter().filter(|name| **name == "fs.file-max").count(),
        1
    );
    assert!(here.to_string().contains("LOW net.core.somaxconn"));
}

#[test]
fn the_plan_is_json() {
    let plan = plan(&request(1000, "127.0.0.1:9000", None), &Host::default());
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["connections_per_listener"], 1000);
    assert_eq!(json["walls"][0]["name"], "source tuples");
    assert!(json.get("space").is_none());
}
