"""Writes a network folder: encoder.onnx, step.onnx, readout.onnx, model.toml, README.md.

    python -m recslowfast_train.export --checkpoint runs/main/last.pt --out ../zoo/pathfinder-hgru

The graphs are built node by node, so that they hold nothing but Conv, InstanceNormalization, Sigmoid, Softplus, Mul, Add, Sub
(opset 17, static shapes, weights inline). Each is run in ONNX Runtime against the PyTorch form on random input and the export
fails if any element differs by more than 1e-4 x max(1, |element|).
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from .hgru import EPS, HGru

OPSET = 17
TOLERANCE = 1e-4


class GraphBuilder:
    """Collects nodes and named weights of one graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name: str, value: torch.Tensor) -> str:
        array = np.ascontiguousarray(value.detach().cpu().numpy().astype(np.float32))
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, source: str, output: str, weight: torch.Tensor, bias: torch.Tensor | None = None) -> str:
        size = weight.shape[-1]
        inputs = [source, self.weight(f"{output}.weight", weight)]
        if bias is not None:
            inputs.append(self.weight(f"{output}.bias", bias))
        pad = size // 2
        return self.node("Conv", inputs, output, kernel_shape=[size, size], pads=[pad] * 4, strides=[1, 1])

    def norm(self, source: str, output: str, weight: torch.Tensor, bias: torch.Tensor) -> str:
        inputs = [source, self.weight(f"{output}.scale", weight), self.weight(f"{output}.bias", bias)]
        return self.node("InstanceNormalization", inputs, output, epsilon=EPS)

    def model(self, name: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> onnx.ModelProto:
        def infos(tensors: dict[str, list[int]]):
            return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in tensors.items()]

        graph = helper.make_graph(self.nodes, name, infos(inputs), infos(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="recslowfast_train")
        onnx.checker.check_model(model, full_check=True)
        return model


def build_graphs(net: HGru, height: int, width: int) -> dict[str, onnx.ModelProto]:
    state = [1, net.channels, height, width]

    def row(vector: torch.Tensor) -> torch.Tensor:
        return vector.reshape(1, -1, 1, 1)

    def pointwise(matrix: torch.Tensor) -> torch.Tensor:
        return matrix[:, :, None, None]

    enc = GraphBuilder()
    enc.conv("frame", "filtered", net.drive_w, net.drive_b)
    enc.node("Mul", ["filtered", "filtered"], "drive")
    encoder = enc.model("encoder", {"frame": [1, 1, height, width]}, {"drive": state})

    g = GraphBuilder()
    g.conv("hidden", "gate1_in", pointwise(net.u1), net.b1)
    g.node("Sigmoid", ["gate1_in"], "gate1")
    g.node("Mul", ["gate1", "hidden"], "gated")
    g.conv("gated", "inhibition", net.w_inh)
    g.norm("inhibition", "c1", net.n1_w, net.n1_b)
    g.node("Mul", ["hidden", g.weight("alpha", row(net.alpha))], "alpha_hidden")
    g.node("Add", ["alpha_hidden", g.weight("mu", row(net.mu))], "strength")
    g.node("Mul", ["c1", "strength"], "suppression_in")
    g.node("Softplus", ["suppression_in"], "suppression")
    g.node("Sub", ["drive", "suppression"], "inhibited_in")
    g.node("Softplus", ["inhibited_in"], "inhibited")
    g.conv("inhibited", "gate2_in", pointwise(net.u2), net.b2)
    g.node("Sigmoid", ["gate2_in"], "gate2")
    g.conv("inhibited", "excitation", net.w_exc)
    g.norm("excitation", "c2", net.n2_w, net.n2_b)
    g.node("Mul", ["inhibited", g.weight("kappa", row(net.kappa))], "kappa_i")
    g.node("Mul", ["c2", g.weight("gamma", row(net.gamma))], "gamma_c2")
    g.node("Mul", ["inhibited", "c2"], "i_c2")
    g.node("Mul", ["i_c2", g.weight("omega", row(net.omega))], "omega_i_c2")
    g.node("Add", ["kappa_i", "gamma_c2"], "candidate_sum")
    g.node("Add", ["candidate_sum", "omega_i_c2"], "candidate_in")
    g.node("Softplus", ["candidate_in"], "candidate")
    g.node("Sub", [g.weight("one", torch.ones(1, 1, 1, 1)), "gate2"], "keep")
    g.node("Mul", ["keep", "hidden"], "kept")
    g.node("Mul", ["gate2", "candidate"], "taken")
    g.node("Add", ["kept", "taken"], "mixed")
    g.node("Softplus", ["mixed"], "hidden_next")
    step = g.model("step", {"drive": state, "hidden": state}, {"hidden_next": state})

    out = GraphBuilder()
    out.norm("hidden", "normed", net.out_n_w, net.out_n_b)
    out.conv("normed", "logits", pointwise(net.out_w), net.out_b)
    readout = out.model("readout", {"hidden": state}, {"logits": [1, 2, height, width]})
    return {"encoder": encoder, "step": step, "readout": readout}


def open_session(path: pathlib.Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@torch.no_grad()
def check_graphs(net: HGru, folder: pathlib.Path, height: int, width: int) -> float:
    """Largest difference, over max(1, |element|), of the exported graphs from PyTorch on random input; raises above TOLERANCE."""
    generator = torch.Generator().manual_seed(0)
    frame = torch.rand(1, 1, height, width, generator=generator)
    hidden = torch.nn.functional.softplus(torch.randn(1, net.channels, height, width, generator=generator))
    drive = net.drive(frame)
    wanted = {
        "encoder": ({"frame": frame}, drive),
        "step": ({"drive": drive, "hidden": hidden}, net.step(drive, hidden)),
        "readout": ({"hidden": hidden}, net.readout(hidden)),
    }
    worst = 0.0
    for name, (inputs, expected) in wanted.items():
        got = open_session(folder / f"{name}.onnx").run(None, {key: value.numpy() for key, value in inputs.items()})[0]
        expected = expected.numpy()
        difference = float((np.abs(got - expected) / np.maximum(1, np.abs(expected))).max())
        if not difference <= TOLERANCE:
            raise SystemExit(f"{folder / name}.onnx differs from PyTorch by {difference:.2e} (allowed {TOLERANCE:.0e})")
        worst = max(worst, difference)
    return worst


MANIFEST = """\
format = 1
name = "pathfinder-hgru"
version = "0.1.0"
licence = "MIT OR Apache-2.0"
origin = "{origin}"

[input]
width = {width}
height = {height}
channels = 1          # 1 = luma, 3 = RGB
mean = [0.0]          # tensor = (value/255 - mean) / std
std = [1.0]

[task]
kind = "contour"      # contour | classes | detections
classes = ["background", "contour"]
threshold = {mask_threshold}       # probability above which a pixel is contour

[[state]]
name = "hidden"
shape = [1, {channels}, {height}, {width}]

[steps]
min = 1
max = {max_steps}
slow = {slow_steps}              # first frame, after a cut
fast = 1

[halting]
rule = "relative-l2"  # fixed | slow-fast | relative-l2 | relative-l1 | cosine
threshold = {halt_threshold}      # ||h_k - h_(k-1)|| / ||h_k|| below which stepping stops
zero = {zero_threshold}          # relative L2 movement of the drive below which no step is taken

[quality]             # measured, by which command
{quality}"""


def toml_value(value) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_folder(net: HGru, folder: pathlib.Path, size: int, card: dict) -> None:
    """`card`: origin, mask_threshold, max_steps, slow_steps, halt_threshold, zero_threshold, quality (dict), readme (text)."""
    net = net.cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in build_graphs(net, size, size).items():
        onnx.save(model, folder / f"{name}.onnx")
    worst = check_graphs(net, folder, size, size)
    fields = dict(card)
    fields["quality"] = "".join(f"{key} = {toml_value(value)}\n" for key, value in card["quality"].items())
    readme = fields.pop("readme")
    manifest = MANIFEST.format(width=size, height=size, channels=net.channels, **fields)
    (folder / "model.toml").write_text(manifest)
    (folder / "README.md").write_text(readme)
    print(f"{folder}: exported, largest difference from PyTorch {worst:.1e}")


DEFAULT_CARD = {
    "origin": "trained by models/train from nothing",
    "mask_threshold": 0.5,
    "max_steps": 8,
    "slow_steps": 6,
    "halt_threshold": 0.02,
    "zero_threshold": 0.001,
    "quality": {"note": "not measured"},
    "readme": "# pathfinder-hgru\n\nNot measured.\n",
}


def load_checkpoint(path: str | None) -> HGru:
    net = HGru()
    if path is not None:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(saved.get("averaged", saved.get("net")))
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="a checkpoint of recslowfast_train.train; without it the untrained network")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--size", type=int, default=64, help="canvas edge in pixels")
    parser.add_argument("--card", type=pathlib.Path, help="JSON with the fields of DEFAULT_CARD to set")
    args = parser.parse_args()
    card = dict(DEFAULT_CARD)
    if args.card:
        card.update(json.loads(args.card.read_text()))
    write_folder(load_checkpoint(args.checkpoint), args.out, args.size, card)


if __name__ == "__main__":
    main()
