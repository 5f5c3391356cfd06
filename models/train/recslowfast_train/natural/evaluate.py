"""Accuracy of a network by number of steps, cold and with the state carried, in PyTorch. `recslowfast eval --data` measures the same in the runtime.

    python -m recslowfast_train.natural.evaluate runs/street/weights.pt --data runs/natural.zip                       # validation stills or clip
    python -m recslowfast_train.natural.evaluate runs/street/weights.pt --film vtest.avi --labels gt.txt --frames 600 # boxes of one class, MOT labels
"""

import argparse
import json
import pathlib

import numpy as np
import torch

from .boxes import average_precision, decode
from .network import Network
from .train import CANVAS, validate_boxes, validate_masks


def load(path: pathlib.Path) -> Network:
    saved = torch.load(path, map_location="cpu", weights_only=False)
    net = Network(saved["task"], saved["cells"], saved["recurrent"])
    net.load_state_dict({name: value.float() for name, value in saved["average"].items()})
    return net.eval()


def film_frames(path: pathlib.Path, count: int, size: tuple[int, int]) -> tuple[torch.Tensor, tuple[float, float]]:
    """The first frames of a film [N,3,H,W] (uint8), stretched by area averaging, and the factors from the network's pixels to the film's."""
    import cv2

    film, frames, factors = cv2.VideoCapture(str(path)), [], (1.0, 1.0)
    while len(frames) < count:
        read, pixels = film.read()
        if not read:
            break
        factors = pixels.shape[1] / size[0], pixels.shape[0] / size[1]
        frames.append(torch.from_numpy(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)[:, :, ::-1].copy()).permute(2, 0, 1))
    return torch.stack(frames), factors


def mot_boxes(path: pathlib.Path, count: int) -> list[np.ndarray]:
    """Corners [K,4] of every frame of a MOT ground truth file."""
    boxes: list[list] = [[] for _ in range(count)]
    for line in path.read_text().splitlines():
        frame, _, x, y, w, h = (float(part) for part in line.split(",")[:6])
        if frame <= count:
            boxes[int(frame) - 1].append([x, y, x + w, y + h])
    return [np.array(rows, np.float32).reshape(-1, 4) for rows in boxes]


@torch.no_grad()
def film_precision(net: Network, frames: torch.Tensor, factors: tuple[float, float], wanted: list[np.ndarray], class_index: int, judged: int) -> dict:
    scale = np.array([*factors, *factors], np.float32)

    def rows(outputs) -> np.ndarray:
        found = decode(*outputs)[0]
        found = found[found[:, 5] == class_index]
        return np.concatenate([found[:, :4] * scale, found[:, 4:5]], 1)

    tried = [("cold", 1), ("cold", 6), ("carried", 1), ("carried", 2), ("carried", 6)] if net.recurrent else [("cold", 0)]
    found, truth, states = {name: [] for name in tried}, [], {}
    for at, picture in enumerate(frames):
        frame = picture[None].float() * (2 / 255) - 1
        drive = net.drive(frame)
        judge = at % judged == 0
        if judge:
            truth.append(wanted[at])
        for kind, steps in tried:
            if kind == "cold" and not judge:
                continue
            state = states.get((kind, steps)) if kind == "carried" else None
            state = net(drive, state or net.zeros(frame), 6 if kind == "carried" and at == 0 else steps)
            states[kind, steps] = state
            if judge:
                found[kind, steps].append(rows(net.readout(drive, state)))
    return {f"{kind} {steps}": round(average_precision(found[kind, steps], truth), 4) for kind, steps in tried}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, help="archive made by `pack`")
    parser.add_argument("--film", type=pathlib.Path)
    parser.add_argument("--labels", type=pathlib.Path, help="MOT ground truth of the film")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--judged", type=int, default=3, help="one frame in so many is compared with the labels; all are watched")
    parser.add_argument("--class-index", type=int, default=0)
    args = parser.parse_args()
    net = load(args.weights)
    if args.data:
        check = validate_boxes if net.task == "street" else validate_masks
        print(json.dumps(check(net, args.data, torch.device("cpu"))), flush=True)
    if args.film:
        frames, factors = film_frames(args.film, args.frames, CANVAS["street"])
        print(json.dumps(film_precision(net, frames, factors, mot_boxes(args.labels, len(frames)), args.class_index, args.judged)))


if __name__ == "__main__":
    main()
