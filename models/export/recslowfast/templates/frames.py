"""@NAME@: trains a small network on frames made on the spot, and exports it for recslowfast. Runs as it is: python3 train.py

Put your own data in `clip`, your own network in place of the modules, and keep model.toml beside this file in step with them.
"""

import argparse
import pathlib
import time

import torch
from torch import nn
from torch.nn import functional as F

from recslowfast import export

HERE = pathlib.Path(__file__).resolve().parent
SIZE = 64  # Pixels of a side: `width` and `height` in model.toml.
torch.manual_seed(0)


def clip(length=4):
    """A disc and a square that move over a noisy ground: frames [length, 3, SIZE, SIZE] in 0..1, and for each frame the class of every pixel
    (0 ground, 1 disc, 2 square), and boxes [2, 4] (left, top, right, bottom; the disc's first)."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    # The disc is reddish, the square bluish.
    ground, colours = torch.rand(3, 1, 1) * 0.4, torch.tensor([[0.9, 0.4, 0.3], [0.3, 0.4, 0.9]])[..., None, None] + 0.1 * torch.randn(2, 3, 1, 1)
    places, speeds, sizes = torch.rand(2, 2) * SIZE, torch.randn(2, 2) * 1.5, 7 + torch.rand(2) * 7
    frames, masks, boxes = [], [], []
    for _ in range(length):
        places = (places + speeds).clamp(sizes.max().item(), SIZE - sizes.max().item())
        dx, dy = x - places[:, 0, None, None], y - places[:, 1, None, None]
        disc, square = dx[0] ** 2 + dy[0] ** 2 < sizes[0] ** 2, torch.maximum(dx[1].abs(), dy[1].abs()) < sizes[1]
        mask = torch.zeros(SIZE, SIZE, dtype=torch.long)
        mask[square], mask[disc] = 2, 1
        frame = torch.where(mask == 1, colours[0], torch.where(mask == 2, colours[1], ground))
        frames.append((frame + 0.05 * torch.randn(3, SIZE, SIZE)).clamp(0, 1))
        masks.append(mask)
        boxes.append(torch.stack([places[:, 0] - sizes, places[:, 1] - sizes, places[:, 0] + sizes, places[:, 1] + sizes], 1))
    return torch.stack(frames), torch.stack(masks), torch.stack(boxes)


def batch(clips=8, length=4):
    """Several clips: [clips, length, ...]."""
    return [torch.stack(parts) for parts in zip(*[clip(length) for _ in range(clips)])]


def train(parameters, loss_of, seconds):
    """Adam for so many seconds; prints how it goes."""
    optimizer = torch.optim.Adam(parameters, 3e-3)
    began, count, loss = time.monotonic(), 0, None
    while time.monotonic() - began < seconds:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        count += 1
        if count % 20 == 0:
            print(f"{time.monotonic() - began:5.1f} s  {count} steps  loss {loss.item():.3f}")
    print(f"trained for {count} steps")


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=45, help="of training")
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="the folder of the network")
    parser.add_argument("--exporter", choices=("dynamo", "torchscript"), default="dynamo")
    parser.add_argument("--images", type=pathlib.Path, help="also write a clip as pictures there, with masks and annotations.json")
    return parser.parse_args()


def write_pictures(folder, length=60, classes=3):
    """A clip as data of one's own: pictures/, masks/ (class indices) and annotations.json (COCO), as `recslowfast eval` reads them."""
    import json

    from PIL import Image

    frames, masks, boxes = clip(length)
    for part in ("pictures", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for at in range(length):
        name = f"{at:06}.png"
        Image.fromarray((frames[at].permute(1, 2, 0) * 255).round().byte().numpy()).save(folder / "pictures" / name)
        Image.fromarray(masks[at].clamp(max=classes - 1).byte().numpy()).save(folder / "masks" / name)
        images.append({"id": at, "file_name": name, "width": SIZE, "height": SIZE})
        for kind in range(2):
            left, top, right, bottom = boxes[at, kind].tolist()
            annotations.append({"id": len(annotations), "image_id": at, "category_id": kind + 1, "bbox": [left, top, right - left, bottom - top], "iscrowd": 0})
    categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "square"}]
    (folder / "annotations.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))

