"""Telegrams and commands as Python objects. Fields are in SI units; `class_` is a number that `ClassName` telegrams explain."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Type, TypeVar, Union


class Named(enum.IntEnum):
    """A number that a later version may add to: one that is not known here reads as UNKNOWN."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls(255) if value != 255 else None


class Camera(Named):
    SEARCHING, NEGOTIATING, STREAMING, STALLED, LOST, UNKNOWN = 0, 1, 2, 3, 4, 255


class Engine(Named):
    NONE, CPU, CUDA, UNKNOWN = 0, 1, 2, 255


class Mode(Named):
    ACCURACY, BALANCED, SAVER, UNKNOWN = 0, 1, 2, 255


class LimitReason(Named):
    NONE, LATENCY, POWER, HEAT, CAMERA, UNKNOWN = 0, 1, 2, 3, 4, 255


class StopReason(Named):
    HALTED, LIMIT, ZERO, RESET, DEADLINE, UNKNOWN = 0, 1, 2, 3, 4, 255


class Level(Named):
    ERROR, WARN, INFO, DEBUG, UNKNOWN = 0, 1, 2, 3, 255


class Result(Named):
    DONE, UNSUPPORTED, MALFORMED, OUT_OF_RANGE, STALE, BUSY, REFUSED, UNKNOWN = 0, 1, 2, 3, 4, 5, 6, 255


@dataclass(frozen=True)
class Hello:
    """Who is speaking. `address` is where people find the page, empty if nowhere; `width` and `height` are the network's input in pixels."""

    software: str
    board: str
    network: str
    address: str
    width: int
    height: int
    classes: int


@dataclass(frozen=True)
class Status:
    """The state of the board. What no sensor tells, and a limit that is not set, is None; `deadline_s` is 0 without a deadline."""

    frame: int
    uptime_s: float
    camera: Camera
    engine: Engine
    mode: Mode
    paused: bool
    steps: int
    limit: int
    limited_by: LimitReason
    stopped: StopReason
    skip: int
    age_s: float
    deadline_s: float
    power_w: Optional[float]
    power_budget_w: Optional[float]
    temperature_c: Optional[float]
    capture_fps: float
    inference_fps: float
    dropped: int
    recent: List[int]


@dataclass(frozen=True)
class Detection:
    """Something seen. Position and size are shares of the picture's width and height, `area` is one of the whole picture; track 0 is not followed."""

    class_: int
    score: float
    track: int
    left: float
    top: float
    width: float
    height: float
    area: float


@dataclass(frozen=True)
class Detections:
    """What is in one frame: `found` things, of which the best are listed."""

    frame: int
    age_s: float
    found: int
    items: List[Detection]


@dataclass(frozen=True)
class Log:
    """One line for people."""

    level: Level
    uptime_s: float
    text: str


@dataclass(frozen=True)
class ClassName:
    """What a class number means."""

    class_: int
    name: str


@dataclass(frozen=True)
class Ack:
    """The answer to one command."""

    sequence: int
    kind: int
    result: Result


Message = Union[Hello, Status, Detections, Log, ClassName, Ack]


@dataclass(frozen=True)
class SetBudget:
    """New limits: None leaves one as it is, 0 lifts it. `percentile` is the share of frames that must meet the deadline, in percent (50 to 99.9)."""

    deadline_s: Optional[float] = None
    percentile: Optional[float] = None
    power_w: Optional[float] = None
    temperature_c: Optional[float] = None
    kind: int = field(default=0x41, init=False, repr=False)

    def fields(self) -> Dict[str, Any]:
        return {
            "deadline_us": scaled("deadline_s", self.deadline_s, 1e6, 1_000, 60_000_000, lifted=True),
            "percentile_pm": scaled("percentile", self.percentile, 10, 500, 999),
            "power_mw": scaled("power_w", self.power_w, 1e3, 500, 1_000_000, lifted=True),
            "temperature_cc": scaled("temperature_c", self.temperature_c, 100, 2_000, 12_000, lifted=True),
        }


