"""What more threads bring where the engine rests between frames, as with a camera: live.py NETWORK SIZE [THREADS...].

    python3 tests/bench/live.py pathfinder-hgru 64
    python3 tests/bench/live.py models/zoo/pathfinder-lean 64 1 2

The built-in stream at 25 frames a second, three steps a frame. The numbers of threads take turns, three rounds; medians over all frames.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAMES, ROUNDS, SETTLED = 100, 3, 5

network, size = sys.argv[1], int(sys.argv[2])
counts = [int(word) for word in sys.argv[3:]] or [1, len(os.sched_getaffinity(0))]
stages = {threads: [] for threads in counts}
for _ in range(ROUNDS):
    for threads in counts:
        command = [ROOT / "target/release/recslowfast", "run", "--model", network, "--source", f"pathfinder:easy?seed=7&size={size}&fps=25"]
        command += ["--halt", "fixed:3", "--engine", "cpu", "--threads", str(threads), "--report", "json", "--frames", str(FRAMES)]
        lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
        stages[threads] += [json.loads(line)["stages_ms"] for line in lines[SETTLED:]]
print("threads    encode     steps   readout   ms, medians")
for threads, frames in stages.items():
    print(f"{threads:7}", *(f"{statistics.median(frame[name] for frame in frames):9.3f}" for name in ("encode", "steps", "readout")))
