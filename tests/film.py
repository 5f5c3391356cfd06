"""Checks two runs over the same film: every frame answered, in order, nothing dropped, the same decisions twice.

usage: film.py FIRST.jsonl SECOND.jsonl FRAMES
"""

import json
import sys

TIMES = ("captured_s", "wall", "age_ms", "stages_ms")


def decisions(path):
    with open(path) as lines:
        return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]


def main():
    first, second = decisions(sys.argv[1]), decisions(sys.argv[2])
    frames = int(sys.argv[3])
    assert len(first) == frames, f"{frames} frames went in, {len(first)} results came out"
    assert [record["sequence"] for record in first] == list(range(frames)), "the sequence has gaps"
    assert all(record["dropped"] == record["skipped"] == record["corrupt"] == 0 for record in first), "a film must not drop frames"
    for one, two in zip(first, second, strict=True):
        assert one == two, f"frame {one['sequence']} differs between two runs:\n{one}\n{two}"
    steps = sorted({record["steps"] for record in first})
    print(f"film: {frames} frames, twice the same; steps per frame seen: {steps}, mean {sum(r['steps'] for r in first) / frames:.2f}")


main()
