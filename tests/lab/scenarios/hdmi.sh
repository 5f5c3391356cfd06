# An HDMI input whose signal changes under way.
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x3
v4l2-ctl -d0 -c osd_text_mode=2
exec "$LAB_GUEST_TOOL" change 6
