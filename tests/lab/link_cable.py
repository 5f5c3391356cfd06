"""A link's cable that is pulled and put in again under load, and what came of it.

usage: link_cable.py board DEVICE FPS FRAMES ROUNDS [PULLS]   on the board: watches with and without a link to DEVICE; with PULLS it is the far end too, a USB gadget
       link_cable.py uart PULLS FOLDER                        on the host: the far end of the virtual board's UART, by User-mode Linux's management console
       link_cable.py adapter PULLS FOLDER                     on the host: the far end of the emulated PC's FTDI adapter, its socket
       link_cable.py judge PULLS FOLDER NAME                  afterwards

On the board, one processor may have to do everything. What is not under test there is kept out of the way: it starts no processes while frames are
answered, and yields to them.
"""

import itertools
import json
import os
import pathlib
import pty
import select
import socket
import struct
import subprocess
import sys
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "firmware-bridge/python"))
from recslowfast_link import telegrams  # noqa: E402

# The cable stays in for so long, and out for so long, in seconds.
IN, OUT = 0.8, 0.3
# A link that has not come back by then never will.
LIMIT = 60


def wait_for(what, happened, limit=LIMIT):
    until = time.monotonic() + limit
    while not happened():
        if time.monotonic() > until:
            sys.exit(f"{what} within {limit} s")
        time.sleep(0.01)


