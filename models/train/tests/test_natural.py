"""Networks for natural video: graphs against PyTorch, boxes against themselves, scenes against their pictures."""

import io
import json
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from recslowfast_train.natural.boxes import average_precision, box_loss, decode, generalised_iou
from recslowfast_train.natural.graphs import build
from recslowfast_train.natural.network import Network
from recslowfast_train.natural.release import largest_difference
from recslowfast_train.natural.scenes import IGNORED, POSITIVE, VOID, Boxes, Pictures, Slots

WIDTH, HEIGHT = 96, 64


@pytest.mark.parametrize(("task", "cells", "recurrent"), [("street", 1, True), ("street", 2, False), ("camvid", 1, True), ("camvid", 1, False)])
def test_graphs_give_what_pytorch_gives(tmp_path, task, cells, recurrent):
    torch.manual_seed(1)
    # Weights travel in half precision.
    net = Network(task, cells, recurrent).eval().half().float()
    for name, model in build(net, WIDTH, HEIGHT).items():
        onnx.save(model, tmp_path / f"{name}.onnx")
    assert largest_difference(net, tmp_path, WIDTH, HEIGHT) < 1e-3


def test_graphs_hold_no_global_operator():
    graphs = build(Network("camvid").half().float(), WIDTH, HEIGHT)
    used = {node.op_type for model in graphs.values() for node in model.graph.node}
    assert used <= {"Conv", "ConvTranspose", "Clip", "Relu", "Sigmoid", "Tanh", "Mul", "Add", "Sub", "Div", "Sqrt", "ReduceMean", "Concat", "Slice", "Resize", "Cast"}
    axes = [attribute.ints for model in graphs.values() for node in model.graph.node if node.op_type == "ReduceMean" for attribute in node.attribute if attribute.name == "axes"]
    assert axes and all(list(a) == [1] for a in axes)


def outputs_for(corners: list[list[float]], height: int = 8, width: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and distances that show exactly these boxes, all of class 2."""
    scores, distances = torch.full((1, 6, height, width), -9.0), torch.zeros(1, 4, height, width)
    for left, top, right, bottom in corners:
        column, row = int((left + right) / 16), int((top + bottom) / 16)
        x, y = (column + 0.5) * 8, (row + 0.5) * 8
        scores[0, 2, row, column] = 6.0
        distances[0, :, row, column] = torch.tensor([x - left, y - top, right - x, bottom - y]).div(8).log()
    return scores, distances


def test_boxes_come_back_as_they_went_in():
    wanted = [[10.0, 8.0, 30.0, 40.0], [50.0, 20.0, 90.0, 60.0]]
    found = decode(*outputs_for(wanted))[0]
    assert np.allclose(sorted(found[:, :4].tolist()), wanted, atol=1e-3)
    assert set(found[:, 5]) == {2.0}
    assert average_precision([found[:, :5]], [np.array(wanted)]) == pytest.approx(1.0)


def test_average_precision_counts_a_second_box_on_one_object_as_false():
    wanted = [np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])]
    found = [np.array([[0, 0, 10, 10, 0.9], [0, 0, 10, 9, 0.8], [20, 0, 30, 10, 0.7]])]
    # Recall 1/2 at precision 1, recall 1 at precision 2/3: 51 of the 101 points lie up to 1/2.
    assert average_precision(found, wanted) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_loss_falls_towards_the_boxes_and_ignores_what_is_unsure():
    corners = torch.tensor([[[10.0, 8.0, 30.0, 40.0], [50.0, 20.0, 90.0, 60.0]]])
    classes = torch.tensor([[2, 2]])
    both, one = torch.tensor([[POSITIVE, POSITIVE]]), torch.tensor([[POSITIVE, IGNORED]])
    right, half = outputs_for(corners[0].tolist()), outputs_for(corners[0, :1].tolist())
    for part in (0, 1):
        assert box_loss(*right, Boxes(corners, classes, both))[part] < 0.8 * box_loss(*half, Boxes(corners, classes, both))[part]
    # A box that is unsure costs nothing, found or not.
    assert box_loss(*right, Boxes(corners, classes, one))[0] == pytest.approx(float(box_loss(*half, Boxes(corners, classes, one))[0]), abs=2e-2)


def test_generalised_iou_of_boxes_apart_is_negative():
    a, b = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[2.0, 0.0, 4.0, 2.0]])
    assert generalised_iou(a, a).item() == pytest.approx(1.0)
    assert generalised_iou(a, b + torch.tensor([2.0, 0.0, 2.0, 0.0])).item() == pytest.approx(-1 / 3)


@pytest.fixture
def archive(tmp_path):
    """One still, 80x60, black with a white rectangle that is its one car."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[20:40, 30:60] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", lossless=True)
    box = [30, 20, 30, 20, 2, 1.0, "human"]
    index = {"stills": [{"file": "a.webp", "split": "train", "boxes": [box], "complete": [2], "crowd": []}], "clips": [], "camvid": []}
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        file.writestr("a.webp", out.getvalue())
        file.writestr("index.json", json.dumps(index))
    return tmp_path / "data.zip"


def test_a_moving_camera_takes_boxes_along_with_the_picture(archive):
    pictures = Pictures(archive, "street", "train", torch.device("cpu"))
    slots = Slots(pictures, 6, WIDTH, HEIGHT, np.random.default_rng(5))
    slots.light[:], slots.noise[:] = [1, 1, 1, 0, 0], 0
    slots.place[:, 3] = 0
    slots.speed[:, 3] = 0
    frame, boxes = slots.advance(3)
    assert frame.shape == (18, 3, HEIGHT, WIDTH) and frame.min() >= -1 and frame.max() <= 1
    compared = 0
    for picture, corners, kinds in zip(frame, boxes.corners, boxes.kinds):
        if (kinds == POSITIVE).sum() != 1 or (kinds > 0).sum() != 1:
            continue
        ys, xs = torch.nonzero(picture[0] > 0, as_tuple=True)
        seen = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
        assert torch.allclose(seen, corners[kinds == POSITIVE][0], atol=2.0)
        compared += 1
    assert compared >= 3


def test_masks_follow_the_picture(tmp_path):
    picture, mask = np.full((60, 80, 3), 40, np.uint8), np.full((60, 80), 3, np.uint8)
    picture[:, 40:], mask[:, 40:] = 200, 7
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        for name, array, kind in (("a.webp", picture, "WEBP"), ("a.png", mask, "PNG")):
            out = io.BytesIO()
            Image.fromarray(array).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
            file.writestr(name, out.getvalue())
        file.writestr("index.json", json.dumps({"stills": [], "clips": [], "camvid": [{"file": "a.webp", "mask": "a.png", "split": "train"}]}))
    slots = Slots(Pictures(tmp_path / "data.zip", "camvid", "train", torch.device("cpu")), 4, WIDTH, HEIGHT, np.random.default_rng(2))
    slots.light[:], slots.noise[:] = [1, 1, 1, 0, 0], 0
    frame, masks = slots.advance(2)
    luma = (frame[:, 0] + 1) * 127.5
    assert (luma[masks == 3] < 150).float().mean() > 0.97
    assert (luma[masks == 7] > 100).float().mean() > 0.97
    assert set(masks.unique().tolist()) <= {3, 7, VOID}


def test_graphs_carry_the_names_that_the_runtime_asks_for():
    street = build(Network("street").half().float(), WIDTH, HEIGHT)
    assert [o.name for o in street["readout"].graph.output] == ["scores", "boxes"]
    session = onnxruntime.InferenceSession(street["step"].SerializeToString())
    assert {i.name for i in session.get_inputs()} == {"drive", "h8", "h16"}
