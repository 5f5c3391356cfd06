"""Makes the small networks beside this file, whose answers can be told from the picture: no training, no chance.

    python make.py

colour-boxes   a cell of 8x8 pixels that is red is a person, one that is blue a car; the box is the cell and half a cell around it.
colour-classes a cell of 2x2 pixels is red, green or blue, or "void", which the manifest leaves out.
Both carry a state that goes half of the way to the picture with every step.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent


def save(folder: pathlib.Path, name: str, nodes, inputs, outputs, weights) -> None:
    info = lambda items: [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in items]  # noqa: E731
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), n) for n, value in weights.items()]
    graph = helper.make_graph(nodes, name, info(inputs), info(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / f"{name}.onnx"))


def common(folder: pathlib.Path, size, stride: int) -> list[int]:
    """The encoder and the step; the shape of drive and state."""
    height, width = size
    folder.mkdir(exist_ok=True)
    shape = [1, 3, height // stride, width // stride]
    mean = np.zeros((3, 3, stride, stride))
    for channel in range(3):
        mean[channel, channel] = 1 / stride**2
    conv = helper.make_node("Conv", ["frame", "mean"], ["drive"], kernel_shape=[stride, stride], strides=[stride, stride])
    save(folder, "encoder", [conv], [("frame", [1, 3, height, width])], [("drive", shape)], {"mean": mean})
    step = [
        helper.make_node("Sub", ["drive", "hidden"], ["off"]),
        helper.make_node("Mul", ["off", "half"], ["by"]),
        helper.make_node("Add", ["hidden", "by"], ["hidden_next"]),
    ]
    save(folder, "step", step, [("drive", shape), ("hidden", shape)], [("hidden_next", shape)], {"half": 0.5})
    return shape


def boxes() -> None:
    folder = HERE / "colour-boxes"
    shape = common(folder, (48, 64), 8)
    rows, columns = shape[2:]
    # Red counts for a person and against a car, and the other way round; grey is neither.
    scores = np.zeros((2, 3, 1, 1))
    scores[0, :, 0, 0] = [16, -8, -8]
    scores[1, :, 0, 0] = [-8, -8, 16]
    nodes = [
        helper.make_node("Conv", ["hidden", "colours", "least"], ["scores"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["hidden", "nothing", "same"], ["boxes"], kernel_shape=[1, 1]),
    ]
    weights = {"colours": scores, "least": [-6, -6], "nothing": np.zeros((4, 3, 1, 1)), "same": np.zeros(4)}
    outputs = [("scores", [1, 2, rows, columns]), ("boxes", [1, 4, rows, columns])]
    save(folder, "readout", nodes, [("hidden", shape)], outputs, weights)


def classes() -> None:
    folder = HERE / "colour-classes"
    shape = common(folder, (24, 32), 2)
    likes = np.zeros((4, 3, 1, 1))
    for channel in range(3):
        likes[channel, channel] = 8
    nodes = [helper.make_node("Conv", ["hidden", "likes", "more"], ["logits"], kernel_shape=[1, 1])]
    save(folder, "readout", nodes, [("hidden", shape)], [("logits", [1, 4, *shape[2:]])], {"likes": likes, "more": [0, 0, 0, 9]})


boxes()
classes()
