"""Plays a board's power supply to a running recslowfast, through the ina3221 driver, and checks that the governor follows.

usage (in the virtual board, labi2c and ina3221 loaded): power_board.py BINARY FOLDER

The supply draws 3 W and 0.15 W for every step a second (smoothed over 0.3 s, as capacitors and the chip's averaging would). 0-20 s: the
budget is 6 W. 20-35 s: a neighbour draws 1 W more. 35-60 s: the driver
is unbound, so that its hwmon folder vanishes. 60-80 s: it is bound again.
"""

import glob
import json
import math
import subprocess
import sys
import threading
import time

BUDGET_W, REST_W, STEP_W, NEIGHBOUR_W = 6.0, 3.0, 0.15, 1.0
FPS, STEPS = 6, 6
DRIVER = "/sys/bus/i2c/drivers/ina3221"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def bus():
    for path in glob.glob("/sys/class/i2c-adapter/i2c-*") + glob.glob("/sys/bus/i2c/devices/i2c-*"):
        if open(path + "/name").read().strip() == "labi2c":
            return int(path.rsplit("-", 1)[1])
    sys.exit("no labi2c bus")


def supply(watts):
    """12 V on channel 1; the chip counts 8 mV and 40 uV over 10 mOhm, both in the upper 13 bits."""
    ma = watts / 12.0 * 1e3
    write("/sys/kernel/debug/labi2c/regs", "0x02 0x%x" % (int(12000 / 8) << 3))
    write("/sys/kernel/debug/labi2c/regs", "0x01 0x%x" % (int(ma / 4) << 3))


def phase(records, start, end):
    return [record for at, record in records if start <= at < end]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def main():
    binary, out = sys.argv[1:]
    number = bus()
    supply(REST_W)
    write(f"/sys/bus/i2c/devices/i2c-{number}/new_device", "ina3221 0x40")
    device = f"{number}-0040"
    assert glob.glob(f"{DRIVER}/{device}/hwmon/hwmon*/in1_input"), "the driver did not bind"

    errors = open(f"{out}/power-governor.log", "w")
    command = [binary, "run", "--source", f"pathfinder:easy?seed=7&size=64&fps={FPS}", "--halt", f"fixed:{STEPS}", "--engine", "cpu",
               "--power", f"{BUDGET_W}W", "--mode", "accuracy", "--frames", str(FPS * 200), "--report", "json"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    records, drawn = [], []

    def listen():
        for line in run.stdout:
            records.append((time.monotonic() - began, json.loads(line)))

    began = time.monotonic()
    threading.Thread(target=listen, daemon=True).start()
    while not records and run.poll() is None and time.monotonic() - began < 60:
        time.sleep(0.05)
    began = time.monotonic()
    records.clear()
    done, rate, before, counted = set(), 0.0, 0.0, 0
    while (now := time.monotonic() - began) < 80 and run.poll() is None:
        rate *= math.exp(-(now - before) / 0.3)
        fresh = len(records)
        rate += sum(record["steps"] for _, record in records[counted:fresh]) / 0.3
        before, counted = now, fresh
        watts = REST_W + STEP_W * rate + (NEIGHBOUR_W if 20 <= now < 35 else 0.0)
        supply(watts)
        drawn.append((now, watts))
        for at, file in [(35, "unbind"), (60, "bind")]:
            if now >= at and at not in done:
                done.add(at)
                write(f"{DRIVER}/{file}", device)
        time.sleep(0.05)
    run.terminate()
    run.wait()
    errors.close()
    with open(f"{out}/power-governor.jsonl", "w") as file:
        file.writelines(json.dumps({"at": at, **record}) + "\n" for at, record in records)
    log = open(f"{out}/power-governor.log").read()

    watts = lambda start, end: mean(w for at, w in drawn if start <= at < end)
    steps = lambda start, end: mean(record["steps"] for record in phase(records, start, end))
    reasons = lambda start, end: {record["limit_reason"] for record in phase(records, start, end)}
    for name, start, end in [("settled", 10, 20), ("neighbour", 26, 35), ("silent", 48, 60), ("returned", 68, 80)]:
        print(f"{name:<10} {watts(start, end):5.2f} W  {steps(start, end):.2f} steps  {sorted(reasons(start, end))}")
    gaps = [b[0] - a[0] for a, b in zip(records, records[1:])]
    print(f"longest time between two results {max(gaps):.2f} s; power read by the runtime at 19 s: {phase(records, 18.5, 19.5)[0]['power_mw']} mW")

    assert abs(watts(10, 20) / BUDGET_W - 1) < 0.05, "the watts are not within 5 % of the budget"
    assert reasons(10, 20) == {"power"}
    assert abs(watts(26, 35) / BUDGET_W - 1) < 0.05, "the neighbour was not made room for"
    assert steps(26, 35) < steps(10, 20) - 0.5
    assert steps(48, 60) > STEPS - 0.5 and "power" not in reasons(48, 60), "without a sensor only latency is governed"
    assert steps(68, 80) < steps(48, 60) - 1 and "power" in reasons(68, 80), "the returned sensor is not heeded"
    assert log.count("power sensor fell silent") == 1 and log.count("power sensor answers again") == 1, log
    assert max(gaps) < 3.0, "the stream stalled"
    print(f"the governor followed: {watts(10, 20):.2f} W of {BUDGET_W:.0f}, {watts(26, 35):.2f} W beside a neighbour, latency alone while the sensor was away")


if __name__ == "__main__":
    main()
