"""Reads a network back: from a checkpoint of train.py, or from an exported folder."""

import pathlib
import tomllib

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from .networks import NETWORKS


def load_network(path: str | pathlib.Path) -> nn.Module:
    """The averaged weights of a checkpoint file, or an exported folder's, whose initializers are called like the parameters."""
    path = pathlib.Path(path)
    if path.is_dir():
        name = tomllib.loads((path / "model.toml").read_text())["name"].removeprefix("pathfinder-")
        weights = {}
        for graph in ("encoder", "step", "readout"):
            if (path / f"{graph}.onnx").exists():
                for tensor in onnx.load(path / f"{graph}.onnx").graph.initializer:
                    weights[tensor.name] = torch.from_numpy(numpy_helper.to_array(tensor).copy())
    else:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        name, weights = saved["network"], saved["averaged"]
    net = NETWORKS[name]()
    with torch.no_grad():
        for key, value in net.named_parameters():
            value.copy_(weights[key].reshape(value.shape))
    return net
