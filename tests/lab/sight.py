"""A real film through a kernel camera, and what is told of the people in it: as JSON lines, on the page and to an autopilot.

usage: sight.py make VIDEO FOLDER             the film's pictures as JPEG, as a USB camera sends them
       sight.py watch BINARY DEVICE FOLDER    on the board: runs BINARY, and keeps what the page and the serial line say
       sight.py check FOLDER
"""

import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import time
import urllib.request

PAGE = "127.0.0.1:8088"
FRAMES = 150
LANDING_TARGET, STATUSTEXT = 149, 253


def make(video, folder):
    folder.mkdir(parents=True, exist_ok=True)
    pattern = ["-frames:v", "200", "-q:v", "3", "-pix_fmt", "yuvj422p", str(folder / "%04d.jpg")]
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-loglevel", "error", "-i", video, *pattern], check=True)


def watch(binary, device, folder):
    autopilot, port = os.openpty()
    heard = bytearray()

    def hear():
        while True:
            try:
                heard.extend(os.read(autopilot, 4096))
            except OSError:
                return

    threading.Thread(target=hear, daemon=True).start()
    model = os.environ.get("LAB_GUEST_MODEL")
    command = [binary, "run", "--source", device, "--frames", str(FRAMES), "--report", "json", "--page", PAGE]
    command += ["--report", f"mavlink:{os.ttyname(port)}@921600,fov=60", "--report", f"snapshot:{folder / 'snapshot.png'}"]
    command += ["--report", f"panel:png:{folder / 'panel.png'}@320x240"]
    command += ["--model", model] if model else []
    pages = []
    with open(folder / "records.jsonl", "wb") as records, open(folder / "said.txt", "wb") as said:
        run = subprocess.Popen(command, stdout=records, stderr=said)
        while run.poll() is None:
            try:
                body = urllib.request.urlopen(f"http://{PAGE}/live", timeout=5).read()
                length = struct.unpack_from("<I", body)[0]
                pages.append(json.loads(body[4 : 4 + length]))
            except OSError:
                pass
            time.sleep(0.2)
    (folder / "pages.json").write_text(json.dumps(pages))
    (folder / "heard.bin").write_bytes(heard)
    sys.exit(run.returncode)


def messages(heard):
    """Number and payload of each MAVLink 2 message."""
    at = 0
    while (at := heard.find(b"\xfd", at)) >= 0 and at + 12 <= len(heard):
        length = heard[at + 1]
        yield int.from_bytes(heard[at + 7 : at + 10], "little"), heard[at + 10 : at + 10 + length]
        at += 12 + length


def check(folder):
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert len(records) == FRAMES, f"{len(records)} results"
    seen = [seen for record in records for seen in record["detections"]]
    people = [one for one in seen if one["class"] == "person"]
    tracked = [one for one in people if one.get("track")]
    frames = sum(any(one["class"] == "person" for one in record["detections"]) for record in records)
    assert frames >= 0.9 * FRAMES, f"people in {frames} of {FRAMES} frames"
    assert any(one["class"] == "person" for record in records[:10] for one in record["detections"]), "nobody in the first ten frames"
    longest = max((one["track_frames"] for one in tracked), default=0)
    assert longest >= FRAMES // 3, f"the longest track has {longest} frames"
    assert any(one.get("speed_px_s") for one in tracked), "no track has a speed"
    pages = json.loads((folder / "pages.json").read_text())
    shown = [one for page in pages if page["last"] for one in page["last"]["detections"] if one["class"] == "person" and one.get("track")]
    assert shown, f"the page showed no tracked person in {len(pages)} answers"
    heard = list(messages((folder / "heard.bin").read_bytes()))
    targets = sum(number == LANDING_TARGET for number, _ in heard)
    texts = [payload[1:51].rstrip(b"\0").decode() for number, payload in heard if number == STATUSTEXT]
    assert targets > 10, f"{targets} targets"
    assert any(re.fullmatch(r"target person \d+ % track \d+", text) for text in texts), texts
    said = (folder / "said.txt").read_text()
    assert "sees: person" in said, said
    steps = sum(record["steps"] for record in records) / FRAMES
    print(f"sight: people in {frames} of {FRAMES} frames, {len({one['track'] for one in tracked})} tracks, the longest {longest} frames, {steps:.2f} steps a frame, {targets} targets")


if sys.argv[1] == "make":
    make(sys.argv[2], pathlib.Path(sys.argv[3]))
elif sys.argv[1] == "watch":
    watch(sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4]))
else:
    check(pathlib.Path(sys.argv[2]))
