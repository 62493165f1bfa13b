#!/usr/bin/env bash
# Checks everything, in the order in which failures are cheapest to find.
#
#   tests/run.sh            all stages
#   tests/run.sh clippy     only the stages named (tools, fetch, fmt, clippy, test, docs, deny)
#
# Needs Cargo (from rustup) and a C linker. As root on Debian it installs a missing linker,
# systemd-analyze, and what the server and the load generator are tested with: Node, Python's venv,
# Chromium, Prometheus' promtool, GnuTLS, NSS, a JDK, gdb, curl. With CI=true also a missing cargo-deny, which takes minutes. Without
# a network it works with what is there. It stops at the first stage that fails.
set -uo pipefail
cd "$(dirname "$0")/.."

STAGES=(tools fetch fmt clippy test docs deny)
# Kept to the 0.20 series: a newer one may read deny.toml differently.
DENY_VERSION='^0.20'

stage_tools() {
    if ! command -v cargo >/dev/null; then
        explain "Cargo is missing: install Rust from https://rustup.rs"
        return 1
    fi
    if ! command -v cc >/dev/null; then
        install_packages build-essential || return 1
    fi
    # Peers for the TLS tests, which pass without them, but then prove less.
    if ! command -v openssl >/dev/null || ! command -v python3 >/dev/null; then
        install_packages openssl python3 || explain "without openssl and python3: TLS is not tested with them"
    fi
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        install_component "${component/#fmt/rustfmt}" || return 1
    done
    # One test asks systemd-analyze about the unit we ship, and says loudly when it cannot.
    if ! command -v systemd-analyze >/dev/null && [[ $EUID -eq 0 ]]; then
        install_packages systemd || NOTE="systemd-analyze is missing: the unit's exposure is not checked"
    fi
    cargo --version
    cargo clippy --version
    other_programs
}

# What both programs are driven and read with. Their tests say what they skip.
other_programs() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    command -v chromium chromium-browser google-chrome >/dev/null || missing+=(chromium)
    # Its promtool reads our metrics.
    command -v promtool >/dev/null || missing+=(prometheus)
    # Other people's TLS, and what looks for keys in a core dump.
    command -v gnutls-cli >/dev/null || missing+=(gnutls-bin)
    command -v tstclnt >/dev/null || missing+=(libnss3-tools)
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    command -v gcore >/dev/null || missing+=(gdb)
    command -v curl >/dev/null || missing+=(curl)
    [[ ${#missing[@]} -eq 0 ]] && return
    install_packages "${missing[@]}" || explain "tests will be skipped for want of ${missing[*]}"
}

# Afterwards nothing needs the network. Without one, the crates of an earlier run will do.
stage_fetch() {
    if ! cargo fetch --locked; then
        echo "no registry; trying with the crates that are there"
        cargo fetch --locked --offline || {
            explain "crates are missing, and the registry cannot be reached (or Cargo.lock is not current)"
            return 1
        }
    fi
    export CARGO_NET_OFFLINE=true
    local tool
    for tool in node python cent centrifuge centrifuge-python; do
        loadgen/tests/tools.sh "$tool" "$(realpath -m "${CARGO_TARGET_DIR:-target}")/tmp" ||
            explain "no $tool to test with; those tests will be skipped"
    done
}

stage_fmt() { cargo fmt --all --check || { explain "run 'cargo fmt --all'"; return 1; }; }

stage_clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

stage_test() { cargo test --workspace --locked; }

# A link in a comment is a promise to the reader; private items are for readers of the code.
stage_docs() {
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
        cargo doc --workspace --no-deps --document-private-items --locked
}

stage_deny() {
    if ! cargo deny --version >/dev/null 2>&1; then
        if [[ ${CI:-} != true ]]; then
            skip "cargo-deny is missing: cargo install cargo-deny --locked"
            return 0
        fi
        echo "installing cargo-deny; this takes minutes"
        CARGO_NET_OFFLINE=false cargo install cargo-deny --locked --version "$DENY_VERSION" || return 1
    fi
    cargo deny --workspace check --hide-inclusion-graph licenses bans sources
}

install_packages() {
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        explain "a package is missing: install $* (Debian: apt-get install $*)"
        return 1
    fi
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

install_component() {
    if ! command -v rustup >/dev/null; then
        explain "$1 is missing, and so is rustup, which would install it"
        return 1
    fi
    rustup component add "$1"
}

# The sentence that the summary shows beside a stage.
explain() { NOTE=$1; }
skip() { NOTE=$1; RESULT=skipped; }

SUMMARY=()

run_stage() {
    local name=$1 began=$SECONDS status
    NOTE='' RESULT=passed
    printf '\n== %s\n' "$name"
    # Neither in a condition nor in a subshell: stages set variables for those after them.
    "stage_$name"
    status=$?
    [[ $status -ne 0 ]] && RESULT="FAILED ($status)"
    SUMMARY+=("$(printf '%-8s %-12s %4d s  %s' "$name" "$RESULT" $((SECONDS - began)) "$NOTE")")
    return $status
}

main() {
    local wanted=("$@") name status=0
    [[ $# -eq 0 ]] && wanted=("${STAGES[@]}")
    for name in "${wanted[@]}"; do
        if [[ " ${STAGES[*]} " != *" $name "* ]]; then
            echo "no stage '$name'; there are: ${STAGES[*]}" >&2
            return 2
        fi
    done
    for name in "${wanted[@]}"; do
        run_stage "$name" || { status=1; break; }
    done
    printf '\n== summary\n'
    printf '%s\n' "${SUMMARY[@]}"
    if [[ $status -ne 0 ]]; then
        printf 'stage "%s" failed; its output is above. To repeat it alone: tests/run.sh %s\n' "$name" "$name"
    fi
    return $status
}

main "$@"
