"""Reads the telegrams of recslowfast from any byte stream; only the standard library. The byte layout is in ../WIRE.md.

    for sequence, name, fields in telegrams(iter(lambda: port.read(1), b"")):
        print(sequence, name, fields)
"""
import zlib

DETECTION = (("class", "u"), ("score", "u"), ("track", "u"), ("left", "u"), ("top", "u"), ("width", "u"), ("height", "u"), ("area", "u"))
KINDS = {
    0x01: ("hello", "software:t board:t network:t address:t width:u height:u classes:u"),
    0x02: ("status", "frame:u uptime_ms:u camera:b engine:b mode:b paused:b steps:b limit:b limited_by:b stopped:b skip:b age_us:u deadline_us:u "
           "power_mw:ou power_budget_mw:ou temperature_cc:oi capture_cfps:u inference_cfps:u dropped:u recent:lb"),
    0x03: ("detections", "frame:u age_us:u found:u items:ld"),
    0x04: ("log", "level:b uptime_ms:u text:t"),
    0x05: ("class_name", "class:u name:t"),
    0x06: ("ack", "sequence:u kind:b result:b"),
    0x41: ("set_budget", "deadline_us:ou percentile_pm:ou power_mw:ou temperature_cc:oi"),
    0x42: ("set_mode", "mode:b"), 0x43: ("pause", ""), 0x44: ("resume", ""), 0x45: ("reset_state", ""), 0x46: ("ask_status", ""),
    0x47: ("set_report_rate", "status_period_ms:u detections_period_ms:u"), 0x48: ("ask_hello", ""),
}  # b byte, u varint, i zigzag varint, t text, o optional, l list, d detection


def take(data, shape):
    """One value of this shape off the front of the iterator."""
    if shape == "b":
        return next(data)
    if shape == "o" + shape[1:]:
        return take(data, shape[1:]) if next(data) else None
    if shape == "d":
        return {name: take(data, part) for name, part in DETECTION}
    if shape == "t":
        return bytes(next(data) for _ in range(take(data, "u"))).decode()
    if shape == "l" + shape[1:]:
        return [take(data, shape[1:]) for _ in range(take(data, "u"))]
    value = shift = 0
    while (byte := next(data)) > 127:
        value, shift = value | (byte & 127) << shift, shift + 7
    value |= byte << shift
    return value if shape == "u" else (value >> 1) ^ -(value & 1)


def telegrams(chunks):
    """Yields (sequence, name, fields) of every intact, known telegram; damaged and unknown ones are skipped."""
    waiting = b""
    for chunk in chunks:
        *frames, waiting = (waiting + chunk).split(b"\0")
        for frame in frames:
            packet = b""
            while frame:
                packet += frame[1:frame[0]] + (b"\0" if frame[0] < 255 else b"")
                frame = frame[frame[0]:]
            packet, crc = packet[:-5], packet[-5:-1]  # a last zero that stuffing put behind the end goes too
            name, shapes = KINDS.get(packet[1], ("", "")) if len(packet) >= 4 else ("", "")
            if name and packet[0] >> 4 == 1 and zlib.crc32(packet) == int.from_bytes(crc, "little"):
                data = iter(packet[4:])
                yield packet[2] | packet[3] << 8, name, {field: take(data, shape) for field, shape in (s.split(":") for s in shapes.split())}
