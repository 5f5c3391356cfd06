"""Frames and payloads as `firmware-bridge/WIRE.md` lays them out.

    for sequence, name, fields in telegrams(iter(lambda: port.read(1), b"")):
        print(sequence, name, fields)
"""

from __future__ import annotations

import itertools
import zlib
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

DETECTION = "class:h score:h track:w left:h top:h width:h height:h area:w"
KINDS = {
    0x01: ("hello", "software:t24 board:t32 network:t32 address:t48 width:h height:h classes:h"),
    0x02: ("status", "frame:w uptime_ms:w camera:b engine:b mode:b paused:f steps:b limit:b limited_by:b stopped:b skip:b age_us:w deadline_us:w "
           "power_mw:ow power_budget_mw:ow temperature_cc:oi capture_cfps:h inference_cfps:h dropped:w recent:l32b"),
    0x03: ("detections", "frame:w age_us:w found:h items:l8d"),
    0x04: ("log", "level:b uptime_ms:w text:t160"), 0x05: ("class_name", "class:h name:t24"), 0x06: ("ack", "sequence:h kind:b result:b"),
    0x41: ("set_budget", "deadline_us:ow percentile_pm:oh power_mw:ow temperature_cc:oi"),
    0x42: ("set_mode", "mode:b"), 0x43: ("pause", ""), 0x44: ("resume", ""), 0x45: ("reset_state", ""), 0x46: ("ask_status", ""),
    0x47: ("set_report_rate", "status_period_ms:h detections_period_ms:h"), 0x48: ("ask_hello", ""),
}  # b byte, f flag, h u16, w u32, i i16, oX optional, tN text and lNX list of at most N, d detection


def bounded(value: int, end: int) -> int:
    if value >= end:
        raise ValueError
    return value


def take(data: Iterator[int], shape: str) -> Any:
    """One value of this shape off the front of the iterator; StopIteration or ValueError when it is malformed."""
    kind, rest = shape[0], shape[1:]
    if kind in "bf":
        return bounded(next(data), 256 if kind == "b" else 2)
    if kind == "o":
        return take(data, rest) if take(data, "f") else None
    if kind == "d":
        return record(data, DETECTION)
    if kind in "tl":
        count = bounded(take(data, "w"), int(rest.rstrip("bd")) + 1)
        if kind == "l":
            return [take(data, rest[-1]) for _ in range(count)]
        return bytes([next(data) for _ in range(count)]).decode()
    value = 0
    for shift in itertools.count(0, 7):
        byte = next(data)
        value |= (byte & 127) << bounded(shift, 35 if kind == "w" else 21)
        if byte < 128:
            bounded(value, 1 << (32 if kind == "w" else 16))
            return (value >> 1) ^ -(value & 1) if kind == "i" else value


def record(data: Iterator[int], shapes: str) -> Dict[str, Any]:
    return {field: take(data, shape) for field, shape in (one.split(":") for one in shapes.split())}


Telegram = Tuple[int, str, Dict[str, Any]]


class Reader:
    """Finds telegrams in a stream that comes in pieces.

    `counters` counts what is skipped: "damaged" (by the line), "version" (another major), "unknown" (kind) and "malformed". Ranges are not checked.
    """

    def __init__(self, counters: Optional[Dict[str, int]] = None):
        self.counters = {} if counters is None else counters
        self.counters.update(damaged=0, version=0, unknown=0, malformed=0)
        self._waiting = b""

    def feed(self, chunk: bytes) -> Iterator[Telegram]:
        """Yields (sequence, name, fields) of every intact, known telegram that ends in `chunk`."""
        *frames, self._waiting = (self._waiting + chunk).split(b"\0")
        for frame in filter(None, frames):
            packet = b""
            while frame:
                packet += frame[1 : frame[0]] + (b"\0" if frame[0] < 255 else b"")
                frame = frame[frame[0] :]
            packet, crc = packet[:-5], packet[-5:-1]  # a last zero that stuffing put behind the end goes too
            if not 4 <= len(packet) <= 244 or zlib.crc32(packet) != int.from_bytes(crc, "little"):
                self.counters["damaged"] += 1
            elif packet[0] >> 4 != 1:
                self.counters["version"] += 1
            elif packet[1] not in KINDS:
                self.counters["unknown"] += 1
            else:
                name, shapes = KINDS[packet[1]]
                try:
                    fields = record(iter(packet[4:]), shapes)
                except (StopIteration, ValueError):
                    self.counters["malformed"] += 1
                    continue
                yield packet[2] | packet[3] << 8, name, fields


def telegrams(chunks: Iterable[bytes], counters: Optional[Dict[str, int]] = None) -> Iterator[Telegram]:
    """Yields (sequence, name, fields) of every intact, known telegram in a stream; see `Reader`."""
    reader = Reader(counters)
    for chunk in chunks:
        yield from reader.feed(chunk)


def put(value: Any, shape: str) -> bytes:
    """One value of this shape as bytes."""
    kind, rest = shape[0], shape[1:]
    if kind in "bf":
        return bytes([value])
    if kind == "o":
        return b"\0" if value is None else b"\1" + put(value, rest)
    if kind == "i":
        value = (value << 1) ^ (value >> 15)
    out: List[int] = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode(kind: int, sequence: int, fields: Dict[str, Any]) -> bytes:
    """A frame of a command, with the delimiter behind it."""
    payload = b"".join(put(fields[field], shape) for field, shape in (one.split(":") for one in KINDS[kind][1].split()))
    packet = bytes([0x10, kind, sequence & 255, sequence >> 8 & 255]) + payload
    packet += zlib.crc32(packet).to_bytes(4, "little")
    # Packets are shorter than 254 bytes: no run needs to be cut.
    return b"".join(bytes([len(part) + 1]) + part for part in packet.split(b"\0")) + b"\0"
