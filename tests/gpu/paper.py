"""Time of one step on paper: from the plan of the engine, instruction counts of the compiled kernels, and the bytes they move.

    python3 tests/gpu/paper.py [--size 150] [--write]

Needs onnx and numpy (the network is rewritten for the size asked for) and the compilers of build.py. --write replaces
tests/gpu/paper.md. The assumptions are printed with the result, and what a measurement said of them.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zlib

from resize import resize

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILT = ROOT / "runtime/src/engine/cuda/built"
PAGE = HERE / "paper.md"
# The compiled runtime/tests/gpu, where it is at hand; otherwise cargo builds it.
PROGRAM = os.environ.get("GPU_TEST_PROGRAM")

Board = collections.namedtuple("Board", "name capability sms clock_ghz bandwidth_gbs l2_mib launch_us limit_kib total_kib tensor_fma fp16_tflops")
BOARDS = [
    Board("Orin Nano Super", 87, 8, 1.02, 102, 2, 1.5, 163, 164, 1024, 16.7),
    Board("AGX Orin 64", 87, 16, 1.30, 205, 4, 1.5, 163, 164, 1024, 42.6),
    Board("H100", 90, 132, 1.98, 3350, 50, 1.16, 227, 228, 2560, 989.0),
]
# Trips of a thread through the loops of a kernel, in the order of the code; 256 threads a tile of 64 x 64. What is in no loop (the
# frequencies, unrolled) runs once.
TRIPS = {
    # no mask; loading 16 values: what is left over by fours, four a trip; two passes down and two across
    "conv_fft_forward": [0, 0, 4, 2, 2, 2, 2],
    # no mask; four passes; storing 12.5 of 50 rows: what is left over by fours, four a trip; measuring them twice, with a sum over the warps; what
    # the last block merges counts for nothing
    "conv_fft_back": [0, 2, 2, 2, 2, 0.5, 3, 6, 2, 0, 0, 0, 0, 0, 0, 0],
}
ASSUMPTIONS = """\
- Clocks, multiprocessors and bandwidths are the vendor's; 85 % of the bandwidth is reached. A tensor that fits in half the L2 cache is read from there
  for free when the kernel before wrote it; on the small boards none of the large ones is taken to fit.
- Tensor cores: 1024 fp16 multiply-adds with fp32 sums per clock and multiprocessor on Orin (this gives the TFLOP/s of the limit); 2560 on H100, about
  62 % of its peak, because the kernels use `mma.sync` and not `wgmma`.
- Shared memory and the L1 cache deliver 128 bytes per clock and multiprocessor; four warp instructions are issued per clock.
- A kernel takes the longest of: tensor cores, shared memory, issue, memory. Nothing else overlaps. Blocks are dealt out evenly; the busiest
  multiprocessor counts.
- Instructions are counted in the SASS of the committed cubins, loops times their trip counts.
- A kernel inside a recorded graph costs 1.5 us on Orin (assumed) and 1.16 us on an H100 (measured) beside its work.
- Limit: useful operations at the peak fp16 rate, the "ideal" of the field notes."""

BINDS = """\
The shares are those of compiled kernels: chains as straight code, 1x1 convolutions together with the chain that reads them, mean and variance measured where a
convolution makes their input; without them a step has 11 kernels. On the two Orins the transforms save so many operations that memory is what a step
waits for. On the H100 two other things bind: the launches are nearly as long as the limit at 150 x 150 (a quarter of that at 300 x 300), and its tensor cores do 15
times what its other units do (8 times on Orin), so that a limit counted in tensor operations leaves little time for the transforms and the products of spectra. What
would still help there, by the same arithmetic: products of spectra on tensor cores (0.45 limits). It would not help a Jetson, for which this engine is made."""

MEASURED = """\
## Paper and an H100

Measured by `tests/gpu/run` on 2026-11-26 (NVIDIA H100 80GB HBM3, driver 580.159.04, 1980 MHz, memory 2619 MHz; README.md has the table), before the changes below:

