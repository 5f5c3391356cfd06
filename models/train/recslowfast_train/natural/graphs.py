"""The ONNX graphs of the networks for natural video, built node by node.

They hold nothing but Conv, ConvTranspose, Clip, Relu, Sigmoid, Tanh, Mul, Add, Sub, Div, Sqrt, ReduceMean, Concat, Slice, Resize and Cast (opset 17, static
shapes). Weights are stored in half precision, each with a Cast to float32 behind it: a reader folds them once.
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .encoder import EIGHTH, QUARTER, Conv
from .network import EPS, WIDTH8, WIDTH16, Cell, ChannelNorm, Network

OPSET = 17


class Builder:
    """Collects the nodes of one graph. A value is its name; heights and widths are kept to compute "SAME" padding."""

    def __init__(self):
        self.nodes, self.weights, self.sizes = [], [], {}

    def constant(self, name: str, value: torch.Tensor | np.ndarray) -> str:
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        if any(weight.name in (name, f"{name}_half") for weight in self.weights):
            return name
        if array.dtype == np.float32 and array.size > 1:
            self.weights.append(numpy_helper.from_array(array.astype(np.float16), f"{name}_half"))
            self.nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], name=name, to=TensorProto.FLOAT))
        else:
            self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, size: tuple[int, int] | None = None, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        known = [self.sizes[name] for name in inputs if name in self.sizes]
        if size or known:
            self.sizes[output] = size or max(known)
        return output

    def conv(self, conv: Conv, source: str, output: str, inputs: slice | None = None) -> str:
        """`inputs` takes a part of the input channels: for inputs that are zero."""
        height, width = self.sizes[source]
        out = -(-height // conv.stride), -(-width // conv.stride)
        total = [max(0, (o - 1) * conv.stride + conv.size - n) for o, n in zip(out, (height, width))]
        before = [t // 2 for t in total]
        weight = conv.weight if inputs is None else conv.weight[:, inputs]
        names = [source, self.constant(f"{output}.weight", weight), self.constant(f"{output}.bias", conv.bias)]
        pads = [*before, total[0] - before[0], total[1] - before[1]]
        return self.node("Conv", names, output, out, kernel_shape=[conv.size] * 2, pads=pads, strides=[conv.stride] * 2, group=conv.groups)

    def relu(self, source: str, six: bool = False) -> str:
        if not six:
            return self.node("Relu", [source], f"{source}.relu")
        limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
        return self.node("Clip", [source, *limits], f"{source}.relu6")

    def norm(self, norm: ChannelNorm, source: str) -> str:
        square = self.node("Mul", [source, source], f"{source}.square")
        mean = self.node("ReduceMean", [square], f"{source}.mean", axes=[1], keepdims=1)
        shifted = self.node("Add", [mean, self.constant("eps", np.float32(EPS))], f"{source}.shifted")
        scaled = self.node("Div", [source, self.node("Sqrt", [shifted], f"{source}.root")], f"{source}.scaled")
        scaled = self.node("Mul", [scaled, self.constant(f"{source}.gain", norm.gain)], f"{source}.weighted")
        return self.node("Add", [scaled, self.constant(f"{source}.shift", norm.bias)], f"{source}.norm")

    def up2(self, source: str, linear: bool = False) -> str:
        height, width = self.sizes[source]
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"} if linear else {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        scales = self.raw("twice", np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [source, "", scales], f"{source}.up", (2 * height, 2 * width), **mode)

    def raw(self, name: str, array: np.ndarray) -> str:
        if all(weight.name != name for weight in self.weights):
            self.weights.append(numpy_helper.from_array(array, name))
        return name

    def model(self, name: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> onnx.ModelProto:
        def infos(tensors: dict[str, list[int]]):
            return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in tensors.items()]

        # Constants first: a node may only read what stands before it.
        nodes = sorted(self.nodes, key=lambda node: node.op_type != "Cast")
        graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="recslowfast_train")
        onnx.checker.check_model(model, full_check=True)
        return model


def encoder(net: Network, width: int, height: int) -> onnx.ModelProto:
    g = Builder()
    g.sizes["frame"] = height, width
    x = g.relu(g.conv(net.encoder.stem, "frame", "stem"), six=True)
    taps = {}
    for at, block in enumerate(net.encoder.blocks):
        name, before = f"block{at}", x
        if block.expand is not None:
            x = g.relu(g.conv(block.expand, x, f"{name}.expand"), six=True)
        x = g.conv(block.project, g.relu(g.conv(block.depthwise, x, f"{name}.depthwise"), six=True), f"{name}.project")
        if block.residual:
            x = g.node("Add", [before, x], f"{name}.sum")
        taps[at] = x
    both = g.node("Add", [g.conv(net.from8, taps[EIGHTH], "from8"), g.up2(g.conv(net.from16, x, "from16"))], "both")
    drive = g.relu(g.norm(net.norm, both))
    channels = WIDTH8
    if net.detail is not None:
        names = [taps[QUARTER], g.constant("detail.weight", net.detail.weight), g.constant("detail.bias", net.detail.bias)]
        detail = g.relu(g.node("Conv", names, "detail", g.sizes[drive], kernel_shape=[2, 2], strides=[2, 2]))
        drive = g.node("Concat", [drive, detail], "with_detail", axis=1)
        channels += net.detail.out_channels
    g.nodes[-1].output[0] = "drive"
    return g.model("encoder", {"frame": [1, 3, height, width]}, {"drive": [1, channels, height // 8, width // 8]})


def cell(g: Builder, cell_: Cell, drive: str, h8: str | None, h16: str | None, suffix: str = "") -> tuple[str, str]:
    """One step; a state of None is zero."""
    def update(h: str | None, gate: Conv, value: Conv, source: str, output: str) -> str:
        z = g.node("Sigmoid", [g.conv(gate, source, f"{output}.gate")], f"{output}.z")
        v = g.node("Tanh", [g.conv(value, source, f"{output}.value")], f"{output}.v")
        v = g.node("Mul", [v, g.constant("three", np.float32(3))], f"{output}.v3")
        if h is None:
            return g.node("Mul", [z, v], output)
        moved = g.node("Mul", [z, g.node("Sub", [v, h], f"{output}.way")], f"{output}.moved")
        return g.node("Add", [h, moved], output)

    name = f"cell{suffix}"
    if h16 is None:
        # lift(0) is its bias everywhere.
        height, width = g.sizes[drive]
        plane = cell_.lift.bias.reshape(1, -1, 1, 1).expand(1, -1, height, width)
        lifted = g.constant(f"{name}.lift", plane)
        g.sizes[lifted] = height, width
        parts, inputs = [drive, lifted], torch.cat([torch.arange(WIDTH8), torch.arange(2 * WIDTH8, cell_.mix8.weight.shape[1])])
    else:
        parts, inputs = [drive, h8, g.up2(g.conv(cell_.lift, h16, f"{name}.lift"))], None
    joined = g.node("Concat", parts, f"{name}.joined8", axis=1)
    a = g.relu(g.norm(cell_.norm8, g.conv(cell_.mix8, joined, f"{name}.mix8", inputs)))
    next8 = update(h8, cell_.gate8, cell_.value8, a, f"h8_next{suffix}")
    down = g.relu(g.conv(cell_.down, next8, f"{name}.down"))
    if h16 is None:
        mixed = g.conv(cell_.mix16, down, f"{name}.mix16", slice(0, 96))
    else:
        mixed = g.conv(cell_.mix16, g.node("Concat", [down, h16], f"{name}.joined16", axis=1), f"{name}.mix16")
    b = g.relu(g.norm(cell_.norm16, mixed))
    return next8, update(h16, cell_.gate16, cell_.value16, b, f"h16_next{suffix}")


def recurrent_drive(g: Builder, net: Network) -> str:
    if net.detail is None:
        return "drive"
    bounds = [g.raw(name, np.array([value], np.int64)) for name, value in (("first", 0), ("width", WIDTH8), ("channel", 1))]
    return g.node("Slice", ["drive", *bounds], "drive.recurrent")


def head(g: Builder, net: Network, h8: str, h16: str) -> dict[str, list[int]]:
    x = g.relu(g.node("Add", [g.conv(net.head.from8, h8, "head.from8"), g.up2(g.conv(net.head.from16, h16, "head.from16"))], "head.sum"))
    height, width = g.sizes[x]
    if net.task == "street":
        x = g.relu(g.conv(net.head.hidden, g.relu(g.conv(net.head.around, x, "head.around")), "head.hidden"))
        g.conv(net.head.scores, x, "scores")
        g.conv(net.head.boxes, x, "boxes")
        return {"scores": [1, net.head.scores.weight.shape[0], height, width], "boxes": [1, 4, height, width]}
    bounds = [g.raw(name, np.array([value], np.int64)) for name, value in (("width", WIDTH8), ("end", 2**31), ("channel", 1))]
    detail = g.node("Slice", ["drive", *bounds], "drive.detail")
    joined = g.node("Concat", [x, detail], "head.joined", axis=1)
    spread = net.head.spread
    names = [joined, g.constant("head.spread.weight", spread.weight), g.constant("head.spread.bias", spread.bias)]
    x = g.relu(g.node("ConvTranspose", names, "head.spread", (2 * height, 2 * width), kernel_shape=[2, 2], strides=[2, 2]))
    x = g.relu(g.conv(net.head.hidden, g.relu(g.conv(net.head.around, x, "head.around")), "head.hidden"))
    g.up2(g.conv(net.head.logits, x, "quarter"), linear=True)
    g.nodes[-1].output[0] = "logits"
    return {"logits": [1, net.head.logits.weight.shape[0], 4 * height, 4 * width]}


def build(net: Network, width: int, height: int) -> dict[str, onnx.ModelProto]:
    """encoder, step (not for a feed-forward twin) and readout for a canvas of `width` x `height` pixels."""
    h, w = height // 8, width // 8
    graphs = {"encoder": encoder(net, width, height)}
    drive = list(d.dim_value for d in graphs["encoder"].graph.output[0].type.tensor_type.shape.dim)
    states = {"h8": [1, WIDTH8, h, w], "h16": [1, WIDTH16, -(-h // 2), -(-w // 2)]}
    out = Builder()
    out.sizes["drive"] = h, w
    if net.recurrent:
        g = Builder()
        g.sizes |= {"drive": (h, w), **{name: tuple(shape[2:]) for name, shape in states.items()}}
        cell(g, net.cells[0], recurrent_drive(g, net), "h8", "h16")
        graphs["step"] = g.model("step", {"drive": drive, **states}, {f"{name}_next": shape for name, shape in states.items()})
        out.sizes |= {name: tuple(shape[2:]) for name, shape in states.items()}
        outputs = head(out, net, "h8", "h16")
        graphs["readout"] = out.model("readout", {**({"drive": drive} if net.detail is not None else {}), **states}, outputs)
        return graphs
    h8 = h16 = None
    source = recurrent_drive(out, net)
    for at, one in enumerate(net.cells):
        h8, h16 = cell(out, one, source, h8, h16, str(at))
    outputs = head(out, net, h8, h16)
    graphs["readout"] = out.model("readout", {"drive": drive}, outputs)
    return graphs
