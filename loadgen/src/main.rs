//! The load generator.
fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    let _ = std::fs::remove_dir_all(&dir);
    let summary = loadgen::synthetic::write(
        &dir,
        &loadgen::synthetic::Invention {
            thresholds: ["p99>50ms", "lost>0", "proven_alive<100%"]
                .iter()
                .filter_map(|t| loadgen::thresholds::Threshold::parse(t).ok())
                .collect(),
            ..Default::default()
        },
    );
    assert!(summary.is_ok());
}
