"""How long from the start of the program to READY, as a service manager hears it: ready.py BINARY [RUNS]."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

binary, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
command = [binary, "run", "--source", "pathfinder:easy?seed=7&size=64&fps=25", "--engine", "cpu", "--report", "json"]
taken = []
with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
    ear.bind(f"{folder}/notify")
    ear.settimeout(60)
    for _ in range(runs):
        began = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while "READY=1" not in (heard := ear.recv(4096).decode()):
            pass
        taken.append(time.monotonic() - began)
        process.stdout.readline()
        answered = time.monotonic() - began
        process.terminate()
        process.communicate()
        ear.setblocking(False)
        try:
            while ear.recv(4096):
                pass
        except BlockingIOError:
            ear.settimeout(60)
        print(f"READY after {1000 * taken[-1]:.0f} ms ({heard.split('STATUS=')[-1].strip()}), the first result after {1000 * answered:.0f} ms")
load = os.getloadavg()[0]
print(f"READY: median {1000 * statistics.median(taken):.0f} ms, worst {1000 * max(taken):.0f} ms of {runs} starts; load {load:.1f} on {os.cpu_count()} cores")
