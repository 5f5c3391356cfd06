"""From torch modules to a network folder: model.toml beside encoder.onnx, step.onnx and readout.onnx, checked against PyTorch and the program."""

import inspect
import io
import pathlib
import warnings

import numpy as np
import onnx
import torch
from torch import nn

from . import graphs, manifest
from .network import Network, Refused, find_program
from .verify import HALF_TOLERANCE, TOLERANCE, difference

OPSET = 18
USUAL_ANSWER = {"matte": "alpha", "raw": "answer"}


class ExportError(ValueError):
    """What is wrong with what was to be exported, and what to do."""


class Named(nn.Module):
    """A module with named inputs and outputs, in a fixed order."""

    def __init__(self, module, inputs, give):
        super().__init__()
        self.module, self.inputs, self.give = module, inputs, give

    def forward(self, *tensors):
        return tuple(self.give(self.module(**dict(zip(self.inputs, tensors)))).values())


def parameters_of(module, what):
    """The names of what `forward` takes."""
    names = []
    for parameter in inspect.signature(module.forward).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ExportError(f"{what}.forward takes *{parameter.name}; name its tensors, for example forward(self, drive, hidden)")
        names.append(parameter.name)
    return names


def listed_states(states):
    """States as dicts with name and shape."""
    if isinstance(states, dict):
        states = [{"name": name, **(given if isinstance(given, dict) else {"shape": given})} for name, given in states.items()]
    return [{**state, "shape": [int(size) for size in state["shape"]]} for state in states or ()]


def tensors_in(value):
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, (tuple, list)) else [value]


def named_encoded(made):
    if isinstance(made, dict):
        if "drive" not in made:
            raise ExportError(f"the encoder gives {', '.join(made)}, but none of them is called 'drive'")
        return {"drive": made["drive"], **made}
    if isinstance(made, (tuple, list)):
        if len(made) != 1:
            raise ExportError("an encoder of several tensors gives a dict: {'drive': ..., 'skip': ...}")
        made = made[0]
    return {"drive": made}


def named_next(states):
    moved = [state["name"] for state in states if "answer" not in state]

    def give(made):
        if isinstance(made, dict):
            given = {name.removesuffix("_next"): value for name, value in made.items()}
            if set(given) != set(moved):
                raise ExportError(f"the step gives {', '.join(made)}, but the states are {', '.join(moved)}")
            return {name + "_next": given[name] for name in moved}
        made = tensors_in(made)
        if len(made) != len(moved):
            raise ExportError(f"the step gives {len(made)} tensors for {len(moved)} states ({', '.join(moved)})")
        return {name + "_next": value for name, value in zip(moved, made)}

    return give


def named_answers(kind):
    def give(made):
        if isinstance(made, dict):
            return dict(made)
        made = tensors_in(made)
        if len(made) != 1:
            raise ExportError("a readout of several tensors gives a dict, for example {'scores': ..., 'boxes': ...}")
        return {USUAL_ANSWER.get(kind, "logits"): made[0]}

    return give


class Through(nn.Module):
    """The frame as it is: the encoder of a network that is all readout."""

    def forward(self, frame):
        return frame.clone()


class Carried:
    """The modules over frames, with the program's rules for what is carried."""

    def __init__(self, encoder, step, readout, states, kind, dtype):
        self.modules = encoder, step, readout
        self.takes = [parameters_of(module, what) if module else [] for module, what in zip(self.modules, ("encoder", "step", "readout"))]
        if len(self.takes[0]) != 1:
            raise ExportError(f"encoder.forward takes {', '.join(self.takes[0])}; the frame is all it can have")
        self.gives = named_encoded, named_next(states), named_answers(kind)
        self.listed, self.dtype = states, dtype
        self.reset()

    def reset(self):
        self.states = {state["name"]: torch.zeros(state["shape"], dtype=self.dtype) for state in self.listed}
        self.answers = None

    def call(self, at, values):
        names = self.takes[at]
        missing = [name for name in names if name not in values]
        if missing and at:
            what = ("encoder", "step", "readout")[at]
            raise ExportError(f"{what}.forward takes '{missing[0]}', which is neither a state nor what the encoder gives ({', '.join(values)})")
        return self.gives[at](self.modules[at](**{name: values[name] for name in names}))

    @torch.no_grad()
    def advance(self, frame, steps):
        encoded = self.gives[0](self.modules[0](frame))
        for state in self.listed:
            if "answer" in state and self.answers is not None:
                self.states[state["name"]] = self.answers[state["answer"]]
        moved = {}
        for _ in range(steps if self.modules[1] else 0):
            moved = self.call(1, {**encoded, **self.states})
            for state in self.listed:
                if "answer" not in state and state.get("moves", "step") == "step":
                    self.states[state["name"]] = moved[state["name"] + "_next"]
        for state in self.listed:
            if moved and "answer" not in state and state.get("moves", "step") == "frame":
                self.states[state["name"]] = moved[state["name"] + "_next"]
        self.answers = self.call(2, {**encoded, **self.states})
        self.encoded = encoded
        return {
            **{f"encoded.{name}": value for name, value in encoded.items()},
            **{f"state.{name}": value for name, value in self.states.items()},
            **{f"answer.{name}": value for name, value in self.answers.items()},
        }


