"""What a measurement says, as rows for people: what was asked, and what was found."""

from __future__ import annotations

import csv
import re

# Relative difference of logits, share of frames with the same steps, share of equal pixels.
LIMITS = {"fp16": 2e-2, "fp32": 2e-4}
SAME_STEPS, SAME_PIXELS = 0.98, 0.999
# Bytes of device memory that may come and go with the driver's own housekeeping.
HOUSEKEEPING = 4 << 20


def why_not(part: dict) -> str:
    """Why a part says nothing."""
    if "why" in part:
        return part["why"]
    for text in (part["err"], part["out"]):
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("note: run with")]
        telling = [line for line in lines if re.search(r"panicked|Error|error|failed|refused", line)]
        if lines:
            at = lines.index(telling[0]) if telling else max(0, len(lines) - 2)
            return f"exit {part['code']}: " + " ".join(lines[at : at + 2])[:240]
    return f"exit {part['code']}, and nothing was said"


def agreement(part: dict, record: dict) -> tuple[str, bool]:
    frames, pixels, limit = record["frames"], record["same_pixels"] / record["pixels"] if record["pixels"] else 1, LIMITS[part["about"]["precision"]]
    logits = record["logits_relative"]
    good = (
        logits is not None and logits <= limit and record["same_steps"] >= SAME_STEPS * frames and pixels >= SAME_PIXELS
        and record["far"] is None and record["convolutions"][0] == record["convolutions"][1]
    )
    text = (
        f"{'yes' if good else 'NO'}: logits within {logits if logits is None else format(logits, '.1e')}, {record['same_steps']} of {frames} frames with the same steps, "
        f"{100 * pixels:.3f} % of pixels, {record['convolutions'][0]} convolutions for {record['convolutions'][1]}"
    )
    if record["far"]:
        text += f"; {record['far']}"
    return text + ("" if record["recorded"] else "; not recorded as graphs"), good


def flat(records: list) -> tuple[str, bool]:
    words, good = [], len(records) == 2
    for record in records:
        free = [value for value in record["device_free"] if value is not None]
        lost = free[0] - free[-1] if free else None
        good &= lost is None or lost <= HOUSEKEEPING
        what = f"{record['frames']} frames" if "frames" in record else f"{record['loads']} loads"
        words.append(f"{what}: " + ("the driver does not say" if lost is None else f"{lost >> 10} KiB of the device's gone"))
        if host := [value for value in record.get("host_kib", []) if value is not None]:
            good &= host[-1] - host[0] <= 4096
            words.append(f"{host[-1] - host[0]} KiB of the host's")
    return ("yes: " if good else "NO: ") + ", ".join(words), good


def lost(record: dict) -> tuple[str, bool]:
    good = record["next_frame_by"] == "cpu" and record["next_frame_right"] and record["gpu_back_after_ms"] is not None and record["right_after_that"]
    back = record["gpu_back_after_ms"]
    return (
        f"{'survived' if good else 'NOT as wanted'}: {record['planted']}; the next frame by the {record['next_frame_by']}, "
        f"{'right' if record['next_frame_right'] else 'WRONG'}; the GPU {'never came back' if back is None else f'back after {back} ms'}", bool(good)
    )


def kernels(text: str) -> list:
    """One line for each kernel of a profile: name, microseconds, and what of it was busy."""
    lines = text[text.find('"ID"') :].splitlines() if '"ID"' in text else []
    rows, units = [], {}
    for row in csv.DictReader(line for line in lines if line.startswith('"')):
        if not row.get("ID"):
            units = row
            continue

        def number(name: str, row=row):
            try:
                return float(row.get(name, "").replace(",", ""))
            except (ValueError, AttributeError):
                return None

        us, unit = number("gpu__time_duration.sum"), units.get("gpu__time_duration.sum")
        if us is not None:
            us *= {"ns": 1e-3, "nsecond": 1e-3, "ms": 1e3, "msecond": 1e3}.get(unit, 1.0)
        rows.append({
            "kernel": row.get("Kernel Name", "").split("(")[0], "grid": row.get("Grid Size"), "block": row.get("Block Size"), "us": us,
            "sm": number("sm__throughput.avg.pct_of_peak_sustained_elapsed"), "l2": number("lts__throughput.avg.pct_of_peak_sustained_elapsed"),
            "l1": number("l1tex__throughput.avg.pct_of_peak_sustained_active"), "dram": number("gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"),
            "occupancy": number("sm__warps_active.avg.pct_of_peak_sustained_active"), "registers": number("launch__registers_per_thread"),
        })
    return rows


