"""What clients cost the network: cost.py BINARY [SECONDS]. 20 that look ten times a second and 5 that never read, against none.

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

binary, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 4.0


def look(port, until):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    while not until.is_set():
        connection.request("GET", "/live")
        connection.getresponse().read()
        until.wait(0.1)
    connection.close()


processors = sorted(os.sched_getaffinity(0))
with Service(binary, "--halt", "fixed:3", "--threads", "1") as service:
    for task in os.listdir(f"/proc/{service.process.pid}/task"):
        os.sched_setaffinity(int(task), processors[:1])
    os.sched_setaffinity(0, processors[1:] or processors)
    while len(service.records) < 20:
        time.sleep(0.1)
    quiet, busy, spent = [], [], 0.0
    for _ in range(4):
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
                for client in clients:
                    client.start()
                time.sleep(0.5)
            first, before = len(service.records), service.thread_seconds("page")
            time.sleep(seconds)
            taken = [sum(record["stages_ms"].values()) for record in service.records[first:]]
            if crowded:
                busy += taken
                spent += service.thread_seconds("page") - before
            else:
                quiet += taken
            until.set()
            for client in clients:
                client.join()
            for client in stuck:
                client.close()
    calm, crowd = statistics.median(quiet), statistics.median(busy)
    share = spent / (4 * seconds)
    print(f"median frame {calm:.3f} ms without clients, {crowd:.3f} ms with 25 ({100 * (crowd / calm - 1):+.2f} %); the page's thread used {100 * share:.2f} % of a core")
# A median moves with what else this machine does; the page's own share does not.
assert share <= 0.02, share
