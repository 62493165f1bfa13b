//! Machines generous and tight.

use super::*;
use crate::tuning::Host;
use crate::tuning::cgroup::Group;

fn generous() -> Facts {
    Facts {
        cores: vec![0, 1],
        are_tables_parted: true,
        descriptors_max: 1 << 20,
        host: Host {
            memory_room_bytes: Some(24 << 30),
            ..Host::stock(64 << 30)
        },
    }
}

/// A generous machine of which this is different.
fn but(change: impl FnOnce(&mut Host)) -> Facts {
    let mut facts = generous();
    change(&mut facts.host);
    facts
}

fn asking(connections: u32) -> Config {
    Config {
        max_connections: Count::Exactly(connections),
        ..Config::default()
    }
}

/// The only piece of advice.
fn advice(config: &Config, facts: &Facts) -> (String, String) {
    let plan = Plan::new(config, facts);
    assert_eq!(plan.advice.len(), 1, "{:#?}", plan.advice);
    let Advice { cause, cure } = plan.advice[0].clone();
    (cause, cure)
}

#[test]
fn a_generous_machine_needs_no_advice() {
    let plan = Plan::new(&Config::default(), &generous());
    assert_eq!(plan.workers, 2);
    assert_eq!(plan.connections_max, 2 * ((1 << 20) - 32 - 8 - 2));
    assert_eq!(plan.worker_connections_max, (1 << 20) - 32 - 8 - 2);
    assert_eq!(plan.backlog, 4096);
    assert_eq!(plan.advice, []);
}

#[test]
fn what_was_asked_for_is_the_ceiling() {
    let plan = Plan::new(&asking(10_000), &generous());
    assert_eq!(plan.connections_max, 10_000);
    assert_eq!(
        plan.worker_connections_max, 10_000,
        "the kernel may give one worker all of them"
    );
    assert_eq!(plan.memory_bytes, 40_500_000);
}

#[test]
fn too_few_descriptors_name_limit_and_commands() {
    let facts = Facts {
        descriptors_max: 20_000,
        ..generous()
    };
    let plan = Plan::new(&asking(10_000_000), &facts);
    assert_eq!((plan.workers, plan.shards), (2, 254));
    assert_eq!(plan.connections_max, 256 * (20_000 - 32 - 4 * 256 - 2));
    let facts = Facts {
        host: Host::default(),
        ..facts
    };
    let (cause, cure) = advice(&asking(10_000_000), &facts);
    assert_eq!(
        cause,
        "10000000 connections need 44027 descriptors per worker, the limit is 20000: serving up \
         to 4849152"
    );
    assert_eq!(
        cure,
        "ulimit -n 44027 as root before starting, or LimitNOFILE=44027 in the unit"
    );
}

#[test]
fn workers_are_added_for_the_descriptors_they_bring() {
    let facts = Facts {
        descriptors_max: 20_000,
        ..generous()
    };
    let plan = Plan::new(&asking(1_000_000), &facts);
    assert_eq!((plan.workers, plan.shards), (2, 54));
    assert_eq!(
        (plan.connections_max, &plan.advice[..]),
        (1_000_000, &[][..])
    );
    let room = plan.worker_connections_max * 56;
    assert!(
        (1_100_000..1_120_000).contains(&room),
        "a tenth to spare: {room}"
    );
    assert!(plan.worker_connections_expected * 56 >= 1_100_000);
    assert!(plan.descriptors_expected <= 20_000);
    let one_less = Plan::new(&asking(39_916), &facts);
    assert_eq!(one_less.shards, 0, "it fits without");
    let config = Config {
        workers: Count::Exactly(70),
        ..asking(1_000_000)
    };
    assert_eq!(
        Plan::new(&config, &facts).shards,
        0,
        "those asked for will do"
    );
    // Not asked for a number, it plans for what the memory holds, up to a million.
    let auto = Plan::new(&Config::default(), &facts);
    assert_eq!((auto.shards, auto.connections_max), (54, 1_000_000));
    let small = Facts {
        descriptors_max: facts.descriptors_max,
        ..but(|host| host.memory_room_bytes = Some(512 << 20))
    };
    let auto = Plan::new(&Config::default(), &small);
    assert_eq!((auto.shards, auto.connections_max), (6, 132_560));
}

#[test]
fn without_tables_of_their_own_workers_bring_nothing() {
    let facts = Facts {
        descriptors_max: 20_000,
        are_tables_parted: false,
        ..generous()
    };
    let plan = Plan::new(&asking(1_000_000), &facts);
    assert_eq!((plan.shards, plan.connections_max), (0, 19_958));
    let causes: Vec<_> = plan.advice.iter().map(|advice| &advice.cause[..]).collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(
        causes[0].contains("descriptors for all workers"),
        "{causes:?}"
    );
    assert!(causes[1].starts_with("descriptor tables cannot be parted"));
    assert!(plan.advice[1].cure.contains("seccomp"));
}

