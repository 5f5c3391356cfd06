"""Networks as people bring them, exported by both exporters and held against PyTorch, ONNX Runtime and the program over ten carried frames.

    python models/export/tests/networks.py PROGRAM [NAME ...] [--exporter dynamo] [--keep DIR]

Prints a table; ends with 1 where one disagrees, or runs on tract where the table does not say so.
"""

import argparse
import contextlib
import io
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recslowfast import export, verify

SIDE = 64
FRAMES = 10


def conv(before, after, kernel=3, stride=1, groups=1):
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups)


class Down(nn.Module):
    """A drive at a quarter, and the frame at half of its resolution as a feature."""

    def __init__(self, channels, inputs=3):
        super().__init__()
        self.first, self.second = conv(inputs, channels, stride=2), conv(channels, channels, stride=2)

    def forward(self, frame):
        skip = F.relu(self.first(frame))
        return {"drive": F.relu(self.second(skip)), "skip": skip}


class ConvGru(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gates, self.candidate = conv(2 * channels, 2 * channels), conv(2 * channels, channels)

    def forward(self, drive, hidden):
        update, reset = torch.sigmoid(self.gates(torch.cat([drive, hidden], 1))).chunk(2, 1)
        return (1 - update) * hidden + update * torch.tanh(self.candidate(torch.cat([drive, reset * hidden], 1)))


class Up(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.mix, self.out = conv(2 * channels, channels), nn.Conv2d(channels, classes, 1)

    def forward(self, hidden, skip):
        up = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(F.relu(self.mix(torch.cat([up, skip], 1))))


def classes(count):
    return [f"class {at}" for at in range(count)]


def conv_gru(classes_of=3, channels=16):
    return dict(encoder=Down(channels), step=ConvGru(channels), readout=Up(channels, classes_of), task="classes", classes=classes(classes_of), states={"hidden": (1, channels, SIDE // 4, SIDE // 4)})


class Every(nn.Module):
    """One layer of every kind, each over the last."""

    def __init__(self, channels=16):
        super().__init__()
        self.first, self.second = conv(3, channels, stride=2), conv(channels, channels, stride=2)
        self.depth = conv(channels, channels, 5, groups=channels)
        self.group, self.layer = nn.GroupNorm(4, channels), nn.LayerNorm(channels)
        self.batch, self.instance = nn.BatchNorm2d(channels), nn.InstanceNorm2d(channels, affine=True)
        self.prelu, self.scale = nn.PReLU(channels), nn.Parameter(torch.rand(channels))
        self.squeeze, self.excite = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)
        self.wide, self.reflect = conv(channels, 4 * channels), nn.Conv2d(channels, channels, 3)
        self.transposed = nn.ConvTranspose2d(channels, channels, 4, 2, 1)

    def forward(self, frame):
        x = F.hardswish(self.first(frame))
        skip = x
        x = F.gelu(self.second(x)) + F.elu(self.depth(self.batch(F.max_pool2d(x, 2))))
        x = self.group(x)
        x = x.permute(0, 2, 3, 1)
        x = self.layer(x).permute(0, 3, 1, 2)
        x = F.selu(x) + x.abs().pow(1.5)
        x = x / (x.pow(2).mean(1, keepdim=True) + 1e-5).sqrt() * self.scale[None, :, None, None]
        x = self.prelu(x)
        x = x * F.hardsigmoid(self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = torch.where(x > 0.1, x, 0.5 * x)
        x = x * x.softmax(1) + x.mean((2, 3), keepdim=True) + x.sum(1, keepdim=True) * 0.01 + x.amax(1, keepdim=True)
        x = self.instance(x)
        x = F.pixel_shuffle(self.wide(x), 2)
        x = self.reflect(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        x = F.avg_pool2d(x, 2)
        x = self.transposed(x)[:, :, :-2, 1:-1]
        x = F.pad(x, (1, 1, 0, 2))
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="nearest")
        x = F.leaky_relu(x) + F.mish(x) * F.softplus(x) - F.softsign(x).clamp(-1, 1)
        return {"drive": F.avg_pool2d(x, 2), "skip": skip}


def two_scales():
    return {**conv_gru(), "encoder": Every()}


class Detector(nn.Module):
    def __init__(self, strides):
        super().__init__()
        self.strides = strides
        self.stem = conv(3, 16, stride=2)
        self.layers = nn.ModuleList(nn.Sequential(conv(16, 16, stride=2, groups=16), nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16), nn.SiLU()) for _ in range(4))
        self.scores = nn.ModuleList(conv(16, 2) for _ in strides)
        self.edges = nn.ModuleList(conv(16, 4) for _ in strides)

    def forward(self, frame):
        x, stride, made = F.silu(self.stem(frame)), 2, {}
        for layer in self.layers:
            x, stride = layer(x), stride * 2
            if stride in self.strides:
                at = self.strides.index(stride)
                tail = f"_{at}" if len(self.strides) > 1 else ""
                made[f"scores{tail}"] = self.scores[at](x) * 4
                made[f"boxes{tail}"] = self.edges[at](x).exp() * stride
        return made


def detector(strides):
    boxes = {"format": "ltrb", "unit": "pixels", "strides": list(strides)}
    return dict(encoder=Detector(strides), task={"kind": "boxes", "classes": classes(2), "boxes": boxes})


class Maps(nn.Module):
    """Four scales, each with a state, from the smallest up (as RobustVideoMatting has them)."""

    def __init__(self, channels):
        super().__init__()
        self.cells = nn.ModuleList(ConvGru(c) for c in channels)
        self.mixes = nn.ModuleList(conv(a + b, a) for a, b in zip(channels, channels[1:]))

    def forward(self, drive, f1, f2, f3, r1, r2, r3, r4):
        r4 = self.cells[3](drive, r4)
        x, moved = r4, {"r4": r4}
        for at, feature, state in ((2, f3, r3), (1, f2, r2), (0, f1, r1)):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.cells[at](F.relu(self.mixes[at](torch.cat([x, feature], 1))), state)
            moved[f"r{at + 1}"] = x
        return moved


class Pyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layers = nn.ModuleList(conv(a, b, stride=2) for a, b in zip((3, *channels), channels))

    def forward(self, frame):
        made = []
        for layer in self.layers:
            frame = F.hardswish(layer(frame))
            made.append(frame)
        return {"drive": made[3], "f1": made[0], "f2": made[1], "f3": made[2]}


class Alpha(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.out = conv(channels, 4)

    def forward(self, r1):
        made = F.interpolate(self.out(r1), scale_factor=2, mode="bilinear", align_corners=False)
        return {"alpha": made[:, 3:].sigmoid(), "foreground": made[:, :3].clamp(0, 1)}


def matting():
    channels = (8, 12, 16, 16)
    states = {f"r{at + 1}": (1, c, SIDE >> (at + 1), SIDE >> (at + 1)) for at, c in enumerate(channels)}
    return dict(encoder=Pyramid(channels), step=Maps(channels), readout=Alpha(channels[0]), task="matte", states=states)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Sequential(conv(3, 16, stride=2), nn.ReLU(), conv(16, 32, stride=2), nn.ReLU()), nn.Linear(32, 32)

    def forward(self, frame):
        return self.out(self.body(frame).mean((2, 3)))


class GruVector(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(32, 32)

    def forward(self, drive, hidden):
        return self.cell(drive, hidden)


class LstmVector(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(32, 32)

    def forward(self, drive, h, c):
        _, (h, c) = self.cell(drive[None], (h, c))
        return {"h": h, "c": c}


class Whole(nn.Module):
    """The class of the whole picture."""

    def __init__(self, name):
        super().__init__()
        self.out, self.name = nn.Linear(32, 4), name

    def forward(self, hidden):
        return self.out(hidden.reshape(1, 32))


class WholeH(Whole):
    def forward(self, h):
        return self.out(h.reshape(1, 32))


def gru_vector():
    return dict(encoder=Pooled(), step=GruVector(), readout=Whole("hidden"), task="labels", classes=classes(4), states={"hidden": (1, 32)})


def lstm_vector():
    return dict(encoder=Pooled(), step=LstmVector(), readout=WholeH("h"), task="labels", classes=classes(4), states={"h": (1, 1, 32), "c": (1, 1, 32)})


class WithMask(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.cell, self.look = ConvGru(channels), conv(2, channels, stride=2)

    def forward(self, drive, hidden, before):
        return self.cell(drive + F.relu(self.look(before.softmax(1))), hidden)


def previous_mask():
    states = {"hidden": (1, 16, 16, 16), "before": {"shape": (1, 2, 32, 32), "answer": "logits"}}
    return {**conv_gru(2), "step": WithMask(16), "states": states}


class TwoBefore(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.cell, self.mix = ConvGru(channels), conv(3 * channels, channels)

    def forward(self, drive, hidden, old, older):
        moved = self.cell(F.relu(self.mix(torch.cat([drive, old, older], 1))), hidden)
        return {"hidden": moved, "old": drive.clone(), "older": old.clone()}


def two_previous_frames():
    shape = (1, 16, 16, 16)
    states = {"hidden": shape, "old": {"shape": shape, "moves": "frame"}, "older": {"shape": shape, "moves": "frame"}}
    return {**conv_gru(), "step": TwoBefore(16), "states": states}


class Equilibrium(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second, self.norm = conv(channels, channels), conv(channels, channels), nn.GroupNorm(4, channels)

    def forward(self, drive, skip, z):
        return F.relu(self.norm(z * 0.5 + self.second(F.relu(self.first(z))) + drive + F.avg_pool2d(skip, 2)))


class FromZ(Up):
    def forward(self, z, skip):
        return super().forward(z, skip)


def equilibrium():
    return dict(encoder=Down(16), step=Equilibrium(16), readout=FromZ(16, 3), task="classes", classes=classes(3), states={"z": (1, 16, 16, 16)})


def camvid():
    return conv_gru(11, 24)


NETWORKS = {
    "ConvGRU": conv_gru,
    "two scales, every layer": two_scales,
    "detector, one head": lambda: detector((8,)),
    "detector, three heads": lambda: detector((8, 16, 32)),
    "matting, four states": matting,
    "GRU, [1, 32]": gru_vector,
    "LSTM, [1, 1, 32]": lstm_vector,
    "previous mask": previous_mask,
    "two previous frames": two_previous_frames,
    "equilibrium, skips": equilibrium,
    "half floats": conv_gru,
    "int8 step": conv_gru,
    "11 classes": camvid,
}
# What may run on tract.
ON_TRACT = set()
# Logits within 1e-5 of ONNX Runtime; halves keep 11 bits, and a rounding that falls the other way is a step of 8 bits.
ALLOWED = {"half floats": 1e-2, "int8 step": 1e-2}


def film(count):
    """Frames of a smooth pattern that drifts."""
    return torch.from_numpy(np.concatenate(list(verify.made_up((1, 3, SIDE, SIDE), count))))


def quantise(folder, frames):
    """step.onnx in 8 bits, as ONNX Runtime's own tool makes it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    generator = np.random.default_rng(0)

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = [{name: generator.standard_normal((1, 16, 16, 16)).astype(np.float32) for name in ("drive", "hidden")} for _ in range(8)]

        def get_next(self):
            return self.left.pop() if self.left else None

    step = pathlib.Path(folder) / "step.onnx"
    options = dict(quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
    quantize_static(str(step), str(step), Reader(), op_types_to_quantize=["Conv"], **options)


def one(name, exporter, folder, program):
    """Exports and compares; what the table says."""
    torch.manual_seed(0)
    given = NETWORKS[name]()
    frames = film(FRAMES)
    if name == "half floats":
        frames = frames.half()
        given = {key: value.half() if isinstance(value, nn.Module) else value for key, value in given.items()}
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        export(**given, example=list(frames.split(1)), out=folder, exporter=exporter, program=program, frames=FRAMES, say=lambda _: None)
    if name == "int8 step":
        quantise(folder, frames)
    said = []
    allowed = ALLOWED.get(name, 1e-5)
    agree = verify.compare(folder, list(frames.float().numpy()), halt="fixed:2", tolerance=allowed, program=program, say=said.append)
    with verify.Network(folder, program=program) as network:
        on_tract = network.about["on_tract"]
    native = "all native" if not on_tract else f"partly on tract: {' '.join(on_tract)}"
    worst = max(float(line.split()[1]) for line in said if line.startswith(("answer.",)))
    speed = next(line for line in said if line.startswith("ms a frame")).rsplit(":", 1)[1].split()[0]
    good = agree and (not on_tract or name in ON_TRACT)
    print(f"{name:<24} {exporter:<12} {worst:>8.1e}  {speed:>5}x  {time.monotonic() - began:5.1f} s  {native}{'' if good else '  WRONG'}", flush=True)
    if not good:
        print("\n".join("    " + line for line in said))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exporter", choices=("dynamo", "torchscript"))
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    good, count = 0, 0
    print(f"{'network':<24} {'exporter':<12} {'answers':>8}  speed   taken    where (speed: over ONNX Runtime, one thread)")
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.names or NETWORKS:
            for exporter in [args.exporter] if args.exporter else ["dynamo", "torchscript"]:
                folder = (args.keep or pathlib.Path(scratch)) / f"{name.replace(' ', '-').replace(',', '')}-{exporter}"
                count += 1
                try:
                    good += one(name, exporter, folder, args.program)
                except Exception as error:  # The table goes on; what failed is in it.
                    print(f"{name:<24} {exporter:<12} FAILED: {type(error).__name__}: {str(error)[:600]}", flush=True)
    print(f"{good} of {count} agree")
    return 0 if good == count else 1


if __name__ == "__main__":
    sys.exit(main())
