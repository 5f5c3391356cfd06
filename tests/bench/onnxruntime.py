"""ONNX Runtime's half of `recslowfast bench --against onnxruntime`.

    python onnxruntime.py FOLDER THREADS

Runs the three graphs of a network's folder with ONNX Runtime at its best settings: every graph optimisation, as many intra-op threads as
the other side has, one inter-op thread, inputs and outputs bound once (hidden states alternate between two sets of buffers, so that
nothing is copied between steps). It inherits the caller's processor affinity. Commands come on standard input, one line each:

    input      the frame follows, NCHW f32, little-endian
    encode     answers "WALL_NS CPU_NS"
    step       the same
    readout    the same, then the logits, NCHW f32
    reset      zeroes the hidden states
"""

import os
import pathlib
import sys
import time
import tomllib

# This script is called like the package it imports: its own folder must not be searched for it.
sys.path = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != pathlib.Path(__file__).resolve().parent]

import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402


class Graph:
    """A session whose inputs and outputs are bound to fixed arrays."""

    def __init__(self, path: pathlib.Path, options: ort.SessionOptions):
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def bind(self, arrays: dict[str, ort.OrtValue]):
        binding = self.session.io_binding()
        for tensor in self.session.get_inputs():
            binding.bind_ortvalue_input(tensor.name, arrays[tensor.name])
        for tensor in self.session.get_outputs():
            binding.bind_ortvalue_output(tensor.name, arrays[tensor.name])
        return binding

    def run(self, binding) -> str:
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        self.session.run_with_iobinding(binding)
        return f"{time.perf_counter_ns() - wall} {time.process_time_ns() - cpu}"


def value(shape) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))


def main() -> None:
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    manifest = tomllib.loads((folder / "model.toml").read_text())
    states = {state["name"]: state["shape"] for state in manifest.get("state", [])}
    encoder, readout = Graph(folder / "encoder.onnx", options), Graph(folder / "readout.onnx", options)
    step = Graph(folder / "step.onnx", options) if states else None

    frame_info, drive_info = encoder.session.get_inputs()[0], encoder.session.get_outputs()[0]
    frame, drive = value(frame_info.shape), value(drive_info.shape)
    outputs = {tensor.name: value(tensor.shape) for tensor in readout.session.get_outputs()}
    sets = [{name: value(shape) for name, shape in states.items()} for _ in range(2)]
    encoding = encoder.bind({frame_info.name: frame, drive_info.name: drive})
    steps, readouts = [], []
    for now, following in ((0, 1), (1, 0)):
        after = {f"{name}_next": array for name, array in sets[following].items()}
        if step:
            steps.append(step.bind({"drive": drive, **sets[now], **after}))
        readouts.append(readout.bind({"drive": drive, **sets[now], **outputs}))

    commands, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(f"onnxruntime {ort.__version__}\n".encode())
    answers.flush()
    now = 0
    while line := commands.readline().split():
        command = line[0].decode()
        if command == "input":
            size = 4 * int(np.prod(frame_info.shape))
            frame.update_inplace(np.frombuffer(commands.read(size), "<f4").reshape(frame_info.shape))
            continue
        if command == "reset":
            for array in sets[now].values():
                array.update_inplace(np.zeros(array.shape(), np.float32))
            continue
        if command == "encode":
            answers.write((encoder.run(encoding) + "\n").encode())
        elif command == "step":
            answers.write((step.run(steps[now]) + "\n").encode())
            now = 1 - now
        elif command == "readout":
            answers.write((readout.run(readouts[now]) + "\n").encode())
            for output in outputs.values():
                answers.write(output.numpy().astype("<f4").tobytes())
        answers.flush()


if __name__ == "__main__":
    # A child of a benchmark ends with it, without a trace of the broken pipe.
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
