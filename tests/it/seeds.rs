//! Replays the fuzz seeds: what a fuzzer once needed minutes to reach is checked on each run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use throng::{auth, dialect, http1, journal, proxy, reactor, tls, ws};

type Property = fn(&[u8]);

/// Each target beside the property it is one line of.
const TARGETS: &[(&str, Property)] = &[
    ("centrifuge_commands", dialect::fuzzing::centrifuge_commands),
    ("chat_request", dialect::fuzzing::chat_request),
    ("connection", reactor::fuzzing::connection),
    ("extension_header", ws::deflate::fuzzing::extension_header),
    ("frame_stream", ws::fuzzing::frame_stream),
    ("inflate", ws::deflate::fuzzing::inflate),
    ("journal", journal::fuzzing::journal),
    ("proxy_header", proxy::fuzzing::proxy_header),
    ("raw_path", dialect::fuzzing::raw_path),
    ("record_layer", tls::fuzzing::record_layer),
    ("request_head", http1::fuzzing::request_head),
    ("response_head", http1::fuzzing::response_head),
    ("tls_connection", tls::fuzzing::tls_connection),
    ("token", auth::fuzzing::token),
    ("utf8", ws::fuzzing::utf8),
];

fn fuzz_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// File names in a directory, without what follows the dot.
fn names_in(directory: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_seed_holds() {
    for (target, property) in TARGETS {
        let directory = fuzz_dir("seeds").join(target);
        let names = names_in(&directory);
        assert!(names.len() > 5, "{target} has {} seeds", names.len());
        for name in names {
            // Captured, and shown with the panic of a property that does not hold.
            println!("{target}/{name}");
            property(&fs::read(directory.join(name)).unwrap());
        }
    }
}

#[test]
fn every_target_is_one_line_and_has_seeds() {
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names_in(&fuzz_dir("targets")), known);
    assert_eq!(names_in(&fuzz_dir("seeds")), known);
    let manifest = fs::read_to_string(fuzz_dir("Cargo.toml")).unwrap();
    for name in &known {
        let source = fs::read_to_string(fuzz_dir("targets").join(format!("{name}.rs"))).unwrap();
        assert!(
            source.contains(&format!("fuzzing::{name}(bytes)")),
            "{source}"
        );
        assert_eq!(source.lines().count(), 2, "{source}");
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} has no [[bin]]"
        );
    }
}