| | on paper, us | measured, us | measured over paper |
|---|---|---|---|
| hGRU step at 150 x 150, spectra | 38 | 339 | 8.9 |
| hGRU step at 64 x 64, spectra | 26 | 135 | 5.2 |
| a kernel of a graph that finds nothing to do | 1.0 (assumed) | 1.16 | 1.16 |
| `begin_steps`, one thread | 1.0 (assumed) | 22.3 | 22 |

The profiler ran out of time before its first kernel, so there is **no ratio for each class of kernel**. What follows from differences between measured times:

- The launch overhead of kernels in a graph holds.
- Paper counts what a multiprocessor can do, and so assumes that enough warps are there to hide waiting. On 132 multiprocessors they are not. The direct form of 15 x 15 takes
  62 us longer than the spectra at 64 x 64 and 50 us longer at 150 x 150, where 5.5 times the products are made: it is the wait for weights, 375 times one after the other, not arithmetic.
  The plan took products alone for its time and so chose the direct form at 64 x 64, at 260 us a step instead of 135. It now counts the wait.
- Reading one word of the host's memory takes a card about 1 us, and the reads of one thread wait for each other. `begin_steps` read some 20 words so, and `label_pixels` the
  threshold once a warp: frames with labels took 100 us to 200 us longer at 64 x 64, and 630 us to 730 us longer at 150 x 150. The order is now read once, by 20 threads, and kept on the device; the report is kept
  there too and told at the end. A Jetson shares its memory with the host, and has neither cost.
- The last block of `stats` merged the others' results one after the other: 264 at 150 x 150, twice a step. All its threads now take part: 30 in a row, in each of two passes. On 8 multiprocessors there were 16.
- Chains with moments and all others ran on at most 256 blocks, two a multiprocessor, five rounds at 150 x 150. Now eight a multiprocessor. On a Jetson nothing changes.
- Transforms now measure each tile while it is in shared memory, and the last block merges nine parts: no kernel reads the tensor again for its mean and variance.

