"""The ConvGRU that tests/gpu/run times beside PyTorch: in PyTorch, and checked to be what networks.py writes for the engine.

    python3 tests/gpu/convgru.py        (needs torch, numpy, onnx, onnxruntime)

    Z, R = sigmoid(conv3x3([H, X]))                two groups of channels
    H <- H + Z . (tanh(conv3x3([R . H, X])) - H)
    X = conv3x3(frame)^2,  logits = conv1x1(N(H))
"""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEIGHT, CHANNELS = 160, 120, 32


class ConvGru(nn.Module):
    """Random weights of about the size that networks.py draws."""

    def __init__(self, channels: int = CHANNELS):
        super().__init__()
        self.channels = channels

        def conv(into: int, out: int, size: int) -> nn.Conv2d:
            return nn.Conv2d(into, out, size, padding=size // 2)

        self.input, self.out = conv(1, channels, 3), conv(channels, 2, 1)
        self.gates, self.candidate = conv(2 * channels, 2 * channels, 3), conv(2 * channels, channels, 3)
        self.norm_w, self.norm_b = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return self.input(frame).square()

    def step(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        z, r = torch.sigmoid(self.gates(torch.cat([hidden, drive], 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat([r * hidden, drive], 1)))
        return hidden + z * (candidate - hidden)

    def readout(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.out(F.instance_norm(hidden, weight=self.norm_w, bias=self.norm_b, eps=1e-3))

    def take(self, folder: pathlib.Path) -> "ConvGru":
        """The weights of a network's folder, in the order in which its graphs list them."""
        import onnx

        def weights(name: str) -> list:
            arrays = [onnx.numpy_helper.to_array(weight) for weight in onnx.load(folder / f"{name}.onnx").graph.initializer]
            return [torch.from_numpy(array.copy()) for array in arrays if array.dtype.kind == "f"]

        step, readout = weights("step"), weights("readout")
        own = [self.input.weight, self.input.bias, self.gates.weight, self.gates.bias, self.candidate.weight, self.candidate.bias, self.norm_w, self.norm_b, self.out.weight, self.out.bias]
        with torch.no_grad():
            for parameter, value in zip(own, [*weights("encoder"), *step, *readout], strict=True):
                parameter.copy_(value)
        return self


def check(folder: pathlib.Path, channels: int, steps: int = 6) -> float:
    """How far the logits of the folder's graphs are from PyTorch's after some steps, in parts of the largest."""
    import onnxruntime as ort

    sessions = {name: ort.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"]) for name in ("encoder", "step", "readout")}
    net = ConvGru(channels).take(folder).eval()
    frame = torch.rand(1, *sessions["encoder"].get_inputs()[0].shape[1:], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        drive = net.drive(frame)
        (theirs,) = sessions["encoder"].run(None, {"frame": frame.numpy()})
        hidden = torch.zeros_like(drive)
        state = hidden.numpy().copy()
        for _ in range(steps):
            hidden = net.step(drive, hidden)
            (state,) = sessions["step"].run(None, {"drive": theirs, "hidden": state})
        logits = net.readout(drive, hidden)
        (answer,) = sessions["readout"].run(None, {"hidden": state})
    return float((logits - torch.from_numpy(answer)).abs().max() / logits.abs().max())


def main() -> int:
    import tempfile

    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import networks

    with tempfile.TemporaryDirectory() as place:
        large = networks.convgru("convgru", (HEIGHT, WIDTH), CHANNELS, pathlib.Path(place) / "convgru")
        apart = {"tiny-gates": check(networks.OUT / "tiny-gates", 8), f"{WIDTH} x {HEIGHT}": check(large, CHANNELS)}
    for name, value in apart.items():
        print(f"{name}: PyTorch and the graphs within {value:.1e} of the largest logit")
    return 0 if max(apart.values()) <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
