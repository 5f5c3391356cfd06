"""Starts recslowfast with its page on a free port, and asks it things. Standard library only."""

import http.client
import json
import re
import struct
import subprocess
import threading


class Service:
    """`with Service(binary) as service:` a running recslowfast with a page."""

    def __init__(self, binary, *flags, source="pathfinder:easy?seed=7&size=64&fps=25", environment=None):
        self.command = [binary, "run", "--source", source, "--engine", "cpu", "--report", "json", "--page", "127.0.0.1:0", *flags]
        self.environment = environment

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        self.records, self.log, self.port = [], [], None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"page on http://127\.0\.0\.1:(\d+)/", line)
            if found:
                self.port = int(found[1])
                break
        assert self.port, "no page: " + "".join(self.log)
        self.readers = [threading.Thread(target=self._records, daemon=True), threading.Thread(target=self._log, daemon=True)]
        for reader in self.readers:
            reader.start()
        return self

    def _records(self):
        for line in self.process.stdout:
            self.records.append(json.loads(line))

    def _log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=5)

    def get(self, path, method="GET", headers={}):
        """Status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def live(self):
        """What the page draws: the JSON head, the class of every pixel, the picture as JPEG."""
        _, _, body = self.get("/live")
        (length,) = struct.unpack("<I", body[:4])
        head = json.loads(body[4 : 4 + length])
        size = head["width"] * head["height"]
        planes = body[4 + length :]
        return head, planes[:size], planes[size:]

    def next_event(self, stream):
        """The next server-sent event of an answer to /events: its name and its JSON."""
        name = "message"
        for line in stream:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        raise EOFError("the stream of events has ended")

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def descriptors(self):
        import os

        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def thread_seconds(self, name):
        """CPU seconds of the threads called `name`."""
        import os

        total = 0.0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/stat") as file:
                text = file.read()
            if text[text.index("(") + 1 : text.rindex(")")] == name:
                fields = text[text.rindex(")") + 2 :].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total
