"""Compares what two machines decided: same.py FILE FILE SIDE, as `recslowfast eval --masks` writes them for SIDE x SIDE masks."""

import sys

first, second = (open(path, "rb").read() for path in sys.argv[1:3])
size = int(sys.argv[3]) ** 2 + 1
assert first and len(first) == len(second) and len(first) % size == 0, (len(first), len(second))
frames = len(first) // size
steps = sum(first[at] != second[at] for at in range(0, len(first), size))
pixels = sum(a != b for at in range(0, len(first), size) for a, b in zip(first[at + 1 : at + size], second[at + 1 : at + size]))
same = 1 - pixels / (frames * (size - 1))
print(f"{frames} frames: {steps} with other steps, {100 * same:.4f} % of the pixels alike ({pixels} differ)")
assert steps == 0 and same >= 0.9999
