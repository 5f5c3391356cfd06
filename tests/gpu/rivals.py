"""How fast others take the same steps on this GPU, each at its best: PyTorch and ONNX Runtime.

    python3 tests/gpu/rivals.py plain --network hgru:150 --network hgru:64     eager and CUDA graph
    python3 tests/gpu/rivals.py compile --network hgru:150                     torch.compile, tuned, in a CUDA graph
    python3 tests/gpu/rivals.py onnxruntime --folder DIR                       a network's step.onnx

fp16, cudnn.benchmark, NCHW and channels-last memory: the better of the two counts. Steps are chained, 40 of them less 8; a frame is an
upload, the encoder, six steps, the readout and a download. Prints one line of JSON for each figure as soon as it is known.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FEW, MANY, FRAME_STEPS = 8, 40, 6


def say(**line) -> None:
    print(json.dumps(line), flush=True)


def median_us(work, sync, rounds: int) -> float:
    for _ in range(3):
        work()
    sync()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        sync()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1e6, 2)


class Rival:
    """A network in fp16 on the device, in one memory format."""

    def __init__(self, torch, name: str, width: int, height: int, layout: str, device: str):
        self.torch, self.device = torch, device
        kind = torch.half if device == "cuda" else torch.float32
        memory = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}[layout]
        sight = name in ("street", "camvid")
        if sight:
            from recslowfast_train.natural.network import Network

            self.net = Network(name).to(device, kind).eval()
        elif name == "convgru":
            self.net = convgru().ConvGru().to(device, kind).eval()
        else:
            from recslowfast_train.networks import NETWORKS

            self.net = NETWORKS[name]().to(device, kind).eval()
        with torch.no_grad():
            for parameter in self.net.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=memory)
        self.host = torch.rand(1, 3 if sight else 1, height, width).to(kind)
        if device == "cuda":
            self.host = self.host.pin_memory()
        self.frame = self.host.to(device).contiguous(memory_format=memory)
        self.x = self.net.drive(self.frame).contiguous(memory_format=memory)
        if sight:
            self.h = tuple(part.contiguous(memory_format=memory) for part in self.net.zeros(self.frame))
        else:
            # A network with several states carries them as one tensor.
            states = 2 if name == "convlstm" else 1
            channels = self.net.channels * states
            self.h = torch.zeros(1, channels, *self.x.shape[2:], device=device, dtype=kind).contiguous(memory_format=memory)
        self.step = self.net.step
        self.answers = [answer.to("cpu") for answer in self.frame_of(self.h, 1)]
        if device == "cuda":
            self.answers = [answer.pin_memory() for answer in self.answers]

    def sync(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def steps(self, count: int):
        h = self.h
        for _ in range(count):
            h = self.step(self.x, h)
        return h

    def frame_of(self, h, steps: int):
        x = self.net.drive(self.frame)
        for _ in range(steps):
            h = self.step(x, h)
        answer = self.net.readout(x, h)
        return list(answer) if isinstance(answer, tuple) else [answer]

    def framed(self, steps: int):
        """A frame: its picture up, its answers down."""

        def frame():
            self.frame.copy_(self.host, non_blocking=True)
            for to, answer in zip(self.answers, self.frame_of(self.h, steps)):
                to.copy_(answer, non_blocking=True)

        return frame

    def figures(self, rounds: int, prepared) -> dict:
        few, many = (median_us(prepared(lambda count=count: self.steps(count)), self.sync, rounds) for count in (FEW, MANY))
        frames = {f"{word}_frame_us": median_us(prepared(self.framed(steps)), self.sync, rounds) for word, steps in (("one_step", 1), (f"fixed_{FRAME_STEPS}", FRAME_STEPS))}
        return {"step_us": round((many - few) / (MANY - FEW), 2), **frames}

    def eager(self, rounds: int) -> dict:
        return self.figures(rounds, lambda work: work)

    def record(self, work):
        torch = self.torch
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        self.sync()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph

    def recorded(self, rounds: int) -> dict:
        return self.figures(rounds, lambda work: self.record(work).replay)


def convgru():
    """The module beside this one, whose folder is not among those that are searched."""
    spec = importlib.util.spec_from_file_location("convgru", HERE / "convgru.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def torch_module(device: str):
    # Not from this folder, whose build.py and others have names that libraries use too.
    sys.path[:] = [folder for folder in sys.path if pathlib.Path(folder).resolve() != HERE]
    import torch

    sys.path.insert(0, str(ROOT / "models/train"))
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    say(versions={"torch": torch.__version__, "cudnn": torch.backends.cudnn.version(), "device": torch.cuda.get_device_name(0) if device == "cuda" else device})
    return torch


def each(args, measure) -> None:
    torch = torch_module(args.device)
    with torch.inference_mode():
        for wanted in args.network:
            name, size = wanted.split(":")
            width, height = (int(edge) for edge in (size.split("x") if "x" in size else (size, size)))
            for layout in ("channels_last", "NCHW"):
                known = {"network": name, "size": size if "x" in size else int(size), "layout": layout}
                try:
                    measure(torch, Rival(torch, name, width, height, layout, args.device), known)
                except Exception as error:  # one that fails must not keep the others from being measured
                    say(**known, error=f"{type(error).__name__}: {error}"[:600])


def plain(args) -> None:
    def measure(torch, rival, known):
        say(rival="PyTorch eager", **known, **rival.eager(args.rounds))
        if args.device == "cuda":
            say(rival="PyTorch CUDA graph", **known, **rival.recorded(args.rounds))

    each(args, measure)


def compiled(args) -> None:
    def measure(torch, rival, known):
        if known["layout"] == "NCHW":
            return  # Inductor chooses the layout of convolutions itself
        began = time.perf_counter()
        rival.step = torch.compile(rival.net.step, mode="max-autotune-no-cudagraphs", fullgraph=True, dynamic=False)
        rival.steps(2)
        rival.sync()
        took = round(time.perf_counter() - began, 1)
        figures = rival.recorded(args.rounds) if args.device == "cuda" else rival.eager(args.rounds)
        say(rival="torch.compile max-autotune in a CUDA graph", **known, compile_s=took, **figures)

    each(args, measure)


def onnxruntime(args) -> None:
    import numpy
    import onnxruntime as ort

    known = {"rival": "ONNX Runtime CUDA"}
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        say(**known, missing=f"this onnxruntime {ort.__version__} has {ort.get_available_providers()}")
        return
    for folder in args.folder:
        try:
            session = ort.InferenceSession(str(folder / "step.onnx"), providers=[("CUDAExecutionProvider", {"cudnn_conv_algo_search": "EXHAUSTIVE"})])
            binding = session.io_binding()
            for value in session.get_inputs():
                binding.bind_ortvalue_input(value.name, ort.OrtValue.ortvalue_from_numpy(numpy.random.rand(*value.shape).astype(numpy.float32), "cuda", 0))
            for value in session.get_outputs():
                binding.bind_ortvalue_output(value.name, ort.OrtValue.ortvalue_from_shape_and_type(value.shape, numpy.float32, "cuda", 0))
            us = median_us(lambda: session.run_with_iobinding(binding), lambda: None, args.rounds)
            say(**known, network=folder.name, precision="fp32", step_us=us, with_wait=True)
        except Exception as error:
            say(**known, network=folder.name, error=f"{type(error).__name__}: {error}"[:600])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["plain", "compile", "onnxruntime"])
    parser.add_argument("--network", action="append", default=[], metavar="NAME:SIZE", help="SIZE is an edge, or WIDTHxHEIGHT")
    parser.add_argument("--folder", action="append", default=[], type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--device", default="cuda", help="cpu: only to see that this script works")
    args = parser.parse_args()
    {"plain": plain, "compile": compiled, "onnxruntime": onnxruntime}[args.part](args)


if __name__ == "__main__":
    main()
