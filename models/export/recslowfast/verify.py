"""A network folder in recslowfast beside ONNX Runtime, over carried frames: every tensor between the graphs, every state, every answer.

`recslowfast verify DIR` runs this file, which travels inside the program; `python -m recslowfast.verify DIR` does the same.
Needs numpy and onnxruntime, and Pillow for pictures.
"""

import argparse
import pathlib
import sys
import time

import numpy as np

from recslowfast.network import Network, Refused

# Of the larger of 1 and the number itself. Half floats keep 11 bits.
TOLERANCE = 1e-4
HALF_TOLERANCE = 1e-2


class Reference:
    """The same folder in ONNX Runtime on one thread, with the same rules for what is carried."""

    def __init__(self, folder, about):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3

        def session(name):
            path = pathlib.Path(folder) / f"{name}.onnx"
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]) if path.exists() else None

        self.about = about
        self.encoder, self.step, self.readout = map(session, ("encoder", "step", "readout"))
        if not about["states"]:
            self.step = None
        self.half = any("float16" in value.type for s in (self.encoder, self.step, self.readout) if s for value in s.get_inputs())
        self.seconds = [0.0, 0.0, 0.0]
        self.reset()

    def reset(self):
        self.states = {state["name"]: np.zeros(state["shape"], np.float32) for state in self.about["states"]}
        self.answers = None

    def _run(self, at, session, values):
        kinds = {value.name: value for value in session.get_inputs()}
        feed = {}
        for name, value in kinds.items():
            given = values[name] if name in values else next(iter(values.values()))
            feed[name] = given.astype(np.float16 if "float16" in value.type else np.float32)
        began = time.perf_counter()
        results = session.run(None, feed)
        self.seconds[at] += time.perf_counter() - began
        return {value.name: result.astype(np.float32) for value, result in zip(session.get_outputs(), results)}

    def advance(self, tensor, steps):
        """One frame with so many steps: what `Network.held` has after it."""
        made = self._run(0, self.encoder, {"": tensor})
        names = [encoded["name"] for encoded in self.about["encoded"]]
        encoded = {names[0]: next(iter(made.values()))} if len(made) == 1 else made
        for state in self.about["states"]:
            if state["answer"] and self.answers is not None:
                self.states[state["name"]] = self.answers[state["answer"]]
        moved = {}
        for _ in range(steps if self.step else 0):
            moved = self._run(1, self.step, {**encoded, **self.states})
            for state in self.about["states"]:
                if state["moves"] == "step" and not state["answer"]:
                    self.states[state["name"]] = moved[state["name"] + "_next"]
        for state in self.about["states"]:
            if moved and state["moves"] == "frame" and not state["answer"]:
                self.states[state["name"]] = moved[state["name"] + "_next"]
        self.answers = self._run(2, self.readout, {**encoded, **self.states})
        held = {f"encoded.{name}": value for name, value in encoded.items()}
        held.update({f"state.{name}": value for name, value in self.states.items()})
        held.update({f"answer.{name}": value for name, value in self.answers.items()})
        return held


def difference(have, want):
    """Largest |have - want| / max(1, |want|); infinite where one is no number and the other is."""
    if have.shape != want.shape:
        return float("inf")
    if have.size == 0 or np.array_equal(have, want):
        return 0.0
    apart = np.abs(have.astype(np.float64) - want) / np.maximum(1, np.abs(want))
    return float("inf") if np.isnan(apart).any() else float(apart.max())


def classes_of(answer):
    """The class of every pixel of logits; of one channel, whether it is above half of its range."""
    return answer.argmax(1) if answer.ndim > 1 and answer.shape[1] > 1 else answer > 0.5


def same_boxes(ours, theirs):
    """Share of the boxes that have a partner of their class whose edges lie within half a pixel."""
    if not ours and not theirs:
        return 1.0
    if len(ours) != len(theirs):
        return min(len(ours), len(theirs)) / max(len(ours), len(theirs))
    near = lambda a, b: a["class"] == b["class"] and all(abs(x - y) <= 0.5 for x, y in zip(a["box"], b["box"]))
    return sum(any(near(a, b) for b in theirs) for a in ours) / max(1, len(ours))


