"""Reads the telemetry of recslowfast, and sends it commands. See README.md beside pyproject.toml; the bytes are laid out in `firmware-bridge/WIRE.md`."""

from .link import CommandError, Link
from .messages import (
    ASK_HELLO,
    ASK_STATUS,
    PAUSE,
    RESET_STATE,
    RESUME,
    Ack,
    Camera,
    ClassName,
    Detection,
    Detections,
    Engine,
    Hello,
    Level,
    LimitReason,
    Log,
    Message,
    Mode,
    Result,
    SetBudget,
    SetMode,
    SetReportRate,
    Status,
    StopReason,
)
from .ports import Port, PortError, open_port
from .wire import Reader, telegrams

__all__ = [
    "ASK_HELLO", "ASK_STATUS", "PAUSE", "RESET_STATE", "RESUME", "Ack", "Camera", "ClassName", "CommandError", "Detection", "Detections", "Engine", "Hello", "Level",
    "LimitReason", "Link", "Log", "Message", "Mode", "Port", "PortError", "Reader", "Result", "SetBudget", "SetMode", "SetReportRate", "Status", "StopReason",
    "open_port", "telegrams",
]  # fmt: skip
