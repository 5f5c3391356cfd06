"""Compares what the virtual board's OLED and framebuffer hold with the pictures that were written as files.

usage: link-panels.py FOLDER
"""

import json
import os
import struct
import sys
import zlib


def png(path):
    """Width, height and rows of red, green, blue of a PNG of eight bits a channel without interlacing."""
    data = open(path, "rb").read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2), f"{path} is not RGB8"
        if kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, rows, before = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for x in range(3 * width):
            a, b, c = (line[x - 3] if x >= 3 else 0), before[x], (before[x - 3] if x >= 3 else 0)
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[x] = (line[x] + (0, a, b, (a + b) // 2, near)[kind]) & 255
        before = bytes(line)
        rows.append([tuple(before[3 * x:3 * x + 3]) for x in range(width)])
    return width, height, rows


def main(folder):
    def held(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    width, height, rows = png(os.path.join(folder, "link-oled.png"))
    gddram = held("link-gddram")
    assert (width, height, len(gddram)) == (128, 64, 1024), (width, height, len(gddram))
    wrong = [(x, y) for y in range(64) for x in range(128) if bool(gddram[y // 8 * 128 + x] >> y % 8 & 1) != (rows[y][x][0] > 127)]
    lit = sum(pixel[0] > 127 for row in rows for pixel in row)
    assert lit > 300, f"only {lit} pixels are lit"
    assert not wrong, f"{len(wrong)} pixels of the OLED differ, the first at {wrong[0]}"
    print(f"OLED: display memory equals the dashboard, {lit} pixels lit; {held('link-oled-state').decode().strip()}")

    width, height, rows = png(os.path.join(folder, "link-fb.png"))
    bits, stride, memory = int(held("link-fb-bits")), int(held("link-fb-stride")), held("link-fb")
    wrong = 0
    for y in range(height):
        for x in range(width):
            at = y * stride + x * bits // 8
            value = int.from_bytes(memory[at:at + bits // 8], "little")
            # vfb keeps red in the lowest bits.
            shares = (value & 31, value >> 5 & 63, value >> 11 & 31) if bits == 16 else (value & 255, value >> 8 & 255, value >> 16 & 255)
            r, g, b = rows[y][x]
            wrong += shares != ((r >> 3, g >> 2, b >> 3) if bits == 16 else (r, g, b))
    assert not wrong, f"{wrong} pixels of the framebuffer differ"
    print(f"framebuffer: {width}x{height} at {bits} bits equals the dashboard")

    records = [json.loads(line) for line in held("link-panels.jsonl").splitlines()]
    assert len(records) == 60, f"{len(records)} of 60 frames were answered"
    log = held("link-panels.log").decode()
    assert "trying again until it is back" in log, log
    print("the OLED was lost for a second and came back; all 60 frames were answered")


main(sys.argv[1])
