"""Temporal Pathfinder videos, generated on the fly by the `stream` example of the temporal-pathfinder crate.

The generator writes, per frame, size*size luma bytes and then size*size mask bytes (0 or 255), video after video.
"""

import pathlib
import subprocess

import numpy as np
import torch

# what --split stands for
SPLITS = {"easy": ["easy"], "hard": ["hard"], "both": ["easy", "hard"]}

WORKSPACE = pathlib.Path(__file__).resolve().parents[3]


def generator_command(binary: str | None) -> list[str]:
    if binary:
        return [binary]
    manifest = str(WORKSPACE / "Cargo.toml")
    return ["cargo", "run", "--release", "-q", "--manifest-path", manifest, "-p", "temporal-pathfinder", "--example", "stream", "--"]


class Videos:
    """An endless (or `count` long) sequence of videos [frames, 2, size, size] uint8 (luma, mask)."""

    def __init__(self, split: str, seed: int, size: int, frames: int, first: int = 0, count: int | None = None, binary: str | None = None):
        command = generator_command(binary)
        command += ["--split", split, "--seed", str(seed), "--size", str(size), "--frames", str(frames), "--first", str(first)]
        if count is not None:
            command += ["--videos", str(count)]
        self.shape = (frames, 2, size, size)
        self.bytes = int(np.prod(self.shape))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=self.bytes)

    def __iter__(self):
        return self

    def __next__(self) -> np.ndarray:
        data = self.process.stdout.read(self.bytes)
        if len(data) == 0 and self.process.wait() == 0:
            raise StopIteration
        if len(data) != self.bytes:
            raise RuntimeError(
                f"the generator stopped after {len(data)} of {self.bytes} bytes of a video (exit code {self.process.poll()})"
            )
        return np.frombuffer(data, np.uint8).reshape(self.shape)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def to_tensors(frames: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 [B,2,H,W] -> luma [B,1,H,W] in [0,1] and target [B,H,W] in {0,1}."""
    both = torch.from_numpy(np.array(frames, order="C"))
    return both[:, :1].float() / 255, (both[:, 1] > 127).float()


class Slots:
    """`count` video players side by side, fed by the sources in turn. Half of them are cut often, half play for long, so that states of
    every age are seen."""

    LENGTH = 120

    def __init__(self, videos: list[Videos], count: int, rng: np.random.Generator):
        self.videos, self.count, self.rng = videos, count, rng
        self.video = [None] * count
        self.at = [0] * count
        self.stride = [1] * count
        for slot in range(count):
            self.cut(slot)

    def is_long(self, slot: int) -> bool:
        return slot >= self.count // 2

    def cut(self, slot: int) -> None:
        """Another video, mirrored and turned at random, from its start or somewhere in its first half, 1 to 3 frames at a time."""
        video = next(self.videos[slot % len(self.videos)])
        if self.rng.random() < 0.5:
            video = video[:, :, :, ::-1]
        self.video[slot] = np.rot90(video, int(self.rng.integers(4)), (2, 3))
        self.at[slot] = 0 if self.rng.random() < 0.5 else int(self.rng.integers(self.LENGTH // 2))
        self.stride[slot] = int(self.rng.choice([1, 1, 1, 1, 2, 3]))

    def frame(self) -> np.ndarray:
        return np.stack([video[at] for video, at in zip(self.video, self.at)])

    def exhausted(self, slot: int, ahead: int) -> bool:
        return self.at[slot] + ahead * self.stride[slot] >= self.LENGTH

    def advance(self) -> None:
        self.at = [at + stride for at, stride in zip(self.at, self.stride)]
