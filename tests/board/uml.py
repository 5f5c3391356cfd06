"""Boots User-mode Linux with systemd on a folder: uml.py KERNEL ROOT IO. The guest's /dev/ttyS0 is read into IO/uart."""

import os
import pty
import subprocess
import sys
import threading
import tty

kernel, root, io = sys.argv[1:4]
master, slave = pty.openpty()
tty.setraw(slave)
tty.setraw(master)


def drain():
    with open(f"{io}/uart", "wb") as out:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            out.write(data)
            out.flush()


threading.Thread(target=drain, daemon=True).start()
with open(f"{io}/console", "wb") as console:
    command = [kernel, "mem=768M", "root=/dev/root", "rootfstype=hostfs", f"rootflags={root}", "rw", "quiet", "init=/lib/systemd/systemd"]
    command += ["con=null", "con0=null,fd:1", f"ssl0=tty:{os.ttyname(slave)}", f"board_io={io}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, check=False)
