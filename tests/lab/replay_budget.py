"""On the virtual board: 300 frames of its camera under a deadline and a power budget that bind in turn, recorded.

usage (labi2c, ina3221 and vivid loaded): replay_budget.py BINARY FOLDER FRAMES

The deadline is what this machine needs for three steps when nothing else runs. The supply draws 3 W and 0.15 W for every step a second, so that
6 W are two steps a frame. In the second third of the frames two other processes share the board's one processor, and the deadline binds; in the
last third a neighbour draws 1 W more, and the power budget binds.
"""

import contextlib
import glob
import json
import math
import statistics
import subprocess
import sys
import threading
import time

from power_board import DRIVER, REST_W, STEP_W, bus, supply, write

NEIGHBOUR_W = 1.0
STEPS_IN_DEADLINE = 3
FRAMES_MEASURED = 40


def command(binary, *arguments):
    source = "/dev/video0?width=320&height=180&fps=10"
    return [binary, "run", "--model", "pathfinder-hgru", "--source", source, "--engine", "cpu", "--report", "json", *arguments]


def measured_deadline_ms(binary):
    """The median age of a frame with three steps, nothing else running."""
    run = command(binary, "--halt", f"fixed:{STEPS_IN_DEADLINE}", "--frames", str(FRAMES_MEASURED))
    lines = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    ages = [json.loads(line)["age_ms"] for line in lines[1:]]
    return max(1, round(statistics.median(ages)))


@contextlib.contextmanager
def load():
    """Two processes that never sleep."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def main():
    binary, out, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
    supply(REST_W)
    number = bus()
    write(f"/sys/bus/i2c/devices/i2c-{number}/new_device", "ina3221 0x40")
    assert glob.glob(f"{DRIVER}/{number}-0040/hwmon/hwmon*/in1_input"), "the driver did not bind"
    deadline_ms = measured_deadline_ms(binary)
    print(f"replay_budget: a frame of {STEPS_IN_DEADLINE} steps takes {deadline_ms} ms, which is the deadline", file=sys.stderr)
    budget = ["--halt", "fixed:6", "--deadline", f"{deadline_ms}ms@p90", "--power", "6W", "--mode", "accuracy"]
    run = subprocess.Popen(
        command(binary, *budget, "--frames", str(frames), "--record", f"{out}/board.mcap"), stdout=subprocess.PIPE, text=True
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(run.stdout.readline, "")))
    reader.start()
    rate, before, counted = 0.0, time.monotonic(), 0
    with contextlib.ExitStack() as loaded:
        third = 0
        while run.poll() is None:
            now, fresh = time.monotonic(), len(lines)
            rate = rate * math.exp(-(now - before) / 0.3) + sum(json.loads(line)["steps"] for line in lines[counted:fresh]) / 0.3
            before, counted = now, fresh
            if third == 0 and fresh > frames // 3:
                third = 1
                loaded.enter_context(load())
            elif third == 1 and fresh > 2 * frames // 3:
                third = 2
                loaded.close()
            supply(REST_W + STEP_W * rate + (NEIGHBOUR_W if third == 2 else 0.0))
            time.sleep(0.05)
    reader.join()
    with open(f"{out}/live.jsonl", "w") as file:
        file.writelines(lines)
    sys.exit(run.returncode)


main()
