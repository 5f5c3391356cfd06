# Motion JPEG of a real film through v4l2loopback; every tenth picture is cut short or has bytes changed.
set -eu
modprobe -d "$MODS" v4l2loopback devices=1 video_nr=9 exclusive_caps=0 max_width=1920 max_height=1080
"$LAB_GUEST_TOOL" feed /dev/video9 MJPG 640 480 25 "$OUT"/mjpeg/*.jpg &
feeder=$!
sleep 1
result=0
"$LAB_GUEST_TOOL" corrupt /dev/video9?format=mjpeg 300 10 || result=$?
kill $feeder
exit $result