class Gadget:
    """A USB serial device made of the kernel's gadget functions."""

    path = pathlib.Path("/sys/kernel/config/usb_gadget/link")

    def __init__(self, _folder):
        if not self.path.exists():
            self.path.mkdir()
            (self.path / "idVendor").write_text("0x1d6b")
            (self.path / "idProduct").write_text("0x0104")
            (self.path / "functions/acm.0").mkdir()
            (self.path / "configs/c.1").mkdir()
            (self.path / "configs/c.1/acm.0").symlink_to(self.path / "functions/acm.0")

    def plug(self):
        (self.path / "UDC").write_text("dummy_udc.0")
        port = os.open("/dev/ttyGS0", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(port)
        return port

    def pull(self, port):
        os.close(port)
        (self.path / "UDC").write_text("\n")


class Uart:
    """The board's ttyS0: a host's pseudo-terminal, which its kernel is told of and told to forget.

    Closing the terminal alone would hang the board's port up, which User-mode Linux does not recover from: whatever opens the port again gets EIO for ever.
    """

    def __init__(self, folder):
        self.console = folder / "uml/board/mconsole"
        wait_for("no management console", self.console.exists)

    def tell(self, words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            # Any name of our own will do, and an abstract one leaves no file behind.
            end.bind(f"\0link-{os.getpid()}")
            end.settimeout(10)
            end.sendto(struct.pack("=III512s", 0xCAFEBABE, 2, len(words), words.encode()), str(self.console))
            failed, _, length = struct.unpack("=iii", end.recv(4096)[:12])
        return not failed

    def plug(self):
        near, far = pty.openpty()
        tty.setraw(far)
        self.name = os.ttyname(far)
        os.close(far)
        wait_for("ttyS0 was not taken", lambda: self.tell(f"config ssl0=tty:{self.name}"))
        return near

    def pull(self, near):
        os.close(near)
        # Refused for as long as the port is open.
        wait_for("the lost port was not let go", lambda: self.tell("remove ssl0"))


class Adapter:
    """A USB serial adapter whose far end is a socket: plugged in while somebody is connected."""

    def __init__(self, folder):
        self.path = folder / "usb"

    def plug(self):
        end = socket.socket(socket.AF_UNIX)
        end.connect(str(self.path))
        return end.detach()

    def pull(self, end):
        os.close(end)


def chunks(port, until):
    while time.monotonic() < until:
        if select.select([port], [], [], 0.1)[0]:
            try:
                yield os.read(port, 4096)
            except OSError:
                # Nobody has opened the other end yet.
                time.sleep(0.02)


def returned(port, began):
    """Seconds until the greeting; ends when the link has said everything that it says, and not before the cable has been in for a while."""
    seen, greeted = set(), None
    for _, name, _ in telegrams(chunks(port, began + LIMIT)):
        if name == "hello" and greeted is None:
            greeted = time.monotonic() - began
        seen.add(name)
        if {"hello", "status", "detections"} <= seen and time.monotonic() > began + IN:
            return greeted
    sys.exit(f"the link did not come back within {LIMIT} s; heard {sorted(seen)}")


def pulls(cable, times, returns=None):
    """Pulls the cable `times` and notes how long the link took to come back; without `returns` nobody listens."""
    for _ in range(times):
        began = time.monotonic()
        port = cable.plug()
        if returns:
            print(f"{returned(port, began):.3f}", file=returns, flush=True)
        else:
            time.sleep(IN)
        cable.pull(port)
        time.sleep(OUT)


def far_end(kind, times, folder):
    """One far end for all rounds of the board, which says when it is ready for one."""
    cable = {"uart": Uart, "adapter": Adapter}[kind](folder)
    with open(folder / "returns", "a") as returns:
        for number in itertools.count(1):
            ready = folder / f"round-{number}"
            wait_for(f"round {number} did not begin", lambda: ready.exists() or (folder / "end").exists(), 240)
            if not ready.exists():
                return
            try:
                pulls(cable, times, returns)
            finally:
                # Or else the board would wait for ever.
                (folder / f"pulled-{number}").touch()


class Program:
    """The program on a stream, its records in a file of the folder."""

    def __init__(self, folder, name, fps, *arguments):
        self.folder, self.name = folder, name
        model = os.environ.get("LAB_GUEST_MODEL")
        command = [os.environ["LAB_GUEST_BINARY"], "run", "--engine", "cpu", "--halt", "fixed:1", "--source", f"pathfinder:easy?seed=7&size=64&fps={fps}"]
        command += ["--report", "json", *arguments, *(["--model", model] if model else [])]
        os.setpriority(os.PRIO_PROCESS, 0, 0)
        with open(folder / f"{name}.jsonl", "ab") as records, open(folder / f"{name}.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=records, stderr=log)
        os.setpriority(os.PRIO_PROCESS, 0, 19)

    def end(self):
        self.process.terminate()
        if self.process.wait(60):
            sys.exit((self.folder / f"{self.name}.log").read_text())


def board(device, fps, frames, rounds, times):
    folder = pathlib.Path(os.environ["OUT"])
    cable = Gadget(folder) if times else None
    for number in range(1, rounds + 1):
        # As many frames as there will be with a link, in peace.
        if frames:
            alone = Program(folder, "alone", fps)
            time.sleep(frames / fps)
            alone.end()
        if cable:
            # The kernel's own part of a cable that is pulled.
            alone = Program(folder, "cable", fps)
            pulls(cable, times // rounds)
            alone.end()
        linked = Program(folder, "linked", fps, "--report", f"link:{device}")
        if cable:
            with open(folder / "returns", "a") as returns:
                pulls(cable, times // rounds, returns)
        else:
            (folder / f"round-{number}").touch()
            pulled = folder / f"pulled-{number}"
            while not pulled.exists():
                time.sleep(0.2)
        linked.end()
    (folder / "end").touch()


def judge(times, folder, name):
    returns = sorted(float(line) for line in open(folder / "returns"))
    assert len(returns) == times, f"{len(returns)} of {times} returns"
    print(f"{name}: pulled {times} times, back after {returns[times // 2]:.2f} s in the median, {returns[-1]:.2f} s at most")
    for words, file in [("no link", "alone"), ("no link, the cable pulled", "cable"), ("linked, the cable pulled", "linked")]:
        path = folder / f"{file}.jsonl"
        if not path.exists():
            continue
        records = [json.loads(line) for line in open(path) if line.endswith("}\n")]
        work = sorted(sum(record["stages_ms"].values()) for record in records)
        quantiles = " ".join(f"p{percent} {work[len(work) * percent // 100]:.2f}" for percent in (50, 90, 99))
        print(f"  {words}: work of a frame in ms {quantiles}, over {len(work)} frames")


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "board":
        board(words[1], *map(int, words[2:5]), int(words[5]) if len(words) > 5 else 0)
    elif words[0] == "judge":
        judge(int(words[1]), pathlib.Path(words[2]), words[3])
    else:
        far_end(words[0], int(words[1]), pathlib.Path(words[2]))
