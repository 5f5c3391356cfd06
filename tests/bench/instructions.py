"""Counts the instructions of each network's graphs under callgrind, and compares them with the recorded counts.

    python3 tests/bench/instructions.py [--record]

Runs `recslowfast bench` on one thread with AVX2, the widest set that valgrind knows, over every network of the zoo. A count is an average over a few
runs of the graph, with what the bench itself does around it (two readings of the clock). The same binary gives the same counts on any machine; another
compiler may give others, so a count may differ from its record by a twentieth before this fails. `--record` writes the record anew.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD = pathlib.Path(__file__).with_name("instructions.json")
BINARY = ROOT / "target/release/recslowfast"
REPEATS = 3
ALLOWED = 0.05
GRAPHS = {"encoder": "encode", "step": "step", "readout": "readout"}


def count(folder: pathlib.Path) -> dict[str, int]:
    """Instructions of one run of each graph."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "callgrind.out"
        bench = [BINARY, "bench", "--models", folder, "--threads", "1", "--isa", "avx2", "--repeats", str(REPEATS)]
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet"]
        subprocess.run([*callgrind, *bench], check=True, stdout=subprocess.DEVNULL)
        annotate = ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--show-percs=no", out]
        lines = subprocess.run(annotate, check=True, capture_output=True, text=True).stdout.splitlines()
    counts = {}
    for graph, method in GRAPHS.items():
        # The bench calls each side through its vtable, so these functions are never inlined.
        found = [line for line in lines if re.search(rf"bench::ours::Ours as .*Side>::{method}\b", line)]
        if found:
            counts[graph] = round(int(found[0].split()[0].replace(",", "")) / (REPEATS + 1))
    if not {"encoder", "readout"} <= counts.keys():
        sys.exit(f"{folder.name}: no count of the bench's functions in callgrind's output; was the binary stripped of its symbols?")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the counts as the new record")
    args = parser.parse_args()
    counts = {folder.name: count(folder) for folder in sorted((ROOT / "models/zoo").iterdir()) if folder.is_dir()}
    if args.record:
        RECORD.write_text(json.dumps(counts, indent=4) + "\n")
    recorded = json.loads(RECORD.read_text())
    failed = recorded.keys() != counts.keys()
    for network in sorted(recorded.keys() | counts.keys()):
        for graph, now in counts.get(network, {}).items():
            before = recorded.get(network, {}).get(graph, 0)
            off = abs(now - before) > ALLOWED * before
            failed |= off
            print(f"{'OFF' if off else 'ok ':<4} {network:<24} {graph:<8} {now / 1e6:>9.2f} million, recorded {before / 1e6:.2f}")
    sys.exit("counts moved: see above; --record if that was meant" if failed else 0)


if __name__ == "__main__":
    main()
