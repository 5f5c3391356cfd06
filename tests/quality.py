"""Checks what `recslowfast eval` wrote against the promises of the README.

usage: quality.py FOLDER   (with quality-short.json, quality-long.json, quality-cold.json, quality-steps.json)
"""

import json
import sys
from pathlib import Path


def rows(name):
    table = json.loads((Path(sys.argv[1]) / name).read_text())
    return {row["rule"]: row for row in table["rows"]}


def check(what, figure, limit, holds):
    print(f"{'ok    ' if holds else 'SHORT '} {what}: {figure:.4f} (promised: {limit})")
    return holds


def mean(values):
    return sum(values) / len(values)


def main():
    short, long, steps = rows("quality-short.json"), rows("quality-long.json"), rows("quality-steps.json")
    six, model = short["fixed:6"], short["model"]
    results = [
        check("IoU at six steps", six["iou"], ">= 0.85", six["iou"] >= 0.85),
        check("mean steps of the model's rule", model["mean_steps"], "< 6", model["mean_steps"] < 6),
        check("IoU lost by the model's rule", six["iou"] - model["iou"], "<= 0.01", six["iou"] - model["iou"] <= 0.01),
    ]
    # Later frames may be harder in themselves: what they score from a cleared state says how much.
    cold = rows("quality-cold.json")["fixed:6"]["iou_by_frame"]
    for rule in ("fixed:6", "model"):
        carried = long[rule]["iou_by_frame"]
        early, late, late_cold = mean(carried[:10]), mean(carried[-10:]), mean(cold[-10:])
        print(f"       {rule}: IoU {early:.4f} over frames 1-10, {late:.4f} over frames 51-60; from a cleared state {mean(cold[:10]):.4f} and {late_cold:.4f}")
        results.append(check(f"IoU that carrying the state costs on frames 51-60 by {rule}", late_cold - late, "<= 0.01", late_cold - late <= 0.01))
    fall = steps["fixed:6"]["iou"] - steps["fixed:30"]["iou"]
    results.append(check("IoU lost from 6 to 30 steps", fall, "<= 0.01", fall <= 0.01))
    sys.exit(0 if all(results) else 1)


main()
