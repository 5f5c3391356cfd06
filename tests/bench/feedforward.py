"""An ordinary feed-forward detector with random weights, for the speed of tiles on a network that was not made for them, and what they change.

    python3 tests/bench/feedforward.py make FOLDER                writes the network: MobileNetV2 1.4 to stride 16 and a head, 320x240 (torch, models/export)
    python3 tests/bench/feedforward.py compare DENSE TILES        compares two folders of `recslowfast run --dump` (numpy)

Its answers mean nothing. Every layer is scaled so that its outputs have the standard deviation of one on a random picture: what moves in the input moves the answer.
"""

import pathlib
import sys


def network():
    import torch
    from torch import nn

    torch.manual_seed(3)

    def conv(inputs, outputs, size=1, stride=1, groups=1, act=True):
        layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups)]
        return nn.Sequential(*layers, nn.ReLU6()) if act else layers[0]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride, expansion):
            super().__init__()
            wide = inputs * expansion
            first = [conv(inputs, wide)] if expansion > 1 else []
            self.layers = nn.Sequential(*first, conv(wide, wide, 3, stride, wide), conv(wide, outputs, act=False))
            self.adds = stride == 1 and inputs == outputs

        def forward(self, x):
            return x + self.layers(x) if self.adds else self.layers(x)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            width = 48
            layers = [conv(3, width, 3, 2)]
            for expansion, outputs, count, stride in [(1, 24, 1, 1), (6, 32, 2, 2), (6, 48, 3, 2), (6, 88, 4, 2), (6, 136, 3, 1)]:
                for at in range(count):
                    layers.append(Block(width, outputs, 1 if at else stride, expansion))
                    width = outputs
            self.layers = nn.Sequential(*layers, conv(width, 256))

        def forward(self, frame):
            return self.layers(frame)

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(conv(256, 256, 3, 1, 256), conv(256, 128), conv(128, 10, act=False))

        def forward(self, drive):
            return self.layers(drive)

    def scale(module, _, made):
        spread = made.std()
        module.weight.data /= spread
        module.bias.data /= spread
        return made / spread

    encoder, head = Encoder().eval(), Head().eval()
    convolutions = [module for part in (encoder, head) for module in part.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(module.bias, std=0.05)
    hooks = [module.register_forward_hook(scale) for module in convolutions]
    with torch.no_grad():
        head(encoder(torch.rand(1, 3, 240, 320) * 2 - 1))
    for hook in hooks:
        hook.remove()
    return encoder, head


def make(folder):
    import torch

    # In place of this folder, whose onnxruntime.py is not the package.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[2] / "models/export")
    from recslowfast import export

    encoder, head = network()
    half = [0.5] * 3
    export(encoder, None, head, torch.rand(1, 3, 240, 320), folder, "raw", mean=half, std=half, name="feedforward", exporter="torchscript", frames=2)


def compare(dense, tiles):
    import numpy as np

    largest, worst, squares = 0.0, 0.0, []
    for file in sorted(pathlib.Path(dense).glob("*.npz")):
        wanted, got = (np.load(folder / file.name)["answer.answer"].astype(np.float64) for folder in map(pathlib.Path, (dense, tiles)))
        largest, worst = max(largest, np.abs(wanted).max()), max(worst, np.abs(wanted - got).max())
        squares.append(np.square(wanted - got).mean())
    print(f"{len(squares)} frames: of the largest output, the worst differs by {100 * worst / largest:.1f} %, the root mean square is {100 * np.mean(squares) ** 0.5 / largest:.2f} %")


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
