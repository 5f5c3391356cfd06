"""Measures the CPU engine beside ONNX Runtime and plain tract, and writes the table into README.md beside this file.

    python3 tests/bench/table.py [--repeats 30]        (`.ci/run bench` installs what it needs; three to five minutes)

Run it with an interpreter that has onnx and onnxruntime. Every network of the zoo and every one of networks.py is measured by `recslowfast bench`, pinned
to one processor with one thread on each side, and then to two with two. The runs of the sides are interleaved, frame by frame.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
README = HERE / "README.md"
BINARY = ROOT / "target/release/recslowfast"
BEGIN, END = "<!-- written by table.py -->\n", "<!-- end of what table.py wrote -->\n"
# Kernels of 3x3 to 7x7: there plain tract is a fair opponent too.
SMALL = ("convgru", "mixed", "lean")


def bench(folders: list[pathlib.Path], threads: int, against: str, repeats: int) -> list[dict]:
    processors = sorted(os.sched_getaffinity(0))[:threads]
    if len(processors) < threads:
        return []
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = ["taskset", "-c", ",".join(map(str, processors)), BINARY, "bench", "--threads", str(threads), "--repeats", str(repeats)]
        command += ["--against", against, "--script", HERE / "onnxruntime.py", "--json", out.name, "--models", ",".join(map(str, folders))]
        subprocess.run(command, check=True, env={**os.environ, "PYTHON": sys.executable})
        return json.loads(pathlib.Path(out.name).read_text())


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def ratio(row: dict, which: str) -> float:
    return row["peer"]["took"][which] / row["ours"][which]


def whole(rows: list[dict]) -> list[dict]:
    """After each network's graphs, a frame of one step: their sum."""
    out = []
    for at, row in enumerate(rows):
        out.append(row)
        if at + 1 == len(rows) or rows[at + 1]["network"] != row["network"]:
            graphs = [other for other in rows if other["network"] == row["network"]]

            def total(side) -> dict:
                return {which: sum(side(graph)[which] for graph in graphs) for which in ("median_ms", "cpu_ms")}

            ours, theirs = total(lambda graph: graph["ours"]), total(lambda graph: graph["peer"]["took"])
            flop = sum(graph["gflops"] * graph["ours"]["median_ms"] for graph in graphs)
            out.append({**row, "graph": "**frame**", "ours": ours, "peer": {"took": theirs}, "gflops": flop / ours["median_ms"]})
    return out


def cells(row: dict | None) -> str:
    if row is None:
        return "| | | | "
    ours, theirs = row["ours"]["median_ms"], row["peer"]["took"]["median_ms"]
    return f"| {ours:.3g} | {theirs:.3g} | {ratio(row, 'median_ms'):.2f} | {ratio(row, 'cpu_ms'):.2f} "


def table(one: list[dict], two: list[dict], tract: list[dict]) -> str:
    def like(row: dict, rows: list[dict]) -> dict | None:
        return next((other for other in rows if (other["network"], other["graph"]) == (row["network"], row["graph"])), None)

    lines = [
        "| network | graph | 1 thread, ms | ONNX Runtime, ms | ratio | by processor time | 2 threads, ms | ONNX Runtime, ms | ratio | by processor time | plain tract, ratio | GFLOP/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    one, two, tract = whole(one), whole(two), whole(tract)
    for row in one:
        plain = like(row, tract)
        beside = f"{ratio(plain, 'cpu_ms'):.1f}" if plain else ""
        lines.append(f"| {row['network']} | {row['graph']} {cells(row)}{cells(like(row, two))}| {beside} | {row['gflops']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="runs of each graph on each side")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, HERE / "networks.py", scratch], check=True)
        folders = sorted(folder for place in (ROOT / "models/zoo", pathlib.Path(scratch)) for folder in place.iterdir() if folder.is_dir())
        one, two = (bench(folders, threads, "onnxruntime", args.repeats) for threads in (1, 2))
        small = [folder for folder in folders if any(name in folder.name for name in SMALL)]
        tract = bench(small, 1, "tract", args.repeats)
    apart = max(row["logits_apart"] for row in one + two)
    agree = min(row["masks_agree"] for row in one + two)
    text = f"""{datetime.date.today()}, {processor()}, {one[0]['peer']['name']}, {args.repeats} interleaved runs, load {load:.1f} at the start. Medians by the wall clock; a ratio is
the other side's time over this engine's; a frame is encoder, one step and readout. Plain tract is compared by processor time on one thread. GFLOP/s count the direct form, on one thread.

{table(one, two, tract)}

Over {args.repeats + 1} carried frames logits differ from ONNX Runtime's by at most {apart:.1e} of the largest, and at least {100 * agree:.4f} % of the masks' pixels are the same.
"""
    before, rest = README.read_text().split(BEGIN)
    README.write_text(before + BEGIN + text + END + rest.split(END)[1])
    print(text)


if __name__ == "__main__":
    main()
