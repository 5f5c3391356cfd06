# A real film through v4l2loopback, watched by the release binary without naming a network: tests/lab/sight.py says what is kept and judges it.
set -eu
modprobe -d "$MODS" v4l2loopback devices=1 video_nr=9 exclusive_caps=0 max_width=1920 max_height=1080
ip link set lo up 2>/dev/null || ifconfig lo up
"$LAB_GUEST_TOOL" feed /dev/video9 MJPG 768 576 10 "$OUT"/pictures/*.jpg &
feeder=$!
sleep 1
result=0
python3 "$REPO/tests/lab/sight.py" watch "$LAB_GUEST_BINARY" /dev/video9?format=mjpeg "$OUT" || result=$?
kill $feeder
exit $result
