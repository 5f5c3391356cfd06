"""The page in a browser: seen.py BINARY FOLDER. Picture and overlay are on the screen, and the figures move."""

import re
import struct
import subprocess
import sys
import time
import zlib

from service import Service

binary, folder = sys.argv[1], sys.argv[2]
BROWSER = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,700", "--virtual-time-budget=4000"]


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


with Service(binary) as service:
    while len(service.records) < 30:
        time.sleep(0.1)
    page = f"http://127.0.0.1:{service.port}/"
    shot = f"{folder}/page.png"
    subprocess.run([*BROWSER, f"--screenshot={shot}", page], check=True, capture_output=True, timeout=120)
    head, luma, mask = service.live()
    assert len(luma) == len(mask) == head["width"] * head["height"] and any(mask), "nothing is seen to lay over"

    rows = pixels(shot)
    # The picture is the left canvas: light grey contours on black, and the contour that is seen in the overlay's green.
    left = [pixel for row in rows for pixel in row[: len(row) // 2]]
    contour = sum(1 for r, g, b in left if r == g == b and r > 150)
    overlay = sum(1 for r, g, b in left if g - r > 40 and g > b > r)
    assert contour > 200 and overlay > 200, (contour, overlay)
    bars = sum(1 for row in rows for pixel in row[len(row) // 2 :] if pixel == (76, 194, 160))
    assert bars > 200, bars

    def figures():
        dom = subprocess.run([*BROWSER, "--dump-dom", page], check=True, capture_output=True, text=True, timeout=120).stdout
        return {key: text for key, text in re.findall(r'id="(\w+)"[^>]*>([^<]*)<', dom)}

    first, second = figures(), figures()
    so_far = [int(re.search(r"(\d+) so far", seen["rate"])[1]) for seen in (first, second)]
    assert so_far[1] > so_far[0] > 0, so_far
    assert first["health"] == "live" and "cpu" in first["engine"] and first["camera"].startswith("streaming"), first
    print(f"picture {contour} and overlay {overlay} pixels on the screen, {bars} of bars; frames {so_far[0]} then {so_far[1]}; age {second['age']}")
