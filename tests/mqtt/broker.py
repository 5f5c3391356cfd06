"""The MQTT sink beside a real mosquitto: what it tells, that Home Assistant can read it, and that broker and program may die.

    broker.py BINARY        MQTT_RESTARTS=20 kills and restarts of the broker (that many by default)
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho

import discovery

BINARY = Path(sys.argv[1]).resolve()
RESTARTS = int(os.environ.get("MQTT_RESTARTS", "20"))
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
STREAM = "pathfinder:easy?seed=7&size=64&fps=25"
TOPIC = "house/door"
USER, PASSWORD = "board", "correct horse"
folder = Path(tempfile.mkdtemp(prefix="mqtt"))
started = []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Broker:
    """mosquitto with a password, plain on one port and with TLS and client certificates on another."""

    def __init__(self):
        self.port, self.tls_port, self.process = free_port(), free_port(), None
        for command in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem",
            "req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=board",
            "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile v3 -out client.pem",
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=another",
        ]:
            (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            (folder / "v3").write_text("basicConstraints=CA:FALSE\n")
            subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
        subprocess.run(["mosquitto_passwd", "-b", "-c", "passwords", USER, PASSWORD], cwd=folder, check=True, capture_output=True)
        (folder / "mosquitto.conf").write_text(
            f"per_listener_settings false\nallow_anonymous false\npassword_file {folder}/passwords\nuser root\n"
            f"listener {self.port} 127.0.0.1\n"
            f"listener {self.tls_port} 127.0.0.1\ncafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\nrequire_certificate true\n"
        )

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", folder / "mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the broker listens", lambda: reachable(self.port) and reachable(self.tls_port))

    def kill(self):
        self.process.kill()
        self.process.wait()


def reachable(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(what, holds, seconds=15.0):
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"mqtt: not within {seconds:.0f} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - began


class Listener:
    """Hears everything that the broker is told."""

    def __init__(self, port):
        self.heard, self.lock, self.up = [], threading.Lock(), False
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(USER, PASSWORD)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_subscribe = lambda *_: setattr(self, "up", True)
        self.client.on_message = self.hear
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until("the listener is subscribed", lambda: self.up)

    def hear(self, _client, _data, message):
        with self.lock:
            self.heard.append((message.topic, message.payload, bool(message.retain)))

    def of(self, topic):
        with self.lock:
            return [payload for name, payload, _ in self.heard if name == topic]

    def last(self, last):
        payloads = self.of(f"{TOPIC}/{last}")
        return payloads[-1] if payloads else None

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def configuration(name, report, extra=""):
    path = folder / name
    path.write_text(f'[source]\nuri = "{STREAM}"\n[engine]\nkind = "cpu"\n[report]\nto = "{report}"\n[mqtt]\nuser = "{USER}"\npassword = "{PASSWORD}"\n'
                    f'interval = "500ms"\nsnapshot = "1s"\n{extra}')
    return path


def board(config, **more):
    environment = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "RUST_LOG", "JOURNAL_STREAM")}
    started.append(subprocess.Popen([BINARY, "run", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, **more))
    return started[-1]


def what_is_told(broker, listener):
    process = board(configuration("plain.toml", f"mqtt:127.0.0.1:{broker.port}/{TOPIC}"))
    until("the board is online", lambda: listener.last("availability") == b"online")
    until("a state, a detection and a picture", lambda: listener.last("state") and listener.last("detections") and listener.last("snapshot"))
    # The first state may come before the first frame.
    until("a state with steps and counts", lambda: (lambda state: state["steps"] is not None and "contour" in (state["occupancy"] or {}))(json.loads(listener.last("state"))))
    state = json.loads(listener.last("state"))
    assert state["camera"] == "streaming" and state["steps"] >= 0 and state["fps"] > 0, state
    record = json.loads(listener.last("detections"))
    assert {"sequence", "detections", "wall"} <= record.keys(), record
    picture = listener.last("snapshot")
    assert picture[:3] == b"\xff\xd8\xff" and picture[-2:] == b"\xff\xd9", "the snapshot is no JPEG"
    with listener.lock:
        announced = [(topic, payload) for topic, payload, _ in listener.heard if topic.startswith("homeassistant/")]
    wrong = [words for topic, payload in announced for words in discovery.problems(topic, payload)]
    assert not wrong, "\n".join(wrong)
    entities = [json.loads(payload) for _, payload in announced]
    assert len({entity["unique_id"] for entity in entities}) == len({topic for topic, _ in announced})
    names = {topic.split("/")[1] + " " + topic.split("/")[3] for topic, _ in announced}
    assert {"binary_sensor class_contour", "sensor steps", "sensor camera", "camera snapshot"} <= names, names
    # Every template names a key that the state has, and every topic is one that is published.
    for entity in entities:
        for topic in (entity.get("state_topic"), entity.get("topic"), entity["availability_topic"]):
            assert topic is None or listener.of(topic), f"nothing is published on {topic}"
        template = entity.get("value_template", "{{ value_json.camera }}")
        keys = {part.split(" ")[0].split("[")[0].split(".")[0] for part in template.split("value_json.")[1:]}
        assert keys <= state.keys(), (template, state)
    print(f"mqtt: {len(set(announced))} entities valid by Home Assistant's documented keys: {', '.join(sorted(names))}")
    return process


def restarts(broker, listener, process):
    worst = 0.0
    for number in range(RESTARTS):
        broker.kill()
        time.sleep(0.3)
        with listener.lock:
            listener.heard.clear()
        listener.up = False
        broker.start()
        # Without what it had kept: all of it is told anew.
        worst = max(worst, until(f"told anew after restart {number + 1}", lambda: listener.up and listener.last("availability") == b"online"
                                 and listener.last("state") and any(topic.startswith("homeassistant/") for topic, _, _ in listener.heard)))
        assert process.poll() is None
    print(f"mqtt: {RESTARTS} of {RESTARTS} restarts of the broker survived; all told anew after {worst:.1f} s at most")


def last_will(listener, process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    took = until("the last will", lambda: listener.last("availability") == b"offline")
    print(f"mqtt: last will seen {took:.2f} s after SIGKILL")


def leaves_in_order(broker, listener):
    process = board(configuration("again.toml", f"mqtt:127.0.0.1:{broker.port}/{TOPIC}"))
    until("the board is online again", lambda: listener.last("availability") == b"online")
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    until("the farewell", lambda: listener.last("availability") == b"offline")
    print(f"mqtt: offline and ended {time.monotonic() - began:.2f} s after SIGTERM")


def over_tls(broker, listener):
    files = f'ca = "{folder}/ca.pem"\ncert = "{folder}/client.pem"\nkey = "{folder}/client.key"\n'
    process = board(configuration("tls.toml", f"mqtts:localhost:{broker.tls_port}/{TOPIC}", files))
    until("the board is online over TLS", lambda: listener.last("availability") == b"online")
    process.terminate()
    assert process.wait(10) == 0
    for name, changed, words in [
        ("stranger.toml", files.replace("ca.pem", "other.pem"), "UnknownIssuer"),
        ("nobody.toml", f'ca = "{folder}/ca.pem"\n', "mqtt localhost"),
        ("intruder.toml", files, "refuses this user"),
    ]:
        config = configuration(name, f"mqtts:localhost:{broker.tls_port}/{TOPIC}", changed)
        if name == "intruder.toml":
            config.write_text(config.read_text().replace(PASSWORD, "wrong"))
        process = board(config)
        said = ""
        watch = threading.Timer(15, process.kill)
        watch.start()
        for line in process.stderr:
            said += line
            if words in line and "trying again" in line:
                break
        watch.cancel()
        process.kill()
        process.wait()
        assert words in said and PASSWORD not in said, said
    assert "the broker refuses this user or password" in said, said
    print("mqtt: TLS with a client certificate; another authority, a missing certificate and a wrong password are named and tried again")


def never_on_the_command_line(broker):
    arguments = [BINARY, "run", "--source", STREAM, "--report", f"mqtt:127.0.0.1:{broker.port}", "--mqtt-user", USER, "--mqtt-password", PASSWORD]
    refused = subprocess.run(arguments, capture_output=True, text=True)
    assert refused.returncode == 2 and "can be read by everybody" in refused.stderr, refused
    # Without a camera nothing goes to a broker that nobody asked for.
    if not list(Path("/dev").glob("video*")):
        refused = subprocess.run([BINARY, "run", "--engine", "cpu", "--report", f"mqtt:127.0.0.1:{broker.port}"], capture_output=True, text=True)
        assert refused.returncode == 4 and "generated scene" in refused.stderr, refused


def cost(broker):
    """Frames of the built-in stream with and without the sink, in turn; the time from capture to answer."""
    def run(more):
        environment = os.environ | {"RECSLOWFAST_MQTT_PASSWORD": PASSWORD}
        out = subprocess.run([BINARY, "run", "--source", STREAM, "--engine", "cpu", "--frames", "90", "--report", "json", *more],
                             capture_output=True, text=True, env=environment, check=True).stdout
        return [sum(json.loads(line)["stages_ms"].values()) for line in out.splitlines()][10:]
    sink = ["--report", f"mqtt:127.0.0.1:{broker.port}/cost", "--mqtt-user", USER, "--mqtt-interval", "1s", "--mqtt-snapshot", "1s"]
    times = {"without": [], "with": []}
    for _ in range(2):
        times["without"] += run([])
        times["with"] += run(sink)
    p = lambda values, share: sorted(values)[int(share * (len(values) - 1))]
    words = [f"{name} the sink median {p(values, 0.5):.2f}, p99 {p(values, 0.99):.2f} ms" for name, values in times.items()]
    print(f"mqtt: inference {'; '.join(words)} ({len(times['with'])} frames each, load {os.getloadavg()[0]:.1f})")


def main():
    discovery.self_test()
    broker = Broker()
    try:
        broker.start()
        listener = Listener(broker.port)
        process = what_is_told(broker, listener)
        restarts(broker, listener, process)
        last_will(listener, process)
        leaves_in_order(broker, listener)
        over_tls(broker, listener)
        never_on_the_command_line(broker)
        cost(broker)
        listener.close()
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
        if broker.process:
            broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


main()
