"""model.toml, written with what every line means."""

import json

KINDS = ("contour", "detections", "classes", "labels", "boxes", "matte", "raw")


def text(value):
    """A value as TOML has it: the JSON of plain values, and inline tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(text(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def lines(table, of):
    return "".join(f"{key} = {text(value)}\n" for key, value in of.items()) if of else ""


def manifest(name, shape, mean, std, task, states, steps=None, halting=None, about=None, several=True):
    """The text of model.toml.

    task: a dict of the keys of [task], among them kind; states: dicts of name, shape and more; about: version, licence, origin
    """
    _, channels, height, width = shape
    about = {"version": "0.1.0", "licence": "", "origin": "", **(about or {})}
    parts = ["format = 2\n", f"name = {text(name)}\n", *(f"{key} = {text(about[key])}\n" for key in ("version", "licence", "origin"))]
    parts.append(
        f"\n[input]\nwidth = {width}\nheight = {height}\nchannels = {channels}          # 1 = luma, 3 = RGB\n"
        f"mean = {text([float(x) for x in mean])}           # tensor = (value / 255 - mean) / std; pictures are resized by area averaging\n"
        f"std = {text([float(x) for x in std])}\n"
    )
    plain = {key: value for key, value in task.items() if key not in ("boxes", "thresholds")}
    parts.append("\n[task]\n" + lines("task", plain))
    for table in ("boxes", "thresholds"):
        if task.get(table):
            parts.append(f"\n[task.{table}]\n" + lines(table, task[table]))
    for state in states:
        parts.append("\n[[state]]\n" + lines("state", state))
    if any(state.get("moves", "step") == "step" and "answer" not in state for state in states):
        parts.append("\n[steps]\n" + lines("steps", {"min": 1, "max": 8, "slow": 6, "fast": 1, **(steps or {})}))
    elif states:
        parts.append("\n[steps]\n" + lines("steps", {"min": 1, "max": 1, "slow": 1, "fast": 1, **(steps or {})}))
    if halting:
        parts.append("\n[halting]\n" + lines("halting", halting))
    return "".join(parts)
