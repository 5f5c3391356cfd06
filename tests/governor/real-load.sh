#!/bin/sh
# The governor on this machine's CPU under bursts of stress-ng, against fixed steps under the same bursts.
#
# usage: real-load.sh GOVERNOR_REAL [SECONDS-A-RUN [FPS [DEADLINE [WORKERS]]]]
# Out: one line of JSON a run. Bursts last 2 s in every 4 s. LOAD=cores takes all but one core away for these 2 s instead. NICE (default 0) is the niceness of both sides' session: on a machine that
# others use, a negative one keeps most of their load out of the measurement (start the script with setsid then).
set -eu
program=$1 seconds=${2:-15} fps=${3:-8} deadline=${4:-75ms@p99} workers=${5:-2}
command -v stress-ng >/dev/null || { echo "stress-ng is needed: apt-get install stress-ng" >&2; exit 2; }
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
trap '[ -z "$load" ] || { kill $load; wait $load; } 2>/dev/null || true' EXIT
few_and_many() {
    while :; do
        sleep 2
        taskset -apc "${cores%%[,-]*}" "$1" >/dev/null 2>&1 || true
        sleep 2
        taskset -apc "$cores" "$1" >/dev/null 2>&1 || true
    done
}
one() {
    "$program" --seconds "$seconds" --fps "$fps" --deadline "$deadline" "$@" & run=$!
    [ -n "$load" ] || { few_and_many $run & changes=$!; }
    # What has ended stays known to taskset until it is waited for: its exit cannot be what ends the changes.
    wait $run
    [ -n "$load" ] || kill $changes
}
# Short rounds in turn, so that whatever else the machine does falls on all alike.
for round in $(seq "${ROUNDS:-3}"); do
    one --halt model
    one --halt fixed:8
    for steps in ${STEPS:-1 2 3 4 6}; do one --free --halt fixed:$steps; done
done
