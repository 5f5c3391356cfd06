"""Writes a network's folder: the ONNX graphs, each compared with PyTorch over carried frames in ONNX Runtime, and `model.toml`.

    python -m recslowfast_train.natural.release runs/street/weights.pt --out ../zoo/street --version 0.1.0

The halting rule is then found by `recslowfast calibrate`, and the card's figures by `recslowfast eval --data`.
"""

import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch

from .evaluate import load
from .graphs import build
from .network import WIDTH8, WIDTH16, Network
from .pack import CLASSES
from .train import CANVAS

MASK_NAMES = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]

TASKS = {
    "street": f"""[task]
kind = "boxes"
classes = [{", ".join(f'"{name}"' for name in CLASSES)}]

[task.boxes]
scores = "logits"
format = "ltrb"       # from the cell's centre to the left, top, right and bottom edge
distance = "exp"      # the graph gives their logarithms
unit = "stride"
strides = [8]
nms = 0.5
threshold = 0.4

[task.thresholds]
person = 0.5           # of the validation stills' people this finds most at the fewest false ones (F1)
""",
    "camvid": f"""[task]
kind = "classes"      # the likeliest of all classes; none is background
classes = [{", ".join(f'"{name}"' for name in MASK_NAMES)}]
""",
}

ORIGIN = {
    "street": "trained by models/train on shared/data/sight (people and vehicles; labels in part a teacher's), from the encoder of a COCO detector; see README.md and NOTICE",
    "camvid": "trained by models/train on CamVid (research data), from the encoder of a COCO detector; see README.md and NOTICE",
}

STATES = """[[state]]
name = "h8"
shape = [1, {width8}, {h8}, {w8}]

[[state]]
name = "h16"
shape = [1, {width16}, {h16}, {w16}]

[steps]
min = 1
max = 12
slow = 6              # first frame, after a cut
fast = 1
"""

MANIFEST = """format = 1
name = "{name}"
version = "{version}"
licence = "MIT OR Apache-2.0"
origin = "{origin}"

[input]
width = {width}
height = {height}
channels = 3          # 1 = luma, 3 = RGB
mean = [0.5, 0.5, 0.5]    # tensor = (value/255 - mean) / std
std = [0.5, 0.5, 0.5]

{task}
{states}"""


def manifest(net: Network, name: str, version: str, width: int, height: int) -> str:
    h8, w8 = height // 8, width // 8
    states = STATES.format(width8=WIDTH8, width16=WIDTH16, h8=h8, w8=w8, h16=-(-h8 // 2), w16=-(-w8 // 2)) if net.recurrent else ""
    return MANIFEST.format(name=name, version=version, origin=ORIGIN[net.task], width=width, height=height, task=TASKS[net.task], states=states)


@torch.no_grad()
def largest_difference(net: Network, folder: pathlib.Path, width: int, height: int, frames: int = 4, steps: int = 3) -> float:
    """Of the answers of the folder's graphs in ONNX Runtime and of PyTorch, over frames with a carried state."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {path.stem: onnxruntime.InferenceSession(str(path), options) for path in folder.glob("*.onnx")}
    torch.manual_seed(0)
    state, carried, worst = None, None, 0.0
    for _ in range(frames):
        frame = torch.rand(1, 3, height, width) * 2 - 1
        drive = net.drive(frame)
        state = net(drive, state or net.zeros(frame), steps)
        feeds = {"drive": sessions["encoder"].run(None, {"frame": frame.numpy()})[0]}
        if net.recurrent:
            carried = carried or [part.numpy() for part in net.zeros(frame)]
            for _ in range(steps):
                carried = sessions["step"].run(None, {**feeds, "h8": carried[0], "h16": carried[1]})
            feeds |= {"h8": carried[0], "h16": carried[1]}
        names = {entry.name for entry in sessions["readout"].get_inputs()}
        answers = sessions["readout"].run(None, {name: value for name, value in feeds.items() if name in names})
        wanted = net.readout(drive, state)
        for answer, truth in zip(answers, wanted if isinstance(wanted, tuple) else (wanted,)):
            worst = max(worst, float(np.abs(answer - truth.numpy()).max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--canvas", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="another size of the input; multiples of 16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load(args.weights).half().float()
    width, height = args.canvas or CANVAS[net.task]
    if width % 16 or height % 16:
        parser.error("--canvas: multiples of 16 are needed")
    args.out.mkdir(parents=True, exist_ok=True)
    for name, model in build(net, width, height).items():
        onnx.save(model, args.out / f"{name}.onnx")
    (args.out / "model.toml").write_text(manifest(net, args.out.resolve().name, args.version, width, height))
    worst = largest_difference(net, args.out, width, height)
    size = sum(path.stat().st_size for path in args.out.glob("*.onnx"))
    print(f"{args.out}: {size / 2**20:.2f} MiB, {sum(p.numel() for p in net.parameters())} parameters, ONNX Runtime differs by {worst:.1e} at most")
    if worst > 1e-3:
        raise SystemExit("the graphs do not give what PyTorch gives")


if __name__ == "__main__":
    main()
