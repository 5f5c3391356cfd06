# One known picture through a real driver in every format: tests/lab/formats.py makes $OUT/pictures and judges what comes out.
# The tool waits until the driver shows exactly the picture. Lines of $OUT/pictures/list: NAME FOURCC WIDTH HEIGHT STRIDE DRIVER (vivid: its HDMI loop, or loopback)
set -eu
tool=$LAB_GUEST_TOOL
modprobe -d "$MODS" vivid n_devs=1 vid_cap_nr=0 vid_out_nr=1 node_types=0x101 num_inputs=1 input_types=0x3 num_outputs=1 output_types=0x1
v4l2-ctl -d0 --set-dv-bt-timings=index=0 > /dev/null
v4l2-ctl -d1 --set-dv-bt-timings=index=0 > /dev/null
v4l2-ctl -d0 -c osd_text_mode=2
v4l2-ctl -d0 -c loop_video=1
modprobe -d "$MODS" v4l2loopback devices=1 video_nr=9 exclusive_caps=0 max_width=1920 max_height=1080
while read -r name fourcc width height stride driver; do
    fourcc=$(echo "$fourcc" | tr _ ' ')
    picture=$OUT/pictures/$name.raw
    if [ "$driver" = vivid ]; then
        device=/dev/video0
        v4l2-ctl -d1 --set-fmt-video-out="width=$width,height=$height,pixelformat=$fourcc,colorspace=srgb" > /dev/null
        v4l2-ctl -d1 --stream-out-mmap=4 --stream-from="$picture" --stream-loop --stream-count=100000 > /dev/null 2>&1 &
    else
        device=/dev/video9
        "$tool" feed $device "$fourcc" "$width" "$height" 25 "$picture" &
    fi
    feeder=$!
    query="width=$width&height=$height&format=${name%%-[0-9]*}"
    [ "$stride" = 0 ] || query="$query&stride=$stride"
    result=ok
    "$tool" tensor "$device?$query" "$width" "$height" "$OUT/pictures/$name.same" "$picture" || result=failed
    "$tool" tensor "$device?$query" 150 150 "$OUT/pictures/$name.small" "$picture" > /dev/null || result=failed
    kill $feeder 2>/dev/null || true
    wait $feeder 2>/dev/null || true
    echo "$name: $result"
done < "$OUT/pictures/list"
