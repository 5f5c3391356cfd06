"""Decodes what the board wrote to its UART, as a microcontroller would hear it: decode.py FILE LEAST."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "firmware-bridge" / "python"))
sys.dont_write_bytecode = True
from recslowfast_link import telegrams  # noqa: E402

path, least = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    data = file.read()
counters = {}
heard = list(telegrams([data], counters))
hellos = [fields for _, name, fields in heard if name == "hello"]
statuses = [fields for _, name, fields in heard if name == "status"]
logs = [fields["text"] for _, name, fields in heard if name == "log"]
assert len(statuses) >= least, f"{len(statuses)} statuses, at least {least} were expected"
# One at each start: the first, after the hang, after kill -9, after the upgrade.
assert len(hellos) >= 4 and all(hello["software"].startswith("recslowfast ") for hello in hellos), hellos
# A telegram is cut short where the service was killed.
assert sum(counters.values()) <= 6, counters
answered = [status for status in statuses if status["engine"] == 1 and status["steps"] > 0]
assert len(answered) >= least and all(status["steps"] <= 2 for status in answered), (len(answered), statuses[-1])
states = {status["camera"] for status in statuses}
assert 2 in states and states & {0, 3, 4}, f"the camera streamed and was away, but only {states} were told"
ages = [status["age_us"] / 1000 for status in answered]
kinds = {name: sum(1 for _, other, _ in heard if other == name) for name in sorted({name for _, name, _ in heard})}
print(f"{len(data)} bytes decoded: {kinds}; not decoded: {counters}; ages {min(ages):.0f} to {max(ages):.0f} ms; {len(logs)} lines for people")
