//! Machines with one limit in the way each, as the files they would have.

use super::*;
use crate::tuning::goal::Ends;
use crate::tuning::tree::Tree;

const GIB: u64 = 1 << 30;

fn million(ends: Ends) -> Goal {
    Goal::new(1_000_000, ends, 2)
}

fn diagnosis(tree: &Tree, goal: &Goal) -> Diagnosis {
    Diagnosis::new(goal, &Host::read(&tree.root()))
}

/// A roomy machine, tuned for the rate, so that only what a test takes away is missing.
fn roomy() -> Tree {
    let tree = Tree::stock(64 * GIB);
    tree.nofile(2_000_000);
    for (path, text) in [
        ("proc/sys/fs/nr_open", "4194304"),
        ("proc/sys/net/core/somaxconn", "65535"),
    ] {
        tree.write(path, text);
    }
    tree
}

fn finding<'a>(diagnosis: &'a Diagnosis, name: &str) -> &'a Finding {
    let found = diagnosis.findings.iter();
    found
        .into_iter()
        .find(|finding| finding.knob.name == name)
        .unwrap_or_else(|| panic!("no finding about {name}"))
}

/// What is taken away from a roomy machine, the wall that is met first then, and where.
type Case = (
    &'static str,
    u64,
    Goal,
    &'static [(&'static str, &'static str)],
);

fn cases() -> [Case; 8] {
    let client = Goal {
        sources: Some(3),
        ..million(Ends::Client)
    };
    [
        (
            "fs.file-max",
            (300_500 - 1000) / 2,
            million(Ends::Both),
            &[("proc/sys/fs/file-max", "300500")],
        ),
        (
            "fs.epoll.max_user_watches",
            262_144,
            million(Ends::Both),
            &[("proc/sys/fs/epoll/max_user_watches", "524288")],
        ),
        (
            "net.netfilter.nf_conntrack_max",
            262_144 - 44,
            million(Ends::Server),
            &[
                ("proc/sys/net/netfilter/nf_conntrack_max", "262144"),
                ("proc/sys/net/netfilter/nf_conntrack_count", "44"),
            ],
        ),
        (
            "memory",
            ((4 << 30) - (64 * GIB / 50)) / 8276,
            million(Ends::Both),
            &[(
                "proc/meminfo",
                "MemTotal: 67108864 kB\nMemFree: 4194304 kB\n",
            )],
        ),
        (
            "memory of the control group",
            ((1 << 30) - (GIB / 50)) / 1521,
            million(Ends::Server),
            &[
                ("proc/self/cgroup", "0::/box"),
                ("sys/fs/cgroup/box/memory.max", "1073741824"),
            ],
        ),
        (
            "net.ipv4.tcp_mem",
            10_000 * 10,
            million(Ends::Server),
            &[("proc/sys/net/ipv4/tcp_mem", "2500 5000 10000")],
        ),
        (
            "net.ipv4.ip_local_port_range",
            3 * 28_232,
            client.clone(),
            &[("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999")],
        ),
        (
            "net.ipv4.ip_local_port_range",
            3 * (64_512 - 11),
            client,
            &[
                ("proc/sys/net/ipv4/ip_local_port_range", "1024\t65535"),
                (
                    "proc/sys/net/ipv4/ip_local_reserved_ports",
                    "80,30000-30010",
                ),
            ],
        ),
    ]
}

#[test]
fn the_first_wall_is_the_one_that_is_lowest() {
    for (name, at, goal, files) in cases() {
        let tree = roomy();
        for (path, text) in files {
            tree.write(path, text);
        }
        let diagnosis = diagnosis(&tree, &goal);
        let wall = diagnosis.first_wall();
        let (wall, connections) = wall.unwrap_or_else(|| panic!("{name}: no wall"));
        assert_eq!((wall.knob.name, connections), (name, at));
        assert_eq!(wall.grade, Grade::Stops, "{name}");
        assert_eq!(diagnosis.findings[0].knob.name, name, "worst first");
        assert!(!diagnosis.is_ready() && !wall.cure.is_empty(), "{name}");
    }
}

#[test]
fn a_roomy_machine_is_ready() {
    for ends in [Ends::Server, Ends::Both] {
        let diagnosis = diagnosis(&roomy(), &million(ends));
        let bad: Vec<_> = diagnosis
            .findings
            .iter()
            .filter(|finding| finding.grade < Grade::Tight)
            .map(|finding| finding.knob.name)
            .collect();
        assert_eq!(bad, [""; 0]);
        assert!(diagnosis.is_ready() && diagnosis.first_wall().is_none());
    }
}

#[test]
fn a_queue_that_is_too_short_loses_arrivals() {
    let tree = roomy();
    tree.write("proc/sys/net/core/somaxconn", "4096");
    let goal = million(Ends::Server);
    let found = diagnosis(&tree, &goal);
    let queue = finding(&found, "net.core.somaxconn");
    assert_eq!(queue.grade, Grade::Loses);
    // Two queues, half a second each.
    assert_eq!(queue.stop, Some(Stop::Rate(16_384)));
    assert_eq!(queue.cure, "sysctl -w net.core.somaxconn=16384");
    assert!(!found.is_ready() && found.first_wall().is_none());
    let calm = Goal {
        rate_per_s: 16_000,
        ..goal
    };
    assert!(diagnosis(&tree, &calm).is_ready());
    tree.write("proc/sys/net/ipv4/tcp_syncookies", "0");
    let found = diagnosis(&tree, &calm);
    let queue = finding(&found, "net.ipv4.tcp_max_syn_backlog");
    assert_eq!(queue.stop, Some(Stop::Rate(4096 / 4 * 3 * 4 * 2)));
}

