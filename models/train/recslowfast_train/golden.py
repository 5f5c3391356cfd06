"""Writes tests/golden/pathfinder-hgru: what ONNX Runtime answers to 20 generated frames over 30 carried steps.

    python -m recslowfast_train.golden ../zoo/pathfinder-hgru ../../tests/golden/pathfinder-hgru

To be run again whenever the weights change; `golden.toml` holds the digests of the graphs it was made from.
"""

import argparse
import hashlib
import pathlib

import numpy as np
import onnxruntime

from .data import Videos
from .export import open_session

STEPS = [6, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 2]
SPLIT, SEED, SIZE = "easy", 11, 64

README = """\
# Golden answers of pathfinder-hgru

Made by `python -m recslowfast_train.golden` (in `models/train`) with ONNX Runtime {runtime} on the three graphs of
`models/zoo/pathfinder-hgru`. {frames} frames of one video (split {split}, seed {seed}, index 0, {size}x{size} pixels), the state
carried from frame to frame and starting at zero, {total} steps in all. An engine passes when every value agrees within 1e-4
(absolute, or relative to the value where that is larger).

All files are raw, without header, little-endian, row-major:

| file | type | shape | what |
|---|---|---|---|
| `frames.u8` | uint8 | [{frames}, {size}, {size}] | luma of each frame; the network's input is value / 255 |
| `masks.u8` | uint8 | [{frames}, {size}, {size}] | the wanted contour, 0 or 255 (not needed to compare) |
| `steps.u8` | uint8 | [{frames}] | steps taken on each frame |
| `distances.f32` | float32 | [{total}] | of every step, in order: norm(h_k - h_(k-1)) / norm(h_k), Euclidean over the whole state |
| `logits.f32` | float32 | [{frames}, 2, {size}, {size}] | readout after each frame's steps: background, contour |
| `hidden.f32` | float32 | [{channels}, {size}, {size}] | the state after the last frame |

`golden.toml` names the SHA-256 of the graphs these were made from. After a change of weights, make them again.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--stream-binary", help="a built `stream` example instead of `cargo run`")
    args = parser.parse_args()
    sessions = {name: open_session(args.network / f"{name}.onnx") for name in ("encoder", "step", "readout")}
    shape = sessions["step"].get_inputs()[1].shape
    video = next(Videos(SPLIT, SEED, SIZE, len(STEPS), count=1, binary=args.stream_binary))
    hidden = np.zeros(shape, np.float32)
    logits, distances = [], []
    for frame, steps in zip(video, STEPS):
        luma = frame[None, :1].astype(np.float32) / np.float32(255)
        drive = sessions["encoder"].run(["drive"], {"frame": luma})[0]
        for _ in range(steps):
            following = sessions["step"].run(["hidden_next"], {"drive": drive, "hidden": hidden})[0]
            distances.append(np.linalg.norm((following - hidden).astype(np.float64)) / np.linalg.norm(following.astype(np.float64)))
            hidden = following
        logits.append(sessions["readout"].run(["logits"], {"hidden": hidden})[0][0])
    args.out.mkdir(parents=True, exist_ok=True)
    video[:, 0].tofile(args.out / "frames.u8")
    video[:, 1].tofile(args.out / "masks.u8")
    np.array(STEPS, np.uint8).tofile(args.out / "steps.u8")
    np.array(distances, "<f4").tofile(args.out / "distances.f32")
    np.stack(logits).astype("<f4").tofile(args.out / "logits.f32")
    hidden[0].astype("<f4").tofile(args.out / "hidden.f32")
    facts = {"runtime": onnxruntime.__version__, "frames": len(STEPS), "total": sum(STEPS), "channels": shape[1]}
    (args.out / "README.md").write_text(README.format(split=SPLIT, seed=SEED, size=SIZE, **facts))
    lines = [f'{name} = "{hashlib.sha256((args.network / f"{name}.onnx").read_bytes()).hexdigest()}"' for name in sessions]
    spec = f'split = "{SPLIT}"\nseed = {SEED}\nindex = 0\nsize = {SIZE}\nframes = {len(STEPS)}\n\n[sha256]\n'
    (args.out / "golden.toml").write_text(spec + "\n".join(lines) + "\n")
    found = np.stack(logits).argmax(1) == 1
    wanted = video[:, 1] > 127
    overlap = (found & wanted).sum((1, 2)) / np.maximum((found | wanted).sum((1, 2)), 1)
    print(f"{args.out}: {sum(STEPS)} steps, IoU {overlap.mean():.3f}, last distance {distances[-1]:.4f}")


if __name__ == "__main__":
    main()
