"""Byte streams to a board: serial devices and sockets. POSIX only."""

from __future__ import annotations

import os
import select
import socket
import termios
from typing import Optional, Tuple


class PortError(Exception):
    """A port that cannot be opened, with the reason."""


class Port:
    """Something to read from and write to. `read` answers b"" when nothing came in time, and raises EOFError when the other end is gone."""

    def read(self, seconds: float) -> bytes:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Device(Port):
    """A serial device, or any other terminal such as a pty; raw, 8N1."""

    def __init__(self, path: str, baud: int):
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise PortError(f"{baud} is no baud rate of this system; try 115200")
        try:
            self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise PortError(f"{path}: {error.strerror}") from error
        try:
            _, _, control, _, _, _, letters = termios.tcgetattr(self.descriptor)
            control = control & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB) | termios.CS8 | termios.CREAD | termios.CLOCAL
            termios.tcsetattr(self.descriptor, termios.TCSANOW, [0, 0, control, 0, speed, speed, letters])
        except termios.error as error:
            os.close(self.descriptor)
            raise PortError(f"{path} is no serial port: {error.args[-1]}") from error

    def read(self, seconds: float) -> bytes:
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.descriptor, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise EOFError(error.strerror) from error
        if not data:
            raise EOFError("the device is gone")
        return data

    def write(self, data: bytes) -> None:
        while data:
            select.select([], [self.descriptor], [], 1.0)
            try:
                data = data[os.write(self.descriptor, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise EOFError(error.strerror) from error

    def close(self) -> None:
        os.close(self.descriptor)


class Stream(Port):
    """A TCP connection."""

    def __init__(self, connection: socket.socket):
        self.connection = connection

    def read(self, seconds: float) -> bytes:
        self.connection.settimeout(max(seconds, 1e-3))
        try:
            data = self.connection.recv(4096)
        except socket.timeout:
            return b""
        except OSError as error:
            raise EOFError(error.strerror) from error
        if not data:
            raise EOFError("the other end has closed the connection")
        return data

    def write(self, data: bytes) -> None:
        self.connection.settimeout(1.0)
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise EOFError(error.strerror or "the other end takes nothing") from error

    def close(self) -> None:
        self.connection.close()


class Datagrams(Port):
    """UDP. Writes go to the address that the last datagram came from."""

    def __init__(self, port: int):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", port))
        self.peer: Optional[Tuple[str, int]] = None

    def read(self, seconds: float) -> bytes:
        self.socket.settimeout(max(seconds, 1e-3))
        try:
            data, self.peer = self.socket.recvfrom(4096)
        except socket.timeout:
            return b""
        return data

    def write(self, data: bytes) -> None:
        if self.peer is not None:
            self.socket.sendto(data, self.peer)

    def close(self) -> None:
        self.socket.close()


def open_port(name: str) -> Port:
    """Opens `/dev/NAME[@BAUD]`, `tcp:HOST:PORT`, `tcp-listen:PORT` or `udp-listen:PORT`; raises PortError with a sentence."""
    kind, _, rest = name.partition(":")
    try:
        if kind == "tcp":
            host, _, port = rest.rpartition(":")
            return Stream(socket.create_connection((host.strip("[]"), int(port)), timeout=5))
        if kind == "tcp-listen":
            with socket.create_server(("", int(rest))) as server:
                return Stream(server.accept()[0])
        if kind == "udp-listen":
            return Datagrams(int(rest))
        path, _, baud = name.partition("@")
        return Device(path, int(baud or 115200))
    except ValueError as error:
        raise PortError(f"'{name}' is no port; write /dev/NAME@BAUD, tcp:HOST:PORT, tcp-listen:PORT or udp-listen:PORT") from error
    except OSError as error:
        raise PortError(f"{name}: {error.strerror or error}") from error
