"""Measures a network folder or a checkpoint on generated videos.

    python -m recslowfast_train.evaluate ../zoo/pathfinder-hgru --seed 11 --videos 200 --frames 20 --rule fixed:6

Rules, as in the runtime:
    fixed:N              N steps a frame
    slow-fast:S,F        S steps on the first frame, F on later ones
    relative-l2:EPS      step until ||h_k - h_(k-1)|| / ||h_k|| < EPS, at most --cap steps
    relative-l2:EPS,ZERO and no step at all when ||x - x'|| / ||x'|| < ZERO, x' the drive of the last frame that was stepped
The state is carried from frame to frame and starts at zero in every video. Scores are per image at probability 0.5, then averaged.
`--first-frame 1,2,3,6,12,30` adds the score of the first frame after so many steps.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from .data import Videos, to_tensors
from .export import load_checkpoint
from .fasthgru import FastHGru
from .hgru import HGru

# parameter -> (graph, initializer)
INITIALIZERS = {
    "drive_w": ("encoder", "filtered.weight"), "drive_b": ("encoder", "filtered.bias"),
    "u1": ("step", "gate1_in.weight"), "b1": ("step", "gate1_in.bias"),
    "u2": ("step", "gate2_in.weight"), "b2": ("step", "gate2_in.bias"),
    "w_inh": ("step", "inhibition.weight"), "w_exc": ("step", "excitation.weight"),
    "n1_w": ("step", "c1.scale"), "n1_b": ("step", "c1.bias"), "n2_w": ("step", "c2.scale"), "n2_b": ("step", "c2.bias"),
    "alpha": ("step", "alpha"), "mu": ("step", "mu"),
    "gamma": ("step", "gamma"), "kappa": ("step", "kappa"), "omega": ("step", "omega"),
    "out_n_w": ("readout", "normed.scale"), "out_n_b": ("readout", "normed.bias"),
    "out_w": ("readout", "logits.weight"), "out_b": ("readout", "logits.bias"),
}  # fmt: skip


def load_network(path: str) -> HGru:
    """A checkpoint file, or an exported folder whose weights are read back from its ONNX files."""
    folder = pathlib.Path(path)
    if not folder.is_dir():
        return load_checkpoint(path)
    weights = {}
    for graph in ("encoder", "step", "readout"):
        for tensor in onnx.load(folder / f"{graph}.onnx").graph.initializer:
            weights[graph, tensor.name] = torch.from_numpy(numpy_helper.to_array(tensor).copy())
    net = HGru()
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(weights[INITIALIZERS[name]].reshape(value.shape))
    return net


def parse_rule(text: str) -> dict:
    kind, _, numbers = text.partition(":")
    values = [float(number) for number in numbers.split(",")]
    if kind == "fixed" and len(values) == 1:
        return {"first": int(values[0]), "later": int(values[0]), "epsilon": 0.0, "zero": 0.0}
    if kind == "slow-fast" and len(values) == 2:
        return {"first": int(values[0]), "later": int(values[1]), "epsilon": 0.0, "zero": 0.0}
    if kind == "relative-l2" and len(values) in (1, 2):
        return {"first": None, "later": None, "epsilon": values[0], "zero": values[1] if len(values) == 2 else 0.0}
    raise SystemExit(f"rule {text!r}: expected fixed:N, slow-fast:S,F or relative-l2:EPS[,ZERO]")


def norms(columns: torch.Tensor, batch: int) -> torch.Tensor:
    """L2 norm of each video's part of [N, C*B]."""
    return columns.view(-1, batch).square().sum(0).sqrt()


