use super::*;
use crate::ports::UNPRIVILEGED;
use crate::sample::root::ProcRoot;

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
        3_970_000_000 + 4_098_000_000 + 128_000_000
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

/// Every limit in turn is the lowest; the plan must name that one and its number.
#[test]
fn the_first_wall_is_the_lowest_limit() {
    let roomy = || Host {
        nofile_hard: Some(4_000_000),
        file_max: Some(u64::MAX / 4),
        epoll_watches_max: Some(5_000_000),
        memory_free_bytes: Some(64 << 30),
        memory_total_bytes: Some(64 << 30),
        tcp_mem_pages: Some([1 << 20, 1 << 21, 1 << 22]),
        ..Host::default()
    };
    let cases: [(&str, u64, Host); 6] = [
        ("source tuples", 64_511 * 16, roomy()),
        (
            "descriptors",
            (20_000 - 64) * 2,
            Host {
                nofile_hard: Some(20_000),
                ..roomy()
            },
        ),
        (
            "fs.file-max",
            150_000,
            Host {
                file_max: Some(300_500),
                files_open: Some(500),
                ..roomy()
            },
        ),
        (
            "max_user_watches",
            262_144,
            Host {
                epoll_watches_max: Some(524_288),
                ..roomy()
            },
        ),
        (
            "nf_conntrack_max",
            262_100,
            Host {
                conntrack_max: Some(262_144),
                conntrack_count: Some(44),
                ..roomy()
            },
        ),
        (
            "memory",
            (4 << 30) / 8196,
            Host {
                memory_free_bytes: Some(4 << 30),
                memory_total_bytes: None,
                ..roomy()
            },
        ),
    ];
    for (name, at, host) in cases {
        let connections = if name == "source tuples" {
            1_032_192
        } else {
            1_000_000
        };
        let plan = plan(
            &request(connections, "127.0.0.1:9000", Some("127.0.0.1-127.0.0.16")),
            &host,
        );
        let wall = plan
            .first_wall()
            .unwrap_or_else(|| panic!("{name}: no wall"));
        assert!(wall.name.contains(name), "{name}: {wall:?}");
        assert_eq!(wall.at_connections, at, "{name}");
        assert!(plan.to_string().contains("FIRST WALL"), "{plan}");
    }
}

#[test]
fn a_conntrack_that_tracks_nothing_is_no_wall() {
    let host = Host {
        conntrack_max: Some(262_144),
        conntrack_count: Some(0),
        ..Host::default()
    };
    let plan = plan(&request(1_000_000, "127.0.0.1:9000", None), &host);
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
fn knobs_are_never_lowered() {
    let host = Host {
        file_max: Some(u64::MAX / 2),
        somaxconn: Some(65_535),
        epoll_watches_max: Some(100),
        ..Host::default()
    };
    let plan = plan(
        &request(1_000_000, "10.0.0.1:9000", Some("10.99.0.0/16")),
        &host,
    );
    let knob = |name: &str| plan.knobs.iter().find(|knob| knob.name == name).unwrap();
    assert!(knob("fs.file-max").met && knob("net.core.somaxconn").met);
    let watches = knob("fs.epoll.max_user_watches");
    assert!(!watches.met);
    assert_eq!(
        watches.command,
        "sysctl -w fs.epoll.max_user_watches=1010000"
    );
    assert_eq!(knob("net.core.somaxconn").need, 32_768);
    assert_eq!(
        knob("net.ipv4.tcp_mem").command,
        "sysctl -w net.ipv4.tcp_mem=\"37500 75000 150000\""
    );
}

#[test]
fn a_host_is_read_from_whatever_is_there() {
    let root = std::env::temp_dir().join(format!("loadgen-host-{}", std::process::id()));
    for (path, text) in [
        ("proc/sys/fs/nr_open", "1048576\n"),
        ("proc/sys/fs/file-nr", "1248\t0\t9223372036854775807\n"),
        ("proc/sys/net/ipv4/ip_local_port_range", "1024\t65535\n"),
        (
            "proc/sys/net/ipv4/ip_local_reserved_ports",
            "8080,30000-30010\n",
        ),
        ("proc/sys/net/ipv4/tcp_mem", "287901\t383869\t575802\n"),
        (
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 600 kB\nCached: 100 kB\n",
        ),
        (
            "proc/self/limits",
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024       unlimited     files\n",
        ),
        ("proc/self/cgroup", "4:memory:/x\n0::/y\n"),
        (
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("sys/fs/cgroup/y/memory.max", "512000\n"),
    ] {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let host = Host::read(&ProcRoot::at(&root));
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(
        (host.nr_open, host.files_open, host.somaxconn),
        (Some(1_048_576), Some(1248), None)
    );
    assert_eq!(
        (host.nofile_soft, host.nofile_hard),
        (Some(1024), Some(u64::MAX))
    );
    assert_eq!(host.reserved_ports, [(8080, 8080), (30000, 30010)]);
    assert_eq!(host.tcp_mem_pages, Some([287_901, 383_869, 575_802]));
    assert_eq!(host.memory_usable_bytes(), Some(512_000));
    assert_eq!(
        Host::read(&ProcRoot::at(std::path::Path::new("/nowhere-at-all"))),
        Host::default()
    );
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
