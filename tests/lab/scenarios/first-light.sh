# The release binary watches a real kernel camera: 100 frames, one result each.
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x1 input_types=0x00
v4l2-ctl -d /dev/video0 -c osd_text_mode=2
"$LAB_GUEST_BINARY" run --model pathfinder-hgru --source '/dev/video0?width=320&height=180&fps=5' --frames 100 --report json > "$OUT/first-light.jsonl"
