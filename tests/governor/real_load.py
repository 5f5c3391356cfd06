"""Sums up what real-load.sh measured: reads its lines, prints a table and how the governor stands in it. `real_load.py write README` puts such a table into a page.

Late are answers older than the deadline, as a share of the answers; unanswered are frames of the camera without an answer of their own in time, late ones among them.
"""

import json
import sys

if sys.argv[1:2] == ["write"]:
    # What stands between the marks is replaced by what comes in.
    page = open(sys.argv[2]).read()
    before, _, rest = page.partition("<!-- real-load -->\n")
    _, _, after = rest.partition("<!-- /real-load -->")
    if not after:
        sys.exit(f"{sys.argv[2]} has no marks <!-- real-load --> and <!-- /real-load -->")
    open(sys.argv[2], "w").write(f"{before}<!-- real-load -->\n{sys.stdin.read()}<!-- /real-load -->{after}")
    sys.exit()

sums = {}
for line in sys.stdin:
    if not line.startswith("{"):
        print(line, end="")
        continue
    run = json.loads(line)
    total = sums.setdefault((run["governed"], run["halt"]), dict.fromkeys(("frames", "answered", "late", "missing", "iou", "steps", "p99"), 0))
    total["frames"] += run["frames"]
    total["answered"] += run["answered"]
    total["late"] += run["late"]
    total["missing"] += run["unanswered_in_time_percent"] / 100 * run["frames"]
    total["iou"] += run["iou"] * run["frames"]
    total["steps"] += run["steps"] * run["answered"]
    total["p99"] = max(total["p99"], run["age_p99_ms"])

print(f"{'':<22}{'frames':>7}{'answered':>9}{'late %':>8}{'unanswered %':>14}{'IoU':>7}{'steps':>7}{'worst p99 of a run, ms':>24}")
rows = {}
for (governed, halt), total in sorted(sums.items(), key=lambda item: (not item[0][0], item[0][1])):
    misses, iou = 100 * total["late"] / max(total["answered"], 1), 100 * total["iou"] / total["frames"]
    rows[governed, halt] = misses, iou
    name = f"governor, {halt}" if governed else halt
    print(f"{name:<22}{total['frames']:>7}{total['answered']:>9}{misses:>8.2f}{100 * total['missing'] / total['frames']:>14.2f}{iou:>7.1f}{total['steps'] / max(total['answered'], 1):>7.2f}{total['p99']:>24.1f}")

fixed = {halt: row for (governed, halt), row in rows.items() if not governed}
keeps = {halt: row for halt, row in fixed.items() if row[0] <= 1.0}
if keeps:
    best = max(keeps, key=lambda halt: keeps[halt][1])
    print(f"best fixed k that meets the deadline at p99: {best}, IoU {keeps[best][1]:.1f}")
else:
    best = min(fixed, key=lambda halt: fixed[halt][0])
    print(f"no fixed k meets the deadline at p99; {best} misses least, {fixed[best][0]:.2f} %, IoU {fixed[best][1]:.1f}")
for (governed, halt), (misses, iou) in rows.items():
    if governed:
        print(f"governor with {halt}: misses {misses:.2f} %, IoU {iou - fixed[best][1]:+.1f} points from it")