/// 20 000 descriptors that nobody may raise hold a million, in tables enough.
#[test]
fn a_shortage_of_descriptors_is_met_by_more_tables() {
    let tree = roomy();
    tree.nofile(20_000);
    tree.write("proc/self/status", "CapEff:\t000001fffeffffff\n");
    let goal = million(Ends::Server);
    let found = diagnosis(&tree, &goal);
    let nofile = finding(&found, knobs::NOFILE);
    assert_eq!(nofile.grade, Grade::Odd);
    let remark = nofile.remark.as_deref().unwrap();
    assert!(
        remark.starts_with("met by 56 descriptor tables"),
        "{remark}"
    );
    assert!(nofile.cure.contains("from outside"), "{}", nofile.cure);
    assert!(found.is_ready());

    let shared = Host {
        are_tables_shared: true,
        ..Host::read(&tree.root())
    };
    let found = Diagnosis::new(&goal, &shared);
    let (wall, at) = found.first_wall().unwrap();
    assert_eq!((wall.knob.name, at), (knobs::NOFILE, 19_956));

    tree.nofile(2_000);
    let (_, at) = diagnosis(&tree, &goal)
        .first_wall()
        .map(|(w, at)| (w.knob.name, at))
        .unwrap();
    // Each further table would take more from the others than it brings.
    assert_eq!(at, knobs::tables_room(2_000, 245));
}

#[test]
fn the_ceiling_of_the_limit_is_named_first() {
    let tree = Tree::stock(64 * GIB);
    let goal = Goal {
        tables: 1,
        tables_max: 1,
        ..million(Ends::Server)
    };
    let found = diagnosis(
        &tree,
        &Goal {
            connections: 1_100_000,
            ..goal
        },
    );
    let nofile = finding(&found, knobs::NOFILE);
    assert_eq!(nofile.grade, Grade::Stops);
    assert_eq!(
        nofile.cure,
        "sysctl -w fs.nr_open=2097152 first; then ulimit -n 1101000 before starting, or \
         LimitNOFILE=1101000 in the unit"
    );
    assert_eq!(finding(&found, "fs.nr_open").grade, Grade::Tight);
}

#[test]
fn connections_that_are_here_already_count() {
    let tree = roomy();
    tree.write("proc/sys/fs/file-max", "600000");
    tree.write("proc/sys/fs/file-nr", "501000\t0\t600000");
    tree.write(
        "proc/net/sockstat",
        "TCP: inuse 500000 orphan 0 tw 0 alloc 500000 mem 9\n",
    );
    let found = diagnosis(&tree, &million(Ends::Server));
    assert_eq!(found.first_wall().unwrap().1, 599_000);
}

#[test]
fn what_is_hidden_is_not_judged() {
    let empty = Tree::new(&[]);
    let found = diagnosis(&empty, &million(Ends::Both));
    assert!(found.is_ready());
    assert!(
        found
            .findings
            .iter()
            .all(|finding| finding.grade == Grade::Hidden)
    );
}

#[test]
fn a_namespace_cannot_set_what_belongs_to_its_host() {
    let mut host = Host::stock(64 * GIB).with("net.netfilter.nf_conntrack_max", &[262_144]);
    host.conntrack_count = Some(1);
    host.sealed.insert("net.netfilter.nf_conntrack_max");
    let found = Diagnosis::new(&million(Ends::Server), &host);
    let cure = &finding(&found, "net.netfilter.nf_conntrack_max").cure;
    assert_eq!(
        cure,
        "sysctl -w net.netfilter.nf_conntrack_max=1300000 on the host of this namespace"
    );
}

#[test]
fn oddities_are_said_and_stop_nobody() {
    let tree = roomy();
    for (path, text) in [
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never",
        ),
        ("proc/stat", "cpu  70 0 0 20 0 0 0 10 0 0\n"),
        ("proc/sys/net/ipv4/tcp_timestamps", "0"),
        ("proc/sys/net/ipv4/tcp_abort_on_overflow", "1"),
        ("proc/sys/vm/overcommit_memory", "2"),
        ("proc/sys/kernel/numa_balancing", "1"),
        ("proc/sys/vm/zone_reclaim_mode", "1"),
        (
            "proc/meminfo",
            "MemTotal: 67108864 kB\nMemFree: 60000000 kB\nSwapTotal: 10 kB\nSwapFree: 3 kB\n",
        ),
    ] {
        tree.write(path, text);
    }
    let found = diagnosis(&tree, &million(Ends::Both));
    let odd = found
        .findings
        .iter()
        .filter(|finding| finding.grade == Grade::Odd);
    assert_eq!(odd.count(), 9, "eight of these, and the slots of the hash");
    assert!(found.is_ready());
}

#[test]
fn a_file_that_undoes_a_setting_at_the_next_start_is_found() {
    let tree = roomy();
    tree.write(
        "etc/sysctl.d/90-throng.conf",
        "net.core.somaxconn = 65535\nfs.nr_open = 4194304\n",
    );
    let found = diagnosis(&tree, &million(Ends::Server));
    let undone = |tree: &Tree| {
        let lines = recipes::assignments(&tree.root());
        let undone = found.undone_at_start(&lines).into_iter();
        undone
            .map(|(_, line)| format!("{}:{}", line.file, line.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(undone(&tree), [""; 0]);
    tree.write(
        "etc/sysctl.d/99-old.conf",
        "# old\nnet.core.somaxconn = 1024\n",
    );
    assert_eq!(undone(&tree), ["/etc/sysctl.d/99-old.conf:2"]);
}