#[test]
fn the_ceiling_of_the_ceiling_comes_first() {
    let facts = Facts {
        are_tables_parted: false,
        cores: vec![0],
        ..generous()
    };
    let (cause, cure) = advice(&asking(1_100_000), &facts);
    assert!(
        cause.contains("need 1100038 descriptors for all workers"),
        "{cause}"
    );
    assert!(cure.starts_with("sysctl -w fs.nr_open=2097152 first; then ulimit -n 1100038"));
    assert!(
        !cure.contains("--workers"),
        "more workers do not bring more tables"
    );
}

#[test]
fn a_limit_below_c10k_is_mentioned_unasked() {
    let facts = Facts {
        descriptors_max: 256,
        ..generous()
    };
    let plan = Plan::new(&Config::default(), &facts);
    assert_eq!(plan.shards, 26, "more tables would hold less in all");
    let (cause, _) = advice(&Config::default(), &facts);
    assert!(
        cause.starts_with("10000 connections need 539 descriptors per worker"),
        "{cause}"
    );
}

#[test]
fn fewer_descriptors_than_we_need_ourselves() {
    let facts = Facts {
        descriptors_max: 16,
        ..generous()
    };
    let plan = Plan::new(&Config::default(), &facts);
    assert_eq!(plan.connections_max, 0);
    assert_eq!(plan.advice.len(), 1);
}

#[test]
fn an_unlimited_machine_does_not_overflow() {
    let facts = Facts {
        descriptors_max: u64::MAX,
        ..generous()
    };
    let plan = Plan::new(&asking(16_000_000), &facts);
    assert_eq!(plan.connections_max, 16_000_000);
    let auto = |facts: &Facts| Plan::new(&Config::default(), facts).connections_max;
    assert_eq!(auto(&facts), (24 << 30) / CONNECTION_BYTES);
    let hidden = Facts {
        host: Host::default(),
        ..facts
    };
    assert_eq!(auto(&hidden), CONNECTIONS_MAX);
}

#[test]
fn the_kernels_backlog_is_the_one_that_counts() {
    let config = Config {
        backlog: 16_384,
        ..Config::default()
    };
    assert_eq!(Plan::new(&config, &generous()).backlog, 4096);
    let (cause, cure) = advice(&config, &generous());
    assert!(cause.contains("from 16384 to 4096"), "{cause}");
    assert_eq!(cure, "sysctl -w net.core.somaxconn=16384");
    let old_kernel = but(|host| {
        host.sysctls.insert("net.core.somaxconn", vec![128]);
    });
    let (_, cure) = advice(&Config::default(), &old_kernel);
    assert_eq!(cure, "sysctl -w net.core.somaxconn=4096");
    let hidden = but(|host| *host = Host::default());
    assert_eq!(
        Plan::new(&config, &hidden).advice,
        [],
        "what is hidden is not judged"
    );
}

#[test]
fn memory_is_planned() {
    let facts = but(|host| {
        host.group = Some(Group {
            file: "/sys/fs/cgroup/box/memory.max".to_owned(),
            limit_bytes: 2 << 30,
            room_bytes: 1 << 30,
        });
    });
    let (cause, cure) = advice(&asking(1_000_000), &facts);
    assert_eq!(
        cause,
        "1000000 idle connections take about 3862 MiB, there are 1024 MiB"
    );
    assert_eq!(cure, "--max-connections 265121");
}

#[test]
fn walls_of_the_machine_are_named_lowest_first() {
    let facts = but(|host| {
        host.conntrack_count = Some(1);
        for (name, limit) in [
            ("net.netfilter.nf_conntrack_max", 262_144),
            ("fs.file-max", 400_000),
            ("fs.epoll.max_user_watches", 100_000),
        ] {
            host.sysctls.insert(name, vec![limit]);
        }
    });
    let plan = Plan::new(&asking(1_000_000), &facts);
    let cures: Vec<_> = plan
        .advice
        .iter()
        .map(|advice| advice.cure.as_str())
        .collect();
    assert_eq!(
        cures,
        [
            "sysctl -w fs.epoll.max_user_watches=1010000",
            "sysctl -w net.netfilter.nf_conntrack_max=1300000",
            "sysctl -w fs.file-max=1100000",
        ]
    );
    assert_eq!(
        plan.advice[0].cause,
        "epoll registrations (fs.epoll.max_user_watches) is 100000: it stops 1000000 connections at \
         100000"
    );
    // A tracker that is loaded and tracks nothing is none.
    let idle = but(|host| host.conntrack_count = Some(0));
    assert_eq!(Plan::new(&asking(1_000_000), &idle).advice, []);
}

#[test]
fn workers_without_cores_or_tables() {
    let config = Config {
        workers: Count::Exactly(4),
        ..Config::default()
    };
    let (cause, cure) = advice(&config, &generous());
    assert_eq!(
        (cause.as_str(), cure.as_str()),
        ("4 workers share 2 cores", "--workers 2")
    );
    let facts = Facts {
        are_tables_parted: false,
        ..generous()
    };
    let (cause, _) = advice(&Config::default(), &facts);
    assert!(
        cause.starts_with("descriptor tables cannot be parted"),
        "{cause}"
    );
}
