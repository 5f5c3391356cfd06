"""Requests that mean harm, and clients that take nothing: hostile.py BINARY. The page answers everybody else as before."""

import socket
import sys
import time

from service import Service


def raw(port, data, wait=1.0):
    """Sends bytes and returns the first line that comes back ('' when the connection is closed without a word)."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.settimeout(wait)
        try:
            client.sendall(data)
            return client.recv(4096).split(b"\r\n")[0].decode("latin1")
        except (TimeoutError, ConnectionError):
            return ""


def healthy(service):
    began = time.monotonic()
    status, _, _ = service.get("/healthz")
    took = time.monotonic() - began
    assert status == 200 and took < 1.0, (status, took)
    return took


with Service(sys.argv[1]) as service:
    port = service.port
    while not service.records:
        time.sleep(0.1)
    time.sleep(1)
    before_rss, before_fds = service.rss_kib(), service.descriptors()
    cases = {
        "a method that is not served": (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
        "a body": (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n", "413"),
        "chunks": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "413"),
        "a long target": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", "431"),
        "a long header": (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "431"),
        "many headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", "431"),
        "traversal": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        "encoded traversal": (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        "another site's name": (b"GET /live HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403"),
        "TLS": (bytes.fromhex("16030100a5010000a10303") + bytes(200), "400"),
        "zeros": (bytes(5000), "400"),
        "a version to come": (b"GET / HTTP/9.9\r\n\r\n", "505"),
    }
    for name, (data, wanted) in cases.items():
        line = raw(port, data)
        # A refusal may be cut off by the reset that follows unread bytes; what may not come is an answer.
        assert wanted in line or (line == "" and len(data) > 4096), (name, line)
        healthy(service)
    print(f"{len(cases)} hostile requests refused")

    half_open = []
    worst = 0.0
    for at in range(1000):
        client = socket.create_connection(("127.0.0.1", port), timeout=5)
        client.sendall(b"GET /live HTTP/1.1\r\nHost: local")
        half_open.append(client)
        if at % 100 == 99:
            worst = max(worst, healthy(service))
    fds = service.descriptors()
    assert fds <= before_fds + 70, (before_fds, fds)
    print(f"1000 half-open connections: healthz within {worst * 1000:.0f} ms, {fds - before_fds} descriptors more")
    for client in half_open:
        client.close()

    # Clients that ask and never read, and one that trickles its request.
    stuck = []
    for _ in range(30):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        stuck.append(client)
    trickle = socket.create_connection(("127.0.0.1", port), timeout=5)
    began = time.monotonic()
    try:
        for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20:
            trickle.sendall(bytes([byte]))
            time.sleep(0.1)
        trickle.settimeout(3)
        assert trickle.recv(1) == b""
    except ConnectionError:
        pass
    lived = time.monotonic() - began
    assert lived < 6, lived
    time.sleep(3)
    healthy(service)
    fds = service.descriptors()
    assert fds <= before_fds + 5, (before_fds, fds)
    print(f"30 clients that never read and one that trickles: all dropped, the last after {lived:.1f} s")
    frames = len(service.records)
    time.sleep(1)
    assert len(service.records) > frames, "the pipeline stands"
    grown = service.rss_kib() - before_rss
    assert grown < 8192, grown
    print(f"memory grew by {grown} KiB")
assert service.process.returncode == 0, service.process.returncode
