# Sourced by the scripts beside it: both ends on this machine, ready for N connections, and put back at the end.
#
# `prepare N` asks the doctor and sets, as root and for this run only, what is missing. Both ends run in a
# network namespace made for them, because that can have a hash table for so many sockets without a
# reboot (the machine's own is sized at boot: at a million pairs, eight sockets share a slot, and looking
# them up was 10 % of all CPU time). `serve ARGS` starts the server in it. Whatever happens, `finish` puts
# everything back.
# shellcheck shell=bash disable=SC2034 # what is set here is used by who sources it

ME=$(basename "$0")
die() { echo "$ME: $1" >&2; exit 2; }

# The comment at the head of the script.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "benches/$ME"; }

# What is written on a command line as a number. One to an assignment of its own: of several, the shell
# would only notice that the last failed.
count() { # 200000
    [[ $1 =~ ^[0-9]+$ && $1 -ge 100 ]] || die "N is a plain number, 100 or more"
    echo "$1"
}

seconds() { # 5m
    [[ $1 =~ ^([0-9]+)(ms|s|m|h)$ ]] || die "a time is written 30s, 5m, 1h, not $1"
    local number=${BASH_REMATCH[1]}
    case ${BASH_REMATCH[2]} in ms) echo 1 ;; s) echo "$number" ;; m) echo $((number * 60)) ;; h) echo $((number * 3600)) ;; esac
}

per_second() { # 45k/s
    [[ $1 =~ ^([1-9][0-9]*)(k?)(/s)?$ ]] || die "a rate is written 10k/s, not $1"
    echo $((BASH_REMATCH[1] * (${#BASH_REMATCH[2]} ? 1000 : 1)))
}

# How long a ramp of N at PER_S may take: a slower machine takes its time, and what the ramp does not need
# the run does not wait for.
ramp_seconds() { echo $(($1 * 10 / $2 + 10)); }

cargo_build() { cargo build --release --locked --package throng --package loadgen; }
# Another build to compare with: THRONG=/path/to/throng benches/...
THRONG=${THRONG:-target/release/throng} LOADGEN=target/release/loadgen
WORK='' SERVER='' TUNED='' NAMESPACE='' GENERATOR=''
INSIDE=() # words that lead into the namespace

finish() {
    local status=$?
    trap - EXIT INT TERM
    if [[ -n $GENERATOR ]] && kill -TERM "$GENERATOR" 2>/dev/null; then wait "$GENERATOR" || true; fi
    stop_server
    if [[ -n $NAMESPACE ]]; then
        "${INSIDE[@]}" "$THRONG" tune --undo >"$WORK/undo" || true
        ip netns delete "$NAMESPACE" || true
    fi
    if [[ -n $TUNED ]]; then "$THRONG" tune --undo || true; fi
    rm -rf "$WORK"
    exit "$status"
}

tuned() { # in here, and in the namespace: some limits belong to one, some to the other
    "$@" "$THRONG" doctor --connections "$N" --both-ends && return 1
    "$@" "$THRONG" tune --connections "$N" --both-ends --apply --runtime || true
}

prepare() {
    local N=$1 knob=net.ipv4.tcp_child_ehash_entries before slots=1024
    WORK=$(mktemp -d)
    trap finish EXIT INT TERM
    echo "== the machine"
    if [[ $EUID -eq 0 ]]; then
        if tuned env; then TUNED=yes; fi
        if command -v ip >/dev/null && before=$(sysctl -n $knob 2>/dev/null); then
            while ((slots < 2 * N)); do slots=$((slots * 2)); done
            sysctl -q -w $knob=$slots
            if ip netns add "throng-$$"; then
                NAMESPACE=throng-$$ INSIDE=(ip netns exec "throng-$$")
                ip -n "$NAMESPACE" link set lo up
                echo "== the namespace: $slots slots for sockets"
                tuned "${INSIDE[@]}" >"$WORK/inside" || true
                grep -E -- '->|left|cannot' "$WORK/inside" || true
            fi
            sysctl -q -w $knob="$before"
        fi
    elif ! "$THRONG" doctor --connections "$N" --both-ends; then
        echo "not root: going on with the limits as they are"
    fi
    "${INSIDE[@]}" "$THRONG" doctor --connections "$N" --both-ends --json >"$WORK/before.json" || true
}

# The server with these arguments, and back when it listens on $PORT.
serve() {
    echo "== the server"
    "${INSIDE[@]}" "$THRONG" "$@" &
    SERVER=$!
    for _ in $(seq 100); do
        "${INSIDE[@]}" bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT" 2>/dev/null && return
        kill -0 "$SERVER" 2>/dev/null || { SERVER=''; die "the server did not start; its reason is above"; }
        sleep 0.1
    done
    die "the server does not listen on port $PORT after 10 s"
}

# Waits until the generator, whose output is in a file, is in a phase of that name.
phase_begins() {
    until grep -q "^phase: $1" "$2"; do
        kill -0 "$GENERATOR" 2>/dev/null || { tail -20 "$2" >&2; GENERATOR=''; die "the generator ended early"; }
        sleep 0.2
    done
}

stop_server() {
    if [[ -n $SERVER ]] && kill -TERM "$SERVER" 2>/dev/null; then wait "$SERVER" || true; fi
    SERVER=''
}
