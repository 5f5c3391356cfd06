# A camera whose driver fills memory the GPU reads in place: pinned.sh FOLDER_OF_THE_STAND_IN NETWORK
set -eu
modprobe -d "$MODS" vivid n_devs=1 node_types=0x101 input_types=0x00
v4l2-ctl -d0 -c osd_text_mode=2
LD_LIBRARY_PATH="$1" exec "$LAB_GUEST_TOOL" pinned "$2"
