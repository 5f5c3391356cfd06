# A USB serial device (a gadget on the kernel's dummy host controller) that is pulled and put in again: link-gadget.sh FPS FRAMES ROUNDS PULLS
# The board's one processor runs both ends of the cable and the USB host between them. So the program is also watched without a link, in peace and while the
# same cable is pulled as often: what is left then is the link's own.
set -eu
for module in dummy_hcd cdc-acm libcomposite usb_f_acm; do modprobe -d "$MODS" $module; done
mount -t configfs config /sys/kernel/config
exec python3 "$REPO/tests/lab/link_cable.py" board /dev/ttyACM0 "$@"
