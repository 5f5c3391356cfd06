"""`recslowfast-monitor PORT`: what a board says, line by line, and commands to it."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
import sys
from typing import Any, List, Optional

from .link import CommandError, Link
from .messages import ASK_HELLO, ASK_STATUS, PAUSE, RESET_STATE, RESUME, Command, Detections, Log, Message, Mode, SetBudget, SetMode, SetReportRate, Status
from .ports import PortError

COMMANDS = {"pause": PAUSE, "resume": RESUME, "reset-state": RESET_STATE, "ask-status": ASK_STATUS, "ask-hello": ASK_HELLO}


def plain(value: Any) -> Any:
    return value.name.lower() if isinstance(value, enum.Enum) else value


def as_json(got: Message, link: Link) -> str:
    fields = {name.rstrip("_"): plain(value) for name, value in dataclasses.asdict(got).items()}
    if isinstance(got, Detections):
        fields["items"] = [{**{name.rstrip("_"): value for name, value in dataclasses.asdict(one).items()}, "name": link.class_name(one.class_)} for one in got.items]
    return json.dumps({"message": type(got).__name__, **fields})


def as_line(got: Message, link: Link) -> str:
    if isinstance(got, Status):
        power = "" if got.power_w is None else f", {got.power_w:.2f} W"
        heat = "" if got.temperature_c is None else f", {got.temperature_c:.1f} C"
        return (
            f"status     frame {got.frame}: {got.steps} of {got.limit} steps ({got.stopped.name.lower()}), age {1e3 * got.age_s:.1f} ms, "
            f"{got.inference_fps:.1f} frames/s, camera {got.camera.name.lower()}{', paused' if got.paused else ''}{power}{heat}"
        )
    if isinstance(got, Detections):
        items = ", ".join(
            f"{link.class_name(one.class_)}{f' #{one.track}' if one.track else ''} {100 * one.score:.0f} % at {100 * one.left:.0f},{100 * one.top:.0f} %" for one in got.items
        )
        return f"detections frame {got.frame}: {got.found} found{': ' if items else ''}{items}"
    if isinstance(got, Log):
        return f"log        {got.level.name.lower()}: {got.text}"
    words = ", ".join(f"{field.name.rstrip('_')} {plain(getattr(got, field.name))}" for field in dataclasses.fields(got))
    return f"{type(got).__name__.lower():10} {words}"


def command_of(args: argparse.Namespace) -> Optional[Command]:
    def scaled(value: Optional[float], factor: float) -> Optional[float]:
        return None if value is None else value * factor

    if args.command is None:
        return None
    if args.command == "set-mode":
        return SetMode(Mode[args.mode.upper()])
    if args.command == "set-budget":
        return SetBudget(scaled(args.deadline_ms, 1e-3), args.percentile, args.power_w, args.temperature_c)
    if args.command == "set-report-rate":
        return SetReportRate(args.status_ms / 1e3, args.detections_ms / 1e3)
    return COMMANDS[args.command]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recslowfast-monitor", description="Shows what a board with recslowfast says, or sends it a command.")
    parser.add_argument("port", help="/dev/NAME[@BAUD], tcp:HOST:PORT, tcp-listen:PORT or udp-listen:PORT")
    parser.add_argument("--json", action="store_true", help="a JSON object for every message")
    parser.add_argument("--count", type=int, help="end after so many messages")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        commands.add_parser(name)
    commands.add_parser("set-mode").add_argument("mode", choices=["accuracy", "balanced", "saver"])
    budget = commands.add_parser("set-budget", help="0 lifts a limit; what is not given stays")
    for flag in ("--deadline-ms", "--percentile", "--power-w", "--temperature-c"):
        budget.add_argument(flag, type=float)
    rate = commands.add_parser("set-report-rate")
    rate.add_argument("status_ms", type=float)
    rate.add_argument("detections_ms", type=float)
    return parser


def main(given: Optional[List[str]] = None) -> int:
    args = arguments().parse_args(given)
    try:
        with Link.open(args.port) as link:
            command = command_of(args)
            if command is not None:
                ack = link.send(command)
                print(as_json(ack, link) if args.json else as_line(ack, link))
                return 0
            link.send(ASK_HELLO)
            told = 0
            while args.count is None or told < args.count:
                got = link.receive(None)
                if got is not None:
                    print(as_json(got, link) if args.json else as_line(got, link), flush=True)
                    told += 1
            return 0
    except (PortError, CommandError, ValueError) as error:
        print(f"recslowfast-monitor: {error}", file=sys.stderr)
        return 1
    except EOFError as error:
        print(f"recslowfast-monitor: {args.port}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


if __name__ == "__main__":
    sys.exit(main())
