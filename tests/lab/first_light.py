"""Checks what the binary said of 100 frames of a live camera.

usage: first_light.py FILE.jsonl FRAMES
"""

import json
import sys


def main():
    with open(sys.argv[1]) as lines:
        records = [json.loads(line) for line in lines]
    frames = int(sys.argv[2])
    assert len(records) == frames, f"{frames} results were asked for, {len(records)} came"
    sequence = [record["sequence"] for record in records]
    assert all(a < b for a, b in zip(sequence, sequence[1:])), f"the sequence goes back: {sequence}"
    captured = [record["captured_s"] for record in records]
    assert all(a < b for a, b in zip(captured, captured[1:])), "capture times go back"
    last = records[-1]
    span = sequence[-1] - sequence[0] + 1
    lost = last["dropped"] + last["skipped"] + last["corrupt"]
    assert frames + lost >= span, f"{span} frames were taken, {frames} answered, and only {lost} are accounted for: {last}"
    ages = sorted(record["age_ms"] for record in records)
    assert 0 < ages[0] and ages[len(ages) // 2] < 1000, f"ages in ms from {ages[0]} to {ages[-1]}"
    assert all(record["camera"] == "streaming" for record in records)
    steps = sorted({record["steps"] for record in records})
    assert len(steps) > 1, f"every frame took {steps} steps"
    print(f"first light: {frames} frames of {span}, steps seen {steps}, median age {ages[len(ages) // 2]:.1f} ms, lost {lost}")


main()
