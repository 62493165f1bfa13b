#!/usr/bin/env bash
# The record, in one command: N WebSocket connections, both ends on this machine, proven alive.
#
#   benches/million.sh                         1 000 000 connections, held 5 minutes
#   benches/million.sh 50000 --hold 15s        a small one
#
#   --alone TIME     first only the active ones, with their traffic: what to compare with (default 1m)
#   --hold TIME      after the ramp: heartbeats, and the same traffic on top (default 5m)
#   --ramp N/s       connects per second (default 45k/s)
#   --heartbeat TIME how often each connection is proven alive (default 25s)
#   --active N       connections that echo (default 10k, at most a tenth)
#   --rate N/s       their messages, at intended times (default 20k/s)
#   --report DIR     where the bundle goes (default benches/results/DATE-N)
#   --port PORT      of the server (default 9000)
#   --tls            over wss, with a certificate made for this run (ramp then 1700/s by default)
#   --tls-resume     the same, and the generator resumes sessions (ramp then 2300/s by default)
#   --rooms SIZE     over the hub: every connection is a user with a token of its own, subscribed to a room of SIZE
#                    in the Centrifuge protocol (ramp then 10k/s by default, less with --tls)
#   --deliveries N/s with --rooms: what all members together hear (default 20000/s)
#
# It asks the doctor first and sets, as root and for this run only, what is missing (stage.sh), starts
# server and generator, and leaves a bundle: report.html, headline.png, summary.json, logs.
# Exit code: the generator's: 0 every connection was alive at the end and no answer was lost or wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/stage.sh

N=1000000 ALONE=1m HOLD=5m HEARTBEAT=25s RAMP='' ACTIVE='' RATE=20k/s REPORT='' PORT=9000 TLS='' RESUME=()
ROOMS='' DELIVERIES=20000/s

while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --alone | --hold | --heartbeat | --ramp | --active | --rate | --report | --port | --rooms | --deliveries)
            [[ $# -ge 2 ]] || die "$1 needs a value"
            case $1 in
                --alone) ALONE=$2 ;; --hold) HOLD=$2 ;; --heartbeat) HEARTBEAT=$2 ;; --ramp) RAMP=$2 ;; --active) ACTIVE=$2 ;;
                --rate) RATE=$2 ;; --report) REPORT=$2 ;; --port) PORT=$2 ;;
                --rooms) ROOMS=$2 ;; --deliveries) DELIVERIES=$2 ;;
            esac
            shift 2 ;;
        --tls) TLS=yes; shift ;;
        --tls-resume) TLS=yes RESUME=(--tls-resume); shift ;;
        [0-9]*) N=$1; shift ;;
        *) die "unknown: $1 (see --help)" ;;
    esac
done
N=$(count "$N")
[[ -n $ACTIVE ]] || ACTIVE=$((N / 10 < 10000 ? N / 10 : 10000))
[[ $ACTIVE =~ ^[0-9]+$ && $ACTIVE -lt $N ]] || die "--active is a plain number below $N"
[[ -z $ROOMS || $ROOMS =~ ^[0-9]+$ && $ROOMS -ge 2 && $ROOMS -le $N ]] || die "--rooms is a plain number, 2 or more"
[[ ${DELIVERIES%/s} =~ ^[0-9]+$ ]] || die "--deliveries is written 20000/s"
# A full handshake, the upgrade and the first heartbeat take 0.9 ms of both ends together (18 000 of them, idle, on
# two cores), resumed ones 0.67 ms: at these rates a quarter of the time is left, and nobody is measured starving.
[[ -n $RAMP ]] || case $TLS${RESUME[*]}${ROOMS:+rooms} in
    '') RAMP=45k/s ;; rooms) RAMP=10k/s ;; yes | yesrooms) RAMP=1700/s ;; *) RAMP=2300/s ;;
esac
PER_S=$(per_second "$RAMP")
RAMP_S=$(ramp_seconds "$N" "$PER_S")
ALONE_S=$(seconds "$ALONE")
HOLD_S=$(seconds "$HOLD")
HEARTBEAT_S=$(seconds "$HEARTBEAT")
[[ -n $REPORT ]] || REPORT=benches/results/$(date +%Y-%m-%d)-$N${TLS:+-tls}${ROOMS:+-rooms}
[[ ! -e $REPORT/summary.json ]] || die "$REPORT holds a report already: --report DIR"