def to_onnx(module, tensors, inputs, outputs, exporter, what):
    """The graph of a module, weights inside."""
    try:
        return exported(module, tensors, inputs, outputs, exporter)
    except Exception as error:
        other = "torchscript" if exporter == "dynamo" else "dynamo"
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"PyTorch's exporter {exporter} cannot export the {what}: {reason}; exporter='{other}' may") from error


def exported(module, tensors, inputs, outputs, exporter):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            options = dict(input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=True, external_data=False, verbose=False)
            return torch.onnx.export(module, tuple(tensors), **options).model_proto
        file = io.BytesIO()
        torch.onnx.export(module, tuple(tensors), file, input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=False)
        return onnx.load_from_string(file.getvalue())


def export(
    encoder,
    step=None,
    readout=None,
    example=None,
    out=None,
    task="classes",
    states=None,
    *,
    classes=None,
    mean=None,
    std=None,
    name=None,
    steps=None,
    halting=None,
    about=None,
    exporter="dynamo",
    program=None,
    keep_manifest=False,
    frames=5,
    say=print,
):
    """Writes a network folder and checks it over carried frames; returns the largest difference.

    encoder: takes the frame [1, C, H, W], gives the drive, or a dict with "drive" and features. With neither step nor readout it is the whole
        network, and gives the answers.
    step: takes the drive, features and states by the names of its parameters, gives the next states in the order of `states` or as a dict;
        None for a feed-forward network
    readout: takes states, drive and features by the names of its parameters; gives the answer, or a dict of answers
    example: an input tensor, normalised; or several, as a list or [N, C, H, W], which are then the frames of the check
    task: contour, detections, classes, labels, boxes, matte or raw; or a dict of the keys of [task] in model.toml
    states: shapes by name, or by name a dict of shape and moves="frame", halting=False, answer="logits"
    classes: their names; for contour, detections and matte background first
    mean, std: of each channel, in 0..1; 0 and 1 where they are left out
    steps, halting, about: the keys of [steps] and [halting]; version, licence and origin
    exporter: "dynamo", or "torchscript"
    program: the path of `recslowfast`; without one on this machine the folder is checked against PyTorch by ONNX Runtime alone
    keep_manifest: leaves a model.toml that is there as it is
    """
    if example is None or out is None:
        raise ExportError("an example input and the folder to write (out) are needed")
    if exporter not in ("dynamo", "torchscript"):
        raise ExportError(f"exporter '{exporter}' is neither dynamo nor torchscript")
    task = {"kind": task} if isinstance(task, str) else dict(task)
    if task.get("kind") not in manifest.KINDS:
        raise ExportError(f"task '{task.get('kind')}' is none of {', '.join(manifest.KINDS)}")
    if classes is not None:
        task["classes"] = list(classes)
    states = listed_states(states)
    if step is not None and not states:
        raise ExportError("a step needs states: states={'hidden': (1, 16, 32, 32)}")
    if states and step is None:
        raise ExportError("states need a step that moves them")
    if readout is None:
        if step is not None:
            raise ExportError("a network with a step needs a readout")
        encoder, readout = Through(), Whole(encoder)
    modules = [module.eval() if module is not None else None for module in (encoder, step, readout)]
    example = [torch.as_tensor(frame) for frame in (example if isinstance(example, (list, tuple)) else [example])]
    example = [frame[None] if frame.ndim == 3 else frame for frame in example]
    shown = [part for frame in example for part in frame.split(1)]
    dtype = shown[0].dtype
    carried = Carried(*modules, states, task["kind"], dtype)
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)

    with torch.no_grad():
        encoded = carried.gives[0](modules[0](shown[0]))
        values = {**encoded, **carried.states}
        wanted = {"encoder": (0, {carried.takes[0][0]: shown[0]})}
        if step is not None:
            wanted["step"] = (1, {name: values.get(name) for name in carried.takes[1]})
            # A state that the step does not read is an input all the same.
            wanted["step"][1].update({state["name"]: values[state["name"]] for state in states})
        wanted["readout"] = (2, {name: values.get(name) for name in carried.takes[2]})
        for file, (at, inputs) in wanted.items():
            missing = [name for name, value in inputs.items() if value is None]
            if missing:
                raise ExportError(f"{file}.forward takes '{missing[0]}', which is neither a state nor what the encoder gives ({', '.join(encoded)})")
            made = carried.gives[at](modules[at](**{name: inputs[name] for name in carried.takes[at]}))
            module = Named(Picked(modules[at], carried.takes[at]), list(inputs), carried.gives[at])
            model = to_onnx(module.eval(), inputs.values(), list(inputs), list(made), exporter, file)
            onnx.save(with_inputs(graphs.plain(model), inputs), folder / f"{file}.onnx")
    path = folder / "model.toml"
    if not (keep_manifest and path.exists()):
        channels = shown[0].shape[1]
        mean, std = mean if mean is not None else [0.0] * channels, std if std is not None else [1.0] * channels
        written = manifest.manifest(name or folder.name, shown[0].shape, mean, std, task, states, steps, halting, about)
        path.write_text(written, encoding="utf-8")
    return check(folder, carried, shown, frames, dtype, program, say)