@dataclass(frozen=True)
class SetMode:
    """Another trade between accuracy and power."""

    mode: Mode
    kind: int = field(default=0x42, init=False, repr=False)

    def fields(self) -> Dict[str, Any]:
        if self.mode is Mode.UNKNOWN:
            raise ValueError("mode is UNKNOWN; it is to be ACCURACY, BALANCED or SAVER")
        return {"mode": int(self.mode)}


@dataclass(frozen=True)
class SetReportRate:
    """How often the board reports: 0 is "only when asked" for the status and "never" for detections; 0.001 s are every frame's detections."""

    status_period_s: float
    detections_period_s: float
    kind: int = field(default=0x47, init=False, repr=False)

    def fields(self) -> Dict[str, Any]:
        return {
            "status_period_ms": scaled("status_period_s", self.status_period_s, 1e3, 20, 60_000, lifted=True),
            "detections_period_ms": scaled("detections_period_s", self.detections_period_s, 1e3, 0, 60_000),
        }


@dataclass(frozen=True)
class Bare:
    """A command without fields: PAUSE, RESUME, RESET_STATE, ASK_STATUS or ASK_HELLO."""

    kind: int

    def fields(self) -> Dict[str, Any]:
        return {}


PAUSE, RESUME, RESET_STATE, ASK_STATUS, ASK_HELLO = (Bare(kind) for kind in (0x43, 0x44, 0x45, 0x46, 0x48))

Command = Union[SetBudget, SetMode, SetReportRate, Bare]


def scaled(name: str, value: Optional[float], factor: float, least: int, most: int, lifted: bool = False) -> Optional[int]:
    """A value in the wire's unit; ValueError if the wire does not carry it."""
    if value is None:
        return None
    number = round(value * factor)
    if not (least <= number <= most or lifted and number == 0):
        also = " or 0" if lifted else ""
        raise ValueError(f"{name} is {value}; it is to be {least / factor:g} to {most / factor:g}{also}")
    return number


Set = TypeVar("Set", bound=Named)


def of(kind: Type[Set], value: int) -> Set:
    return kind(value)


def message(name: str, fields: Dict[str, Any]) -> Optional[Message]:
    """The object of a telegram; None for a command, which only boards receive."""

    def some(value: Optional[int], unit: float) -> Optional[float]:
        return None if value is None else value / unit

    get = fields.__getitem__
    if name == "hello":
        return Hello(**fields)
    if name == "status":
        return Status(
            frame=get("frame"), uptime_s=get("uptime_ms") / 1e3, camera=of(Camera, get("camera")), engine=of(Engine, get("engine")), mode=of(Mode, get("mode")),
            paused=bool(get("paused")), steps=get("steps"), limit=get("limit"), limited_by=of(LimitReason, get("limited_by")), stopped=of(StopReason, get("stopped")),
            skip=get("skip"), age_s=get("age_us") / 1e6, deadline_s=get("deadline_us") / 1e6, power_w=some(get("power_mw"), 1e3),
            power_budget_w=some(get("power_budget_mw"), 1e3), temperature_c=some(get("temperature_cc"), 100), capture_fps=get("capture_cfps") / 100,
            inference_fps=get("inference_cfps") / 100, dropped=get("dropped"), recent=list(get("recent")),
        )  # fmt: skip
    if name == "detections":
        items = [
            Detection(one["class"], one["score"] / 1e3, one["track"], one["left"] / 1e4, one["top"] / 1e4, one["width"] / 1e4, one["height"] / 1e4, one["area"] / 1e6)
            for one in get("items")
        ]
        return Detections(get("frame"), get("age_us") / 1e6, get("found"), items)
    if name == "log":
        return Log(of(Level, get("level")), get("uptime_ms") / 1e3, get("text"))
    if name == "class_name":
        return ClassName(get("class"), get("name"))
    if name == "ack":
        return Ack(get("sequence"), get("kind"), of(Result, get("result")))
    return None
