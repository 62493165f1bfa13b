#!/bin/sh
# Fuzzes one target, or each in turn, and stops at the first finding.
#
#   fuzz/run.sh [TARGET|all] [SECONDS]          (default: all, 60 s each)
#
# A target is one line in targets/; the property it checks lives in the crate, in the `fuzzing`
# module that line names. Inputs start from seeds/TARGET, which `cargo test` replays as well, and
# grow in corpus/TARGET. A finding is left in findings/TARGET: once fixed, add it to the seeds.
#
# Coverage and AddressSanitizer are compiler flags that a stable toolchain hides; nightly is used
# if it is installed, otherwise RUSTC_BOOTSTRAP=1 unlocks them. libFuzzer itself needs a C++
# compiler. cargo-fuzz is not needed, and works too: `cargo fuzz run TARGET`.
set -eu
cd "$(dirname "$0")"

target=${1:-all}
seconds=${2:-60}

all() { ls targets | sed 's/\.rs$//'; }

case "$target" in
  -h|--help) sed -n '2,12s/^# \{0,1\}//p' run.sh; exit 0 ;;
  all) targets=$(all) ;;
  *)
    if [ ! -f "targets/$target.rs" ]; then
      echo "no target $target; there are:" $(all) >&2
      exit 2
    fi
    targets=$target ;;
esac

if cargo +nightly --version >/dev/null 2>&1; then
  cargo="cargo +nightly"
else
  cargo=cargo
  export RUSTC_BOOTSTRAP=1
fi
host=$(rustc -vV | sed -n 's/^host: //p')

# One codegen unit: the coverage counters of a crate end up in one section, in one order.
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Zsanitizer=address -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# --target keeps these flags away from build scripts.
bins=$(for one in $targets; do printf -- '--bin %s ' "$one"; done)
$cargo build --release --target "$host" $bins

# AddressSanitizer keeps freed memory out of use, 256 MB of it unless told: that is not ours to limit.
export ASAN_OPTIONS="${ASAN_OPTIONS:-quarantine_size_mb=64}"
for one in $targets; do
  mkdir -p "corpus/$one" "findings/$one"
  "target/$host/release/$one" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -max_len=4096 \
    -print_final_stats=1 -artifact_prefix="findings/$one/" "corpus/$one" "seeds/$one"
done
