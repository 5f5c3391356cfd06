"""Writes tests/golden/NAME: what ONNX Runtime answers to 10 generated frames over 30 carried steps.

    python -m recslowfast_train.golden ../zoo/pathfinder-lean ../../tests/golden/pathfinder-lean

To be run again whenever the weights change; `golden.toml` holds the digests of the graphs it was made from.
"""

import argparse
import hashlib
import pathlib
import tomllib

import numpy as np
import onnxruntime

from .data import Videos
from .export import open_session

STEPS = [6, 1, 1, 2, 1, 6, 1, 2, 8, 2]
SPLIT, SEED, SIZE = "easy", 11, 64

README = """\
# Golden answers of {name}

Made by `python -m recslowfast_train.golden` (in `models/train`) with ONNX Runtime {runtime} on the graphs of `models/zoo/{name}`.
{frames} frames of one video (split {split}, seed {seed}, index 0, {size}x{size} pixels), the state carried from frame to frame and
starting at zero, {total} steps in all. An engine passes when every value agrees within 1e-4 (absolute, or relative to the value
where that is larger).

All files are raw, without header, little-endian, row-major:

| file | type | shape | what |
|---|---|---|---|
| `frames.u8` | uint8 | [{frames}, {size}, {size}] | luma of each frame; the network's input is value / 255 |
| `steps.u8` | uint8 | [{frames}] | steps taken on each frame |
| `distances.f32` | float32 | [{total}] | of every step, in order: norm(s_k - s_(k-1)) / norm(s_k), Euclidean over all states together |
| `logits.f32` | float32 | [{frames}, 2, {size}, {size}] | readout after each frame's steps: background, contour |

`golden.toml` names the SHA-256 of the graphs these were made from. After a change of weights, make them again.
"""


class Network:
    """A folder's graphs in ONNX Runtime, with their states."""

    def __init__(self, folder: pathlib.Path):
        self.manifest = tomllib.loads((folder / "model.toml").read_text())
        self.states = {state["name"]: np.zeros(state["shape"], np.float32) for state in self.manifest.get("state", [])}
        names = ["encoder", "step", "readout"] if self.states else ["encoder", "readout"]
        self.sessions = {name: open_session(folder / f"{name}.onnx") for name in names}

    def run(self, name: str, **tensors: np.ndarray) -> dict[str, np.ndarray]:
        session = self.sessions[name]
        inputs = {wanted.name: tensors[wanted.name] for wanted in session.get_inputs()}
        return dict(zip((output.name for output in session.get_outputs()), session.run(None, inputs)))

    def step(self, drive: np.ndarray) -> float:
        """One step; how far it moved the states."""
        following = self.run("step", drive=drive, **self.states)
        before, after = (np.concatenate([a.ravel() for a in side]).astype(np.float64) for side in
                         (self.states.values(), [following[f"{name}_next"] for name in self.states]))  # fmt: skip
        self.states = {name: following[f"{name}_next"] for name in self.states}
        return float(np.linalg.norm(after - before) / np.linalg.norm(after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--stream-binary", help="a built `stream` example instead of `cargo run`")
    args = parser.parse_args()
    network = Network(args.network)
    counts = STEPS if network.states else [0] * len(STEPS)
    video = next(Videos(SPLIT, SEED, SIZE, len(STEPS), count=1, binary=args.stream_binary))
    logits, distances = [], []
    for frame, steps in zip(video, counts):
        drive = network.run("encoder", frame=frame[None, :1].astype(np.float32) / np.float32(255))["drive"]
        distances += [network.step(drive) for _ in range(steps)]
        logits.append(network.run("readout", drive=drive, **network.states)["logits"][0])
    args.out.mkdir(parents=True, exist_ok=True)
    video[:, 0].tofile(args.out / "frames.u8")
    np.array(counts, np.uint8).tofile(args.out / "steps.u8")
    np.array(distances, "<f4").tofile(args.out / "distances.f32")
    np.stack(logits).astype("<f4").tofile(args.out / "logits.f32")
    facts = {"name": network.manifest["name"], "runtime": onnxruntime.__version__, "frames": len(counts), "total": sum(counts)}
    (args.out / "README.md").write_text(README.format(split=SPLIT, seed=SEED, size=SIZE, **facts))
    lines = [f'{name} = "{hashlib.sha256((args.network / f"{name}.onnx").read_bytes()).hexdigest()}"' for name in network.sessions]
    spec = f'split = "{SPLIT}"\nseed = {SEED}\nindex = 0\nsize = {SIZE}\nframes = {len(counts)}\n\n[sha256]\n'
    (args.out / "golden.toml").write_text(spec + "\n".join(lines) + "\n")
    found, wanted = np.stack(logits).argmax(1) == 1, video[:, 1] > 127
    overlap = (found & wanted).sum((1, 2)) / np.maximum((found | wanted).sum((1, 2)), 1)
    print(f"{args.out}: {sum(counts)} steps, IoU {overlap.mean():.3f}")


if __name__ == "__main__":
    main()
