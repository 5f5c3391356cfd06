"""On a machine with an NVIDIA GPU: is the engine right, is it clean, how fast is it, and how fast are others?

    python3 tests/gpu/run.py [--json gpu.json]

Prints one table. What cannot be measured here (no GPU, no compute-sanitizer, no PyTorch) is printed as "not measured", with the reason.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

RIVALS = r"""
import json, sys, time, torch
from torch import nn
from torch.nn import functional as F
C, S = 25, int(sys.argv[1])
torch.backends.cudnn.benchmark = True
class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.u1, self.u2 = nn.Conv2d(C, C, 1), nn.Conv2d(C, C, 1)
        self.inh, self.exc = nn.Conv2d(C, C, 15, padding=7, bias=False), nn.Conv2d(C, C, 15, padding=7, bias=False)
        self.n1, self.n2 = nn.InstanceNorm2d(C, 1e-3, affine=True), nn.InstanceNorm2d(C, 1e-3, affine=True)
        self.v = nn.Parameter(torch.rand(5, 1, C, 1, 1))
    def forward(self, x, h):
        a, m, g, k, o = self.v
        c1 = self.n1(self.inh(torch.sigmoid(self.u1(h)) * h))
        i = F.softplus(x - F.softplus(c1 * (a * h + m)))
        g2, c2 = torch.sigmoid(self.u2(i)), self.n2(self.exc(i))
        return F.softplus((1 - g2) * h + g2 * F.softplus(k * i + g * c2 + o * i * c2))
def timed(f):
    for _ in range(20): f()
    torch.cuda.synchronize(); began = time.perf_counter()
    for _ in range(100): f()
    torch.cuda.synchronize(); return (time.perf_counter() - began) * 1e4
out = {}
with torch.inference_mode():
    net = Step().cuda().half().eval()
    x, h = torch.rand(1, C, S, S, device="cuda").half(), torch.rand(1, C, S, S, device="cuda").half()
    out["PyTorch eager"] = timed(lambda: net(x, h))
    try:
        fast = torch.compile(net, mode="max-autotune"); out["torch.compile"] = timed(lambda: fast(x, h))
    except Exception as error: print(error, file=sys.stderr)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3): net(x, h)
    torch.cuda.synchronize(); graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph): net(x, h)
    out["PyTorch CUDA graph"] = timed(graph.replay)
print("RIVALS " + json.dumps(out))
"""


def capture(command: list, **more) -> tuple[int, str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT, **more)
    return done.returncode, done.stdout + done.stderr


def test_program() -> pathlib.Path:
    code, text = capture(["cargo", "test", "--release", "-p", "recslowfast", "--test", "gpu", "--no-run"])
    found = re.search(r"\((\S*deps/gpu-[0-9a-f]+)\)", text)
    if code or not found:
        raise SystemExit(text)
    return ROOT / found[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "target/gpu.json")
    parser.add_argument("--network", default="pathfinder-hgru", help="a built-in network or a folder, for the timings")
    parser.add_argument("--size", type=int, default=64, help="edge of the rivals' pictures; that of --network")
    args = parser.parse_args()
    rows, failed = [], False

    def row(what: str, value: str) -> None:
        rows.append({"what": what, "value": value})
        print(f"{what:<44} {value}", flush=True)

    def missing(whats: list, why: str) -> None:
        for what in whats:
            row(what, f"not measured: {why}")

    row("date", datetime.date.today().isoformat())
    smi = shutil.which("nvidia-smi")
    code, text = capture([smi, "--query-gpu=name,driver_version", "--format=csv,noheader"]) if smi else (1, "")
    has_gpu = (code == 0 and text.strip()) or pathlib.Path("/dev/nvhost-gpu").exists() or pathlib.Path("/dev/nvgpu").exists()
    row("GPU", text.strip() if code == 0 and text.strip() else "a Jetson" if has_gpu else "none")
    correct = {"agreement::child_families": "small networks agree with the CPU", "agreement::child_reference": "the reference network agrees with the CPU",
               "agreement::child_rules": "every rule decides as on the CPU",
               "agreement::child_labels": "labels are what the logits say", "camera::child_formats": "every raw format is fitted as on the CPU",
               "camera::child_in_place": "pictures are read where the camera put them"}
    tools = {"memcheck": "compute-sanitizer memcheck", "racecheck": "compute-sanitizer racecheck", "synccheck": "compute-sanitizer synccheck",
             "initcheck": "compute-sanitizer initcheck"}
    rivals = ["PyTorch eager", "torch.compile", "PyTorch CUDA graph"]
    if not has_gpu:
        missing([*correct.values(), *tools.values(), "time per step", "a stopped frame's extra cost", *rivals], "no GPU here")
    else:
        program = test_program()
        only = ["--ignored", "--nocapture", "--test-threads=1", "--exact"]
        for test, what in correct.items():
            code, text = capture([program, test, *only])
            failed |= code != 0
            row(what, "yes: " + "; ".join(re.findall(r"measured: (.*)", text))[:200] if code == 0 else "NO: " + text[-600:])
        sanitizer = shutil.which("compute-sanitizer")
        for tool, what in tools.items():
            if not sanitizer:
                missing([what], "it is not installed")
                continue
            code, text = capture([sanitizer, "--tool", tool, "--error-exitcode", "9", program, "agreement::child_short", *only])
            failed |= code != 0
            row(what, "clean" if code == 0 else "NOT CLEAN: " + text[-600:])
        code, text = capture([program, "device::time_a_step", *only], env={**os.environ, "GPU_NETWORK": args.network})
        failed |= code != 0
        for line in re.findall(r"\{.*\}", text):
            timing = json.loads(line)
            row(f"time per step, {timing['options']}", f"{timing['step_us']} us ({timing['network']})")
            row(f"a stopped frame's extra cost, {timing['options']}", f"{timing['stopped_extra_us']} us")
        code, text = capture([sys.executable, "-c", RIVALS, args.size])
        measured = json.loads(found[1]) if (found := re.search(r"RIVALS (\{.*\})", text)) else {}
        for rival in rivals:
            row(f"time per step, {rival}", f"{measured[rival]:.2f} us") if rival in measured else missing([rival], "PyTorch with CUDA is not here, or failed")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
