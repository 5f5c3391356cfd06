"""Writes the small networks of runtime/tests/gpu/networks: random weights, one for each family of recurrent
cell, one of everything that networks of natural video have, and two that give their input back.

    python3 tests/gpu/networks.py        (needs onnx and numpy)

They are fixtures: the tests compare engines on them, and what they answer means nothing.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "runtime/tests/gpu/networks"


class Graph:
    def __init__(self, seed):
        self.nodes, self.weights, self.random = [], [], np.random.default_rng(seed)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def node(self, op, inputs, outputs=None, **attributes):
        outputs = outputs or [f"t{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def conv(self, x, out, into, size, stride=1, dilation=1, groups=1, name=None):
        scale = 1.5 / np.sqrt(into // groups * size * size)
        weights = self.weight(self.random.normal(size=(out, into // groups, size, size)) * scale)
        bias = self.weight(self.random.normal(size=out) * 0.2)
        pad = dilation * (size // 2)
        return self.node("Conv", [x, weights, bias], [name] if name else None, kernel_shape=[size] * 2, pads=[pad] * 4,
                         strides=[stride] * 2, dilations=[dilation] * 2, group=groups)

    def deconv(self, x, out, into, size, stride, pad=0, extra=0, name=None):
        scale = 1.5 * stride / np.sqrt(into * size * size)
        weights = self.weight(self.random.normal(size=(into, out, size, size)) * scale)
        bias = self.weight(self.random.normal(size=out) * 0.2)
        return self.node("ConvTranspose", [x, weights, bias], [name] if name else None, kernel_shape=[size] * 2, pads=[pad] * 4,
                         strides=[stride] * 2, output_padding=[extra] * 2)

    def row(self, channels, low, high):
        return self.weight(self.random.uniform(low, high, size=(1, channels, 1, 1)))

    def norm(self, x, channels):
        scale, bias = self.weight(self.random.uniform(0.3, 1, channels)), self.weight(self.random.normal(size=channels) * 0.1)
        return self.node("InstanceNormalization", [x, scale, bias], epsilon=1e-3)

    def save(self, path, inputs, outputs):
        def infos(tensors):
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in tensors.items()]

        graph = helper.make_graph(self.nodes, path.stem, infos(inputs), infos(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def manifest(name, size, channels, states, halting, classes):
    text = f"""format = 1
name = "{name}"
version = "0.0.0"
licence = "MIT OR Apache-2.0"
origin = "random weights, tests/gpu/networks.py"

[input]
width = {size[1]}
height = {size[0]}
channels = {channels}
mean = {[0.0] * channels}
std = {[1.0] * channels}

