"""Follows the page: runs every ```sh block of README.md, line by line, in an empty folder.

    python models/export/tests/follow.py README.md FOLDER [--seconds N]

The programs that the page names are taken from PATH. Prints each command with its time; ends with 1 at the first that fails.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time


def commands(page):
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M):
        yield from (line for line in block.splitlines() if line.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, help="of each training, in place of the page's")
    args = parser.parse_args()
    given = list(commands(args.page.read_text(encoding="utf-8")))
    if not given:
        raise SystemExit(f"{args.page} has no commands")
    args.folder.mkdir(parents=True)
    began = time.monotonic()
    for command in given:
        if args.seconds and "train.py" in command:
            command += f" --seconds {args.seconds}"
        print(f"$ {command}", flush=True)
        at = time.monotonic()
        done = subprocess.run(command, shell=True, cwd=args.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print("\n".join("  " + line for line in done.stdout.splitlines()[-6:]))
        print(f"  ({time.monotonic() - at:.1f} s)", flush=True)
        if done.returncode:
            print(f"ended with code {done.returncode}:\n{done.stdout}")
            return 1
    print(f"{len(given)} commands of the page in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