def rows(report: dict) -> tuple[list, bool]:
    """The table, and whether something is wrong rather than missing."""
    found, bad, ours, theirs = [], False, {}, {}

    def row(what: str, value: str) -> None:
        found.append([what, value])

    row("date", report["date"])
    start = report["clocks"][0]
    row("card", f"{start.get('name') or 'none'}, driver {start.get('driver_version', '?')}")
    row("clocks", "; ".join(f"{at.get('clocks.sm', '?')} and memory {at.get('clocks.mem', '?')} after {at['after']}" for at in report["clocks"][:6]))
    for part in report["parts"]:
        about, told = part["about"], part.get("records", [])
        kind, ended = about["kind"], part.get("code") == 0
        if part.get("why") == "it was not asked for":
            continue
        if kind in ("agree", "lost", "doctor", "flat") and not told or kind == "passes" and not ended:
            missing = "why" in part or not part.get("code")
            bad |= not missing
            row(part["name"], f"{'not measured' if missing else 'NO'}: {why_not(part)}")
        elif kind == "agree":
            text, good = agreement(part, told[0])
            bad |= not good
            row(part["name"], text)
        elif kind == "passes":
            row(part["name"], "yes: " + "; ".join(re.findall(r"measured: (.*)", part["out"]))[-160:])
        elif kind == "lost":
            text, good = lost(told[0])
            bad |= not good
            row(part["name"], text)
        elif kind == "flat":
            text, good = flat(told)
            bad |= not good
            row(part["name"], text)
        elif kind == "clean":
            if "why" in part:
                row(part["name"], f"not measured: {part['why']}")
            else:
                bad |= not ended
                summary = re.findall(r"(?:ERROR|LEAK|RACECHECK) SUMMARY: .*", part["out"] + part["err"])
                row(part["name"], ("clean: " if ended else "NOT CLEAN: ") + ("; ".join(summary) or why_not(part) if not ended else "; ".join(summary)))
        elif kind == "doctor":
            row("launch and wait", f"{told[0]['launch_us']} us")
            row("kernel in a graph", f"{told[0]['node_us']} us")
            row("kernels", f"{told[0]['facts'].get('kernels')}; chains {told[0]['facts'].get('chains')}; problems: {told[0]['problems'] or 'none'}")
        elif kind == "times":
            for record in told:
                ours.setdefault(about["network"], []).append(record)
                figures = ", ".join(f"{name[:-3].replace('_', ' ')} {value}" for name, value in record.items() if name.endswith("_us"))
                row(f"{about['network']}, {record['options']}, us", figures or record.get("error", "nothing"))
            if not told:
                row(part["name"], f"not measured: {why_not(part)}")
        elif kind == "tiles":
            for record in told:
                row(f"{about['network']} by tiles, {record['what']}", f"{record['frame_us']} us a frame, {record['dense_us']} densely: {record['dense_us'] / record['frame_us']:.2f} times as fast; "
                    f"{100 * record['moved']:.1f} % of the input moved, {100 * record['encoded']:.1f} % of the encoder, {record['steps']:.2f} steps of {100 * record['stepped']:.1f} %")
            if not told:
                row(part["name"], f"not measured: {why_not(part)}")
        elif kind == "rate":
            for record in told:
                row(f"frames/s of {about['network']}, {record['engine']}, {record['rule']}", f"{record['fps']:.1f} at {record['steps']:.2f} steps a frame")
            if not told:
                row(part["name"], f"not measured: {why_not(part)}")
        elif kind == "rivals":
            for record in told:
                if "step_us" in record and "size" in record:
                    theirs.setdefault((record["network"], record["size"]), []).append(record)
                    row(f"{record['rival']}, {record['network']} {record['size']}, {record['layout']}, us", f"step {record['step_us']}, fixed 6 frame {record['fixed_6_frame_us']}")
                elif "versions" not in record:
                    row(f"{record.get('rival', part['name'])}, {record.get('network', '')} {record.get('size', '')}".rstrip(", "), str(record.get("step_us") or f"not measured: {record.get('missing') or record.get('error')}"))
            if "why" in part or not told:
                row(part["name"], f"{'ended early' if told else 'not measured'}: {why_not(part)}")
        elif kind == "profile":
            part["kernels"] = kernels(part.get("out", ""))
            step = [kernel for kernel in part["kernels"] if kernel["us"]]
            row(part["name"], f"{len(step)} kernels, {sum(kernel['us'] for kernel in step):.1f} us" if step else f"not measured: {why_not(part)}")
    for (network, size), records in theirs.items():
        sights = {"320x240": network, "640x480": f"{network}-640"}
        name = f"{network}-{size}" if network == "convgru" else sights.get(size) or f"pathfinder-{network}" + (f"-{size}" if size == report["size"] else "")
        mine = [record for record in ours.get(name, []) if "step_us" in record and record["options"].startswith("fp16")]
        for what, of in (("step_us", "a step"), ("one_step_frame_us", "a frame of one step"), ("fixed_6_frame_us", "a frame of six steps")):
            if mine and all(what in record for record in [*mine, *records]):
                best, rival = min(mine, key=lambda record: record[what]), min(records, key=lambda record: record[what])
                row(f"{name}: best rival over ours, {of}", f"{rival[what] / best[what]:.2f} ({rival['rival']}, {rival['layout']} {rival[what]} us; {best['options']} {best[what]} us)")
    return found, bad
