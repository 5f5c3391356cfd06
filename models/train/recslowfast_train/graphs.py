"""The ONNX graphs of the zoo's networks, built node by node, so that they hold nothing but Conv, ConvTranspose, InstanceNormalization,
ReduceMean, Sqrt, Div, Concat, Split, Sigmoid, Softplus, Tanh, Mul, Add, Sub (opset 17, static shapes, weights inline).
"""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .networks import ConvLstm, FeedForward, HGru, Lean, Local
from .networks.hgru import EPS
from .networks.lean import LOCAL_EPS

OPSET = 17


class GraphBuilder:
    """Collects the nodes of one graph and its weights, which keep the names that they have in PyTorch."""

    def __init__(self, net: nn.Module):
        self.net, self.nodes, self.weights = net, [], []

    def weight(self, name: str, value: torch.Tensor) -> str:
        array = np.ascontiguousarray(value.detach().cpu().numpy().astype(np.float32))
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def parameter(self, name: str) -> str:
        """A parameter of the network as it is, under its own name."""
        return self.weight(name, self.net.get_parameter(name))

    def row(self, name: str) -> str:
        """A parameter vector, one element a channel."""
        return self.weight(name, self.net.get_parameter(name).reshape(1, -1, 1, 1))

    def conv(self, source: str, output: str, weight: str, bias: str | None = None, stride: int = 1) -> str:
        value = self.net.get_parameter(weight)
        value = value if value.dim() == 4 else value[:, :, None, None]
        inputs = [source, self.weight(weight, value)] + ([self.parameter(bias)] if bias else [])
        size = value.shape[-1]
        return self.node("Conv", inputs, output, kernel_shape=[size] * 2, pads=[size // 2] * 4, strides=[stride] * 2)

    def norm(self, source: str, output: str, weight: str, bias: str) -> str:
        if isinstance(self.net, Local):
            return self.local_norm(source, output, weight, bias)
        return self.node("InstanceNormalization", [source, self.parameter(weight), self.parameter(bias)], output, epsilon=EPS)

    def local_norm(self, source: str, output: str, weight: str, bias: str) -> str:
        square = self.node("Mul", [source, source], f"{output}_square")
        mean = self.node("ReduceMean", [square], f"{output}_mean", axes=[1], keepdims=1)
        shifted = self.node("Add", [mean, self.weight(f"{output}_eps", torch.tensor(LOCAL_EPS))], f"{output}_shifted")
        scaled = self.node("Div", [source, self.node("Sqrt", [shifted], f"{output}_root")], f"{output}_scaled")
        return self.node("Add", [self.node("Mul", [scaled, self.row(weight)], f"{output}_weighted"), self.row(bias)], output)

    def model(self, name: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> onnx.ModelProto:
        def infos(tensors: dict[str, list[int]]):
            return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in tensors.items()]

        graph = helper.make_graph(self.nodes, name, infos(inputs), infos(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="recslowfast_train")
        onnx.checker.check_model(model, full_check=True)
        return model



Graphs = dict[str, onnx.ModelProto]


def state_shapes(net: nn.Module, size: int) -> dict[str, list[int]]:
    """Name and NCHW shape of every state tensor."""
    names = [] if isinstance(net, FeedForward) else ["h", "c"] if isinstance(net, ConvLstm) else ["hidden"]
    return {name: [1, net.channels, size // net.STRIDE, size // net.STRIDE] for name in names}


def build_graphs(net: nn.Module, size: int) -> Graphs:
    """encoder, step (not for feed-forward networks) and readout for a canvas of `size` x `size` pixels."""
    if isinstance(net, FeedForward):
        return feed_forward(net, size)
    if isinstance(net, ConvLstm):
        return conv_lstm(net, size)
    return hgru(net, size)


def features(g: GraphBuilder, stride: int, output: str) -> str:
    g.conv("frame", "filtered", "drive_w", "drive_b", stride)
    return g.node("Mul", ["filtered", "filtered"], output)


def hgru(net: HGru, size: int) -> Graphs:
    """The hGRU and the lean network, which share the step."""
    state = state_shapes(net, size)["hidden"]
    frame, logits = {"frame": [1, 1, size, size]}, {"logits": [1, 2, size, size]}
    enc = GraphBuilder(net)
    features(enc, net.STRIDE, "drive")

    g = GraphBuilder(net)
    g.conv("hidden", "gate1_in", "u1", "b1")
    g.node("Sigmoid", ["gate1_in"], "gate1")
    g.node("Mul", ["gate1", "hidden"], "gated")
    g.conv("gated", "inhibition", "w_inh")
    g.norm("inhibition", "c1", "n1_w", "n1_b")
    g.node("Mul", ["hidden", g.row("alpha")], "alpha_hidden")
    g.node("Add", ["alpha_hidden", g.row("mu")], "strength")
    g.node("Mul", ["c1", "strength"], "suppression_in")
    g.node("Softplus", ["suppression_in"], "suppression")
    g.node("Sub", ["drive", "suppression"], "inhibited_in")
    g.node("Softplus", ["inhibited_in"], "inhibited")
    g.conv("inhibited", "gate2_in", "u2", "b2")
    g.node("Sigmoid", ["gate2_in"], "gate2")
    g.conv("inhibited", "excitation", "w_exc")
    g.norm("excitation", "c2", "n2_w", "n2_b")
    g.node("Mul", ["inhibited", g.row("kappa")], "kappa_i")
    g.node("Mul", ["c2", g.row("gamma")], "gamma_c2")
    g.node("Mul", ["inhibited", "c2"], "i_c2")
    g.node("Mul", ["i_c2", g.row("omega")], "omega_i_c2")
    g.node("Add", ["kappa_i", "gamma_c2"], "candidate_sum")
    g.node("Add", ["candidate_sum", "omega_i_c2"], "candidate_in")
    g.node("Softplus", ["candidate_in"], "candidate")
    g.node("Sub", [g.weight("one", torch.ones(1, 1, 1, 1)), "gate2"], "keep")
    g.node("Mul", ["keep", "hidden"], "kept")
    g.node("Mul", ["gate2", "candidate"], "taken")
    g.node("Add", ["kept", "taken"], "mixed")
    g.node("Softplus", ["mixed"], "hidden_next")

    out = GraphBuilder(net)
    out.norm("hidden", "normed", "out_n_w", "out_n_b")
    if isinstance(net, Lean):
        out.node("Concat", ["normed", "drive"], "joined", axis=1)
        out.conv("joined", "features_in", "join_w", "join_b")
        out.node("Softplus", ["features_in"], "features")
        inputs = ["features", out.parameter("out_w"), out.parameter("out_b")]
        out.node("ConvTranspose", inputs, "logits", kernel_shape=[2, 2], strides=[2, 2])
        read = {"hidden": state, "drive": state}
    else:
        out.conv("normed", "logits", "out_w", "out_b")
        read = {"hidden": state}
    return {
        "encoder": enc.model("encoder", frame, {"drive": state}),
        "step": g.model("step", {"drive": state, "hidden": state}, {"hidden_next": state}),
        "readout": out.model("readout", read, logits),
    }


def conv_lstm(net: ConvLstm, size: int) -> Graphs:
    state, gates = [1, net.channels, size, size], [1, 4 * net.channels, size, size]
    enc = GraphBuilder(net)
    enc.conv(features(enc, 1, "features"), "drive", "w_x", "b_x")

    g = GraphBuilder(net)
    g.conv("h", "recurrent", "w_h")
    g.node("Add", ["drive", "recurrent"], "gates")
    parts = ["i_in", "f_in", "o_in", "g_in"]
    g.nodes.append(helper.make_node("Split", ["gates"], parts, name="split", axis=1))
    for gate in "ifo":
        g.node("Sigmoid", [f"{gate}_in"], gate)
    g.node("Tanh", ["g_in"], "g")
    g.node("Mul", ["f", "c"], "kept")
    g.node("Mul", ["i", "g"], "taken")
    g.node("Add", ["kept", "taken"], "c_next")
    g.node("Tanh", ["c_next"], "shown")
    g.node("Mul", ["o", "shown"], "h_next")

    out = GraphBuilder(net)
    out.norm("h", "normed", "out_n_w", "out_n_b")
    out.conv("normed", "logits", "out_w", "out_b")
    return {
        "encoder": enc.model("encoder", {"frame": [1, 1, size, size]}, {"drive": gates}),
        "step": g.model("step", {"drive": gates, "h": state, "c": state}, {"h_next": state, "c_next": state}),
        "readout": out.model("readout", {"h": state}, {"logits": [1, 2, size, size]}),
    }


def feed_forward(net: FeedForward, size: int) -> Graphs:
    drive = [1, net.channels, size, size]
    enc = GraphBuilder(net)
    layer, last = features(enc, 1, "layer1"), len(net.w) - 1
    for at in range(len(net.w)):
        enc.conv(layer, f"conv{at + 2}", f"w.{at}")
        enc.norm(f"conv{at + 2}", f"normed{at + 2}", f"n_w.{at}", f"n_b.{at}")
        layer = enc.node("Softplus", [f"normed{at + 2}"], "drive" if at == last else f"layer{at + 2}")
    out = GraphBuilder(net)
    out.conv("drive", "logits", "out_w", "out_b")
    return {
        "encoder": enc.model("encoder", {"frame": [1, 1, size, size]}, {"drive": drive}),
        "readout": out.model("readout", {"drive": drive}, {"logits": [1, 2, size, size]}),
    }
