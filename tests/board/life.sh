# The life of the package and its service, inside the virtual board. Each line of the result is `ok NAME` or `FAIL NAME: what was there`.
failures=0
# How many times slower than a board the emulation is; tests/board/life writes it.
slow=$(cat /io/slow 2>/dev/null || echo 1)
began() { echo "--- $(cut -d' ' -f1 /proc/uptime) s: $*"; }
ok() { echo "ok $*"; }
fail() { failures=$((failures + 1)); echo "FAIL $*"; }
# `within SECONDS NAME COMMAND...` tries COMMAND until it succeeds.
within() {
    seconds=$1 name=$2; shift 2
    until=$(($(cut -d. -f1 /proc/uptime) + seconds * slow))
    while ! "$@" >/dev/null 2>&1; do
        if [ "$(cut -d. -f1 /proc/uptime)" -ge $until ]; then
            fail "$name: not within $seconds s; $(systemctl show recslowfast -p ActiveState,SubState,StatusText,NRestarts,Result,ExecMainStatus | tr '\n' ' ')"
            return 1
        fi
        sleep 0.3
    done
    ok "$name"
}
check() { name=$1; shift; if "$@" >/dev/null 2>&1; then ok "$name"; else fail "$name: $*"; fi; }
show() { systemctl show recslowfast -p "$1" --value; }
journal() { journalctl -u recslowfast --no-pager -o cat --since "@$since"; }
said() { journal | grep -qF -- "$1"; }
status_has() { show StatusText | grep -qF -- "$1"; }
restarts_above() { [ "$(show NRestarts)" -gt "$1" ] && [ "$(show ActiveState)" = active ]; }
since=$(date +%s)
config=/etc/recslowfast/recslowfast.toml

began install
dpkg -i /io/recslowfast.deb || { fail "install: dpkg"; exit 1; }
check "installed: the user is there" getent passwd recslowfast
check "installed: the configuration is there" test -f $config
check "installed: the configuration is right" recslowfast check $config
check "installed: manual and completions are there" test -f /usr/share/man/man1/recslowfast.1.gz -a -f /usr/share/bash-completion/completions/recslowfast
systemd-analyze security --no-pager recslowfast.service 2>/dev/null | tail -1
check "installed: confined, an exposure of 3.0 at most" systemd-analyze security --no-pager --threshold=30 recslowfast.service

began doctor on the bare board
recslowfast doctor; echo "doctor exit $?"
# `tells STATE AREA FOUND FIX [USER]`: the doctor, as USER, says this of AREA and names this fix.
tells() {
    as=
    [ -z "${5:-}" ] || as="setpriv --reuid=$5 --regid=nogroup --clear-groups"
    line=$($as recslowfast doctor $2 2>/dev/null | tr -s ' \n' ' ')
    case $line in
    "$1 "*"$3"*fix:*"$4"*) ok "doctor: $3" ;;
    *) fail "doctor: '$3' and '$4' are not in: $line" ;;
    esac
}
well() { line=$(recslowfast doctor "$1" 2>/dev/null | tr -s ' \n' ' '); case $line in ok*"$2"*) ok "doctor: $2" ;; *) fail "doctor: '$2' is not in: $line" ;; esac; }
tells problem camera 'there is no /dev/video*' 'plug one in'
tells problem "model --model /nowhere/net" '/nowhere/net' '--model'
tells note gpu 'no CUDA driver' "install NVIDIA's driver"
tells note power 'no power sensor' 'modprobe ina3221'
well config "$config"

# An emulated processor may need longer for one frame than the watchdog waits.
if [ "$slow" -gt 1 ]; then
    mkdir -p /run/systemd/system/recslowfast.service.d
    printf '[Service]\nWatchdogSec=60\n' > /run/systemd/system/recslowfast.service.d/slow.conf
    systemctl daemon-reload
fi

