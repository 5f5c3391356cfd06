"""A page in headless Chromium that stays open and can be clicked, by the DevTools protocol over a pair of pipes. Standard library only."""

import base64
import json
import os
import subprocess
import tempfile


class Browser:
    """`with Browser(address) as page:` the page, open."""

    def __init__(self, address, size=(1280, 800)):
        self.address, self.size, self.number = address, size, 0

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self.to = os.pipe()
        self.answers, events = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={self.place.name}", f"--window-size={self.size[0]},{self.size[1]}"]

        def numbered():
            # The protocol's pipes are descriptors 3 (commands) and 4 (answers): out of the way first, should they lie on each other's number.
            ends = os.dup(commands), os.dup(events)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = ["chromium", *flags, "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=numbered)
        os.close(commands)
        os.close(events)
        self.rest, self.session = b"", None
        target = self.ask("Target.createTarget", url=self.address)["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_):
        os.close(self.to)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(timeout=5)
        os.close(self.answers)
        self.place.cleanup()

    def ask(self, method, **parameters):
        """The answer to one command; events are passed over."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters, **({"sessionId": self.session} if self.session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data) :]
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.answers, 1 << 16)
                assert part, "the browser has ended"
                self.rest += part
            one, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(one)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression):
        """Of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, element):
        """In the middle of the element with this id, as a mouse does."""
        box = self.value(f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.getElementById('{element}').getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def shot(self, path):
        """The screen as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
