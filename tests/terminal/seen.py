"""The dashboard on real terminals: seen.py BINARY FILM FOLDER. Three sizes in tmux, every screen of ten seconds, a stalled source, the way out.

What a terminal shows is read with `tmux capture-pane`; screens are left in FOLDER as text with colours (`cat` shows them).
"""

import os
import pathlib
import re
import subprocess
import sys
import time
import uuid

binary, film, folder = map(pathlib.Path, sys.argv[1:4])
PIXEL = "▀"
SECONDS = 10


class Screen:
    """A terminal of so many columns and rows, with a shell in it."""

    def __init__(self, columns, rows, command):
        self.name, self.columns, self.rows = f"rsf-{uuid.uuid4().hex[:8]}", columns, rows
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "sh", "-i", env=environment)
        self.tmux("set-option", "status", "off")
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        self.type("PS1='$ '; clear; stty -a > /dev/null")
        time.sleep(0.5)
        self.before = self.shell_settings()
        self.type(command)

    def tmux(self, *words, env=None):
        return subprocess.run(["tmux", "-L", self.name, *words], check=True, capture_output=True, text=True, env=env).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def key(self, key):
        self.tmux("send-keys", key)

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[: self.rows]

    def colours(self):
        return self.tmux("capture-pane", "-p", "-e")

    def wait_for(self, wanted, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if wanted(lines := self.lines()):
                return lines
            time.sleep(0.1)
        sys.exit(f"{self.columns}x{self.rows}: waited for nothing; the screen is:\n" + "\n".join(self.lines()))

    def shell_settings(self):
        """What the terminal does with keys, as stty tells it."""
        self.type(f"stty -a > {folder}/stty-{self.name}")
        time.sleep(0.5)
        path = folder / f"stty-{self.name}"
        text = path.read_text()
        path.unlink()
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-L", self.name, "kill-server"], capture_output=True)


def pixels(lines):
    """Columns and rows that show a picture."""
    return max((line.count(PIXEL) for line in lines), default=0), sum(PIXEL in line for line in lines)


def has_picture(lines):
    return pixels(lines)[0] > 10


for columns, rows in ((80, 24), (120, 40), (200, 60)):
    run = f"{binary} run --source '{film}?realtime&loop' --threads 1"
    with Screen(columns, rows, run) as screen:
        screen.wait_for(has_picture)
        # The first screen may be caught half drawn: a terminal takes it in pieces.
        time.sleep(1)
        lines = screen.lines()
        wide, high = pixels(lines)
        aspect = wide / (2 * high)
        assert 1.1 < aspect < 1.6, (wide, high)
        shown, missing, changed = 0, 0, set()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            lines = screen.lines()
            text = "\n".join(lines)
            shown += 1
            missing += not has_picture(lines) or "frames/s on cpu" not in text or " of " not in text
            changed.add(text)
        assert shown > 30 and missing == 0, (shown, missing)
        assert len(changed) > 5, "the dashboard stands still"
        text = "\n".join(lines)
        assert "person" in text and re.search(r"rate +[\d.]+ frames/s", text) and "q ends" in lines[0], text
        (folder / f"terminal-{columns}x{rows}.txt").write_text(screen.colours())
        screen.key("q")
        lines = screen.wait_for(lambda lines: not has_picture(lines) and any(line.startswith("$") for line in lines), 10)
        assert screen.shell_settings() == screen.before, "the terminal is not as it was"
        print(f"{columns}x{rows}: picture {wide}x{high} cells, {shown} screens of which {missing} without it; left as it was")

# A source that brings nothing any more: the last picture stays, and the state stands across it.
with Screen(120, 40, f"(cat {folder}/first.y4m; sleep 30) | {binary} run --source - --threads 1") as screen:
    lines = screen.wait_for(lambda lines: has_picture(lines) and any("no frames for" in line for line in lines))
    (folder / "terminal-silent.txt").write_text(screen.colours())
    screen.key("C-c")
    screen.wait_for(lambda lines: not has_picture(lines), 10)
    print("a silent source is told across its last picture")
