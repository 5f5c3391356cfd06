# The kernel's own ina3221 driver on a virtual bus: its registers move as a board's would, and the governor follows. Best in virtual time
# (LAB_KERNEL_ARGS=time-travel=inf-cpu): then the host's load is no part of it.
set -eu
modprobe -d "$MODS" labi2c
modprobe -d "$MODS" ina3221
python3 "$REPO/tests/lab/power_board.py" "$LAB_GUEST_BINARY" "$OUT"
