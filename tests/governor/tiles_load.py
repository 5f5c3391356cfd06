"""The governor with tiles: a film that stands still and moves in turn, answered under a deadline beside a load, densely and by tiles.

    tiles_load.py BINARY [--film FILM] [--seconds 16] [--fps 10] [--deadline 60ms@p99] [--rounds 2] [--workers 2]

Still for 4 s, moving for 4 s, and so on: parts of FILM (through ffmpeg, with noise over all of it), or boxes that walk over noisy ground. Bursts of stress-ng
(`--workers 0` for none) last 2 s in every 4 s. Both runs take turns. The table says for each and for either kind of stretch which share of the picture moved and of the network was stepped,
the steps of the whole network, the processor time of all threads a frame (on a machine without a power sensor that stands for its energy), and which frames were late or had no answer.
`--check` ends with 1 where by tiles the processor time does not follow the share: no less in still stretches than in moving ones, or no less than densely.
Linux only (/proc/PID/task/*/schedstat).
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

STRETCH = 4
WIDTH, HEIGHT = 320, 240
CHROMA = bytes([128]) * (WIDTH * HEIGHT // 2)


def boxes(count, fps):
    """Frames of three striped boxes over noisy ground; they walk in every second stretch."""
    dice = random.Random(1)
    still = [bytes(90 + 8 * ((x // 20 + y // 15) % 5) + dice.randrange(-2, 3) for y in range(HEIGHT) for x in range(WIDTH)) for _ in range(5)]
    stripes = bytes(180 + 60 * (x // 4 % 2) for x in range(24))
    walked = 0
    for number in range(count):
        luma = bytearray(still[number % len(still)])
        walked += number // (STRETCH * fps) % 2
        for box in range(3):
            left, top = (40 + 90 * box + 3 * walked) % (WIDTH - 24), 40 + 50 * box
            for row in range(top, top + 60):
                luma[row * WIDTH + left : row * WIDTH + left + 24] = stripes
        yield bytes(luma) + CHROMA


def parts(film, count, fps):
    """Frames of a film, held in every first stretch of two; what is held has the noise of what moves."""
    size = WIDTH * HEIGHT * 3 // 2
    reading = ["ffmpeg", "-v", "error", "-i", str(film), "-vf", f"scale={WIDTH}:{HEIGHT}:flags=area", "-pix_fmt", "yuv420p", "-frames:v", str(count), "-f", "rawvideo", "-"]
    data = subprocess.run(reading, check=True, capture_output=True).stdout
    frames, at, held = [data[start : start + size] for start in range(0, len(data), size)], 0, b""
    for number in range(count):
        at += number // (STRETCH * fps) % 2
        held += frames[at % len(frames)]
    noisy = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-i", "-", "-vf", "noise=c0s=5:c0f=t", "-f", "rawvideo", "-"]
    data = subprocess.run(noisy, input=held, check=True, capture_output=True).stdout
    return [data[start : start + size] for start in range(0, len(data), size)]


def processor_ns(process):
    """Time that all threads of a process have run."""
    total = 0
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # the thread has ended
    return total


class Stretches:
    """Sums over the stretches of one kind."""

    def __init__(self):
        self.frames = self.answered = self.late = 0
        self.steps = self.work = self.moved = self.ms = 0.0


def run(args, film, tiles, sums):
    command = [args.binary, "run", "--engine", "cpu", "--threads", "1", "--model", "street", "--source", f"{film}?realtime&fps={args.fps}", "--tiles", tiles]
    command += ["--deadline", args.deadline, "--report", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    within, kind, before, first = float(args.deadline.partition("ms")[0]), None, 0, None
    for line in process.stdout:
        record = json.loads(line)
        # By capture time: what was left out or dropped shifts nothing.
        first = record["captured_s"] if first is None else first
        number = round((record["captured_s"] - first) * args.fps)
        now = number // (STRETCH * args.fps) % 2
        spent = processor_ns(process)
        if number >= STRETCH * args.fps // 2:  # the first two seconds start up
            one = sums.setdefault((tiles, now), Stretches())
            one.answered += 1
            one.late += record["age_ms"] > within
            one.steps += record["steps"]
            one.work += record["steps"] * record.get("stepped", 1.0)
            one.moved += record.get("moved", 1.0)
            one.ms += (spent - before) / 1e6
        before = spent
    if process.wait():
        sys.exit(f"{' '.join(command)}: code {process.returncode}")
    for number in range(STRETCH * args.fps // 2, args.seconds * args.fps):
        sums.setdefault((tiles, number // (STRETCH * args.fps) % 2), Stretches()).frames += 1


def load(workers, ended):
    """Bursts of 2 s in every 4 s, until `ended`."""
    while not ended.is_set():
        subprocess.run(["stress-ng", "--quiet", "--cpu", str(workers), "--cpu-method", "matrixprod", "--timeout", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ended.wait(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--film", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=16)
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--deadline", default="60ms@p99")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.workers and not shutil.which("stress-ng"):
        parser.error("stress-ng is not installed; --workers 0 runs without a load")
    count, sums, ended = args.seconds * args.fps, {}, threading.Event()
    with tempfile.TemporaryDirectory() as place:
        film = pathlib.Path(place) / "film.y4m"
        with open(film, "wb") as file:
            file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{args.fps}:1 Ip A1:1 C420jpeg\n".encode())
            for frame in parts(args.film, count, args.fps) if args.film else boxes(count, args.fps):
                file.write(b"FRAME\n" + frame)
        beside = threading.Thread(target=load, args=(args.workers, ended))
        if args.workers:
            beside.start()
        began = os.getloadavg()[0]
        try:
            for _ in range(args.rounds):
                for tiles in ("off", "auto"):
                    run(args, film, tiles, sums)
        finally:
            ended.set()
            if args.workers:
                beside.join()
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} processors, load average before it {began:.2f}; {args.fps} frames/s, {args.deadline}, {args.rounds} rounds of {args.seconds} s")
    print(f"{'':<16}{'frames':>7}{'moved %':>9}{'stepped %':>11}{'steps':>7}{'work':>7}{'processor ms':>14}{'late %':>8}{'no answer in time %':>21}")
    ms, missed, frames = {}, {"off": 0, "auto": 0}, {"off": 0, "auto": 0}
    for (tiles, moving), one in sorted(sums.items(), key=lambda item: (item[0][0] != "off", item[0][1])):
        answered, without = max(one.answered, 1), max(0, one.frames - one.answered) + one.late
        ms[tiles, moving] = one.ms / answered
        missed[tiles] += without
        frames[tiles] += one.frames
        name = f"{'dense' if tiles == 'off' else 'tiles'}, {'moving' if moving else 'still'}"
        print(
            f"{name:<16}{one.frames:>7}{100 * one.moved / answered:>9.1f}{100 * one.work / max(one.steps, 1):>11.1f}{one.steps / answered:>7.2f}{one.work / answered:>7.2f}"
            f"{one.ms / answered:>14.2f}{100 * one.late / answered:>8.1f}{100 * without / max(one.frames, 1):>21.1f}"
        )
    print("; ".join(f"{'dense' if tiles == 'off' else 'tiles'}: {missed[tiles]} of {frames[tiles]} frames missed" for tiles in missed))
    if args.check and not (ms["auto", 0] < ms["auto", 1] and ms["auto", 0] < ms["off", 0] and ms["auto", 1] < ms["off", 1]):
        sys.exit("by tiles the processor time does not follow the share of the picture that moves")


if __name__ == "__main__":
    main()
