"""A network of recslowfast from Python, run by the program itself through a pipe.

Through the program and not an extension module: what answers here is the engine that answers on the board, for every Python and without a
compiler. A frame costs one copy of its tensors through the pipe beside the engine's own time.

Needs numpy, and the program `recslowfast` (on PATH, or named by the environment variable RECSLOWFAST).
"""

import io
import json
import os
import shutil
import struct
import subprocess
import threading

import numpy as np


class Refused(RuntimeError):
    """The program refused the network or ended; what it said is the message."""


def find_program(program=None):
    """The path of `recslowfast`: the one given, else $RECSLOWFAST, else the one on PATH."""
    found = program or os.environ.get("RECSLOWFAST") or shutil.which("recslowfast")
    if not found or not (os.path.isfile(found) or shutil.which(found)):
        raise Refused(f"no program '{found or 'recslowfast'}': install recslowfast, or set RECSLOWFAST to its path")
    return str(found)


class Network:
    """A network folder, run by the CPU engine; a state is carried from call to call.

    folder: with model.toml and its graphs, or the name of a built-in network
    halt: when stepping stops, as `recslowfast run --halt` takes it ("model", "fixed:6", "relative-l2:0.02", ...)
    threads: of the engine
    fit: how a picture of another shape meets the input: "stretch", "crop" or "letterbox"
    program: the path of `recslowfast`
    """

    def __init__(self, folder, halt="model", threads=1, fit="stretch", program=None):
        command = [find_program(program), "advance", str(folder), "--halt", halt, "--threads", str(threads), "--fit", fit]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._said = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self.about = json.loads(self._answer())
        except Refused:
            self.close()
            raise
        self.name = self.about["name"]
        self.input_shape = tuple(self.about["input"])
        self.held = {}

    def _listen(self):
        for line in self._child.stderr:
            self._said.append(line.decode(errors="replace").rstrip())

    @property
    def said(self):
        """What the program logged, line by line: for example which nodes run on tract, and how long they take."""
        return list(self._said)

    def _read(self, count):
        data = self._child.stdout.read(count)
        if len(data) < count:
            self._child.wait()
            self._listener.join(5)
            raise Refused("\n".join(self._said) or f"recslowfast ended with code {self._child.returncode}")
        return data

    def _answer(self):
        return self._read(struct.unpack("<I", self._read(4))[0])

    def _ask(self, *message):
        try:
            for part in message:
                self._child.stdin.write(part)
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # What the program said before it ended is told by the read.
        return self._answer()

    def advance(self, frame):
        """Answers one frame: (steps, answers), `answers` a dict of the readout's outputs by name.

        frame: the input tensor, float, [1, C, H, W] or [C, H, W], normalised as the network was trained; or a picture, uint8, [H, W] or
            [H, W, 3] RGB of any size, which the program fits and normalises.
        """
        frame = np.asarray(frame)
        if frame.dtype == np.uint8:
            channels = 1 if frame.ndim == 2 else frame.shape[-1]
            if frame.ndim not in (2, 3) or channels not in (1, 3):
                raise ValueError(f"a picture is [height, width] or [height, width, 3], not {frame.shape}")
            header = struct.pack("<III", frame.shape[1], frame.shape[0], channels)
            data = self._ask(b"P", header, np.ascontiguousarray(frame).tobytes())
        else:
            if frame.shape not in (self.input_shape, self.input_shape[1:]):
                raise ValueError(f"{self.name} takes {self.input_shape}, not {frame.shape}")
            data = self._ask(b"T", np.ascontiguousarray(frame, dtype="<f4").tobytes())
        with np.load(io.BytesIO(data)) as archive:
            self.held = {name: archive[name] for name in archive.files}
        return int(self.held["steps"]), self._of("answer.")

    def _of(self, prefix):
        return {name[len(prefix) :]: value for name, value in self.held.items() if name.startswith(prefix)}

    @property
    def states(self):
        """The states after the last frame, by name."""
        return self._of("state.")

    @property
    def encoded(self):
        """What the encoder handed on in the last frame, by name: `drive`, and features."""
        return self._of("encoded.")

    def read(self, answers):
        """What the task reads out of `answers` (as `advance` gives them): a list of {class, score, box} in pixels of the input."""
        order = [answer["name"] for answer in self.about["answers"]]
        return json.loads(self._ask(b"A", *[np.ascontiguousarray(answers[name], dtype="<f4").tobytes() for name in order]))

    def reset(self):
        """Forgets what is carried."""
        self._ask(b"R")

    def close(self):
        """Ends the program."""
        try:
            self._child.stdin.close()
        except BrokenPipeError:
            pass  # It ended by itself.
        self._child.wait()
        self._listener.join(5)
        self._child.stdout.close()
        self._child.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