def scores(margin: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """IoU, precision, recall, F1 per image: [4,B]."""
    found, wanted = margin > 0, target > 0.5
    both, union = (found & wanted).sum(0).float(), (found | wanted).sum(0).float()
    one = torch.ones_like(both)
    empty = union == 0
    precision = torch.where(found.sum(0) > 0, both / found.sum(0).clamp(min=1), one * empty)
    recall = torch.where(wanted.sum(0) > 0, both / wanted.sum(0).clamp(min=1), one * empty)
    overlap = torch.where(empty, one, both / union.clamp(min=1))
    f1 = torch.where(empty, one, 2 * both / (found.sum(0) + wanted.sum(0)).clamp(min=1))
    return torch.stack([overlap, precision, recall, f1])


@torch.no_grad()
def evaluate(fast: FastHGru, videos: Videos, count: int, frames: int, rule: dict, cap: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores [4, frames, videos] and step counts [frames, videos]."""
    batch = fast.batch
    assert count % batch == 0, f"--videos must be a multiple of {batch}"
    all_scores, all_steps = [], []
    for _ in range(count // batch):
        clip = np.stack([next(videos) for _ in range(batch)], 1)
        hidden, last_drive = fast.zeros(), None
        clip_scores, clip_steps = [], []
        for index in range(frames):
            luma, target = to_tensors(clip[index])
            drive = fast.drive(luma)
            steps = torch.zeros(batch)
            running = torch.ones(batch, dtype=torch.bool)
            if rule["zero"] > 0 and last_drive is not None:
                running = norms(drive - last_drive, batch) >= rule["zero"] * norms(last_drive, batch)
                last_drive = torch.where(running.repeat(drive.shape[1] // batch), drive, last_drive)
            else:
                last_drive = drive
            limit = (rule["first"] if index == 0 else rule["later"]) or cap
            for _ in range(limit):
                if not running.any():
                    break
                following = fast.step(drive, hidden)
                moved = norms(following - hidden, batch) / norms(following, batch)
                hidden = torch.where(running.repeat(hidden.shape[1] // batch), following, hidden)
                steps += running
                running &= moved >= rule["epsilon"]
            clip_scores.append(scores(fast.margin(hidden), target.permute(1, 2, 0).reshape(-1, batch)))
            clip_steps.append(steps)
        all_scores.append(torch.stack(clip_scores, 1))
        all_steps.append(torch.stack(clip_steps))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return torch.cat(all_scores, 2).numpy(), torch.cat(all_steps, 1).numpy()


@torch.no_grad()
def first_frame(fast: FastHGru, videos: Videos, count: int, at: list[int]) -> dict[int, float]:
    """IoU of the first frame after each of `at` steps from a zero state."""
    collected = {steps: [] for steps in at}
    for _ in range(count // fast.batch):
        clip = np.stack([next(videos) for _ in range(fast.batch)], 1)
        luma, target = to_tensors(clip[0])
        drive, hidden = fast.drive(luma), fast.zeros()
        target = target.permute(1, 2, 0).reshape(-1, fast.batch)
        for step in range(1, max(at) + 1):
            hidden = fast.step(drive, hidden)
            if step in collected:
                collected[step].append(scores(fast.margin(hidden), target)[0])
    return {steps: round(torch.cat(values).mean().item(), 4) for steps, values in collected.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="an exported folder or a checkpoint")
    parser.add_argument("--split", default="easy", choices=["easy", "hard"])
    parser.add_argument("--seed", type=int, default=2, help="2 validation, 3 calibration, 11 test")
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rule", action="append", default=[], help="may be given several times")
    parser.add_argument("--cap", type=int, default=8, help="most steps a frame for relative-l2")
    parser.add_argument("--first-frame", help="comma-separated step counts")
    parser.add_argument("--stream-binary", help="a built `stream` example instead of `cargo run`")
    args = parser.parse_args()
    torch.set_num_threads(1)
    fast = FastHGru(load_network(args.network), args.size, 8)

    def videos(frames: int) -> Videos:
        return Videos(args.split, args.seed, args.size, frames, count=args.videos, binary=args.stream_binary)

    about = {"split": args.split, "seed": args.seed, "videos": args.videos}
    if args.first_frame:
        at = [int(number) for number in args.first_frame.split(",")]
        print(json.dumps({**about, "first_frame_iou": first_frame(fast, videos(1), args.videos, at)}), flush=True)
    for text in args.rule:
        result, steps = evaluate(fast, videos(args.frames), args.videos, args.frames, parse_rule(text), args.cap)
        shown = [n for n in (1, 2, 3, 5, 10, 20, 30, 40, 50, 60) if n <= args.frames]
        names = ("iou", "precision", "recall", "f1")
        line = {**about, "rule": text, "frames": args.frames}
        line.update({name: round(float(result[i].mean()), 4) for i, name in enumerate(names)})
        line["mean_steps"] = round(float(steps.mean()), 3)
        line["steps_first_frame"] = round(float(steps[0].mean()), 2)
        line["iou_by_frame"] = {n: round(float(result[0, n - 1].mean()), 4) for n in shown}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
