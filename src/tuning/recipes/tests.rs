//! Files with good and bad advice.

use super::*;
use crate::tuning::tree::Tree;

fn found(tree: &Tree) -> Vec<Relic> {
    let host = Host::stock(24 << 30);
    relics(&assignments(&tree.root()), &host, &tree.root())
}

/// Each row of the table recognises the value that it warns of.
#[test]
fn every_piece_of_advice_is_recognised_where_it_is_copied() {
    for advice in ADVICE {
        let line = format!("{} = {}\n", advice.key, advice.copied);
        let tree = Tree::new(&[("etc/sysctl.d/50-c1m.conf", &line)]);
        let relics = found(&tree);
        assert_eq!(relics.len(), 1, "{line}");
        assert_eq!(relics[0].fault, advice.fault, "{line}");
        assert_eq!(relics[0].verdict, advice.verdict, "{line}");
    }
}

/// What the kernel has by itself is no bad advice, and neither is what we write.
#[test]
fn sound_values_are_left_in_peace() {
    for (name, value) in Host::stock(24 << 30).sysctls {
        let tree = Tree::new(&[(
            "etc/sysctl.d/a.conf",
            &format!("{name}={}", written(&value)),
        )]);
        let expected = usize::from(name == "net.ipv4.tcp_tw_reuse" && value == [1]);
        assert_eq!(found(&tree).len(), expected, "{name}");
    }
    let tree = Tree::new(&[(
        "etc/sysctl.d/a.conf",
        "net.ipv4.ip_local_port_range = 1024 65535\nnet.core.somaxconn = 65535\n",
    )]);
    assert_eq!(found(&tree), []);
}

#[test]
fn files_are_read_in_the_order_in_which_they_are_loaded() {
    let tree = Tree::new(&[
        ("usr/lib/sysctl.d/99-late.conf", "net.core.somaxconn = 3\n"),
        ("etc/sysctl.d/10-early.conf", "net.core.somaxconn = 1\n"),
        ("usr/lib/sysctl.d/10-early.conf", "net.core.somaxconn = 9\n"),
        ("run/sysctl.d/50-middle.conf", "-net/core/somaxconn = 2\n"),
        ("etc/sysctl.d/README", "net.core.somaxconn = 8\n"),
    ]);
    let lines = assignments(&tree.root());
    let values: Vec<_> = lines.iter().map(|line| line.value.as_str()).collect();
    assert_eq!(values, ["1", "2", "3"]);
    let last = at_next_start(&lines, "net.core.somaxconn").unwrap();
    assert_eq!(last.file, "/usr/lib/sysctl.d/99-late.conf");
    assert_eq!(at_next_start(&lines, "fs.file-max"), None);
}

#[test]
fn lines_are_understood() {
    let text = "\
# comment = 1
; another = 1
  net.ipv4.tcp_mem =  1\t2   3
net/ipv4/conf/eth0.100/rp_filter=2
net.ipv4.conf.*.rp_filter = 2
no assignment
";
    let lines = parse("/a.conf", text);
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.line, line.key.as_str(), line.value.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, "net.ipv4.tcp_mem", "1 2 3"),
            (4, "net.ipv4.conf.eth0.100.rp_filter", "2"),
        ]
    );
}

#[test]
fn a_setting_that_does_not_exist_is_told_where_proc_can_be_seen() {
    let line = ("etc/sysctl.d/a.conf", "net.ipv4.tcp_westwood = 1\n");
    assert_eq!(found(&Tree::new(&[line])), []);
    let tree = Tree::new(&[line, ("proc/sys/net/ipv4/tcp_sack", "1")]);
    assert_eq!(found(&tree)[0].fault, Fault::Gone);
}
