"""The command line: python -m recslowfast export FILE.py:FUNCTION --out DIR, and python -m recslowfast verify DIR."""

import argparse
import importlib.util
import pathlib
import sys

from . import verify
from .network import Refused


def arguments_of(place):
    """What FUNCTION of FILE.py returns: the keyword arguments of `export`."""
    path, _, function = place.partition(":")
    path = pathlib.Path(path)
    if not path.is_file() or not function:
        raise SystemExit(f"export: '{place}' is no FILE.py:FUNCTION")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, function):
        raise SystemExit(f"export: {path} has no function '{function}'")
    return getattr(module, function)()


def main(given=None):
    given = list(sys.argv[1:] if given is None else given)
    if given[:1] == ["verify"]:
        return verify.main(given[1:])
    parser = argparse.ArgumentParser(prog="recslowfast-export", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    exporting = verbs.add_parser("export", help="export what a function returns: a dict of the arguments of recslowfast.export")
    exporting.add_argument("place", metavar="FILE.py:FUNCTION")
    exporting.add_argument("--out", required=True)
    exporting.add_argument("--exporter", choices=("dynamo", "torchscript"), default="dynamo")
    verbs.add_parser("verify", help="hold a folder against ONNX Runtime")
    args = parser.parse_args(given)
    from .exporting import ExportError, export

    try:
        export(**{**arguments_of(args.place), "out": args.out, "exporter": args.exporter})
    except (ExportError, Refused) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