cargo_build
prepare "$N"

LISTEN=(--listen "127.0.0.1:$PORT") SCHEME=ws TRUST=() GAUGE=$PORT
if [[ -n $TLS ]]; then
    "$THRONG" dev-cert --out "$WORK/tls" --name 127.0.0.1 >"$WORK/dev-cert"
    # Figures are read in the clear, beside.
    LISTEN=(--listen "127.0.0.1:$((PORT + 1))" --tls-listen "127.0.0.1:$PORT"
        --tls-cert "$WORK/tls/cert.pem" --tls-key "$WORK/tls/key.pem")
    SCHEME=wss GAUGE=$((PORT + 1)) TRUST=(--ca "$WORK/tls/ca.pem" "${RESUME[@]}")
fi

APP=(--app echo) TARGET="$SCHEME://127.0.0.1:$PORT/echo"
if [[ -n $ROOMS ]]; then
    TARGET="$SCHEME://127.0.0.1:$PORT/connection/websocket"
    (umask 077; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$WORK/secret")
    # Anonymous clients get nowhere, users into any room, and its members speak. What was said is kept for
    # those who come back.
    cat >"$WORK/throng.toml" <<TOML
[auth]
anonymous = "off"

[[auth.keys]]
algorithm = "HS256"
file = "$WORK/secret"

[[namespaces]]
name = "chat"
subscribe = "users"
publish = "subscribers"
history_size = 10
history_ttl = "1m"
TOML
    APP=(--config "$WORK/throng.toml" --app hub)
fi

# A little more than N: the kernel spreads connections over workers, but not evenly.
# It pings whom it has not heard for a while; the generator's heartbeats come first, so that each
# connection is proven by a question and its answer and not by two.
serve "${APP[@]}" "${LISTEN[@]}" --max-connections $((N + N / 50)) \
    --ping-interval $((HEARTBEAT_S + 35))s --drain-secs 5 --admin off

DURATION=$((ALONE_S + RAMP_S + HOLD_S))

cat >"$WORK/scenario.toml" <<TOML
name = "$N connections"
target = "$TARGET"
ramp = "$RAMP"
TOML
if [[ -n $ROOMS ]]; then
    DURATION=$((RAMP_S + HOLD_S))
    cat >>"$WORK/scenario.toml" <<TOML

[[cohort]]
name = "rooms"
kind = "chat"
connections = $N
room_size = $ROOMS
channel = "chat:room{room}"
token_secret = "$WORK/secret"
rate = "$((${DELIVERIES%/s} / ROOMS > 0 ? ${DELIVERIES%/s} / ROOMS : 1))/s"
size = "100"
heartbeat = "$HEARTBEAT"

[[phase]]
name = "the rooms fill"
duration = "${RAMP_S}s"
ends_when_open = true

[[phase]]
name = "the rooms chat"
duration = "${HOLD_S}s"
TOML
else
    cat >>"$WORK/scenario.toml" <<TOML

[[cohort]]
name = "quiet"
kind = "idle"
connections = $((N - ACTIVE))
heartbeat = "$HEARTBEAT"

[[cohort]]
name = "active"
kind = "echo"
connections = $ACTIVE
rate = "$RATE"
size = "64"
heartbeat = "$HEARTBEAT"

[[phase]]
name = "$ACTIVE alone"
duration = "${ALONE_S}s"
absent = ["quiet"]

[[phase]]
name = "the others arrive"
duration = "${RAMP_S}s"
ends_when_open = true
silent = ["active"]

[[phase]]
name = "among $N"
duration = "${HOLD_S}s"
TOML
fi

echo "== the run: at most ${DURATION} s"
status=0
"${INSIDE[@]}" "$LOADGEN" run --scenario-file "$WORK/scenario.toml" \
    --server-pid "$SERVER" --gauge "http://127.0.0.1:$GAUGE/stats#connections" "${TRUST[@]}" \
    --fail-if 'proven_alive<100%' --fail-if 'lost>0' --fail-if 'errors>0' --fail-if 'unsent>0' \
    --report "$REPORT" || status=$?

echo "== walls that were hit"
"${INSIDE[@]}" "$THRONG" doctor --connections "$N" --both-ends --since "$WORK/before.json" || true
echo "report: $REPORT/report.html"
exit "$status"
