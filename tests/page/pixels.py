"""Pixels of a screenshot. Standard library only."""

import struct
import zlib


def pixels(path):
    """Rows of (r, g, b) of an 8-bit PNG."""
    data = open(path, "rb").read()
    at, parts, channels, width = 8, b"", 3, 0
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, _, depth, colour = struct.unpack(">IIBB", chunk[:10])
            assert depth == 8 and colour in (2, 6)
            channels = 3 if colour == 2 else 4
        parts += chunk if kind == b"IDAT" else b""
        at += 12 + length
    raw, stride, rows, before = zlib.decompress(parts), width * channels, [], bytes(width * channels)
    for start in range(0, len(raw), stride + 1):
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for i in range(stride):
            left = line[i - channels] if i >= channels else 0
            up, corner = before[i], before[i - channels] if i >= channels else 0
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + up) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif kind == 4:
                guess = left + up - corner
                nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
                line[i] = (line[i] + nearest) & 255
        rows.append([tuple(line[i : i + 3]) for i in range(0, stride, channels)])
        before = bytes(line)
    return rows
