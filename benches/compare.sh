#!/bin/sh
# The comparison with the peers, in one command: builds everybody, then hands over to the driver,
# which measures and prints the table. `--help` says what can be asked for, README.md beside this
# file how to read the answer.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
peers=$here/peers

for word in "$@"; do
    case $word in
        -h | --help) exec cat "$peers/driver/src/help.txt" ;;
    esac
done

say() { printf 'compare: %s\n' "$*" >&2; }

# Installs Debian packages where that is possible, and otherwise says what is missing.
require() {
    say "missing: $*"
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing them with apt-get"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        say "install them first, on Debian: apt-get install $*"
        exit 1
    fi
}

has_header() { printf '#include <%s>\n' "$1" | g++ -E -x c++ - >/dev/null 2>&1; }
has_libclang() { ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib*/libclang.so* \
    /usr/lib/*/libclang-*.so* 2>/dev/null | grep -qv -- libclang-cpp; }

[ "$(nproc)" -ge 2 ] || { say "two cores are needed: one for the server, one for the client"; exit 1; }
command -v cargo >/dev/null || { say "cargo is needed: https://rustup.rs"; exit 1; }

# uWebSockets is C++ and its crate reads the headers with libclang.
missing=
command -v g++ >/dev/null && command -v make >/dev/null || missing="$missing g++ make"
has_header zlib.h || missing="$missing zlib1g-dev"
has_libclang || missing="$missing libclang-dev"
# The counting modes lean on two tools; `all`, also when nothing is said, counts syscalls.
mode=all
for word in "$@"; do
    case $word in
        echo | idle | handshake | syscalls | instructions | fanout | all) mode=$word ;;
        --callgrind) mode=instructions ;;
    esac
done
case $mode in
    all | syscalls | fanout) command -v strace >/dev/null || missing="$missing strace" ;;
    instructions) command -v valgrind >/dev/null || missing="$missing valgrind" ;;
esac
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || require $missing

cd "$root"
say "building the product and the peers (the first time takes minutes)"
cargo build --release --quiet --bin throng
(cd "$peers" && cargo build --release --quiet)

# The servers die with the driver. What can be left over is the session's precedence (--prefer),
# when the driver is killed before it gives it back.
case " $* " in
    *" --prefer "*) trap 'echo 0 >/proc/self/autogroup' EXIT INT TERM ;;
esac
"$peers/target/release/driver" "$@"
