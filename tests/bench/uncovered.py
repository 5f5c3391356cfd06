#!/usr/bin/env python3
"""Copies a network and puts one node into its readout that no engine covers: a sine, added to the answer.

    tests/bench/uncovered.py models/zoo/pathfinder-hgru FOLDER
    recslowfast bench --models FOLDER --against tract --threads 1

The bench shows what encoder, step and readout take where that node alone runs on tract, beside all three graphs on tract.
"""

import pathlib
import shutil
import sys

import onnx
from onnx import helper

network, folder = map(pathlib.Path, sys.argv[1:])
shutil.copytree(network, folder, dirs_exist_ok=True)
model = onnx.load(folder / "readout.onnx")
name = model.graph.output[0].name
for node in model.graph.node:
    node.output[:] = ["covered" if output == name else output for output in node.output]
model.graph.node.extend([
    helper.make_node("Sin", ["covered"], ["bend"], name="uncovered"),
    helper.make_node("Add", ["covered", "bend"], [name], name="bent"),
])
onnx.checker.check_model(model)
onnx.save(model, folder / "readout.onnx")