began start without a camera
cat > $config <<'TOML'
[source]
uri = "/dev/video0"
[model]
name = "pathfinder-hgru"
halt = "fixed:1"
[engine]
kind = "cpu"
[report]
to = ["link:/dev/ttyS0@115200"]
TOML
start=$(date +%s%N)
systemctl start recslowfast || { fail "start: systemctl"; journalctl -u recslowfast --no-pager -o cat | tail; exit 1; }
echo "start to READY without a camera: $(( ($(date +%s%N) - start) / 1000000 )) ms (emulated)"
check "waiting: the status names the engine and the camera" status_has 'cpu engine, waiting for the camera'
began camera plugged in
modprobe vivid n_devs=1 node_types=0x1 input_types=0x00
within 90 "camera plugged in: results come" status_has ', age '
pid=$(show MainPID)
check "runs as its own user" sh -c "[ \$(stat -c %U /proc/$pid) = recslowfast ]"
# A worker of the engine may not be on its caller's processor; a single processor has no worker.
apart() { for task in /proc/$pid/task/*; do grep -qx engine-1 $task/comm && grep -q '^Cpus_allowed_list:[[:space:]][0-9]$' $task/status && return; done; return 1; }
[ "$(nproc)" = 1 ] || check "its engine threads are kept apart, confined as it is" apart
check "opens no port" sh -c "[ -z \"\$(ss -tulnH)\" ]"
began doctor beside the camera
recslowfast doctor; echo "doctor exit $?"
well camera '/dev/video0'
tells problem camera 'only root and group video may open it' 'usermod -aG video' nobody
tells problem groups 'not in video' 'usermod -aG video' nobody
if [ -e /dev/ttyAMA0 ]; then
    sleep 1000 < /dev/ttyAMA0 & holder=$!
    tells problem serial "busy, sleep (process $holder)" 'end sleep'
    kill $holder
fi

began hang
restarts=$(show NRestarts)
kill -STOP $pid
within 60 "hang: the watchdog ends it and it is started again" restarts_above $restarts
check "hang: the journal says so" sh -c "journalctl --no-pager | grep -q 'Watchdog timeout'"
within 90 "hang: results come again" status_has ', age '

began camera gone
pid=$(show MainPID)
echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
within 30 "camera gone: the status says so" status_has 'waiting for the camera'
sleep $((12 * (slow > 1 ? 6 : 1)))
check "camera gone: the same process waits on, past its watchdog's period" sh -c "[ $(show MainPID) = $pid ] && [ $(show ActiveState) = active ]"
echo vivid.0 > /sys/bus/platform/drivers/vivid/bind
within 60 "camera back: results come again" status_has ', age '
check "camera back: from the same process" test "$(show MainPID)" = "$pid"

began kill -9
restarts=$(show NRestarts)
kill -9 "$(show MainPID)"
within 60 "kill -9: started again" restarts_above $restarts
within 90 "kill -9: results come again" status_has ', age '

began reload
sed -i 's/fixed:1/fixed:2/' $config
systemctl reload recslowfast
within 20 "reload: the rule is applied" said 'applied: model.halt'

began stop
stop=$(date +%s%N)
systemctl stop recslowfast
took=$(( ($(date +%s%N) - stop) / 1000000 ))
echo "stop took $took ms (emulated)"
check "stop: within a second" test $took -le $((slow > 1 ? 1500 : 1000))
check "stop: a clean end" test "$(show Result)" = success

began a broken configuration
printf '[source]\nuri = "/dev/video0"\nfitt = "crop"\n[engine]\nkind = "gpu"\n' > $config.broken
cp $config $config.good; cp $config.broken $config
systemctl start recslowfast && fail "broken: it started"
sleep 4
check "broken: stays down" test "$(show ActiveState)" = failed
check "broken: exit code 3" test "$(show ExecMainStatus)" = 3
check "broken: the first line is named" said "$config:3:1: there is no key 'fitt' in [source]: did you mean 'fit'?"
check "broken: the second line is named" said "$config:5:8:"
mv $config.good $config; rm $config.broken
systemctl reset-failed recslowfast

began upgrade
systemctl start recslowfast
sha256sum $config > /run/config.sum
dpkg -i /io/newer.deb || fail "upgrade: dpkg"
check "upgrade: the configuration is kept" sha256sum -c /run/config.sum
check "upgrade: the service runs" test "$(show ActiveState)" = active
dpkg -s recslowfast | grep '^Version'

began remove and purge
dpkg -r recslowfast || fail "remove: dpkg"
check "remove: the service is down" sh -c "! pgrep -x recslowfast"
check "remove: the configuration is kept" test -f $config
dpkg -P recslowfast || fail "purge: dpkg"
left=$(find / -xdev \( -path /io -o -path /proc -o -path /run \) -prune -o -name '*recslowfast*' -print)
[ -z "$left" ] && ok "purge: nothing is left" || fail "purge: left: $left"
check "purge: the user is gone" sh -c "! getent passwd recslowfast"

began end
journalctl --no-pager -o short-monotonic > /io/journal
echo "failures: $failures"
[ $failures -eq 0 ]
