# A USB serial device (a gadget on the virtual host controller) that is unplugged and plugged in again under load: link-usb.sh TIMES
set -eu
modprobe -d "$MODS" dummy_hcd
modprobe -d "$MODS" cdc-acm
modprobe -d "$MODS" usb_f_acm
rm -f "$OUT"/link-usb*
set -- "$1" run --engine cpu --halt fixed:1 --source 'pathfinder:easy?seed=7&size=64&fps=15' --report json
times=$1
shift
# As long without a link, for the comparison.
"$LAB_GUEST_BINARY" "$@" --frames 100 > "$OUT/link-usb-alone.jsonl" 2> "$OUT/link-usb-alone.log"
"$LAB_GUEST_BINARY" "$@" --report link:/dev/ttyACM0 > "$OUT/link-usb.jsonl" 2> "$OUT/link-usb.log" &
board=$!
python3 "$REPO/tests/lab/link-usb.py" guest "$times" "$MODS" > "$OUT/link-usb-returns" || { cat "$OUT/link-usb-returns" "$OUT/link-usb.log"; exit 1; }
kill $board
wait $board
