"""A link to a board: messages in, commands out."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Deque, Dict, Iterator, Optional, Type

from .messages import ASK_HELLO, Ack, ClassName, Command, Message, Result, message
from .ports import Port, open_port
from .wire import Reader, encode

REPEAT_S = 0.25
"""A command without an answer is sent again after so long."""
TRIES = 8


class CommandError(Exception):
    """A command that was not carried out, with the board's answer if there was one."""

    def __init__(self, words: str, ack: Optional[Ack] = None):
        super().__init__(words)
        self.ack = ack


class Link:
    """Iterating gives messages until the other end is gone (EOFError). What arrives while a command waits for its answer is not lost.

    `counters` counts what was not delivered: "damaged", "version", "unknown", "malformed".
    """

    def __init__(self, port: Port):
        self.counters: Dict[str, int] = {}
        self._port = port
        self._reader = Reader(self.counters)
        self._heard: Deque[Message] = deque()
        self._waiting: Deque[Message] = deque()
        self._classes: Dict[int, str] = {}
        self._sequence = 0
        self._opened = False

    @classmethod
    def open(cls, name: str) -> Link:
        """A link over `/dev/NAME[@BAUD]`, `tcp:HOST:PORT`, `tcp-listen:PORT` or `udp-listen:PORT`. Raises PortError."""
        return cls(open_port(name))

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        self._port.close()

    def class_name(self, number: int) -> str:
        """What a class is called, once the board has said so; its number before."""
        return self._classes.get(number, str(number))

    def __iter__(self) -> Iterator[Message]:
        while True:
            got = self.receive(None)
            if got is not None:
                yield got

    def receive(self, seconds: Optional[float]) -> Optional[Message]:
        """The next message; None if none came in time. Raises EOFError when the other end is gone."""
        return self._waiting.popleft() if self._waiting else self._next(seconds)

    def send(self, command: Command) -> Ack:
        """Sends a command, again and again until it is answered; raises CommandError if it was refused, or not answered within two seconds."""
        if not self._opened and command is not ASK_HELLO:
            self._opened = True
            self.send(ASK_HELLO)
        self._opened = True
        self._sequence = self._sequence % 65535 + 1
        frame = encode(command.kind, self._sequence, command.fields())
        for _ in range(TRIES):
            # The delimiter in front ends whatever the line picked up before.
            self._port.write(b"\0" + frame)
            until = time.monotonic() + REPEAT_S
            while (left := until - time.monotonic()) > 0:
                got = self._next(left)
                if isinstance(got, Ack) and got.sequence == self._sequence and got.kind == command.kind:
                    if got.result is not Result.DONE:
                        raise CommandError(f"the board answered {got.result.name}", got)
                    return got
                if got is not None:
                    self._waiting.append(got)
        raise CommandError("the board does not answer")

    def _next(self, seconds: Optional[float]) -> Optional[Message]:
        """The next message off the port, behind those that were set aside."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._heard:
            left = 1.0 if until is None else until - time.monotonic()
            if left <= 0:
                return None
            parsed = (message(name, fields) for _, name, fields in self._reader.feed(self._port.read(left)))
            self._heard.extend(one for one in parsed if one is not None)
        got = self._heard.popleft()
        if isinstance(got, ClassName):
            self._classes[got.class_] = got.name
        return got
