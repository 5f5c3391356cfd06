"""Writes known.json beside this file: boxes of a made-up film, and what pycocotools and motmetrics say of them.

    python known.py            # needs numpy, pycocotools and motmetrics
    python known.py --check    # says whether known.json is what they say today
"""

import contextlib
import io
import json
import pathlib
import random
import sys

import motmetrics
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = pathlib.Path(__file__).parent


def film() -> list[dict]:
    """Twelve frames: four things that walk, one of them behind another for a while; boxes found with jitter, misses, doubles and false ones."""
    chance = random.Random(5)
    frames = []
    for at in range(12):
        labels, seen = [], []
        for identity, (cls, x, y, speed) in enumerate([(0, 10, 20, 4), (0, 90, 24, -4), (1, 40, 80, 3), (1, 20, 60, 2)], 1):
            box = [x + speed * at, y, 20, 30]
            if not (identity == 4 and at > 8):
                labels.append([cls, identity, 0, *box])
            jitter = [round(edge + chance.uniform(-4, 4), 1) for edge in box]
            if chance.random() > 0.15 and not (identity == 2 and 4 <= at <= 6):
                # The first walker's track takes another number half way.
                track = identity + (10 if identity == 1 and at >= 7 else 0)
                seen.append([cls, track, round(chance.uniform(0.3, 0.99), 3), *jitter])
            if chance.random() < 0.2:
                seen.append([cls, 0, round(chance.uniform(0.1, 0.6), 3), *[round(edge + chance.uniform(-6, 6), 1) for edge in box]])
        if at % 3 == 0:
            seen.append([chance.randrange(2), 30 + at, round(chance.uniform(0.1, 0.9), 3), 140.0, 10.0, 15.0, 15.0])
        if at % 4 == 1:
            labels.append([0, 0, 1, 130, 60, 60, 40])
            seen.append([0, 0, 0.7, 135.0, 65.0, 20.0, 25.0])
            seen.append([0, 0, 0.65, 125.0, 90.0, 30.0, 30.0])
        frames.append({"labels": labels, "seen": seen})
    return frames


def coco(frames: list[dict]) -> dict:
    images = [{"id": at + 1, "width": 200, "height": 120} for at in range(len(frames))]
    annotations, results = [], []
    for at, frame in enumerate(frames):
        for cls, _, crowd, x, y, w, h in frame["labels"]:
            number = len(annotations) + 1
            annotations.append({"id": number, "image_id": at + 1, "category_id": cls + 1, "bbox": [x, y, w, h], "area": w * h, "iscrowd": crowd})
        for cls, _, score, x, y, w, h in frame["seen"]:
            results.append({"image_id": at + 1, "category_id": cls + 1, "score": score, "bbox": [x, y, w, h]})
    truth = COCO()
    truth.dataset = {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = COCOeval(truth, truth.loadRes(results), "bbox")
        found.evaluate()
        found.accumulate()
        found.summarize()
    precision = found.eval["precision"][:, :, :, 0, 2]
    return {
        "ap": found.stats[0],
        "ap50": found.stats[1],
        "ap75": found.stats[2],
        "ar": found.stats[8],
        "ap50_by_class": [float(np.mean(precision[0, :, cls])) for cls in range(2)],
        "ap_by_class": [float(np.mean(precision[:, :, cls])) for cls in range(2)],
    }


def overlap(a, b) -> float:
    across = [min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i]) for i in range(2)]
    both = max(0, across[0]) * max(0, across[1])
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def mot(frames: list[dict]) -> dict:
    total = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames:
        labels = [label for label in frame["labels"] if not label[2]]
        seen = [one for one in frame["seen"] if one[1]]
        distances = np.full((len(labels), len(seen)), np.nan)
        for row, label in enumerate(labels):
            for column, one in enumerate(seen):
                apart = 1 - overlap(label[3:], one[3:])
                if label[0] == one[0] and apart <= 0.5:
                    distances[row, column] = apart
        total.update([label[1] for label in labels], [one[1] for one in seen], distances)
    names = ["mota", "idf1", "num_switches", "num_misses", "num_false_positives", "num_objects"]
    row = motmetrics.metrics.create().compute(total, metrics=names).iloc[0]
    return {name: float(row[name]) for name in names}


frames = film()
known = {"frames": frames, "pycocotools": coco(frames), "motmetrics": mot(frames)}
text = json.dumps(known, separators=(",", ":")) + "\n"
if "--check" in sys.argv:
    sys.exit(0 if json.loads((HERE / "known.json").read_text()) == json.loads(text) else "known.json says something else")
(HERE / "known.json").write_text(text)
print({name: known[name] for name in ("pycocotools", "motmetrics")})
