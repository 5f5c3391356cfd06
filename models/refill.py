"""Runs the commands of models/README.md again and puts what they print in place of what stands there.

usage: models/refill.py [--program PATH] [--check] [NAME...]

A block of the README is a comment `<!-- block: NAME -->`, a fenced `sh` block with one `recslowfast` command, and a fenced `text` block with its output.
Without NAME all blocks are run. `--check` changes nothing: it fails where a figure that does not depend on the machine's speed has changed.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "models/README.md"
BLOCK = re.compile(r"<!-- block: (?P<name>\S+) -->\n+```sh\n(?P<command>.*?)```\n+```text\n(?P<output>.*?)```\n", re.DOTALL)
# Columns of `eval` that are the same on every machine, with what other orders of summation may change in them.
SAME = {"steps": 0.02, "IoU": 0.002, "F1": 0.002, "precision": 0.003, "recall": 0.003}


def run(program: str, command: str) -> str:
    words = shlex.split(command.replace("\\\n", " "))
    if words[0] != "recslowfast":
        sys.exit(f"{README}: a block's command begins with recslowfast, not {words[0]}")
    done = subprocess.run([program, *words[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command}failed with exit code {done.returncode}")
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def figures(output: str) -> dict[tuple[str, str], float]:
    """What `eval` printed in its table of rules, by row and column."""
    lines = iter(output.splitlines())
    for line in lines:
        head = line.split()
        if "rule" in head and "IoU" in head:
            break
    else:
        sys.exit(f"no table of rules in:\n{output}")
    # Names of rules have no spaces but "(no state)"; columns are counted behind them.
    names, columns = head[: head.index("rule") + 1], head[head.index("rule") + 1 :]
    found = {}
    for line in lines:
        words = line.replace("(no state)", "(no-state)").split()
        if len(words) < len(head) - 2 or not re.fullmatch(r"-?\d+\.\d+", words[len(names)]):
            break
        row = " ".join(words[: len(names)])
        found |= {(row, name): float(words[len(names) + columns.index(name)]) for name in SAME}
    return found


def differences(known: str, new: str) -> list[str]:
    known, new = figures(known), figures(new)
    lost = [f"{row}, {column}: {figure} is not there" for (row, column), figure in known.items() if (row, column) not in new]
    more = [f"{row}, {column}: not in the README" for row, column in new if (row, column) not in known]
    changed = [
        f"{key[0]}, {key[1]}: {known[key]} in the README, {new[key]} now"
        for key in known if key in new and abs(known[key] - new[key]) > SAME[key[1]]
    ]  # fmt: skip
    return lost + more + changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=str(ROOT / "target/release/recslowfast"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    text = README.read_text()
    blocks = [block for block in BLOCK.finditer(text) if not args.names or block["name"] in args.names]
    if missing := set(args.names) - {block["name"] for block in blocks}:
        sys.exit(f"{README}: no block is called {', '.join(sorted(missing))}")
    wrong = []
    for block in blocks:
        print(f"{block['name']} ...", flush=True)
        output = run(args.program, block["command"])
        if args.check:
            wrong += [f"{block['name']}: {what}" for what in differences(block["output"], output)]
        else:
            # Written after every block, so that what was measured is kept whatever comes next.
            text = text.replace(block[0], block[0].replace(f"```text\n{block['output']}```", f"```text\n{output}```"))
            README.write_text(text)
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
