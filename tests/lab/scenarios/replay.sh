# 300 frames of the board's camera recorded with what was decided; then decided again from the recording.
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x1 input_types=0x00
v4l2-ctl -d0 -c osd_text_mode=2
rm -f "$OUT/board.mcap"
"$LAB_GUEST_BINARY" run --model pathfinder-hgru --source '/dev/video0?width=320&height=180&fps=10' --frames 300 --report json --record "$OUT/board.mcap" > "$OUT/live.jsonl"
"$LAB_GUEST_BINARY" run --model pathfinder-hgru --source "$OUT/board.mcap" --report json > "$OUT/replay.jsonl"
