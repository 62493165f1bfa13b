//! Machines that are changed and put back, byte for byte.

use std::collections::BTreeMap;

use super::*;
use crate::tuning::files;
use crate::tuning::goal::{Ends, Goal};
use crate::tuning::recommendation::Recommendation;
use crate::tuning::tree::Tree;

/// Every file of the tree with its bytes, and every folder.
fn bytes(tree: &Tree) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.insert(path.display().to_string(), Vec::new());
                walk(&path, found);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(Path::new(tree.path()), &mut found);
    found
}

/// As `throng tune --connections N --apply` does it.
fn tuned(tree: &Tree, connections: u64) -> Vec<Step> {
    let host = Host::read(&tree.root());
    let state = State::load(&tree.root(), &host)
        .unwrap()
        .unwrap_or_default();
    let goal = Goal::new(connections, Ends::Both, 2);
    let recommendation = Recommendation::new(&goal, &host, &state.original(&host));
    let files = files::of(&recommendation, "a test");
    apply(&tree.root(), &host, &recommendation.settings, &files).unwrap()
}

fn undone(tree: &Tree) -> Option<Vec<Step>> {
    undo(&tree.root(), &Host::read(&tree.root())).unwrap()
}

fn all_done(steps: &[Step]) -> bool {
    !steps.is_empty() && steps.iter().all(|step| matches!(step, Step::Done(_)))
}

const SOMAXCONN: &str = "proc/sys/net/core/somaxconn";

#[test]
fn what_is_undone_is_as_before_to_the_byte() {
    let tree = Tree::stock(24 << 30);
    tree.write("proc/sys/net/ipv4/tcp_mem", "287901\t383869\t575802\n");
    tree.write(files::SYSCTL_FILE, "# mine\nvm.swappiness = 1");
    let before = bytes(&tree);
    assert!(all_done(&tuned(&tree, 1_000_000)));
    assert_ne!(bytes(&tree), before);
    assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("16384\n"));
    assert!(
        tree.text(files::SYSCTL_FILE)
            .unwrap()
            .contains("net.core.somaxconn = 16384")
    );
    assert!(all_done(&undone(&tree).unwrap()));
    assert_eq!(bytes(&tree), before);
    assert!(undone(&tree).is_none(), "nothing is left to undo");
}

#[test]
fn a_second_run_changes_nothing_and_a_larger_one_keeps_the_first_state() {
    let tree = Tree::stock(24 << 30);
    let before = bytes(&tree);
    tuned(&tree, 300_000);
    let once = bytes(&tree);
    assert!(tuned(&tree, 300_000).is_empty());
    assert_eq!(bytes(&tree), once);
    assert!(all_done(&tuned(&tree, 2_000_000)));
    undone(&tree);
    assert_eq!(bytes(&tree), before);
}

#[test]
fn what_somebody_else_changed_since_stays_theirs() {
    let tree = Tree::stock(24 << 30);
    tuned(&tree, 1_000_000);
    tree.write(SOMAXCONN, "60000\n");
    tree.write(files::SYSCTL_FILE, "# edited\n");
    let steps = undone(&tree).unwrap();
    let foreign: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Foreign(changed, _) => Some(changed.name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(foreign, ["net.core.somaxconn", files::SYSCTL_FILE]);
    assert_eq!(tree.text(SOMAXCONN).as_deref(), Some("60000\n"));
}

#[test]
fn a_setting_that_cannot_be_written_is_said_and_not_remembered() {
    let tree = Tree::stock(24 << 30);
    let host = Host::read(&tree.root());
    let setting = |name, value| Setting {
        name,
        now: None,
        before: None,
        value,
    };
    let settings = [
        setting("net.core.nowhere", vec![1]),
        setting("net.core.somaxconn", vec![9000]),
    ];
    // A folder stands where the file would be.
    fs::create_dir_all(tree.root().path("proc/sys/net/core/nowhere")).unwrap();
    let before = bytes(&tree);
    let steps = apply(&tree.root(), &host, &settings, &[]).unwrap();
    assert!(matches!(&steps[0], Step::Failed(name, _) if name == "net.core.nowhere"));
    assert!(matches!(&steps[1], Step::Done(_)));
    let state = State::load(&tree.root(), &host).unwrap().unwrap();
    assert_eq!(state.settings.len(), 1);
    assert!(all_done(&undone(&tree).unwrap()));
    assert_eq!(bytes(&tree), before);
}

#[test]
fn settings_without_files_end_with_their_boot() {
    let tree = Tree::stock(24 << 30);
    tree.write("proc/sys/kernel/random/boot_id", "one\n");
    let host = Host::read(&tree.root());
    let setting = Setting {
        name: "net.core.somaxconn",
        now: None,
        before: None,
        value: vec![9000],
    };
    apply(&tree.root(), &host, &[setting], &[]).unwrap();
    let state = State::load(&tree.root(), &host).unwrap().unwrap();
    assert_eq!(
        state.original(&host).sysctl("net.core.somaxconn"),
        Some(4096)
    );
    tree.write("proc/sys/kernel/random/boot_id", "two\n");
    assert!(undone(&tree).is_none());
}
