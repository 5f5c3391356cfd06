"""Reads what the board wrote to its UART and decodes every telegram of it: decode.py FILE LEAST."""

import json
import sys

path, least = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    lines = [line for line in file.read().split(b"\n") if line.strip()]
records, broken = [], 0
for line in lines:
    try:
        records.append(json.loads(line))
    except ValueError:
        # A telegram that the service was writing when it was stopped or killed.
        broken += 1
assert len(records) >= least, f"{len(records)} telegrams, at least {least} were expected"
assert broken <= 6, f"{broken} broken telegrams"
assert all(record["engine"] == "cpu" and record["steps"] <= 2 for record in records)
print(f"{len(records)} telegrams decoded, {broken} cut short; ages {min(r['age_ms'] for r in records):.0f} to {max(r['age_ms'] for r in records):.0f} ms")
