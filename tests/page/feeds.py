"""/snapshot.jpg, /stream and /events: feeds.py BINARY [SECONDS]. ffmpeg reads the stream; a lost camera and a slow reader are survived."""

import http.client
import socket
import subprocess
import sys
import time

from service import Service

binary, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10


def of(service, path):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse()


with Service(binary) as service:
    while not service.records:
        time.sleep(0.05)
    # Nobody looked before: no picture was made, and the first request waits for one.
    status, headers, picture = service.get("/snapshot.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and picture[:2] == b"\xff\xd8" and picture[-2:] == b"\xff\xd9"

    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-use_wallclock_as_timestamps", "1", "-f", "mpjpeg", "-t", str(seconds), "-i", f"http://127.0.0.1:{service.port}/stream", "-f", "framemd5", "-"],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    # Each picture on the clock of its own.
    pictures = [line.split(",")[-1] for line in decoded.stdout.splitlines() if line and not line.startswith("#")]
    assert not decoded.stderr and len(pictures) >= 20 and len(set(pictures)) > len(pictures) // 2, (len(pictures), decoded.stderr)
    print(f"ffmpeg read {len(pictures)} pictures of /stream, {len(set(pictures))} of them different")

    events = of(service, "/events")
    name, camera = service.next_event(events)
    assert (name, camera) == ("camera", {"camera": "streaming"}), (name, camera)
    sequences = [service.next_event(events)[1]["sequence"] for _ in range(25)]
    assert sequences == sorted(set(sequences)), sequences
    print(f"events {sequences[0]} to {sequences[-1]}")

    # Readers that do not read cost the others nothing, and are gone after a while.
    stuck = []
    for path in ("/stream", "/events") * 5:
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", service.port))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        stuck.append(reader)
    began = time.monotonic()
    assert service.get("/healthz")[0] == 200 and time.monotonic() - began < 1.0
    stream = of(service, "/stream")
    read = len(stream.read(20_000))
    assert read == 20_000
    for reader in stuck:
        reader.close()
    time.sleep(1.5)
    last = service.records[-1]["sequence"]
    assert last > sequences[-1]
    print("10 stuck readers beside it: the stream goes on")

# A film ends, and so does the stream.
with Service(binary, "--frames", "40") as service:
    events = of(service, "/events")
    told = 0
    try:
        while True:
            told += service.next_event(events)[0] == "message"
    except (EOFError, http.client.HTTPException, ConnectionError):
        pass
    assert told >= 20, told
    service.process.wait(timeout=5)
    print(f"the run ended after {told} events that were told")
