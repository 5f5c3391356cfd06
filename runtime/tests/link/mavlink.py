"""Reads a recorded MAVLink stream with pymavlink and counts frames, good and bad.

usage: mavlink.py FILE
"""

import collections
import os
import sys

os.environ["MAVLINK20"] = "1"
from pymavlink.dialects.v20 import common  # noqa: E402

with open(sys.argv[1], "rb") as stream:
    data = stream.read()
link = common.MAVLink(None)
link.robust_parsing = True
messages = link.parse_buffer(data) or []
bad = [message for message in messages if message.get_type() in ("BAD_DATA", "UNKNOWN")]
kinds = collections.Counter(message.get_type() for message in messages)
length = sum(len(message.get_msgbuf()) for message in messages)
for message in messages:
    if message.get_type() == "OBSTACLE_DISTANCE":
        assert message.frame == common.MAV_FRAME_BODY_FRD and len(message.distances) == 72, message
    if message.get_type() == "HEARTBEAT":
        assert message.type == common.MAV_TYPE_ONBOARD_CONTROLLER, message
assert length == len(data), f"{len(data) - length} bytes lie outside frames"
print(f"{len(messages) - len(bad)} frames, {len(bad)} bad, {link.total_receive_errors} receive errors: {dict(kinds)}")
sys.exit(1 if bad or link.total_receive_errors else 0)
