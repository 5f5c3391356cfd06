# The dashboard on a virtual OLED and on the kernel's framebuffer, beside the same picture as a file. The OLED falls silent for a while and comes back.
set -eu
modprobe -d "$MODS" i2c-dev
modprobe -d "$MODS" labi2c
modprobe -d "$MODS" vfb vfb_enable=1 mode_option=320x240-"$1"@60
bus=$(grep -l labi2c /sys/bus/i2c/devices/i2c-*/name | sed 's|.*/i2c-\([0-9]*\)/name|\1|')
lab=/sys/kernel/debug/labi2c
rm -f "$OUT"/link-*
"$LAB_GUEST_BINARY" run --engine cpu --halt fixed:1 --source 'pathfinder:easy?seed=7&size=64&fps=10' --frames 60 --report json \
    --report "panel:ssd1306:/dev/i2c-$bus" --report "panel:png:$OUT/link-oled.png@128x64" \
    --report panel:fb:/dev/fb0 --report "panel:png:$OUT/link-fb.png@320x240" > "$OUT/link-panels.jsonl" 2> "$OUT/link-panels.log" &
run=$!
until grep -q on=1 $lab/oled_state; do sleep 0.1; done
sleep 1
echo 1 > $lab/nak
sleep 1
echo 0 > $lab/nak
wait $run
cp $lab/gddram "$OUT/link-gddram"
cat $lab/oled_state > "$OUT/link-oled-state"
cat /sys/class/graphics/fb0/bits_per_pixel > "$OUT/link-fb-bits"
cat /sys/class/graphics/fb0/stride > "$OUT/link-fb-stride"
cat /dev/fb0 > "$OUT/link-fb" || true
