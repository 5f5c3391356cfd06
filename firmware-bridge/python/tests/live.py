"""The installed package against the running program, both ways: live.py BINARY. Over a pty, over TCP and over UDP."""

import contextlib
import os
import pty
import socket
import subprocess
import sys
import threading
import time
import tty

from recslowfast_link import ASK_STATUS, PAUSE, RESUME, Ack, Camera, CommandError, Detections, Link, Mode, Result, SetBudget, SetMode, SetReportRate, Status

binary = sys.argv[1]
SOURCE = "pathfinder:easy?seed=7&size=64&fps=25"


@contextlib.contextmanager
def board(port, *flags):
    """The program, which is ended behind the block, also where that fails."""
    with subprocess.Popen([binary, "run", "--source", SOURCE, "--engine", "cpu", "--report", f"link:{port}", *flags], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def talk(link):
    """Everything that a device does."""
    assert link.send(SetReportRate(0.05, 0.001)).result is Result.DONE
    seen, status = [], []
    until = time.monotonic() + 20
    while (len(seen) < 10 or len(status) < 3) and time.monotonic() < until:
        got = link.receive(1.0)
        seen += [got] if isinstance(got, Detections) else []
        status += [got] if isinstance(got, Status) else []
    assert len(seen) >= 10 and len(status) >= 3, (len(seen), len(status))
    assert status[-1].camera is Camera.STREAMING and 0 < status[-1].steps <= status[-1].limit and 0 < status[-1].age_s < 60, status[-1]
    things = [thing for one in seen for thing in one.items]
    assert things and link.class_name(things[0].class_) == "contour" and all(0 <= thing.score <= 1 and 0 <= thing.left <= 1 for thing in things)

    assert link.send(SetMode(Mode.SAVER)).result is Result.DONE
    assert link.send(SetBudget(deadline_s=0.2, percentile=99)).result in (Result.DONE, Result.UNSUPPORTED)
    link.send(PAUSE)
    link.send(ASK_STATUS)
    until, paused = time.monotonic() + 10, None
    while time.monotonic() < until and not (paused and paused.paused):
        got = link.receive(1.0)
        paused = got if isinstance(got, Status) else paused
    assert paused and paused.paused
    link.send(RESUME)
    try:
        SetBudget(deadline_s=1e-5).fields()
    except ValueError as error:
        assert "0.001 to 60 or 0" in str(error), error
    else:
        raise AssertionError("a deadline of 10 µs was taken")
    assert all(count == 0 for count in link.counters.values()), link.counters
    return len(seen)


master, slave = pty.openpty()
tty.setraw(slave)
second, theirs = pty.openpty()
tty.setraw(theirs)


def bridge(a, b):
    try:
        while data := os.read(a, 4096):
            os.write(b, data)
    except OSError:
        pass


for ends in ((master, second), (second, master)):
    threading.Thread(target=bridge, args=ends, daemon=True).start()
with board(os.ttyname(slave)):
    with Link.open(os.ttyname(theirs)) as link:
        print(f"pty: {talk(link)} frames' detections, commands answered")
    # What came between the two readers lies before the hello that the monitor asks for: on a busy machine a second of telegrams.
    lines = subprocess.run(
        [sys.executable, "-m", "recslowfast_link", os.ttyname(theirs), "--count", "100"], capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    assert len(lines) == 100 and any(line.startswith("hello") for line in lines), lines
    told = subprocess.run([sys.executable, "-m", "recslowfast_link", os.ttyname(theirs), "pause"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert told.startswith("ack") and "done" in told, told
    print(f"monitor: {lines[0]}")

port = free_port()
with board(f"tcp:127.0.0.1:{port}") as process:
    with Link.open(f"tcp-listen:{port}") as link:
        print(f"tcp: {talk(link)} frames' detections, commands answered")
        process.terminate()
        try:
            for _ in link:
                pass
        except EOFError:
            print("tcp: the end is told")

port = free_port()
with board(f"udp:127.0.0.1:{port}"):
    with Link.open(f"udp-listen:{port}") as link:
        while link.receive(1.0) is None:
            pass
        print(f"udp: {talk(link)} frames' detections, commands answered")

try:
    with Link.open(os.ttyname(theirs)) as link:
        link.send(PAUSE)
except CommandError as error:
    assert "does not answer" in str(error)
    print("without a board: the board does not answer")
else:
    raise AssertionError("nobody was there, and a command was answered")
assert Ack(1, 2, Result.DONE).result.name == "DONE"
