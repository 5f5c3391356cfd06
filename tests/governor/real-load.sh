#!/bin/sh
# The governor on this machine's CPU under bursts of stress-ng, against fixed steps under the same bursts.
#
# usage: real-load.sh [GOVERNOR_REAL [SECONDS-A-RUN [FPS [DEADLINE [WORKERS]]]]]
# Without GOVERNOR_REAL it is built first. WRITE=1 puts what was measured into README.md, between its marks. With nothing set it takes less than four minutes beside the building.
# Out: one line of JSON a run, then a table (real_load.py). Bursts last 2 s in every 4 s. LOAD=cores takes all but one core away for these 2 s instead.
# Without a DEADLINE, or with `auto`, it is the one that fixed:6 misses with 35 % of its frames under this very load: found by fixed:6 alone, before anything else runs.
# ROUNDS (2), STEPS (1 2 3 4 6). NICE (default 0) is the niceness of both sides' session: on a machine that others use, a negative one keeps most of their load out of the
# measurement (start the script with setsid then). RECSLOWFAST=BINARY also plays a film that stands still and moves under the same load, densely and by tiles (tiles_load.py).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-} seconds=${2:-13} fps=${3:-15} deadline=${4:-auto} workers=${5:-2}
command -v stress-ng >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends stress-ng; } >&2
if [ -z "$program" ]; then
    cargo build --release --quiet --manifest-path "$here/Cargo.toml" --bin governor-real
    program=$(cd "$here/../.." && realpath "${CARGO_TARGET_DIR:-target}")/release/governor-real
fi
before=$(cut -d' ' -f1 /proc/loadavg)
[ "${NICE:-0}" = 0 ] || echo "$NICE" > /proc/self/autogroup
bursts() {
    while :; do
        stress-ng --quiet --cpu "$workers" --cpu-method matrixprod --timeout 2 >/dev/null 2>&1
        sleep 2
    done
}
load=
case ${LOAD:-bursts} in
    bursts) bursts & load=$! ;;
    cores) cores=$(taskset -cp $$ | sed 's/.*: //') ;;
    *) echo "LOAD is bursts or cores, not $LOAD" >&2; exit 2 ;;
esac
lines=$(mktemp)
few_and_many() {
    while :; do
        sleep 2
        taskset -apc "${cores%%[,-]*}" "$1" >/dev/null 2>&1 || true
        sleep 2
        taskset -apc "$cores" "$1" >/dev/null 2>&1 || true
    done
}
one() {
    "$program" --seconds "$seconds" --fps "$fps" --deadline "$deadline" "$@" > "$lines.one" & run=$!
    [ -n "$load" ] || { few_and_many $run & changes=$!; }
    # What has ended stays known to taskset until it is waited for: its exit cannot be what ends the changes.
    wait $run
    [ -n "$load" ] || kill $changes
    cat "$lines.one"
}
trap 'rm -f "$lines" "$lines.one"; [ -z "$load" ] || { kill $load; wait $load; } 2>/dev/null || true' EXIT
if [ "$deadline" = auto ]; then
    deadline=1s@p99
    deadline=$(one --free --halt fixed:6 | sed 's/.*"age_p65_ms":\([0-9.]*\).*/\1ms@p99/')
    echo "deadline: $deadline, which fixed:6 alone misses with 35 % of its frames" | tee "$lines"
fi
# Short rounds in turn, so that whatever else the machine does falls on all alike.
for round in $(seq "${ROUNDS:-2}"); do
    one --halt model
    one --halt fixed:8
    for steps in ${STEPS:-1 2 3 4 6}; do one --free --halt fixed:$steps; done
done | tee -a "$lines"
table=$(python3 "$here/real_load.py" < "$lines")
echo "$table"
[ "${WRITE:-0}" != 1 ] || python3 "$here/real_load.py" write "$here/README.md" <<END
$(date +%F), $(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load average before it $before; $fps frames/s, runs of $seconds s in turn, ${LOAD:-bursts}:

$(echo "$table" | sed 's/^/    /')
END
[ -z "${RECSLOWFAST:-}" ] || python3 "$here/tiles_load.py" "$RECSLOWFAST" --workers 0
