"""Checks that a replay decides as the day did: steps, stops, distances and detections of every frame, bit for bit.

usage: replay.py LIVE.jsonl REPLAY.jsonl FRAMES [LIMIT_REASON...]

With reasons: each of them held the steps of some frames down, or nothing was tried.
"""

import json
import sys

DECISIONS = ("sequence", "captured_s", "steps", "limit", "limit_reason", "stop", "distances", "drive_distance", "detections")


def read(path):
    with open(path) as lines:
        return [{key: json.loads(line)[key] for key in DECISIONS} for line in lines]


def main():
    live, replay, frames = read(sys.argv[1]), read(sys.argv[2]), int(sys.argv[3])
    assert len(live) == len(replay) == frames, f"{len(live)} frames live, {len(replay)} in the replay, {frames} asked for"
    for one, two in zip(live, replay, strict=True):
        assert one == two, f"frame {one['sequence']} was decided otherwise:\n{one}\n{two}"
    reasons = {record["limit_reason"] for record in live}
    assert reasons >= set(sys.argv[4:]), f"the budget bound for {sorted(reasons)} only"
    steps = sorted({record["steps"] for record in live})
    print(f"replay: {frames} frames decided the same, steps seen {steps}, limits by {sorted(reasons)}")


main()
