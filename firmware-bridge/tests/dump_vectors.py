"""Says what python/recslowfast_link.py hears on stdin, in the words of tests/golden/vectors.txt, and what it counted."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "python"))
sys.dont_write_bytecode = True
from recslowfast_link import telegrams  # noqa: E402


CONTROLS = dict.fromkeys([*range(0x20), 0x7F], " ")


def words(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return f'"{value.translate(CONTROLS)}"'
    if isinstance(value, list):
        return ",".join(words(item) for item in value)
    if isinstance(value, dict):
        return ":".join(words(item) for item in value.values())
    return str(value)


sys.stdout.reconfigure(encoding="utf-8", newline="\n")
counters = {}
for sequence, name, fields in telegrams(iter(lambda: sys.stdin.buffer.read(7), b""), counters):
    print(" ".join([str(sequence), name] + [f"{field}={words(value)}" for field, value in fields.items()]))
print("counters", *(f"{name}={count}" for name, count in counters.items()))
