"""The box *tiles* of the page: tiles.py BINARY FOLDER. A bright stripe walks to and fro over grey ground, run with `--tiles auto`; ticking the box in a
browser paints orange over it and nowhere else, and only what asks for tiles gets them."""

import json
import pathlib
import struct
import sys
import tempfile
import time

from browser import Browser
from service import Service

binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])
WIDTH, HEIGHT, FRAMES = 320, 240, 40
BOX, TOP, LEFT, STEP = (24, 48), 96, 40, 6
LAST = LEFT + STEP * FRAMES // 2 + BOX[0]

# Orange on this page: what a grey pixel becomes under rgb(255 150 40 / 45%). Counted in the picture's pixels, in and out of where the box walks.
ORANGE = f"""(() => {{
  const canvas = document.getElementById("picture"), scale = canvas.width / {WIDTH}, {{ data }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inside = 0, outside = 0;
  for (let at = 0; at < data.length; at += 4) {{
    if (data[at] - data[at + 2] < 60 || data[at] <= data[at + 1] || data[at + 1] <= data[at + 2]) continue;
    const x = (at / 4 % canvas.width) / scale, y = Math.floor(at / 4 / canvas.width) / scale;
    if (x >= {LEFT - LEFT % 8 - 8} && x < {LAST + 8} && y >= {TOP - 8} && y < {TOP + BOX[1] + 8}) inside++; else outside++;
  }}
  return [inside / scale / scale, outside / scale / scale];
}})()"""


def film(path):
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(FRAMES):
            left = LEFT + STEP * min(number, FRAMES - number)
            luma = bytearray(bytes([110]) * (WIDTH * HEIGHT))
            for row in range(TOP, TOP + BOX[1]):
                luma[row * WIDTH + left : row * WIDTH + left + BOX[0]] = bytes(200 + 40 * ((x // 3) % 2) for x in range(BOX[0]))
            file.write(b"FRAME\n" + luma + bytes([128]) * (WIDTH * HEIGHT // 2))


def head(service, path):
    _, _, body = service.get(path)
    (length,) = struct.unpack("<I", body[:4])
    return json.loads(body[4 : 4 + length])


def bits(field):
    return {8 * at + bit for at, byte in enumerate(bytes.fromhex(field)) for bit in range(8) if byte >> bit & 1}


def until(what, judge, seconds=30):
    """What `judge` answers, once it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (answer := judge()) is not None:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"within {seconds} s: {what}")


def sparse(tiles):
    """Tiles of a frame that was not run densely and in which something moved."""
    moved = bits(tiles["moved"]) if tiles else set()
    return moved if 0 < len(moved) < tiles["rows"] * tiles["columns"] // 4 else None


with tempfile.TemporaryDirectory() as place:
    film(pathlib.Path(place) / "box.y4m")
    looped = f"{place}/box.y4m?loop&realtime"
    with Service(binary, "--model", "street", "--threads", "1", "--tiles", "auto", source=looped) as service:
        while len(service.records) < 8:
            time.sleep(0.1)
        # Which tiles moved, as the page is told.
        moved = until("tiles of a frame", lambda: sparse(head(service, "/live?tiles").get("tiles")))
        places = {(tile % (WIDTH // 8) * 8, tile // (WIDTH // 8) * 8) for tile in moved}
        far = [(x, y) for x, y in places if not (LEFT - 8 <= x < LAST + 8 and TOP - 8 < y < TOP + BOX[1])]
        assert not far, f"tiles far from the box: {far}"
        # Only who asks for them gets them, even while another does.
        assert head(service, "/live").get("tiles") is None, "/live carries tiles that nobody asked for"

        with Browser(f"http://127.0.0.1:{service.port}/") as page:
            until("a picture", lambda: page.value(f"document.getElementById('picture')?.width === {WIDTH} && document.getElementById('health').textContent === 'live'") or None)
            time.sleep(0.5)
            before = [page.value(ORANGE) for _ in range(5)]
            assert not any(inside or outside for inside, outside in before), f"orange before the box is ticked: {before}"
            page.click("tiles")
            assert page.value("document.getElementById('tiles').checked"), "the box did not take the click"
            # Frames that are run densely are orange all over; those by tiles only where the box is and was.
            drawn = until("orange where the box walks", lambda: (lambda seen: seen if seen[0] > BOX[1] * STEP and seen[1] == 0 else None)(page.value(ORANGE)))
            page.shot(folder / "page-tiles.png")
            page.click("tiles")
            time.sleep(1)
            until("no orange once the box is not ticked", lambda: True if not any(page.value(ORANGE)) else None)
        print(f"tiles: {len(moved)} in /live?tiles, none in /live; ticked, {drawn[0]:.0f} pixels orange where the box walks and none elsewhere")

    with Service(binary, "--model", "street", "--threads", "1", "--tiles", "off", source=looped) as service:
        while len(service.records) < 8:
            time.sleep(0.1)
        assert all(head(service, "/live?tiles").get("tiles") is None for _ in range(3)), "tiles of a run without tiles"
        print("tiles: without --tiles auto there are none")
