# One camera scenario on vivid as a webcam: camera.sh unplug 100 | stall 20 | errors | soak 90000
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x101 input_types=0x00
v4l2-ctl -d0 -c osd_text_mode=2
exec "$LAB_GUEST_TOOL" "$@"
