# 300 frames of the board's camera under a deadline and a power budget, beside other work, recorded; then decided again without all of these.
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x1 input_types=0x00
v4l2-ctl -d0 -c osd_text_mode=2
modprobe -d "$MODS" labi2c
modprobe -d "$MODS" ina3221
rm -f "$OUT"/board*.mcap
PYTHONDONTWRITEBYTECODE=1 python3 "$REPO/tests/lab/replay_budget.py" "$LAB_GUEST_BINARY" "$OUT" 300
rmmod ina3221
"$LAB_GUEST_BINARY" run --source "$OUT/board.mcap" --halt fixed:6 --report json > "$OUT/replay.jsonl"
