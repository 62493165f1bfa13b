//! Files present, absent and odd.

use super::*;
use crate::tuning::tree::Tree;
use std::path::Path;

#[test]
fn a_hidden_proc_leaves_everything_open() {
    let host = Host::read(&ProcRoot::at(Path::new("/nonexistent")));
    let blank = Host {
        may_raise_limits: true,
        cores: 1,
        ..Host::default()
    };
    assert_eq!(host, blank);
    assert!(!host.tracks_connections() && !host.is_in_namespace());
    assert_eq!(host.memory_usable_bytes(), None);
}

#[test]
fn files_are_read() {
    let tree = Tree::new(&[
        ("proc/sys/fs/nr_open", "1048576\n"),
        ("proc/sys/fs/file-max", "no number\n"),
        ("proc/sys/fs/file-nr", "1248\t0\t9223372036854775807\n"),
        ("proc/sys/net/ipv4/tcp_mem", "287901\t383869\t575802\n"),
        ("proc/sys/net/ipv4/tcp_ehash_entries", "-262144\n"),
        (
            "proc/sys/net/ipv4/ip_local_reserved_ports",
            "8080,30000-30010\n",
        ),
        (
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 600 kB\nCached: 150 kB\nShmem: 50 kB\nSwapTotal: 9 kB\nSwapFree: 8 kB\n",
        ),
        (
            "proc/self/limits",
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024       unlimited     files\n",
        ),
        (
            "proc/self/status",
            "Name: x\nCapEff:\t000001fffeffffff\nCpus_allowed_list:\t0-3,8\n",
        ),
        ("proc/self/cgroup", "0::/y\n"),
        ("sys/fs/cgroup/y/memory.max", "512000\n"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
        ),
        ("proc/stat", "cpu  70 0 0 20 0 0 0 10 0 0\n"),
        (
            "proc/net/sockstat",
            "sockets: used 9\nTCP: inuse 4 orphan 0 tw 3 alloc 20 mem 330\n",
        ),
        ("proc/net/sockstat6", "TCP6: inuse 3\n"),
    ]);
    let host = Host::read(&tree.root());
    assert_eq!(host.sysctl("fs.nr_open"), Some(1 << 20));
    assert_eq!(host.sysctl("fs.file-max"), None);
    assert_eq!(host.sysctl_at("net.ipv4.tcp_mem", 2), Some(575_802));
    assert_eq!(host.files_open, Some(1248));
    assert_eq!(host.hash_slots, Some(262_144));
    assert_eq!(host.reserved_ports, [(8080, 8080), (30000, 30010)]);
    let nofile = (host.nofile_soft, host.nofile_hard);
    assert_eq!(nofile, (Some(1024), Some(u64::MAX)));
    assert!(!host.may_raise_limits, "bit 24 is missing");
    assert_eq!(host.cores, 5);
    assert_eq!(host.memory_room_bytes, Some(700 * 1024));
    assert_eq!(host.memory_usable_bytes(), Some(512_000));
    assert_eq!(host.swap_used_bytes, 1024);
    assert_eq!(host.huge_pages.as_deref(), Some("madvise"));
    assert_eq!(host.steal_permille, Some(100));
    assert_eq!((host.sockets_in_use, host.tcp_pages_used), (7, 330));
    assert!(host.is_in_namespace(), "netdev_max_backlog is hidden");
}

#[test]
fn a_tracker_that_tracks_nothing_is_none() {
    let name = "proc/sys/net/netfilter/nf_conntrack_max";
    let count = "proc/sys/net/netfilter/nf_conntrack_count";
    let tracks = |files: &[(&str, &str)]| Host::read(&Tree::new(files).root()).tracks_connections();
    assert!(!tracks(&[(count, "7")]));
    assert!(!tracks(&[(name, "262144"), (count, "0")]));
    assert!(tracks(&[(name, "262144"), (count, "7")]));
    assert!(tracks(&[(name, "262144")]), "hidden is not idle");
}

#[test]
fn spans_are_read_and_nonsense_is_left_out() {
    assert!(parse_spans("\n").is_empty());
    assert_eq!(parse_spans("9-3,x,70000,5\n"), [(5, 5)]);
}

/// The figures of a fresh 24 GiB machine, read off it.
#[test]
fn a_stock_machine_is_like_a_fresh_one() {
    let host = Host::stock(25_276_448_768);
    let close = |name: &str, at: usize, real: u64| {
        let ours = host.sysctl_at(name, at).unwrap();
        assert!(ours.abs_diff(real) * 20 <= real, "{name}: {ours}, {real}");
    };
    close("fs.file-max", 0, 2_466_183);
    close("fs.epoll.max_user_watches", 0, 5_491_533);
    close("net.ipv4.tcp_mem", 0, 287_901);
    close("net.ipv4.tcp_mem", 2, 575_802);
    close("net.ipv4.tcp_max_orphans", 0, 131_072);
    close("net.ipv4.tcp_max_tw_buckets", 0, 131_072);
    close("net.ipv4.tcp_max_syn_backlog", 0, 2048);
    assert_eq!(host.hash_slots, Some(262_144));
    assert_eq!(host.sysctl("net.core.somaxconn"), Some(4096));
    assert!(!host.tracks_connections(), "no firewall, no tracker");
}

#[test]
fn this_machine_answers() {
    let host = Host::of_machine("self");
    if cfg!(target_os = "linux") {
        assert!(host.nofile_hard.is_some_and(|limit| limit > 0));
    }
}

#[test]
fn the_units_limit_is_found_wherever_it_is_installed() {
    let limit = |files: &[(&str, &str)]| Host::read(&Tree::new(files).root()).unit_nofile;
    let unit = "usr/lib/systemd/system/throng.service";
    assert_eq!(limit(&[]), None);
    assert_eq!(
        limit(&[(unit, "[Service]\nLimitNOFILE=1100000\n")]),
        Some(1_100_000)
    );
    let drop_in = "etc/systemd/system/throng.service.d";
    let (theirs, ours) = (
        format!("{drop_in}/a.conf"),
        format!("{drop_in}/50-tune.conf"),
    );
    let files = [
        (unit, "LimitNOFILE=1024:2048"),
        (&*theirs, "LimitNOFILE=4096"),
        (&*ours, "LimitNOFILE=9999"),
    ];
    assert_eq!(limit(&files), Some(4096));
    assert_eq!(limit(&[(unit, "LimitNOFILE=infinity")]), Some(u64::MAX));
}