[task]
kind = "contour"
classes = {classes}
threshold = 0.5
"""
    for state, shape in states.items():
        text += f'\n[[state]]\nname = "{state}"\nshape = {shape}\n'
    if states:
        text += "\n[steps]\nmin = 1\nmax = 12\nslow = 5\nfast = 3\n" + halting
    return text


def write(name, size, channels, states, graphs, halting="", classes='["background", "contour"]', folder=None):
    folder = folder or OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(manifest(name, size, channels, states, halting, classes))
    for file, (graph, inputs, outputs) in graphs.items():
        graph.save(folder / f"{file}.onnx", inputs, outputs)


def halting(rule, threshold, zero, surprise):
    return f'\n[halting]\nrule = "{rule}"\nthreshold = {threshold}\nzero = {zero}\nsurprise = {surprise}\n'


def encoder(seed, size, channels, c):
    g = Graph(seed)
    x = g.conv("frame", c, channels, 3)
    g.node("Mul", [x, x], ["drive"])
    return g, {"frame": [1, channels, *size]}, {"drive": [1, c, *size]}


def readout(seed, size, c, state="hidden"):
    g = Graph(seed)
    g.conv(g.norm(state, c), 2, c, 1, name="logits")
    return g, {state: [1, c, *size]}, {"logits": [1, 2, *size]}


def hgru_step(seed, c, kernel):
    g = Graph(seed)
    gate = g.node("Sigmoid", [g.conv("hidden", c, c, 1)])
    c1 = g.norm(g.conv(g.node("Mul", [gate, "hidden"]), c, c, kernel), c)
    strength = g.node("Add", [g.node("Mul", ["hidden", g.row(c, 0, 0.3)]), g.row(c, 0.5, 1)])
    inhibited = g.node("Softplus", [g.node("Sub", ["drive", g.node("Softplus", [g.node("Mul", [c1, strength])])])])
    gate2 = g.node("Sigmoid", [g.conv(inhibited, c, c, 1)])
    c2 = g.norm(g.conv(inhibited, c, c, kernel), c)
    kappa, gamma, omega = (g.node("Mul", [v, g.row(c, 0.2, 0.8)]) for v in (inhibited, c2, g.node("Mul", [inhibited, c2])))
    candidate = g.node("Softplus", [g.node("Add", [g.node("Add", [kappa, gamma]), omega])])
    one = g.weight(np.ones((1, 1, 1, 1)))
    kept = g.node("Mul", [g.node("Sub", [one, gate2]), "hidden"])
    g.node("Softplus", [g.node("Add", [kept, g.node("Mul", [gate2, candidate])])], ["hidden_next"])
    return g


def hgru(size=(17, 21), c=5):
    g, shape = hgru_step(1, c, 5), [1, c, *size]
    write("tiny-hgru", size, 1, {"hidden": shape}, {
        "encoder": encoder(2, size, 1, c), "step": (g, {"drive": shape, "hidden": shape}, {"hidden_next": shape}), "readout": readout(3, size, c),
    }, halting("relative-l2", 0.08, 0.02, 0.5))


def lean(size=(18, 26), c=6):
    """As pathfinder-lean: steps at half the resolution, a readout that also sees the drive and ends in a transposed convolution."""
    shape = [1, c, size[0] // 2, size[1] // 2]
    into = Graph(12)
    x = into.conv("frame", c, 1, 5, stride=2)
    into.node("Mul", [x, x], ["drive"])
    out = Graph(14)
    both = out.node("Concat", [out.norm("hidden", c), "drive"], axis=1)
    out.deconv(out.node("Softplus", [out.conv(both, c, 2 * c, 3)]), 2, c, 2, stride=2, name="logits")
    write("tiny-lean", size, 1, {"hidden": shape}, {
        "encoder": (into, {"frame": [1, 1, *size]}, {"drive": shape}),
        "step": (hgru_step(13, c, 7), {"drive": shape, "hidden": shape}, {"hidden_next": shape}),
        "readout": (out, {"hidden": shape, "drive": shape}, {"logits": [1, 2, *size]}),
    }, halting("relative-l2", 0.05, 0.02, 0.5))


def lstm(size=(16, 20), c=6):
    g, shape = Graph(4), [1, c, *size]
    gates = g.conv(g.node("Concat", ["drive", "hidden"], axis=1), 4 * c, 2 * c, 3)
    split = g.weight(np.zeros(1))
    g.weights[-1] = numpy_helper.from_array(np.full(4, c, np.int64), split)
    i, f, o, n = g.node("Split", [gates, split], ["gi", "gf", "go", "gn"], axis=1)
    i, f, o = (g.node("Sigmoid", [v]) for v in (i, f, o))
    cell = g.node("Add", [g.node("Mul", [f, "cell"]), g.node("Mul", [i, g.node("Tanh", [n])])], ["cell_next"])
    g.node("Mul", [o, g.node("Tanh", [cell])], ["hidden_next"])
    states = {"hidden": shape, "cell": shape}
    write("tiny-convlstm", size, 3, states, {
        "encoder": encoder(5, size, 3, c),
        "step": (g, {"drive": shape, **states}, {"hidden_next": shape, "cell_next": shape}), "readout": readout(6, size, c),
    }, halting("cosine", 0.02, 0.02, 0.4))


def gru(size=(24, 18), c=8):
    g, shape = Graph(7), [1, c, *size]
    both = g.node("Concat", ["hidden", "drive"], axis=1)
    z, r = (g.node("Sigmoid", [g.conv(both, c, 2 * c, 3)]) for _ in range(2))
    candidate = g.node("Tanh", [g.conv(g.node("Concat", [g.node("Mul", [r, "hidden"]), "drive"], axis=1), c, 2 * c, 3)])
    step = g.node("Mul", [z, g.node("Sub", [candidate, "hidden"])])
    g.node("Add", ["hidden", step], ["hidden_next"])
    write("tiny-convgru", size, 1, {"hidden": shape}, {
        "encoder": encoder(8, size, 1, c), "step": (g, {"drive": shape, "hidden": shape}, {"hidden_next": shape}), "readout": readout(9, size, c),
    }, halting("relative-l1", 0.05, 0.02, 0.6))


def convgru(name="tiny-gates", size=(16, 20), c=8, folder=None):
    """A ConvGRU (Ballas et al. 2016, arXiv 1511.06432) with 3x3 kernels, both gates from one convolution; convgru.py has it in PyTorch."""
    g, shape = Graph(32), [1, c, *size]
    gates = g.node("Sigmoid", [g.conv(g.node("Concat", ["hidden", "drive"], axis=1), 2 * c, 2 * c, 3)])
    split = g.weight(np.zeros(1))
    g.weights[-1] = numpy_helper.from_array(np.full(2, c, np.int64), split)
    z, r = g.node("Split", [gates, split], ["z", "r"], axis=1)
    candidate = g.node("Tanh", [g.conv(g.node("Concat", [g.node("Mul", [r, "hidden"]), "drive"], axis=1), c, 2 * c, 3)])
    g.node("Add", ["hidden", g.node("Mul", [z, g.node("Sub", [candidate, "hidden"])])], ["hidden_next"])
    write(name, size, 1, {"hidden": shape}, {
        "encoder": encoder(33, size, 1, c), "step": (g, {"drive": shape, "hidden": shape}, {"hidden_next": shape}), "readout": readout(34, size, c),
    }, halting("relative-l1", 0.05, 0.02, 0.6), folder=folder)
    return folder


def feed_forward(size=(32, 40), c=33):
    half = [1, c, 16, 20]
    g = Graph(10)
    x = g.node("Relu", [g.conv("frame", c, 3, 7, stride=2)])
    x = g.node("Relu", [g.conv(x, c, c, 3, groups=c)])
    # Three channels a group: pairs of neighbours lie in two groups.
    x = g.node("Relu", [g.conv(x, c, c, 3, groups=c // 3)])
    g.node("Relu", [g.norm(g.conv(x, c, c, 3, dilation=2), c)], ["drive"])
    out = Graph(11)
    out.conv("drive", 2, c, 1, name="logits")
    write("tiny-feedforward", size, 3, {}, {
        "encoder": (g, {"frame": [1, 3, *size]}, {"drive": half}), "readout": (out, {"drive": half}, {"logits": [1, 2, 16, 20]}),
    })


def unet(size=(24, 36), c=5):
    """What exported segmentation networks are made of besides convolutions: every kind of pooling, resizing and transposing."""
    def resize(x, mode, coordinates, scale, nearest="floor"):
        scales = g.weight([1, 1, scale, scale])
        return g.node("Resize", [x, "", scales], mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=nearest)

    g = Graph(15)
    x = g.node("Relu", [g.conv("frame", c, 3, 3)])
    x = g.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    shallow = g.node("Relu", [g.conv(x, c, c, 3)])
    x = g.node("AveragePool", [shallow], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = g.node("MaxPool", [g.conv(x, c, c, 1)], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    x = g.node("AveragePool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1)
    x = g.node("Relu", [g.conv(x, c, c, 3)])
    # Channels weighed by what the whole picture holds of them.
    weights = g.conv(g.node("Relu", [g.conv(g.node("GlobalAveragePool", [x]), 3, c, 1)]), c, 3, 1)
    x = g.node("Mul", [x, g.node("Sigmoid", [weights])], ["drive"])
    shape = [1, c, size[0] // 4, size[1] // 4]
    encoder, g = g, Graph(16)
    ways = [
        resize("drive", "nearest", "asymmetric", 2), resize("drive", "linear", "half_pixel", 2), resize("drive", "linear", "align_corners", 2),
        resize("drive", "nearest", "half_pixel", 2, "round_prefer_ceil"),
        g.deconv("drive", c, c, 2, stride=2), g.deconv("drive", c, c, 4, stride=2, pad=1), g.deconv("drive", c, c, 3, stride=2, pad=1, extra=1),
    ]
    x = g.node("Relu", [g.conv(g.node("Concat", ways, axis=1), c, c * len(ways), 3)])
    g.deconv(x, 2, c, 5, stride=2, pad=2, extra=1, name="logits")
    write("tiny-unet", size, 3, {}, {
        "encoder": (encoder, {"frame": [1, 3, *size]}, {"drive": shape}), "readout": (g, {"drive": shape}, {"logits": [1, 2, *size]}),
    })


def sight(size=(24, 32), c=10):
    """What networks of natural video are made of: borders on two sides, windows over each channel in strides, norms of each pixel, in groups
    and over everything, blocks of pixels as channels and back, gates of the whole picture, choices by comparison, softmax."""
    def whole(graph, values):
        name = graph.weight(np.zeros(1))
        graph.weights[-1] = numpy_helper.from_array(np.asarray(values, np.int64), name)
        return name

    def bounded(graph, x):
        return graph.node("Clip", [x, graph.weight(0.0), graph.weight(6.0)])

    def pixel_norm(graph, x):
        squares = graph.node("ReduceMean", [graph.node("Mul", [x, x])], axes=[1])
        return graph.node("Div", [x, graph.node("Sqrt", [graph.node("Add", [squares, graph.weight(1e-3)])])])

    def grouped_norm(graph, x, channels, groups, shape):
        flat = graph.node("Reshape", [x, whole(graph, [0, groups, -1])])
        ones, zeros = graph.weight(np.ones(groups)), graph.weight(np.zeros(groups))
        flat = graph.node("InstanceNormalization", [flat, ones, zeros], epsilon=1e-3)
        return graph.node("Mul", [graph.node("Reshape", [flat, whole(graph, shape)]), graph.row(channels, 0.5, 1)])

    def layer_norm(graph, x, channels):
        x = graph.node("Transpose", [x], perm=[0, 2, 3, 1])
        scale, bias = graph.weight(graph.random.uniform(0.5, 1, channels)), graph.weight(graph.random.normal(size=channels) * 0.1)
        x = graph.node("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-3)
        x = graph.node("MatMul", [x, graph.weight(graph.random.normal(size=(channels, channels)) / np.sqrt(channels))])
        return graph.node("Transpose", [x], perm=[0, 3, 1, 2])

    quarter = [size[0] // 4, size[1] // 4]
    g = Graph(19)
    x = g.node("Pad", ["frame", whole(g, [0, 0, 0, 0, 0, 0, 1, 1]), g.weight(0.0)])
    x = bounded(g, g.node("Conv", [x, g.weight(g.random.normal(size=(c, 3, 3, 3)) / 5)], kernel_shape=[3, 3], strides=[2, 2]))
    x = g.conv(x, c, c, 3, stride=2, groups=c)
    gelu = g.node("Add", [g.node("Erf", [g.node("Div", [x, g.weight(np.sqrt(2))])]), g.weight(1.0)])
    x = g.node("Mul", [g.node("Mul", [x, gelu]), g.weight(0.5)])
    x = g.node("Pad", [x, whole(g, [0, 0, 1, 2, 0, 0, 1, 0])], mode="reflect")
    x = g.node("Slice", [x, whole(g, [1, 1]), whole(g, [-1, 2**31 - 1]), whole(g, [2, 3])])
    x = g.node("Slice", [x, whole(g, [0]), whole(g, [quarter[1]]), whole(g, [3])])
    x = g.node("LeakyRelu", [grouped_norm(g, x, c, 2, [1, c, *quarter])], alpha=0.2)
    g.node("Add", [layer_norm(g, x, c), pixel_norm(g, x)], ["drive"])
    shape = [1, c, *quarter]

    step = Graph(20)
    small = step.node("SpaceToDepth", [step.node("Slice", ["hidden", whole(step, [0]), whole(step, [c // 2]), whole(step, [1])])], blocksize=2)
    small = step.node("DepthToSpace", [step.conv(small, 2 * c, 2 * c, 3)], blocksize=2)
    peak = step.node("ReduceMax", ["hidden"], axes=[2, 3])
    low = step.node("ReduceMin", ["hidden"], axes=[1, 2, 3])
    gate = step.node("Sigmoid", [step.node("Sub", [step.conv(peak, c, c, 1), low])])
    both = step.node("Concat", [small, step.node("Mul", [step.node("Tanh", ["hidden"]), gate])], axis=1)
    both = pixel_norm(step, step.conv(both, c, c // 2 + c, 3))
    z = step.node("HardSigmoid", [step.conv("drive", c, c, 1)])
    step.node("Add", [step.node("Mul", [step.node("Sub", [step.weight(1.0), z]), "hidden"]),
                      step.node("Mul", [z, step.node("Tanh", [step.node("Add", ["drive", both])])])], ["hidden_next"])

    out = Graph(21)
    share = out.node("Softmax", [out.conv("hidden", 4, c, 1)], axis=1)
    bright = out.node("Less", [out.weight(0.3), share])
    x = out.node("Where", [bright, share, out.weight(-0.1)])
    x = out.node("DepthToSpace", [out.conv(x, 8, 4, 1)], blocksize=2, mode="CRD")
    shares = out.node("ReduceSum", [share, whole(out, [2, 3])])
    out.node("Add", [x, out.conv(shares, 2, 4, 1)], ["logits"])
    write("tiny-sight", size, 3, {"hidden": shape}, {
        "encoder": (g, {"frame": [1, 3, *size]}, {"drive": shape}), "step": (step, {"drive": shape, "hidden": shape}, {"hidden_next": shape}),
        "readout": (out, {"hidden": shape}, {"logits": [1, 2, size[0] // 2, size[1] // 2]}),
    }, halting("relative-l2", 0.07, 0.02, 0.5))


def features(size=(16, 24), c=6):
    """Format 2: an encoder with a feature beside its drive, a readout with a second answer."""
    half = [size[0] // 2, size[1] // 2]
    g = Graph(22)
    fine = g.node("Relu", [g.conv("frame", 4, 1, 3)], ["fine"])
    x = g.conv(fine, c, 4, 3, stride=2)
    g.node("Mul", [x, x], ["drive"])
    whole, shape = [1, 4, *size], [1, c, *half]
    step = Graph(23)
    x = step.node("AveragePool", ["fine"], kernel_shape=[2, 2], strides=[2, 2])
    x = step.node("Tanh", [step.conv(step.node("Concat", ["hidden", "drive", x], axis=1), c, 2 * c + 4, 3)])
    step.node("Add", ["drive", step.node("Mul", [x, step.row(c, 0.2, 0.5)])], ["hidden_next"])
    out = Graph(24)
    large = out.deconv("hidden", 4, c, 2, stride=2)
    out.conv(out.node("Concat", [large, "fine"], axis=1), 2, 8, 1, name="logits")
    out.node("Sigmoid", [out.conv("hidden", 1, c, 1)], ["near"])
    write("tiny-features", size, 1, {"hidden": shape}, {
        "encoder": (g, {"frame": [1, 1, *size]}, {"fine": whole, "drive": shape}),
        "step": (step, {"drive": shape, "fine": whole, "hidden": shape}, {"hidden_next": shape}),
        "readout": (out, {"hidden": shape, "fine": whole}, {"logits": [1, 2, *size], "near": [1, 1, *half]}),
    }, halting("relative-l2", 0.05, 0.02, 0.5))
    path = OUT / "tiny-features/model.toml"
    path.write_text(path.read_text().replace("format = 1", "format = 2"))


def local(size=(76, 148), c=8):
    """Every pixel depends on its surroundings alone: transforms of several tiles, strides, windows over each channel, what is added to itself, norms
    of each pixel, two states, resizing and transposing."""
    half = [size[0] // 2, size[1] // 2]
    g = Graph(25)
    x = g.node("Relu", [g.conv("frame", 6, 3, 7)])
    x = g.node("Relu", [g.conv(x, 12, 6, 3, stride=2)])
    y = g.conv(g.node("Relu", [g.conv(x, 12, 12, 3, groups=12)]), 12, 12, 1)
    x = g.node("Add", [x, y])
    squares = g.node("ReduceMean", [g.node("Mul", [x, x])], axes=[1])
    x = g.node("Div", [x, g.node("Sqrt", [g.node("Add", [squares, g.weight(1e-2)])])])
    x = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    g.node("Tanh", [g.conv(x, c, 12, 3)], ["drive"])
    shape = [1, c, *half]
    step = Graph(26)
    known = step.node("Concat", [step.node("Mul", ["hidden", step.row(c, 0.2, 0.4)]), "drive"], axis=1)
    rate = step.node("Sigmoid", [step.conv(known, c, 2 * c, 3)])
    candidate = step.node("Tanh", [step.conv(known, c, 2 * c, 3, dilation=2)])
    step.node("Add", ["hidden", step.node("Mul", [rate, step.node("Sub", [candidate, "hidden"])])], ["hidden_next"])
    step.node("Add", [step.node("Mul", ["slow", step.weight(0.6)]), step.node("Mul", ["hidden", step.weight(0.4)])], ["slow_next"])
    out = Graph(27)
    large = out.node("Resize", ["hidden", "", out.weight([1, 1, 2, 2])], mode="linear", coordinate_transformation_mode="half_pixel", nearest_mode="floor")
    both = out.node("Concat", [large, out.deconv("slow", 4, c, 2, stride=2)], axis=1)
    out.conv(both, 2, c + 4, 3, name="logits")
    states = {"hidden": shape, "slow": shape}
    write("tiny-local", size, 3, states, {
        "encoder": (g, {"frame": [1, 3, *size]}, {"drive": shape}),
        "step": (step, {"drive": shape, **states}, {"hidden_next": shape, "slow_next": shape}),
        "readout": (out, states, {"logits": [1, 2, *size]}),
    }, halting("relative-l2", 0.03, 0.01, 0.9))


def values(size=(8, 12)):
    """Logarithm, rounding and powers of the frame as it is, with nothing around them that would spread what is no number."""
    g = Graph(28)

    def cut(x, at):
        names = [g.weight(0.0) for _ in range(3)]
        for name, number in zip(names, (at, at + 1, 1)):
            g.weights[int(name[1:])] = numpy_helper.from_array(np.array([number], np.int64), name)
        return g.node("Slice", [x, *names])

    powers = [
        g.node("Pow", ["frame", g.weight(np.array([[[[1.7]], [[-2.5]], [[3.0]]]]))]), g.node("Pow", ["frame", g.weight(0.0)]), g.node("Pow", [g.weight(2.0), "frame"]),
        g.node("Pow", [cut("frame", 0), cut("frame", 1)]), g.node("Pow", ["frame", cut("frame", 1)]),
    ]
    g.node("Concat", [g.node("Round", ["frame"]), g.node("Log", ["frame"]), *powers], ["drive"], axis=1)
    count = 3 * 6 + 1
    out = Graph(29)
    out.node("Mul", ["drive", out.weight(np.full((1, count, 1, 1), 0.5) * np.array([1, 2] * 9 + [1]).reshape(1, count, 1, 1))], ["logits"])
    shape = [1, count, *size]
    write("tiny-values", size, 3, {}, {
        "encoder": (g, {"frame": [1, 3, *size]}, {"drive": shape}), "readout": (out, {"drive": shape}, {"logits": shape}),
    }, classes=str(["background", *(f"c{at}" for at in range(1, count))]).replace("'", '"'))


def powers(size=(20, 28), c=5):
    """The same between convolutions of an odd number of channels: what such an operator makes of the channel beyond the last is no number. What is rounded
    counts little: near a half both engines are right that round to either side."""
    g = Graph(30)
    x = g.node("Add", [g.node("Abs", [g.conv("frame", c, 3, 3)]), g.row(c, 0.1, 0.4)])
    logarithm = g.conv(g.node("Log", [x]), c, c, 3)
    power = g.conv(g.node("Pow", [x, g.row(c, -0.7, 1.8)]), c, c, 3)
    rounded = g.node("Mul", [g.node("Round", [g.node("Mul", [logarithm, g.weight(3.0)])]), g.weight(0.0005)])
    other = g.node("Pow", [x, g.node("Sigmoid", [power])])
    g.node("Tanh", [g.conv(g.node("Add", [g.node("Add", [other, rounded]), g.node("Mul", [logarithm, g.weight(0.2)])]), c, c, 5)], ["drive"])
    shape = [1, c, *size]
    out = Graph(31)
    out.conv("drive", 2, c, 1, name="logits")
    write("tiny-powers", size, 3, {}, {
        "encoder": (g, {"frame": [1, 3, *size]}, {"drive": shape}), "readout": (out, {"drive": shape}, {"logits": [1, 2, *size]}),
    })


def cubic(size=(8, 10)):
    """What no GPU kernel does."""
    g = Graph(17)
    scales = g.weight([1, 1, 2, 2])
    x = g.conv("frame", 4, 1, 3)
    g.nodes.append(helper.make_node("Resize", [x, "", scales], ["drive"], name="enlarge", mode="cubic"))
    out, double = Graph(18), [2 * size[0], 2 * size[1]]
    out.conv("drive", 2, 4, 1, name="logits")
    write("tiny-cubic", size, 1, {}, {
        "encoder": (g, {"frame": [1, 1, *size]}, {"drive": [1, 4, *double]}), "readout": (out, {"drive": [1, 4, *double]}, {"logits": [1, 2, *double]}),
    })


def passthrough(name, channels, classes, size=(19, 46)):
    """The logits are the input: shows a test what reached the network."""
    def copy(x, out, into, to):
        g = Graph(0)
        weights = np.zeros((out, into, 3, 3))
        weights[:, :, 1, 1] = np.eye(out, into)
        g.node("Conv", [x, g.weight(weights)], [to], kernel_shape=[3, 3], pads=[1] * 4)
        return g
    frame, count = [1, channels, *size], len(classes)
    write(name, size, channels, {}, {
        "encoder": (copy("frame", channels, channels, "drive"), {"frame": frame}, {"drive": frame}),
        "readout": (copy("drive", count, channels, "logits"), {"drive": frame}, {"logits": [1, count, *size]}),
    }, classes=str(classes).replace("'", '"'))


if __name__ == "__main__":
    hgru()
    lstm()
    gru()
    convgru()
    lean()
    unet()
    sight()
    features()
    local()
    values()
    powers()
    cubic()
    feed_forward()
    passthrough("passthrough-grey", 1, ["background", "contour"])
    passthrough("passthrough-colour", 3, ["background", "contour", "other"])
