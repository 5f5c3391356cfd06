"""The page in a browser: seen.py BINARY FOLDER. Picture, boxes and figures are on the screen, on a phone and on a desk, light and dark, with and without a
camera, and behind a token. The pictures of the screens are left in FOLDER."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from pixels import pixels
from service import Service

binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])
CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000"]


def browse(address, *flags, size=(1280, 800)):
    command = [*CHROMIUM, f"--window-size={size[0]},{size[1]}", *flags, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def shot(name, address, size=(1280, 800), *flags):
    """The screen as rows of (r, g, b)."""
    path = folder / f"page-{name}.png"
    browse(address, f"--screenshot={path}", *flags, size=size)
    return pixels(path)


def words(address):
    """What the page says, by the ids of its elements."""
    return dict(re.findall(r'id="(\w+)"[^>]*>([^<]*)<', browse(address, "--dump-dom")))


def count(rows, wanted):
    return sum(1 for row in rows for pixel in row if wanted(*pixel))


def is_green(r, g, b):
    """The first class's colour, over whatever lies below."""
    return g - r > 40 and g > b > r


LIGHT, DARK = (250, 249, 247), (22, 23, 26)

with Service(binary) as service:
    while len(service.records) < 30:
        time.sleep(0.1)
    page = f"http://127.0.0.1:{service.port}/"
    head, mask, jpeg = service.live()
    time.sleep(0.5)
    head, mask, jpeg = service.live()
    assert len(mask) == head["width"] * head["height"] and any(mask), "nothing is seen to lay over"
    assert jpeg[:2] == b"\xff\xd8" and jpeg[-2:] == b"\xff\xd9", "no picture"

    for name, size in {"desk": (1280, 800), "phone": (390, 844)}.items():
        rows = shot(name, page, size)
        contour, overlay = count(rows, lambda r, g, b: r == g == b and r > 150), count(rows, is_green)
        assert contour > 150 and overlay > 150, (name, contour, overlay)
        # Nothing is wider than the screen: the last column is the ground's.
        assert {row[-1] for row in rows} <= {DARK, LIGHT, (51, 53, 59), (213, 210, 203)}, {row[-1] for row in rows}
        print(f"{name}: contours {contour} and overlay {overlay} pixels on the screen")
    # Headless Chromium prefers light unless it is told otherwise.
    for name, ground, flags in (("light", LIGHT, []), ("dark", DARK, ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"])):
        rows = shot(name, page, (1280, 800), *flags)
        assert rows[-1][0] == ground, (name, rows[-1][0])

    first, second = words(page), words(page)
    so_far = [int(re.search(r"(\d+) so far", seen["rate"])[1]) for seen in (first, second)]
    assert so_far[1] > so_far[0] > 0, so_far
    assert first["health"] == "live" and "cpu" in first["engine"] and first["camera"].startswith("streaming"), first
    assert first["board"] and "pathfinder" in first["network"], first
    print(f"frames {so_far[0]} then {so_far[1]}; age {second['age']}")

# As a service that waits for its camera: the page is there, and says so.
with tempfile.TemporaryDirectory() as place:
    environment = {**os.environ, "NOTIFY_SOCKET": f"{place}/nobody"}
    with Service(binary, source="/dev/video-that-is-not-there", environment=environment) as service:
        page = f"http://127.0.0.1:{service.port}/"
        seen = words(page)
        assert seen["camera"].startswith("searching") and seen["banner"] == "camera searching", seen
        shot("no-camera", page)
        status, _, body = service.get("/snapshot.jpg")
        assert status == 503 and b"searching" in body, (status, body)
        assert service.get("/healthz")[0] == 503
        print("without a camera the page says: camera", seen["camera"])

with Service(binary, "--page-token", "0123456789abcdef") as service:
    page = f"http://127.0.0.1:{service.port}/"
    assert "Token of this board" in browse(page, "--dump-dom")
    shot("sign-in", page)
    while len(service.records) < 5:
        time.sleep(0.1)
    assert words(page + "?token=0123456789abcdef")["health"] == "live"
    for path in ("/live", "/snapshot.jpg", "/stream", "/events", "/metrics"):
        assert service.get(path)[0] == 401, path
    print("behind a token: a form for people, 401 for everybody else")
