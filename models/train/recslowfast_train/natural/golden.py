"""Writes tests/golden/NAME for a network of natural video: what ONNX Runtime answers to generated colour frames over carried steps.

    python -m recslowfast_train.natural.golden ../zoo/street ../../tests/golden/street

The frames are a formula (`level`), so no picture is stored, and of the answers every `every`-th number is. To be run again whenever the weights change.
"""

import argparse
import hashlib
import pathlib

import numpy as np
import onnxruntime

from ..golden import Network

STEPS = [3, 1, 2, 1]
EVERY = {"street": 1, "camvid": 61}

README = """\
# Golden answers of {name}

Made by `python -m recslowfast_train.natural.golden` (in `models/train`) with ONNX Runtime {runtime} on the graphs of `models/zoo/{name}`: {frames} frames, the state
carried from frame to frame and starting at zero, {total} steps in all. An engine passes when every value agrees within 1e-4 (absolute, or relative to the value where that is larger).

Frame t shows in channel c, row y, column x the level ((x + 3 t) * 7 + y * 13 + c * 29 + (x + 3 t) * y / 17) mod 256, integer division; the input is (level / 255 - mean) / std.

All files are raw, without header, little-endian:

| file | type | what |
|---|---|---|
| `steps.u8` | uint8 | steps taken on each frame |
| `distances.f32` | float32 | of every step, in order: norm(s_k - s_(k-1)) / norm(s_k), Euclidean over all states together |
| `answers.f32` | float32 | every {every}th number of each frame's answers (the readout's outputs one behind the other), from the first |

`golden.toml` names the SHA-256 of the graphs these were made from. After a change of weights, make them again.
"""


def level(t: int, channels: int, height: int, width: int) -> np.ndarray:
    """uint8 [channels, height, width]."""
    c, y, x = np.meshgrid(np.arange(channels), np.arange(height), np.arange(width), indexing="ij")
    x = x + 3 * t
    return ((x * 7 + y * 13 + c * 29 + x * y // 17) % 256).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    network, name = Network(args.network), args.network.resolve().name
    entry = network.manifest["input"]
    mean, std = (np.array(entry[key], np.float32)[:, None, None] for key in ("mean", "std"))
    distances, answers = [], []
    for t, steps in enumerate(STEPS):
        frame = (level(t, entry["channels"], entry["height"], entry["width"]).astype(np.float32) / 255 - mean) / std
        drive = network.run("encoder", frame=frame[None])["drive"]
        distances += [network.step(drive) for _ in range(steps)]
        outputs = network.run("readout", drive=drive, **network.states)
        answers.append(np.concatenate([output.ravel() for output in outputs.values()])[:: EVERY[name]])
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "steps.u8").write_bytes(np.array(STEPS, np.uint8).tobytes())
    (args.out / "distances.f32").write_bytes(np.array(distances, np.float32).tobytes())
    (args.out / "answers.f32").write_bytes(np.concatenate(answers).astype(np.float32).tobytes())
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(args.network.glob("*.onnx"))}
    lines = [f"every = {EVERY[name]}", "", "[sha256]", *(f'"{file}" = "{digest}"' for file, digest in digests.items())]
    (args.out / "golden.toml").write_text("\n".join(lines) + "\n")
    (args.out / "README.md").write_text(README.format(name=name, runtime=onnxruntime.__version__, frames=len(STEPS), total=sum(STEPS), every=EVERY[name]))


if __name__ == "__main__":
    main()
