"""Streams from real servers that are killed, stalled and started again, watched by the real program.

usage: streams.py RECSLOWFAST FOLDER [RESTARTS] [STALLS]
Each return of a server must be answered again within the limit, each stall be named, and at the end no child and no descriptor may be
left over. Latency is told twice: from a picture's arrival at the program to its answer, and, over HTTP, from its sending.
"""

import atexit
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
# Frames again after the server is back: two seconds on a quiet machine, more where others compute.
LIMIT = float(os.environ.get("STREAMS_LIMIT", "2"))


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(number):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"the server on port {number} does not start")


class Server:
    def __init__(self, *arguments):
        self.arguments, self.port = arguments, int(arguments[1])
        self.child = None

    def start(self):
        command = [sys.executable, HERE / "servers.py", *map(str, self.arguments)]
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.kill)
        wait_for(self.port)

    def kill(self):
        self.child.kill()
        self.child.wait()


class Watcher:
    """The program, its records as they come, and its log."""

    def __init__(self, binary, uri):
        command = [binary, "run", "--source", uri, "--report", "json", "--halt", "fixed:1"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.records, self.log = queue.Queue(), []
        atexit.register(self.child.kill)
        threading.Thread(target=lambda: [self.records.put((time.monotonic(), line)) for line in self.child.stdout], daemon=True).start()
        threading.Thread(target=lambda: [self.log.append(line) for line in self.child.stderr], daemon=True).start()

    def record(self, since=0, timeout=20):
        """The first record of a picture that arrived after `since`: when it was answered, and what it says."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            try:
                at, line = self.records.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise SystemExit(f"no frame within {timeout} s; the log ends: {''.join(self.log[-8:])}") from None
            record = json.loads(line)
            # Both clocks are CLOCK_MONOTONIC.
            if record["captured_s"] >= since:
                return at, record

    def drain(self):
        while not self.records.empty():
            self.records.get()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def children(self):
        found = subprocess.run(["pgrep", "-P", str(self.child.pid)], capture_output=True, text=True).stdout.split()
        return len(found)

    def memory(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def stop(self):
        children = subprocess.run(["pgrep", "-P", str(self.child.pid)], capture_output=True, text=True).stdout.split()
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(timeout=10)
        assert code == 0, f"exit code {code}: {''.join(self.log[-5:])}"
        for child in children:
            assert not pathlib.Path(f"/proc/{child}/exe").exists(), "a child is left behind"
        return time.monotonic() - began


def restarts(name, server, binary, uri, count):
    server.start()
    watcher = Watcher(binary, uri)
    watcher.record()
    ages, returns, before, memory = [], [], None, None
    for _ in range(count):
        for _ in range(5):
            _, record = watcher.record()
            ages.append(record["age_ms"])
        server.kill()
        time.sleep(0.4)
        watcher.drain()
        server.start()
        back = time.monotonic()
        at, _ = watcher.record(since=back)
        returns.append(at - back)
        if before is None:
            time.sleep(0.2)
            before, memory = watcher.descriptors(), watcher.memory()
    late = [round(seconds, 2) for seconds in returns if seconds > LIMIT]
    after, grown = watcher.descriptors(), watcher.memory() - memory
    children = watcher.children()
    stopped = watcher.stop()
    server.kill()
    print(
        f"{name}: {count - len(late)} of {count} restarts answered within {LIMIT} s (median {statistics.median(returns):.2f} s, "
        f"most {max(returns):.2f} s); {statistics.median(ages):.1f} ms from arrival to answer; descriptors {before} -> {after}, "
        f"memory {grown:+} KiB, {children} child; stopped in {stopped:.2f} s",
        flush=True,
    )
    assert not late, f"{name}: late returns {late}"
    assert after <= before and children == 1, f"{name}: something is left over"
    assert grown < 20_000, f"{name}: memory grows"


def stalls(server, binary, uri, folder, count):
    server.start()
    watcher = Watcher(binary, uri)
    watcher.record()
    for number in range(count):
        (folder / "stall").touch()
        until = time.monotonic() + 8
        while sum("-> stalled" in line for line in watcher.log) <= number:
            assert time.monotonic() < until, f"stall {number} was not named: {''.join(watcher.log[-6:])}"
            time.sleep(0.02)
        (folder / "stall").unlink()
        watcher.drain()
        watcher.record(since=time.monotonic())
        # One place of the program logs ten lines a minute.
        time.sleep(5 if count > 8 else 0)
    children = watcher.children()
    watcher.stop()
    server.kill()
    assert children == 1, "a child is left over"
    print(f"stalls: {count} of {count} named and got over")


def latency(server, binary, uri, folder, count):
    """From the sending of a picture to its answer. How many pictures the receiver needs before it gives the first is not known: the last one tells."""
    server.start()
    watcher = Watcher(binary, uri)
    answered = {}
    while True:
        try:
            _, line = watcher.records.get(timeout=3 if len(answered) > 10 else 20)
        except queue.Empty:
            break
        record = json.loads(line)
        answered[record["sequence"]] = record["captured_s"] + record["age_ms"] / 1000
    sent = [float(line) for line in (folder / "sent").read_text().split()]
    assert len(sent) == count and answered, f"{len(sent)} sent, {len(answered)} answered"
    offset = count - 1 - max(answered)
    # The first ones come out of the receiver's buffers at once.
    late = sorted(1000 * (at - sent[number + offset]) for number, at in answered.items() if number > 25)
    watcher.stop()
    server.kill()
    assert late[0] >= 0, f"answered before it was sent: {late[0]} ms"
    print(
        f"http: {statistics.median(late):.1f} ms from a picture's sending to its answer ({late[0]:.1f} at least, {late[len(late) * 95 // 100]:.1f} "
        f"for 95 of 100, {late[-1]:.1f} at most; {len(late)} pictures)",
        flush=True,
    )


def refused(binary, uri, words):
    done = subprocess.run([binary, "run", "--source", uri, "--report", "json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4 and words in done.stderr, f"{uri}: {done.returncode} {done.stderr}"
    assert "s3cret" not in done.stderr, f"a password was logged: {done.stderr}"


def main():
    binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    times = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    stalled = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    film = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-frames:v", "50", "-q:v", "4", folder / "%03d.jpg"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *film], check=True)
    http, rtsp, nobody = port(), port(), port()
    refused(binary, f"http://me:s3cret@127.0.0.1:{nobody}/", "refused")
    refused(binary, f"rtsp://me:s3cret@127.0.0.1:{nobody}/live", "refused")
    refused(binary, "gst:nosuchelement ! identity", "nosuchelement")
    restarts("http", Server("http", http, folder), binary, f"http://127.0.0.1:{http}/", times)
    restarts("rtsp", Server("rtsp", rtsp), binary, f"rtsp://127.0.0.1:{rtsp}/live", times)
    stalls(Server("http", http, folder), binary, f"http://127.0.0.1:{http}/", folder, stalled)
    latency(Server("http", http, folder, 150), binary, f"http://127.0.0.1:{http}/", folder, 150)
    watcher = Watcher(binary, "gst:videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1")
    for _ in range(10):
        watcher.record()
    watcher.stop()
    print("gst: a pipeline of GStreamer's is watched")


main()
