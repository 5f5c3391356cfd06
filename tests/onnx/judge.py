"""ONNX Runtime as the judge of what graphs mean.

    python judge.py ANSWERS [--only WORD] [--keep FOLDER] [--zoo FOLDER] [--all]

Puts every case of `cases.py` into a network's readout and answers four pictures with ONNX Runtime and with this runtime (ANSWERS is the
program `recslowfast-answers`), on its CPU engine and on tract alone. Fails unless the masks agree on 99.99 % of pixels and the logits within
1e-3 of the largest, or the network is refused and the node named. With --zoo the networks there, converted to each opset, likewise.
"""

import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import cases as book

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = """format = 1
name = "{name}"
version = "0.0.0"
licence = "CC0-1.0"
origin = "a case of tests/onnx"
[input]
width = 16
height = 16
channels = 1
mean = [0.0]
std = [1.0]
[task]
kind = "classes"
classes = ["background", "thing"]
"""
# What the format of a file had to be for an opset, at least.
IR = {7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12}


def model(nodes, inputs, outputs, weights, opset):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    inputs, outputs = [value(*pair) for pair in inputs], [value(*pair) for pair in outputs]
    # Files of the third revision list their weights among the inputs.
    if IR[opset] < 4:
        inputs += [helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)) for weight in weights]
    graph = helper.make_graph(nodes, "case", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR[opset])


def session(graph):
    """A graph, or its file, as it stands: without optimisations."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = str(graph) if isinstance(graph, pathlib.Path) else graph.SerializeToString()
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def build(case: book.Case, folder: pathlib.Path) -> str | None:
    """Writes the network; says why ONNX Runtime does not take it, if it does not."""
    rng = np.random.default_rng(1)
    edges = numpy_helper.from_array((rng.standard_normal((4, 1, 3, 3)) * 0.8).astype(np.float32), "k")
    lift = numpy_helper.from_array(np.array([0.1, 0.2, -0.1, 0.0], np.float32), "lift")
    encoder = model([helper.make_node("Conv", ["frame", "k", "lift"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], name="edges"),
                     helper.make_node("Abs", ["c"], ["drive"], name="size")],
                    [("frame", [1, 1, 16, 16])], [("drive", [1, 4, 8, 8])], [edges, lift], 13)
    nodes = [helper.make_node("Identity", ["drive"], ["x"], name="in")] + case.nodes
    onnx.save(encoder, folder / "encoder.onnx")
    (folder / "model.toml").write_text(MANIFEST.format(name=case.name))
    try:
        probe = session(model(nodes, [("drive", [1, 4, 8, 8])], [("y", None)], book.weights(case), case.opset))
    except Exception as error:
        why, answer = str(error).splitlines()[0][-120:], np.zeros(4, np.float32)
    else:
        frame = rng.random((1, 1, 16, 16)).astype(np.float32)
        why = None
        try:
            (answer,) = probe.run(None, {"drive": session(encoder).run(None, {"frame": frame})[0]})
        except Exception as error:
            why, answer = str(error).splitlines()[0][-120:], np.zeros(4, np.float32)
    finite = answer[np.isfinite(answer)]
    middle = float(np.median(finite)) if finite.size else 0.0
    tail = [numpy_helper.from_array(np.array([1, 1, 1, answer.size], np.int64), "row"),
            numpy_helper.from_array(np.array([[[[-1.0]]], [[[1.0]]]], np.float32), "apart"),
            numpy_helper.from_array(np.array([middle, -middle], np.float32), "middle")]
    if finite.size < answer.size:
        tail += [numpy_helper.from_array(np.array(bound, np.float32), name) for bound, name in ((-50.0, "low"), (50.0, "high"))]
    bounded = [helper.make_node("Max", ["y", "low"], ["y1"], name="above"), helper.make_node("Min", ["y1", "high"], ["y2"], name="below")]
    # Max takes inputs of different shapes from opset 8 on.
    infinite = finite.size < answer.size
    nodes += (bounded if infinite else []) + [helper.make_node("Reshape", ["y2" if infinite else "y", "row"], ["flat"], name="row-of-all"),
                        helper.make_node("Conv", ["flat", "apart", "middle"], ["logits"], name="two-classes")]
    readout = model(nodes, [("drive", [1, 4, 8, 8])], [("logits", [1, 2, 1, answer.size])], book.weights(case) + tail, case.opset)
    onnx.save(readout, folder / "readout.onnx")
    if why is None:
        try:
            session(readout).run(None, {"drive": np.zeros((1, 4, 8, 8), np.float32)})
        except Exception as error:
            return str(error).splitlines()[0][-120:]
    return why


def expect(folder: pathlib.Path, frames: np.ndarray) -> np.ndarray:
    """ONNX Runtime's answers, two steps a frame: logits as they are, several outputs one after the other."""
    encoder, readout = (session(folder / f"{name}.onnx") for name in ("encoder", "readout"))
    states = {state["name"]: np.zeros(state["shape"], np.float32) for state in tomllib.loads((folder / "model.toml").read_text()).get("state", [])}
    step = session(folder / "step.onnx") if states else None
    answers = []
    for frame in frames:
        (drive,) = encoder.run(None, {encoder.get_inputs()[0].name: frame})
        given = lambda graph: {one.name: drive if one.name == "drive" else states[one.name] for one in graph.get_inputs()}
        for _ in range(2 if step else 0):
            answer = step.run([f"{name}_next" for name in states], given(step))
            states = dict(zip(states, answer))
        outputs = readout.run(None, given(readout))
        answers.append(outputs[0] if len(outputs) == 1 else np.concatenate([output.ravel() for output in outputs]))
    return np.stack(answers)