def made_up(shape, count):
    """Input tensors of a smooth pattern that drifts, from -1 to 1."""
    _, channels, height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for at in range(count):
        planes = [np.sin(x / (5 + c) + at * 0.3) * np.cos(y / (7 + c) - at * 0.2) + 0.1 * np.sin((x + y + at) * 1.7) for c in range(channels)]
        yield np.clip(np.stack(planes)[None], -1, 1).astype(np.float32)


def pictures(folder, count, channels):
    """Pictures of a folder by name, as uint8."""
    from PIL import Image

    paths = sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"))
    if not paths:
        raise SystemExit(f"verify: {folder} holds no pictures")
    for path in paths[:count]:
        yield np.asarray(Image.open(path).convert("L" if channels == 1 else "RGB"))


def compare(folder, frames=None, count=10, halt="model", tolerance=None, program=None, say=print):
    """Runs both; True where they agree. `frames`: input tensors or pictures, as `Network.advance` takes them."""
    with Network(folder, halt=halt, program=program) as network:
        about = network.about
        reference = Reference(folder, about)
        tolerance = tolerance or (HALF_TOLERANCE if reference.half else TOLERANCE)
        worst, equal, pixels, boxes, ours, steps = {}, 0, 0, [], np.zeros(3), []
        reads_pixels = about["task"] in ("contour", "detections", "classes", "matte")
        for frame in frames if frames is not None else made_up(about["input"], count):
            taken, answers = network.advance(frame)
            held = reference.advance(network.held["input"], taken)
            ours += network.held["ms"]
            steps.append(taken)
            for name, want in held.items():
                if name in network.held:
                    worst[name] = max(worst.get(name, 0.0), difference(network.held[name], want))
            first = about["answers"][0]["name"]
            if reads_pixels:
                same = classes_of(answers[first]) == classes_of(held["answer." + first])
                equal, pixels = equal + int(same.sum()), pixels + same.size
            elif about["task"] == "boxes":
                boxes.append(same_boxes(network.read(answers), network.read(reference.answers)))
        if not steps:
            raise SystemExit("verify: there are no frames")
        say(f"{about['name']}: {len(steps)} carried frames, {np.mean(steps):.2f} steps a frame; ONNX Runtime on one thread beside it")
        say(f"{'tensor':<32} {'largest difference':>18}   (over the larger of 1 and the number)")
        for name, apart in worst.items():
            say(f"{name:<32} {apart:>18.1e}   {'' if apart <= tolerance else f'MORE THAN {tolerance:.0e}'}".rstrip())
        if pixels:
            say(f"classes of pixels equal: {equal} of {pixels} ({100 * equal / pixels:.3f} %)")
        if boxes:
            say(f"boxes equal: {100 * np.mean(boxes):.1f} % (class, and edges within half a pixel)")
        theirs = np.array(reference.seconds) * 1e3
        per_frame = lambda times: " + ".join(f"{time / len(steps):.2f}" for time in times)
        say(f"ms a frame (encoder + steps + readout): {per_frame(ours)} here, {per_frame(theirs)} in ONNX Runtime: {theirs.sum() / max(ours.sum(), 1e-9):.2f} times as fast")
        for line in network.said:
            if "on tract" in line:
                say(line.split("] ", 1)[-1])
        agree = all(apart <= tolerance for apart in worst.values())
        say("they agree" if agree else f"they do NOT agree within {tolerance:.0e}")
        return agree


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="recslowfast verify", description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--images", help="a folder of pictures, taken in the order of their names")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--halt", default="model")
    parser.add_argument("--tolerance", type=float)
    parser.add_argument("--program")
    args = parser.parse_args(arguments)
    frames = None
    try:
        if args.images:
            with Network(args.folder, program=args.program) as network:
                channels = network.input_shape[1]
            frames = pictures(args.images, args.frames, channels)
        return 0 if compare(args.folder, frames, args.frames, args.halt, args.tolerance, args.program) else 5
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 5


if __name__ == "__main__":
    sys.exit(main())
