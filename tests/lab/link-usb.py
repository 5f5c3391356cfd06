"""Unplugs and replugs a USB serial gadget, listening at its far end; or judges what came of it.

usage: link-usb.py guest TIMES MODULES     on the virtual board
       link-usb.py judge FOLDER TIMES      afterwards
"""

import json
import os
import pathlib
import select
import subprocess
import sys
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "firmware-bridge/python"))
from recslowfast_link import telegrams  # noqa: E402



def modprobe(modules, *words):
    subprocess.run(["modprobe", "-d", modules, *words], check=True)


def chunks(port, until):
    while time.monotonic() < until:
        if select.select([port], [], [], 0.1)[0]:
            try:
                yield os.read(port, 4096)
            except OSError:
                return


def guest(times, modules):
    """Prints how long the link took to come back, each time, in seconds."""
    for _ in range(times):
        modprobe(modules, "g_serial")
        began = time.monotonic()
        while not os.path.exists("/dev/ttyGS0"):
            assert time.monotonic() < began + 10, "no /dev/ttyGS0 within 10 s"
            time.sleep(0.01)
        port = os.open("/dev/ttyGS0", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(port)
        seen = set()
        for _, name, _ in telegrams(chunks(port, began + 20)):
            if name == "hello":
                print(f"{time.monotonic() - began:.3f}", flush=True)
            seen.add(name)
            if {"hello", "status", "detections"} <= seen:
                break
        else:
            sys.exit(f"the link did not come back within 20 s; heard {sorted(seen)}")
        os.close(port)
        modprobe(modules, "-r", "g_serial")


def judge(folder, times):
    def figures(name):
        with open(os.path.join(folder, name)) as lines:
            records = [json.loads(line) for line in lines if line.endswith("}\n")]
        work = sorted(sum(record["stages_ms"].values()) for record in records)
        return len(work), work[len(work) // 2], work[len(work) * 99 // 100]

    with open(os.path.join(folder, "link-usb-returns")) as lines:
        returns = sorted(float(line) for line in lines)
    assert len(returns) == times, f"{len(returns)} of {times} returns"
    alone, linked = figures("link-usb-alone.jsonl"), figures("link-usb.jsonl")
    print(f"USB serial unplugged {times} times: back after {returns[times // 2]:.2f} s in the median, {returns[-1]:.2f} s at most")
    for words, (frames, median, high) in (("without a link", alone), ("with the link", linked)):
        print(f"work of a frame {words}: median {median:.2f} ms, p99 {high:.2f} ms over {frames} frames")
    assert linked[1] < alone[1] + 1, "the median frame took more than a millisecond longer"


if sys.argv[1] == "guest":
    guest(int(sys.argv[2]), sys.argv[3])
else:
    judge(sys.argv[2], int(sys.argv[3]))