class Whole(nn.Module):
    """A feed-forward network as the readout of its drive, the frame."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, drive):
        return self.module(drive)


class Picked(nn.Module):
    """A module that is given more than it takes."""

    def __init__(self, module, takes):
        super().__init__()
        self.module, self.takes = module, takes

    def forward(self, **values):
        return self.module(**{name: values[name] for name in self.takes})


def with_inputs(model, inputs):
    """An input that no node reads, which exporters leave out, is declared all the same."""
    there = {value.name for value in model.graph.input}
    for name, value in inputs.items():
        if name not in there:
            kind = onnx.TensorProto.FLOAT16 if value.dtype == torch.float16 else onnx.TensorProto.FLOAT
            model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, list(value.shape)))
    return model


def check(folder, carried, shown, count, dtype, program, say):
    """Carried frames through PyTorch, ONNX Runtime and the program; raises where they differ."""
    generator = torch.Generator().manual_seed(0)
    while len(shown) < count:
        noise = torch.randn(shown[0].shape, generator=generator).to(dtype)
        shown.append(shown[-1] + 0.1 * noise)
    steps = 2 if carried.modules[1] is not None else 0
    tolerance = HALF_TOLERANCE if dtype == torch.float16 else TOLERANCE
    try:
        program = find_program(program)
    except Refused as refused:
        say(f"not checked in recslowfast itself: {refused}")
        program = None
    worst, tract = 0.0, []

    def compare(other, held, wanted):
        apart = 0.0
        for tensor, want in wanted.items():
            d = difference(np.asarray(held[tensor], np.float32), want.float().numpy())
            if not d <= tolerance:
                raise ExportError(f"{folder}: {tensor} in {other} differs from PyTorch by {d:.1e} (allowed {tolerance:.0e})")
            apart = max(apart, d)
        return apart

    carried.reset()
    network = Network(folder, halt=f"fixed:{max(steps, 1)}", program=program) if program else None
    try:
        for frame in shown[: max(count, 1)]:
            wanted = carried.advance(frame, steps)
            if network:
                network.advance(frame.float().numpy())
                worst = max(worst, compare("recslowfast", network.held, wanted))
        tract = [line.split("] ", 1)[-1] for line in network.said if "on tract" in line] if network else []
    finally:
        if network:
            network.close()
    runtime = None
    try:
        import onnxruntime  # noqa: F401

        from .verify import Reference

        runtime = True
    except ImportError:
        say("not checked in ONNX Runtime, which is not installed")
    if runtime:
        about = {
            "encoded": [{"name": name} for name in carried.encoded],
            "states": [{"moves": "step", "answer": None, **state} for state in carried.listed],
        }
        reference = Reference(folder, about)
        carried.reset()
        for frame in shown[: max(count, 1)]:
            wanted = carried.advance(frame, steps)
            worst = max(worst, compare("ONNX Runtime", reference.advance(frame.float().numpy(), steps), wanted))
    for line in tract:
        say(line)
    say(f"{folder}: exported; largest difference from PyTorch over {len(shown)} carried frames {worst:.1e}")
    return worst
