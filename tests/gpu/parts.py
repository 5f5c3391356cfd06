"""Runs parts of a measurement: each a process of its own, with a time limit of its own, whose failure stops nothing else."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time

TAIL = 6000


@dataclasses.dataclass
class Part:
    """One process to run."""

    name: str
    command: list
    limit: float
    environment: dict = dataclasses.field(default_factory=dict)
    # What the table needs to know of it.
    about: dict = dataclasses.field(default_factory=dict)
    # Keep all of standard output, not just its end.
    whole: bool = False


@dataclasses.dataclass
class Runner:
    """Runs parts until `seconds` are over, and remembers what became of them."""

    seconds: float
    folder: str
    began: float = dataclasses.field(default_factory=time.monotonic)
    results: list = dataclasses.field(default_factory=list)
    # Called after each part: what is known by then is kept even if the whole is stopped.
    kept: object = None
    # Kinds of parts to run; all where it is empty.
    only: list = dataclasses.field(default_factory=list)
    # Why nothing can run any more.
    refusal: str = ""
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.began)

    def skip(self, part: Part, why: str) -> dict:
        return self.keep(part, {"why": why})

    def keep(self, part: Part, outcome: dict) -> dict:
        result = {"name": part.name, "about": part.about, "environment": part.environment, "command": [str(word) for word in part.command], **outcome}
        with self.lock:
            self.results.append(result)
            if self.kept:
                self.kept()
        return result

    def run(self, part: Part, until: float | None = None) -> dict:
        """`until`: seconds of the whole budget that must still be left when the part ends."""
        if self.refusal:
            return self.skip(part, self.refusal)
        if self.only and part.about["kind"] not in self.only:
            return self.skip(part, "it was not asked for")
        tool = str(part.command[3] if part.command[0] == "taskset" else part.command[0])
        if not shutil.which(tool):
            return self.skip(part, f"there is no {tool}")
        limit = min(part.limit, self.left() - (until or 1))
        if limit < 2:
            return self.skip(part, "no time was left")
        began = time.monotonic()
        try:
            process = subprocess.Popen(
                [str(word) for word in part.command], cwd=self.folder, env={**os.environ, **part.environment}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            )
        except OSError as error:
            return self.skip(part, f"it could not be started: {error}")
        timed_out = False
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(process.pid, signal.SIGKILL)  # of the session this function started
            try:
                out, err = process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                out, err = "", "it could not be ended"
        outcome = {
            "code": process.returncode, "seconds": round(time.monotonic() - began, 1), "at": round(began - self.began, 1),
            "records": records(out), "out": out if part.whole else out[-TAIL:], "err": err[-TAIL:],
        }
        if timed_out:
            outcome["why"] = f"it was stopped after {limit:.0f} s"
        return self.keep(part, outcome)

    def together(self, parts: list, workers: int, until: float) -> None:
        """Several at a time, for what is not timed; each on processors of its own, or their threads would wait for one another."""
        processors = sorted(os.sched_getaffinity(0))
        share = max(1, len(processors) // workers)
        free = queue.SimpleQueue()
        for at in range(workers):
            free.put(processors[at * share : (at + 1) * share] or processors)

        def one(part: Part) -> None:
            mine = free.get()
            if shutil.which("taskset"):
                part.command = ["taskset", "-c", ",".join(str(processor) for processor in mine), *part.command]
            self.run(part, until)
            free.put(mine)

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, parts))


def records(text: str) -> list:
    """The lines of JSON in a program's output; the test harness puts words before the first."""
    found = []
    for line in text.splitlines():
        if match := re.search(r"\{.*\}\s*$", line):
            try:
                found.append(json.loads(match[0]))
            except ValueError:
                pass
    return found
