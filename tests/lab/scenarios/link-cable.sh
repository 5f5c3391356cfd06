# A serial device whose far end the host holds (tests/lab/link_cable.py): link-cable.sh DEVICE FPS FRAMES ROUNDS
# In each round the program watches FRAMES frames without a link, and then goes on with one until the host has pulled the cable often enough.
exec python3 "$REPO/tests/lab/link_cable.py" board "$@"
