"""Writes networks of the sizes that the benchmark needs and the zoo does not have, with random weights.

    python networks.py FOLDER

Each is a folder as `recslowfast` loads it. The weights are scaled so that thirty steps neither die out nor blow up; the answers mean nothing.

    hgru-150                the reference network: 25 channels, 15x15
    lean-150                the lean network: 32 channels, 7x7, at half the frame's resolution
    convlstm-150            25 channels, 15x15, states h and c
    ff6-150                 six feed-forward layers of 15x15, no step graph
    convgru-160x120         32 channels, 3x3: the plain small-kernel recurrence
    mixed-160x120           strided 5x5 encoder with depthwise and dilated layers, 24 channels, 5x5 recurrence at a quarter of the pixels
"""

import pathlib
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

MANIFEST = """format = 1
name = "{name}"
version = "0.0.0"
licence = "CC0-1.0"
origin = "random weights, for benchmarks only"

[input]
width = {w}
height = {h}
channels = 1
mean = [0.0]
std = [1.0]

[task]
kind = "contour"
classes = ["background", "contour"]
threshold = 0.5
{states}
[steps]
min = 1
max = 30
slow = 6
fast = 1

[halting]
rule = "relative-l2"
threshold = 0.02
"""


class Builder:
    """One graph, node by node."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.nodes, self.weights = rng, [], []

    def node(self, op: str, *inputs: str, outputs: list[str] | None = None, **attributes) -> str:
        outputs = outputs or [f"t{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=f"{op}{len(self.nodes)}", **attributes))
        return outputs[0]

    def weight(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def row(self, channels: int, low: float, high: float) -> str:
        return self.weight(self.rng.uniform(low, high, (1, channels, 1, 1)))

    def conv(self, x: str, cin: int, cout: int, k: int, gain: float = 1.0, bias: bool = True, stride: int = 1, dilation: int = 1,
             groups: int = 1, output: str | None = None) -> str:
        scale = gain / np.sqrt(cin // groups * k * k)
        inputs = [x, self.weight(self.rng.normal(0, scale, (cout, cin // groups, k, k)))]
        if bias:
            inputs.append(self.weight(self.rng.normal(0, 0.1, cout)))
        pad = (k - 1) * dilation // 2
        return self.node("Conv", *inputs, outputs=[output] if output else None, kernel_shape=[k, k], pads=[pad] * 4,
                         strides=[stride] * 2, dilations=[dilation] * 2, group=groups)

    def norm(self, x: str, channels: int) -> str:
        return self.node("InstanceNormalization", x, self.weight(self.rng.uniform(0.05, 0.15, channels)),
                         self.weight(self.rng.normal(0, 0.05, channels)), epsilon=1e-3)

    def save(self, path: pathlib.Path, inputs: dict, outputs: dict) -> None:
        infos = [[helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in tensors.items()] for tensors in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, path.stem, *infos, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model, full_check=True)
        save(model, path)


def folder(root: pathlib.Path, name: str, h: int, w: int, states: dict) -> pathlib.Path:
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    tables = "".join(f'\n[[state]]\nname = "{key}"\nshape = {list(shape)}\n' for key, shape in states.items())
    (path / "model.toml").write_text(MANIFEST.format(name=name, h=h, w=w, states=tables))
    return path


def hgru(root: pathlib.Path, name: str, size: int, c: int, k: int, stride: int = 1) -> None:
    """With a stride, the lean network: its readout takes the drive too and brings the answer back to the frame's size."""
    rng = np.random.default_rng(1)
    state = [1, c, size // stride, size // stride]
    path = folder(root, f"{name}-{size}", size, size, {"hidden": state})
    g = Builder(rng)
    drive = g.conv("frame", 1, c, 7 if stride == 1 else 5, stride=stride)
    g.node("Mul", drive, drive, outputs=["drive"])
    g.save(path / "encoder.onnx", {"frame": [1, 1, size, size]}, {"drive": state})
    g = Builder(rng)
    gated = g.node("Mul", g.node("Sigmoid", g.conv("hidden", c, c, 1)), "hidden")
    c1 = g.norm(g.conv(gated, c, c, k, bias=False), c)
    strength = g.node("Add", g.node("Mul", "hidden", g.row(c, 0.05, 0.15)), g.row(c, 0.9, 1.1))
    inhibited = g.node("Softplus", g.node("Sub", "drive", g.node("Softplus", g.node("Mul", c1, strength))))
    gate = g.node("Sigmoid", g.conv(inhibited, c, c, 1))
    c2 = g.norm(g.conv(inhibited, c, c, k, bias=False), c)
    total = g.node("Add", g.node("Mul", inhibited, g.row(c, 0.4, 0.6)), g.node("Mul", c2, g.row(c, 0.9, 1.1)))
    total = g.node("Add", total, g.node("Mul", g.node("Mul", inhibited, c2), g.row(c, 0.4, 0.6)))
    candidate = g.node("Softplus", total)
    kept = g.node("Mul", g.node("Sub", g.weight(np.ones((1, 1, 1, 1))), gate), "hidden")
    g.node("Softplus", g.node("Add", kept, g.node("Mul", gate, candidate)), outputs=["hidden_next"])
    g.save(path / "step.onnx", {"drive": state, "hidden": state}, {"hidden_next": state})
    g = Builder(rng)
    if stride == 1:
        g.conv(g.norm("hidden", c), c, 2, 1, output="logits")
        g.save(path / "readout.onnx", {"hidden": state}, {"logits": [1, 2, size, size]})
        return
    features = g.node("Softplus", g.conv(g.node("Concat", g.norm("hidden", c), "drive", axis=1), 2 * c, c, 3))
    weights = g.weight(rng.normal(0, 1 / np.sqrt(c), (c, 2, stride, stride)))
    g.node("ConvTranspose", features, weights, g.weight(np.zeros(2)), outputs=["logits"], kernel_shape=[stride] * 2, strides=[stride] * 2)
    g.save(path / "readout.onnx", {"hidden": state, "drive": state}, {"logits": [1, 2, size, size]})


def convlstm(root: pathlib.Path, size: int, c: int = 25) -> None:
    rng = np.random.default_rng(2)
    state = [1, c, size, size]
    path = folder(root, f"convlstm-{size}", size, size, {"h": state, "c": state})
    g = Builder(rng)
    drive = g.conv("frame", 1, c, 7)
    g.node("Mul", drive, drive, outputs=["drive"])
    g.save(path / "encoder.onnx", {"frame": [1, 1, size, size]}, {"drive": state})
    g = Builder(rng)
    gates = g.conv(g.node("Concat", "drive", "h", axis=1), 2 * c, 4 * c, 15)
    parts = [f"gate{i}" for i in range(4)]
    g.node("Split", gates, outputs=parts, axis=1)
    i, f, o = (g.node("Sigmoid", part) for part in parts[:3])
    g.node("Add", g.node("Mul", f, "c"), g.node("Mul", i, g.node("Tanh", parts[3])), outputs=["c_next"])
    g.node("Mul", o, g.node("Tanh", "c_next"), outputs=["h_next"])
    g.save(path / "step.onnx", {"drive": state, "h": state, "c": state}, {"h_next": state, "c_next": state})
    g = Builder(rng)
    g.conv(g.norm("h", c), c, 2, 1, output="logits")
    g.save(path / "readout.onnx", {"h": state}, {"logits": [1, 2, size, size]})


def ff6(root: pathlib.Path, size: int, c: int = 25) -> None:
    rng = np.random.default_rng(3)
    state = [1, c, size, size]
    path = folder(root, f"ff6-{size}", size, size, {})
    g = Builder(rng)
    x = g.conv("frame", 1, c, 7)
    x = g.node("Mul", x, x)
    for _ in range(5):
        x = g.node("Softplus", g.norm(g.conv(x, c, c, 15, bias=False), c))
    g.node("Softplus", g.norm(g.conv(x, c, c, 15, bias=False), c), outputs=["drive"])
    g.save(path / "encoder.onnx", {"frame": [1, 1, size, size]}, {"drive": state})
    g = Builder(rng)
    g.conv("drive", c, 2, 1, output="logits")
    g.save(path / "readout.onnx", {"drive": state}, {"logits": [1, 2, size, size]})


def convgru(root: pathlib.Path, h: int, w: int, c: int = 32) -> None:
    rng = np.random.default_rng(4)
    state = [1, c, h, w]
    path = folder(root, f"convgru-{w}x{h}", h, w, {"hidden": state})
    g = Builder(rng)
    g.node("Relu", g.conv("frame", 1, c, 3), outputs=["drive"])
    g.save(path / "encoder.onnx", {"frame": [1, 1, h, w]}, {"drive": state})
    gru_step(rng, path, state, c, 3)
    g = Builder(rng)
    g.conv("hidden", c, 2, 1, output="logits")
    g.save(path / "readout.onnx", {"hidden": state}, {"logits": [1, 2, h, w]})


def gru_step(rng: np.random.Generator, path: pathlib.Path, state: list[int], c: int, k: int) -> None:
    g = Builder(rng)
    gates = g.node("Sigmoid", g.conv(g.node("Concat", "drive", "hidden", axis=1), 2 * c, 2 * c, k))
    g.node("Split", gates, outputs=["update", "reset"], axis=1)
    mixed = g.node("Concat", "drive", g.node("Mul", "reset", "hidden"), axis=1)
    candidate = g.node("Tanh", g.conv(mixed, 2 * c, c, k))
    kept = g.node("Mul", g.node("Sub", g.weight(np.ones(1)), "update"), "hidden")
    g.node("Add", kept, g.node("Mul", "update", candidate), outputs=["hidden_next"])
    g.save(path / "step.onnx", {"drive": state, "hidden": state}, {"hidden_next": state})


def mixed(root: pathlib.Path, h: int, w: int, c: int = 24) -> None:
    rng = np.random.default_rng(5)
    state = [1, c, h // 2, w // 2]
    path = folder(root, f"mixed-{w}x{h}", h, w, {"hidden": state})
    g = Builder(rng)
    x = g.node("Relu", g.conv("frame", 1, c, 5, stride=2))
    x = g.node("Relu", g.conv(g.conv(x, c, c, 3, groups=c), c, c, 1))
    g.node("Relu", g.conv(x, c, c, 3, dilation=2), outputs=["drive"])
    g.save(path / "encoder.onnx", {"frame": [1, 1, h, w]}, {"drive": state})
    gru_step(rng, path, state, c, 5)
    g = Builder(rng)
    g.conv("hidden", c, 2, 3, output="logits")
    g.save(path / "readout.onnx", {"hidden": state}, {"logits": [1, 2, h // 2, w // 2]})


def main() -> None:
    root = pathlib.Path(sys.argv[1])
    hgru(root, "hgru", 150, 25, 15)
    hgru(root, "lean", 150, 32, 7, stride=2)
    convlstm(root, 150)
    ff6(root, 150)
    convgru(root, 120, 160)
    mixed(root, 120, 160)


if __name__ == "__main__":
    main()