def compare(folder: pathlib.Path, expected: np.ndarray, verdict: str, why: str, named: str, refused: bool) -> tuple[str, str]:
    """The verdict on one answer."""
    if verdict != "answered":
        if verdict == "refused" and named in why:
            return ("right" if refused else "refused"), why
        return "WRONG", f"{verdict}: {why}"
    if refused:
        return "WRONG", "answered, and was to refuse"
    words = []
    for engine in ("cpu", "tract"):
        answer = np.fromfile(folder / f"{engine}.f32", "<f4")
        if answer.size != expected.size:
            return "WRONG", f"{engine}: {answer.size} numbers, not {expected.size}"
        answer = answer.reshape(expected.shape)
        scale = np.abs(expected).max() or 1.0
        apart = np.abs(answer - expected).max() / scale
        # The middle of all answers is where the two classes meet: what rounds to the other side there is no other answer.
        agree = 1.0
        # Scores and boxes have no classes to agree on beside their numbers.
        if expected.ndim == 5:
            near = np.abs(expected[:, 0, 1] - expected[:, 0, 0]) < 1e-4 * scale
            agree = ((answer.argmax(2) == expected.argmax(2)) | near[:, None]).mean()
        if not (apart <= 1e-3 and agree >= 0.9999):
            return "WRONG", f"{engine}: logits apart {apart:.1e}, masks agree on {100 * agree:.2f} %"
        words.append(f"{engine} {apart:.0e}")
    return "right", ", ".join(words) + (f", on tract: {why}" if why else ", native")


def zoo(folder: pathlib.Path, work: pathlib.Path, only: str):
    """The zoo's networks, their graphs converted to each opset."""
    for network in sorted(path for path in folder.iterdir() if (path / "model.toml").exists()):
        for opset in (9, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24):
            at = work / f"{network.name}-{opset}"
            if only not in at.name:
                continue
            at.mkdir(parents=True)
            (at / "model.toml").write_text((network / "model.toml").read_text())
            try:
                for graph in network.glob("*.onnx"):
                    converted = onnx.version_converter.convert_version(onnx.load(graph), opset)
                    converted.ir_version = IR[opset]
                    onnx.save(converted, at / graph.name)
                    session(at / graph.name)
            except Exception as error:
                yield at, f"ONNX's own converter or runtime refuses: {str(error).splitlines()[0][:80]}"
            else:
                yield at, None


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("answers", type=pathlib.Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--keep", type=pathlib.Path)
    arguments.add_argument("--zoo", type=pathlib.Path)
    arguments.add_argument("--all", action="store_true")
    given = arguments.parse_args()
    rows, asked = [], []
    with tempfile.TemporaryDirectory() as scratch:
        work = given.keep or pathlib.Path(scratch)
        wanted = []
        for case in book.cases():
            if given.only in case.name:
                folder = work / case.name
                folder.mkdir(parents=True)
                wanted.append((folder, build(case, folder), "the-", case.refused))
        if given.zoo:
            wanted += [(folder, why, "node '", False) for folder, why in zoo(given.zoo, work, given.only)]
        for folder, why, named, refused in wanted:
            if why and not refused:
                rows.append((folder.name, "skipped", f"ONNX Runtime refuses: {why}"))
                continue
            size = tomllib.loads((folder / "model.toml").read_text())["input"]
            frames = np.random.default_rng(7).random((4, 1, size["channels"], size["height"], size["width"])).astype("<f4")
            frames.tofile(folder / "frames.f32")
            asked.append((folder, None if refused else expect(folder, frames), named, refused))
        text = "".join(f"{folder}\n" for folder, *_ in asked)
        done = subprocess.run([given.answers], input=text, capture_output=True, text=True, check=True)
        for (folder, expected, named, refused), line in zip(asked, done.stdout.splitlines(), strict=True):
            _, verdict, why = line.split("\t")
            rows.append((folder.name, *compare(folder, expected, verdict, why, named, refused)))
    for row in rows:
        if given.all or row[1] not in ("right",):
            print(*row, sep="\t")
    count = collections.Counter(verdict for _, verdict, _ in rows)
    print(f"{len(rows)} cases: " + ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())))
    return 1 if count["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
