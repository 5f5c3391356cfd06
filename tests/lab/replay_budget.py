"""On the virtual board: 300 frames of its camera under a deadline and a power budget, beside load that comes and goes, recorded.

usage (labi2c, ina3221 and vivid loaded): replay_budget.py BINARY FOLDER FRAMES

The supply draws 3 W and 0.15 W for every step a second; a neighbour draws 1 W more from the second third on. Other work takes the board's one
processor for half a second in every two.
"""

import glob
import json
import math
import subprocess
import sys
import threading
import time

from power_board import DRIVER, REST_W, STEP_W, bus, supply, write

NEIGHBOUR_W = 1.0


def main():
    binary, out, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
    supply(REST_W)
    number = bus()
    write(f"/sys/bus/i2c/devices/i2c-{number}/new_device", "ina3221 0x40")
    assert glob.glob(f"{DRIVER}/{number}-0040/hwmon/hwmon*/in1_input"), "the driver did not bind"
    source = "/dev/video0?width=320&height=180&fps=10"
    command = [binary, "run", "--model", "pathfinder-hgru", "--source", source, "--halt", "fixed:6", "--engine", "cpu"]
    command += ["--deadline", "60ms@p90", "--power", "6W", "--mode", "accuracy", "--frames", str(frames), "--report", "json"]
    run = subprocess.Popen(command + ["--record", f"{out}/board.mcap"], stdout=subprocess.PIPE, text=True)
    lines = []
    listener = threading.Thread(target=lambda: lines.extend(iter(run.stdout.readline, "")))
    listener.start()
    rate, before, counted, load, load_until = 0.0, time.monotonic(), 0, None, 0.0
    while run.poll() is None:
        now, fresh = time.monotonic(), len(lines)
        rate = rate * math.exp(-(now - before) / 0.3) + sum(json.loads(line)["steps"] for line in lines[counted:fresh]) / 0.3
        before, counted = now, fresh
        supply(REST_W + STEP_W * rate + (NEIGHBOUR_W if fresh > frames // 3 else 0.0))
        if load is None and fresh and now >= load_until + 1.5:
            load, load_until = subprocess.Popen([sys.executable, "-c", "while True: pass"]), now + 0.5
        elif load is not None and now >= load_until:
            load.kill()
            load.wait()
            load = None
        time.sleep(0.05)
    listener.join()
    if load is not None:
        load.kill()
    with open(f"{out}/live.jsonl", "w") as file:
        file.writelines(lines)
    sys.exit(run.returncode)


main()
