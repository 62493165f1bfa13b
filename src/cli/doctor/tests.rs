//! Reports about prepared machines.

use std::collections::VecDeque;
use std::ffi::OsString;

use super::super::machine::Verb;
use super::*;
use crate::tuning::tree::Tree;

fn examined(tree: &Tree, line: &str) -> Result<Verdict, String> {
    let line = format!("{line} --root {}", tree.path());
    let words: VecDeque<_> = line.split_whitespace().map(OsString::from).collect();
    let (options, problems) = Options::parse(Verb::Doctor, words);
    assert_eq!(problems, []);
    examine(&options)
}

fn report(tree: &Tree, line: &str) -> Value {
    let verdict = examined(tree, &format!("{line} --json")).unwrap();
    serde_json::from_str(&verdict.text).unwrap()
}

fn tracked() -> Tree {
    let tree = Tree::stock(64 << 30);
    tree.write("proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "0\n");
    tree.write("proc/sys/net/core/somaxconn", "65535\n");
    tree
}

#[test]
fn the_first_line_names_the_first_wall() {
    let tree = tracked();
    let verdict = examined(&tree, "--connections 1M").unwrap();
    assert_eq!(verdict.exit_code, exit::OK, "{}", verdict.text);
    assert!(
        verdict.text.contains("\nready; the next wall is "),
        "{}",
        verdict.text
    );
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "7\n");
    tree.write(
        "etc/sysctl.d/9.conf",
        "net.netfilter.nf_conntrack_max = 262144\n",
    );
    let verdict = examined(&tree, "--connections 1M").unwrap();
    assert_eq!(verdict.exit_code, exit::FAILED);
    let expected = "\
1 000 000 connections, 40 000 a second arriving, ending here
you will stop at 262 137: connection tracking (net.netfilter.nf_conntrack_max)

  STOPS  net.netfilter.nf_conntrack_max     262 144, needs 1 300 000
         at 262 137 connections: `nf_conntrack: table full, dropping packet` in the kernel log; \
connects time out
         set by /etc/sysctl.d/9.conf:1
         -> sysctl -w net.netfilter.nf_conntrack_max=1300000
";
    assert!(verdict.text.starts_with(expected), "{}", verdict.text);
    assert!(
        verdict
            .text
            .contains("\nthrong tune --connections 1000000   prints")
    );
}

#[test]
fn arrivals_that_are_lost_are_the_verdict_where_nothing_stops() {
    let tree = tracked();
    tree.write("proc/sys/net/core/somaxconn", "4096\n");
    let verdict = examined(&tree, "--connections 1M --workers 2").unwrap();
    assert_eq!(verdict.exit_code, exit::FAILED);
    let line = verdict.text.lines().nth(1).unwrap();
    assert_eq!(
        line,
        "you will lose arrivals above 16 384 a second: accept queue (net.core.somaxconn)"
    );
}

#[test]
fn programs_read_the_same() {
    let tree = tracked();
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "7\n");
    tree.write("etc/sysctl.d/9.conf", "fs.file-max = 2097152\n");
    let report = report(&tree, "--connections 1M");
    assert_eq!(report["version"], 1);
    assert_eq!(report["ready"], false);
    assert_eq!(report["first_wall"]["connections"], 262_137);
    assert_eq!(report["walls"][0], report["first_wall"]);
    let finding = &report["findings"][0];
    assert_eq!(finding["grade"], "stops");
    assert_eq!(finding["stop"]["connections"], 262_137);
    assert_eq!(finding["now"][0], 262_144);
    assert_eq!(report["relics"][0]["fault"], "lowers");
    assert_eq!(report["goal"]["ends"], "server");
    assert!(report.get("hits").is_none());
}

#[test]
fn after_a_run_the_wall_that_was_hit_is_named() {
    let tree = tracked();
    tree.write("proc/sys/kernel/random/boot_id", "one\n");
    let netstat = |n: u32| format!("TcpExt: ListenOverflows TCPTimeWaitOverflow\nTcpExt: {n} 4\n");
    tree.write("proc/net/netstat", &netstat(3));
    let before = examined(&tree, "--json").unwrap().text;
    tree.write("before.json", &before);
    let since = format!("--since {}/before.json", tree.path());
    let quiet = examined(&tree, &since).unwrap().text;
    assert!(quiet.contains("since then: no wall was hit"), "{quiet}");
    tree.write("proc/net/netstat", &netstat(1203));
    let text = examined(&tree, &since).unwrap().text;
    assert!(
        text.contains("since then you hit: accept queue (net.core.somaxconn)\n"),
        "{text}"
    );
    assert!(text.contains("ListenOverflows          +1 200"), "{text}");
    assert!(
        !text.contains("TCPTimeWaitOverflow  "),
        "it did not rise: {text}"
    );
    let json = report(&tree, &since);
    assert_eq!(json["hits"][0]["limit"], "net.core.somaxconn");
    assert_eq!(json["hits"][0]["times"], 1200);

    tree.write("proc/sys/kernel/random/boot_id", "two\n");
    let error = examined(&tree, &since).unwrap_err();
    assert!(
        error.contains("from before the machine was started"),
        "{error}"
    );
    for text in ["", "{}", "[1]"] {
        tree.write("before.json", text);
        assert!(examined(&tree, &since).is_err(), "{text:?}");
    }
}

#[test]
fn files_with_bad_advice_are_listed() {
    let tree = tracked();
    tree.write(
        "etc/sysctl.d/50-c1m.conf",
        "fs.file-max = 2097152\nnet.ipv4.tcp_tw_recycle = 1\nnet.core.somaxconn = 128\n",
    );
    let text = examined(&tree, "").unwrap().text;
    for part in [
        "/etc/sysctl.d/50-c1m.conf:1  fs.file-max = 2097152\n         lowers: ",
        "/etc/sysctl.d/50-c1m.conf:2  net.ipv4.tcp_tw_recycle = 1\n         gone: ",
        "/etc/sysctl.d/50-c1m.conf:3  net.core.somaxconn = 128\n         undoes what is set now: needs 32768",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_process_that_is_not_there_is_a_mistake() {
    let tree = tracked();
    assert!(examined(&tree, "--pid 4000000").is_err());
    tree.write("proc/7/limits", "Max open files   9000   9000   files\n");
    assert!(examined(&tree, "--pid 7").is_ok());
}

#[test]
fn numbers_are_grouped() {
    let grouped: Vec<_> = [0, 999, 1000, 28_232, 1_000_000].map(grouped).into();
    assert_eq!(grouped, ["0", "999", "1 000", "28 232", "1 000 000"]);
    assert_eq!(shown(&[u64::MAX, 5]), "unlimited  5");
}
