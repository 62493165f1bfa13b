#!/usr/bin/env bash
# Three troubles, both ends on this machine: does anybody pay for them who should not?
#
#   benches/trouble.sh                        all three, among 200 000 connections
#   benches/trouble.sh 1000000 --only drain   one of them, among a million
#
#   stall   the server is stopped (SIGSTOP) for 15 s and goes on: everybody must still be there, nobody new
#   storm   all are cut at once by a reset and come back as fast as they can: time until 50, 99 and 100 % are back,
#           and the server's memory before and after
#   drain   SIGTERM: everybody is told goodbye and gone within the drain time, exit code 0
#
#   --only WORD      stall, storm or drain
#   --drain TIME     over which SIGTERM closes everybody (default 10s; both ends on two cores need 50 s for a million)
#   --ramp N/s       connects per second (default 45k/s), also of those who come back
#   --port PORT      of the server (default 9000)
#   --report DIR     where the bundles go (default: nowhere)
#
# Exit code: 0 when every line says ok.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/stage.sh

N=200000 RAMP=45k/s PORT=9000 ONLY='' REPORT='' DRAIN=10s
STALL_S=15
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --only | --ramp | --port | --report | --drain)
            [[ $# -ge 2 ]] || die "$1 needs a value"
            case $1 in --only) ONLY=$2 ;; --ramp) RAMP=$2 ;; --port) PORT=$2 ;; --report) REPORT=$2 ;; --drain) DRAIN=$2 ;; esac
            shift 2 ;;
        [0-9]*) N=$1; shift ;;
        *) die "unknown: $1 (see --help)" ;;
    esac
done
N=$(count "$N")
[[ -z $ONLY || " stall storm drain " == *" $ONLY "* ]] || die "--only is stall, storm or drain, not $ONLY"
PER_S=$(per_second "$RAMP")
DRAIN_S=$(seconds "$DRAIN")
RAMP_S=$(ramp_seconds "$N" "$PER_S")

cargo_build
prepare "$N"
FAILED=0
LOG=$WORK/generator

verdict() { # ok-or-not, and what was seen
    local word=ok
    [[ $1 == 0 ]] || { word='NOT OK' FAILED=1; }
    echo "$2: $word"
}

# By the generator's own account, which it reconciles with the kernel's.
all_there() { grep -E '^ +[0-9.]+ s ' "$LOG" | tail -1 | grep -q "connected $N "; }
resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$SERVER/status"; }

start_server() {
    serve --app echo --listen "127.0.0.1:$PORT" --max-connections $((N + N / 50)) \
        --ping-interval 60s --pong-timeout 30s --drain-secs ${DRAIN_S}s --admin off
    EMPTY_KIB=$(resident_kib)
}

# Everybody arrives; then, for SECONDS, what the second phase of the scenario says.
start_generator() { # name, cohort's kind, seconds, more of the phase
    local report=()
    [[ -z $REPORT ]] || report=(--report "$REPORT/$1")
    cat >"$WORK/scenario.toml" <<TOML
name = "$1 among $N"
target = "ws://127.0.0.1:$PORT/echo"
ramp = "$RAMP"

[[cohort]]
name = "all"
kind = $2
connections = $N
heartbeat = "25s"

[[phase]]
name = "arrival"
duration = "${RAMP_S}s"
ends_when_open = true

[[phase]]
name = "$1"
duration = "$3s"
$4
TOML
    # The stall comes between heartbeats and their answers, and is no reason to give up.
    "${INSIDE[@]}" "$LOADGEN" run --scenario-file "$WORK/scenario.toml" --server-pid "$SERVER" --alive-window 60s --answer-timeout 45s \
        "${report[@]}" \
        --fail-if 'proven_alive<100%' >"$LOG" 2>&1 &
    GENERATOR=$!
    phase_begins "$1" "$LOG"
    echo "$N are there, $((($(resident_kib) - EMPTY_KIB) * 1024 / N)) bytes of the server's memory for each"
}

wait_for_generator() {
    local status=0
    wait "$GENERATOR" || status=$?
    GENERATOR=''
    return $status
}

stall() {
    echo "== stall: the server stands still for $STALL_S s among $N"
    start_server
    start_generator stall '"idle"' 75 ''
    kill -STOP "$SERVER"
    sleep "$STALL_S"
    kill -CONT "$SERVER"
    local status=0
    wait_for_generator || status=$?
    grep -E 'proven alive in|failed' "$LOG" || true
    verdict $((status != 0)) "everybody was proven alive after it"
    stop_server
}

storm() {
    echo "== storm: all $N are cut at once and come back"
    start_server
    start_generator storm $'"storm"\nbackoff = "immediate"' $((RAMP_S + 20)) $'cut = "100%"\nby = "rst"'
    local before after=0 now status=0
    before=$(resident_kib)
    while kill -0 "$GENERATOR" 2>/dev/null; do
        now=$(resident_kib)
        all_there && after=$now
        sleep 1
    done
    wait_for_generator || status=$?
    grep -E '^ *storm:' "$LOG" | tail -1 || true
    verdict $((status != 0)) "everybody came back"
    # A sixteenth for what the allocator keeps in hand.
    verdict $((after == 0 || after > before + before / 16)) "memory $before KiB before, $after KiB after"
    stop_server
}

drain() {
    echo "== drain: SIGTERM with $N there, to be gone in $DRAIN_S s"
    start_server
    start_generator drain '"idle"' $((DRAIN_S + 120)) ''
    local began=$EPOCHREALTIME status=0 code=0
    kill -TERM "$SERVER"
    wait "$SERVER" || code=$?
    SERVER='' status=$code
    local took
    took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
    # Those who are told last have --close-timeout (3 s) to say goodbye, too.
    [[ ${took%.*} -lt $((DRAIN_S + 4)) ]] || status=1
    verdict $status "gone after $took s, exit code $code"
    kill -INT "$GENERATOR" 2>/dev/null || true
    wait_for_generator || true
    grep -E 'closed' "$LOG" | tail -2 || true
}

for trouble in stall storm drain; do
    [[ -n $ONLY && $ONLY != "$trouble" ]] || "$trouble"
done
exit $FAILED
