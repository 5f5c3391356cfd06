"""Does the dynamic rule lose or invent boxes where nothing, everything or little moves?

    python tests/sight/scenarios.py target/release/recslowfast target/vtest.avi

Seven scenes are made from a film of a fixed camera: the empty place (the median of the film), the empty place by night with sensor noise, the people by
night, a person standing still for 300 frames, cuts between two places, a pan over one picture, and the film itself. Each is watched with six steps on every
frame and with the network's own rule. A box of `fixed:6` with no box of the same class over it in the same frame (intersection over union below 0.5) is
lost, a box of the rule with none of `fixed:6` under it is invented; the last columns say how many boxes come or go from one frame to the next, for either.
The pictures go to the program as Y4M on its standard input.
"""

import json
import subprocess
import sys

import cv2
import numpy as np

SIZE = (640, 480)
FRAMES = 300


def overlap(a, b) -> float:
    """Intersection over union of x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / max(a[2] * a[3] + b[2] * b[3] - shared, 1e-9)


def unmatched(boxes: list, others: list) -> int:
    """Boxes without a partner of their class among the others; each partner is taken once, the best first."""
    pairs = sorted(((overlap(a[1], b[1]), i, j) for i, a in enumerate(boxes) for j, b in enumerate(others) if a[0] == b[0]), reverse=True)
    taken, used = set(), set()
    for share, i, j in pairs:
        if share >= 0.5 and i not in taken and j not in used:
            taken.add(i)
            used.add(j)
    return len(boxes) - len(taken)


def flicker(frames: list) -> int:
    return sum(unmatched(now, before) + unmatched(before, now) for before, now in zip(frames, frames[1:]))


def watch(program: str, pictures: list, rule: str) -> tuple[list, float]:
    """-> the boxes of every frame (class, box), mean steps."""
    command = [program, "run", "--source", "-", "--report", "json", "--model", "street", "--halt", rule]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        import threading

        def feed():
            child.stdin.write(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F10:1 Ip A1:1 C420jpeg\n".encode())
            for picture in pictures:
                child.stdin.write(b"FRAME\n" + cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).tobytes())
            child.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        frames = [json.loads(line) for line in child.stdout]
        feeder.join()
    if child.returncode or len(frames) != len(pictures):
        sys.exit(f"{rule}: exit code {child.returncode}, {len(frames)} of {len(pictures)} frames answered")
    boxes = [[(found["class"], found["box"]) for found in frame["detections"]] for frame in frames]
    return boxes, sum(frame["steps"] for frame in frames) / len(frames)


def scenes(film: list) -> dict:
    rng = np.random.default_rng(1)
    empty = np.median(np.stack(film[::12]), 0).astype(np.uint8)

    def noisy(picture, level, light=1.0):
        return np.clip(picture * light + rng.normal(0, level, picture.shape), 0, 255).astype(np.uint8)

    turned = cv2.flip(empty[:, :, ::-1], 1)
    people = cv2.flip(film[300], 1)
    wide = cv2.resize(film[120], (SIZE[0] * 2, SIZE[1] * 2), interpolation=cv2.INTER_CUBIC)

    def pan(at):
        x, y = min(2 * at, SIZE[0]), min(at, SIZE[1])
        return np.ascontiguousarray(wide[y : y + SIZE[1], x : x + SIZE[0]])

    return {
        "the film": film[:FRAMES],
        "empty place, noise of 2 levels": [noisy(empty, 2) for _ in range(FRAMES)],
        "empty place by night, noise of 6 levels": [noisy(empty, 6, 0.2) for _ in range(FRAMES)],
        "people by night, noise of 4 levels": [noisy(picture, 4, 0.3) for picture in film[:FRAMES]],
        "people standing still, noise of 3 levels": [noisy(film[200], 3) for _ in range(FRAMES)],
        "a cut every 20 frames": [picture if at // 20 % 3 == 0 else (turned if at // 20 % 3 == 1 else people) for at, picture in enumerate(film[:FRAMES])],
        "a pan of 2 pixels a frame over one picture": [pan(at) for at in range(FRAMES)],
    }


def main() -> None:
    program, path = sys.argv[1:3]
    reader, film = cv2.VideoCapture(path), []
    while len(film) < 400:
        read, picture = reader.read()
        if not read:
            sys.exit(f"{path}: {len(film)} frames could be read, 400 are needed")
        film.append(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA))
    print("| scene | boxes at `fixed:6` | boxes at the rule | lost | invented | flicker `fixed:6` | flicker rule | mean steps |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, pictures in scenes(film).items():
        dense, _ = watch(program, pictures, "fixed:6")
        rule, steps = watch(program, pictures, "model")
        lost = sum(map(unmatched, dense, rule))
        invented = sum(map(unmatched, rule, dense))
        print(f"| {name} | {sum(map(len, dense))} | {sum(map(len, rule))} | {lost} | {invented} | {flicker(dense)} | {flicker(rule)} | {steps:.2f} |", flush=True)


if __name__ == "__main__":
    main()
