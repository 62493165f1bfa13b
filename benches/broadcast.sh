#!/usr/bin/env bash
# Does anybody notice a broadcast to everybody? Both ends on this machine.
#
#   benches/broadcast.sh [N]       one publishes to N subscribers (default 500 000), again and again
#
# Beside them 1 000 connections, each alone in its channel, echo 2 000 messages a second, timed first while
# the others are silent and then while they are published to. What is asked is how long the server lets them
# wait, so the generators, which stand for other machines, do not compete with it for the cores: the one that
# measures comes first (chrt), the one that reads N deliveries last (nice). Beside it the floor: what a thread
# waits that comes first, too, and only sleeps (sleeper.py). It is the kernel's time for all those sockets.
#
#   --every TIME   between two publications, 1s or more (default 15s)
#   --for TIME     each of the two measurements (default 40s)
#   --ramp N/s     connects per second (default 15k/s)
#   --port PORT    of the server (default 9000)
#   --equal        server and generators compete: what they wait for each other is in the figures, too
#
# Exit code: 0 when every delivery and every echo came.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/stage.sh

N=500000 EVERY=15s SPAN=40s RAMP=15k/s PORT=9000
FIRST=(chrt -f 1) LAST=(nice -n 19)
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --every | --for | --ramp | --port)
            [[ $# -ge 2 ]] || die "$1 needs a value"
            case $1 in --every) EVERY=$2 ;; --for) SPAN=$2 ;; --ramp) RAMP=$2 ;; --port) PORT=$2 ;; esac
            shift 2 ;;
        --equal) FIRST=() LAST=(); shift ;;
        [0-9]*) N=$1; shift ;;
        *) die "unknown: $1 (see --help)" ;;
    esac
done
N=$(count "$N")
SPAN_S=$(seconds "$SPAN")
EVERY_S=$(seconds "$EVERY")
PER_S=$(per_second "$RAMP")
RAMP_S=$(ramp_seconds "$N" "$PER_S")

# Asked now, not after everybody has come.
"${FIRST[@]}" true || die "no real-time priority for the generator that measures (see CAP_SYS_NICE): --equal does without"

cargo_build
prepare "$((N + 1000))"
# Nobody is told who joins: among so many that would be a broadcast for each.
serve --config benches/fanout.toml --app hub --listen "127.0.0.1:$PORT" --max-connections $((N + N / 50 + 2000)) --ping-interval 135s --admin off

cat >"$WORK/scenario.toml" <<TOML
name = "one to $N"
target = "ws://127.0.0.1:$PORT/raw/everybody"
ramp = "$RAMP"

[[cohort]]
name = "everybody"
kind = "broadcast"
connections = $N
publishers = 1
rate = "$(awk -v every="$EVERY_S" 'BEGIN { printf "%.4f", 1 / every }')/s"
size = "100"
heartbeat = "100s"

[[phase]]
name = "arrival"
duration = "${RAMP_S}s"
ends_when_open = true
silent = ["everybody"]

[[phase]]
name = "silence"
duration = "$((SPAN_S + 10))s"
silent = ["everybody"]

[[phase]]
name = "broadcast"
duration = "$((SPAN_S + 10))s"
TOML
"${LAST[@]}" "${INSIDE[@]}" "$LOADGEN" run --scenario-file "$WORK/scenario.toml" --server-pid "$SERVER" --answer-timeout 60s \
    --fail-if 'lost>0' --fail-if 'errors>0' >"$WORK/broadcast" 2>&1 &
GENERATOR=$!

STATUS=0
echoes() { # while what goes on
    phase_begins "$1" "$WORK/broadcast"
    local status=0 sleeper=''
    if [[ ${#FIRST[@]} -gt 0 ]]; then
        "${FIRST[@]}" python3 benches/sleeper.py "$SPAN_S" >"$WORK/sleeper" &
        sleeper=$!
    fi
    "${FIRST[@]}" "${INSIDE[@]}" "$LOADGEN" run --scenario echo --target "ws://127.0.0.1:$PORT/raw/echo{n}" --source 127.255.0.1 \
        --connections 1000 --rate 2000/s --duration "${SPAN_S}s" --threads 1 --fail-if 'lost>0' --fail-if 'errors>0' \
        >"$WORK/echo" 2>&1 || status=$?
    # 3 is the generator's own limit, which is said beside.
    [[ $status == 0 || $status == 3 ]] || STATUS=1
    echo "== 1 000 echo, $1"
    grep -E '^response|warning|failed|errors' "$WORK/echo" || true
    if [[ -n $sleeper ]] && wait "$sleeper"; then cat "$WORK/sleeper"; fi
}
echoes silence
echoes broadcast

wait "$GENERATOR" || STATUS=1
GENERATOR=''
echo "== one to $N"
grep -vE '^ +[0-9.]+ s |^phase:' "$WORK/broadcast" || true
exit $STATUS