**The times after these changes are not measured.** For the Orins the assumption that warps hide the waiting is the one to doubt: they have a sixteenth of the multiprocessors, so that each holds
many times the warps, and the serial parts named above are 16 times shorter there, but nothing was measured on one."""



def plan(network: pathlib.Path, board: Board, kernels: str) -> list[dict]:
    program = [PROGRAM] if PROGRAM else ["cargo", "test", "--quiet", "-p", "recslowfast", "--test", "gpu", "--"]
    command = [*program, "--exact", "device::print_plan", "--ignored", "--nocapture"]
    wanted = f"{board.capability},{board.sms},{board.limit_kib},{board.total_kib},auto,{kernels}"
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "GPU_NETWORK": str(network), "GPU_PLAN": wanted}, capture_output=True, text=True)
    line = re.search(r"PLAN (\[.*\])", done.stdout)
    if not line:
        raise SystemExit(done.stdout + done.stderr)
    return json.loads(line[1])


def loops(capability: int, compilers: pathlib.Path) -> dict:
    """For each kernel: instructions of each innermost loop, and of everything outside them, by class."""
    cubin = compilers / f"scratch/paper_{capability}.cubin"
    cubin.write_bytes(zlib.decompress((BUILT / f"sm_{capability}.cubin.z").read_bytes()))
    nvdisasm = next(path for path in compilers.rglob("nvdisasm") if path.is_file())
    nvdisasm.chmod(0o755)
    text = subprocess.run([nvdisasm, "-c", cubin], capture_output=True, text=True, check=True).stdout
    found = {}
    for section in re.split(r"\n//-+ \.text\.", text)[1:]:
        name = re.match(r"\w+", section)[0]
        code, labels = [], {}
        for line in section.splitlines():
            if label := re.match(r"\.?(\w*L_x_\d+):", line.strip()):
                labels[label[1]] = len(code)
            elif op := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9.]+)(.*?);", line):
                code.append((op[1], op[2]))
        spans = []
        for at, (op, rest) in enumerate(code):
            if op.startswith("BRA") and (target := re.search(r"(\w*L_x_\d+)", rest)) and labels.get(target[1], at + 1) <= at:
                spans.append((labels[target[1]], at))
        inner = [span for span in spans if not any(other != span and span[0] <= other[0] and other[1] <= span[1] for other in spans)]
        found[name] = {"loops": [count(code[first : last + 1]) for first, last in inner], "all": count(code)}
    return found


def count(code: list) -> collections.Counter:
    classes = collections.Counter(total=len(code))
    for op, rest in code:
        width = 4 if ".128" in op else 2 if ".64" in op else 1
        if op.startswith("HMMA"):
            classes["mma"] += 1
        elif op.startswith("FFMA"):
            classes["ffma"] += 1
        elif op.startswith(("LDS", "STS", "LDG", "LDSM")):
            classes["wavefronts"] += width
    return classes


def kernel_us(kernel: dict, board: Board, sass: dict) -> tuple[float, str]:
    """Microseconds beside the launch, and what binds."""
    # A chain or statistics within a convolution cost what they move, and the chain's operations.
    name = kernel["kernel"].partition("+")[0]
    clock = board.clock_ghz * 1e3  # per microsecond
    traffic = kernel["read_bytes"] + kernel["written_bytes"]
    cached = board.l2_mib * 2**20 / 2 >= traffic
    bounds = {"memory": traffic / (board.bandwidth_gbs * (3 if cached else 1) * 0.85 * 1e3)}
    blocks_per_sm = -(-kernel["blocks"] // board.sms)
    if name.startswith("conv_mma"):
        body = max(sass[name]["loops"], key=lambda loop: loop["mma"])
        steps = body["mma"] / (kernel["mma_per_warp"] / kernel["loops_per_warp"])  # k-steps of one unrolled pass
        warps = blocks_per_sm * kernel["warps"]
        passes = warps * kernel["loops_per_warp"] / steps
        bounds["tensor cores"] = passes * body["mma"] * 2048 / board.tensor_fma / clock
        bounds["shared memory"] = passes * body["wavefronts"] / clock
        bounds["issue"] = passes * body["total"] / 4 / clock
    elif name.startswith("conv_fft_multiply"):
        # The largest loop body is one input channel for nine tiles: nine complex numbers from shared memory, one weight, 36 multiply-adds.
        body = max(sass[name]["loops"], key=lambda loop: loop["ffma"])
        passes = kernel["loops_per_warp"] / 9 / (body["ffma"] / 36) / board.sms
        bounds["issue"] = passes * body["total"] / 4 / clock
        bounds["shared memory"] = passes * body["wavefronts"] / clock
    elif name.startswith("conv_fft"):
        warps = blocks_per_sm * kernel["warps"]
        trips = TRIPS[name.removesuffix("16")]
        bodies = [loop for loop in sass[name]["loops"] if loop["total"] > 1]
        if len(bodies) != len(trips):
            raise SystemExit(f"{name} has {len(bodies)} loops, not {len(trips)}: TRIPS is out of date")
        for bound, what, rate in (("issue", "total", 4), ("shared memory", "wavefronts", 1)):
            straight = sass[name]["all"][what] - sum(body[what] for body in bodies)
            bounds[bound] = warps * (straight + sum(times * body[what] for times, body in zip(trips, bodies))) / rate / clock
    elif name == "pointwise":
        # An instruction on 128 values of a warp takes about 16 issue slots, and 4 (load, store), 8 (one operand) or 12 (two) passes of
        # shared memory: 8 are taken.
        bounds["issue"] = kernel["operations"] / 2 / 32 * 16 / 4 / board.sms / clock
        bounds["shared memory"] = kernel["operations"] / 2 / 32 * 8 / board.sms / clock
    if name != "pointwise":
        # Compiled, an operation on two values is some four instructions.
        bounds["issue"] = bounds.get("issue", 0) + kernel["operations"] / 32 * 4 / 4 / board.sms / clock
    binding = max(bounds, key=bounds.get)
    return bounds[binding], binding


def moved(kernels: list[dict]) -> float:
    """MB."""
    return sum(kernel["read_bytes"] + kernel["written_bytes"] for kernel in kernels) / 1e6


def total_us(kernels: list[dict], board: Board, sass: dict) -> tuple[collections.Counter, list[str]]:
    """Microseconds by what binds, launches among them, and a row a kernel."""
    rows, spent = [], collections.Counter(launches=len(kernels) * board.launch_us)
    for kernel in kernels:
        us, binding = kernel_us(kernel, board, sass)
        spent[binding] += us
        rows.append(f"| {kernel['kernel']} | {kernel['blocks'] or ''} | {moved([kernel]):.2f} | {us + board.launch_us:.1f} | {binding} |")
    return spent, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=150)
    parser.add_argument("--network", type=pathlib.Path, default=ROOT / "models/zoo/pathfinder-hgru")
    parser.add_argument("--compilers", type=pathlib.Path, default=ROOT / "target/cuda-compilers")
    parser.add_argument("--write", action="store_true", help="replace tests/gpu/paper.md")
    args = parser.parse_args()
    if not any(args.compilers.rglob("nvdisasm")):
        wheels = args.compilers / "nvdisasm"
        wheels.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", wheels, "nvidia-cuda-nvdisasm"], check=True)
        for wheel in wheels.glob("*.whl"):
            shutil.unpack_archive(wheel, wheels, "zip")
    (args.compilers / "scratch").mkdir(parents=True, exist_ok=True)
    network = args.compilers / "scratch/paper-network"
    resize(args.network, network, args.size)
    lines = [
        "# One step on paper", "",
        f"Written by `tests/gpu/paper.py --size {args.size} --write`: the reference network at {args.size} x {args.size}. Nothing in it was measured; 'Paper and an H100', below, says what was.", "",
    ]
    summary = ["| board | limit, ms | chains interpreted, ms | compiled, ms | over the limit | large kernels by |", "|---|---|---|---|---|---|"]
    shares = ["| board | kernels | launches | memory | shared memory | issue | tensor cores |", "|---|---|---|---|---|---|---|"]
    frames = ["| board | kernels | MB moved | ms | kernels, compiled | MB moved | ms | times as fast |", "|---|---|---|---|---|---|---|---|"]
    details = []
    for board in BOARDS:
        sass = loops(board.capability, args.compilers)
        totals = {}
        for kernels in ("interpreted", "compiled"):
            kernels_of_step = [kernel for kernel in plan(network, board, kernels) if kernel["phase"] == "step"]
            totals[kernels] = total_us(kernels_of_step, board, sass)
        spent, rows = totals["compiled"]
        limit = 2 * sum(kernel["useful_macs"] for kernel in kernels_of_step) / board.fp16_tflops / 1e9
        bound = " | ".join(f"{spent[what] / limit / 1e3:.2f}" for what in ("launches", "memory", "shared memory", "issue", "tensor cores"))
        shares.append(f"| {board.name} | {len(kernels_of_step)} | {bound} |")
        how = "spectra" if any("fft" in kernel["kernel"] for kernel in kernels_of_step) else "tensor cores"
        before, total = totals["interpreted"][0].total() / 1e3, spent.total() / 1e3
        summary.append(f"| {board.name} | {limit:.3f} | {before:.3f} | {total:.3f} | {total / limit:.2f} | {how} |")
        details += ["", f"## {board.name}", "", "| kernel | blocks | MB moved | us | bound by |", "|---|---|---|---|---|", *rows]
        sight = {kernels: plan(ROOT / "models/zoo/street", board, kernels) for kernels in ("interpreted", "compiled")}
        took = {kernels: total_us(planned, board, sass)[0].total() / 1e3 for kernels, planned in sight.items()}
        figures = " | ".join(f"{len(planned)} | {moved(planned):.1f} | {took[kernels]:.3f}" for kernels, planned in sight.items())
        frames.append(f"| {board.name} | {figures} | {took['interpreted'] / took['compiled']:.2f} |")
    frames = ["", "## A frame of the detection network", "", "`street` at 320 x 240: encoder, one step, readout.", "", *frames]
    page = "\n".join([*lines, *summary, "", "The ratio by what binds:", "", *shares, "", BINDS, *frames, "", MEASURED, "", "## Assumptions", "", ASSUMPTIONS, *details, ""])
    print(page)
    if args.write:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
