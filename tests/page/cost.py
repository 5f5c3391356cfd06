"""What clients cost the network: cost.py BINARY [ROUNDS [SOURCE]]. 20 that look ten times a second, 5 that watch the stream and 5 that never read, against none.

The program has one processor to itself, page and network together; the clients, which elsewhere are other machines, have the others.
"""

import http.client
import os
import socket
import statistics
import sys
import threading
import time

from service import Service

binary, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12
source = sys.argv[3] if len(sys.argv) > 3 else "pathfinder:easy?seed=7&size=64&fps=50"
# Short windows in turn: what a machine has to give drifts within seconds.
SECONDS = 1.0


def look(port, until):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    while not until.is_set():
        connection.request("GET", "/live")
        connection.getresponse().read()
        until.wait(0.1)
    connection.close()


def watch(port, until):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    while not until.is_set():
        answer.read1(65536)
    connection.close()


processors = sorted(os.sched_getaffinity(0))
with Service(binary, "--halt", "fixed:3", "--threads", "1", source=source) as service:
    for task in os.listdir(f"/proc/{service.process.pid}/task"):
        os.sched_setaffinity(int(task), processors[:1])
    os.sched_setaffinity(0, processors[1:] or processors)
    while len(service.records) < 20:
        time.sleep(0.1)
    frames, slower, spent = 0, [], 0.0
    for _ in range(rounds):
        median = {}
        for crowded in (False, True):
            until, stuck, clients = threading.Event(), [], []
            if crowded:
                for _ in range(5):
                    client = socket.socket()
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    client.connect(("127.0.0.1", service.port))
                    client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
                    stuck.append(client)
                clients = [threading.Thread(target=look, args=(service.port, until)) for _ in range(20)]
                clients += [threading.Thread(target=watch, args=(service.port, until)) for _ in range(5)]
                for client in clients:
                    client.start()
                time.sleep(0.5)
            first, before = len(service.records), service.thread_seconds("page")
            time.sleep(SECONDS)
            taken = [sum(record["stages_ms"].values()) for record in service.records[first:]]
            frames += len(taken)
            median[crowded] = statistics.median(taken)
            if crowded:
                spent += service.thread_seconds("page") - before
            until.set()
            for client in clients:
                client.join()
            for client in stuck:
                client.close()
        slower.append(100 * (median[True] / median[False] - 1))
    share = spent / (rounds * SECONDS)
    least, most = min(slower), max(slower)
    print(
        f"{frames} frames in {rounds} rounds: with 30 clients the median frame takes {statistics.median(slower):+.2f} % longer"
        f" ({least:+.1f} to {most:+.1f}); the page's thread used {100 * share:.2f} % of a core"
    )
# A median moves with what else this machine does; the page's own share does not.
assert len(sys.argv) > 3 or share <= 0.02, share
