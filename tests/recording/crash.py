"""Recordings whose program is killed at random moments, and whose disk is full at a random byte.

    python3 tests/recording/crash.py BINARY [--kills 200] [--disks 50] [--seed 1]

Each time the recording opens in PyPI's `mcap` and in `recslowfast` itself; at most one second of answered frames is missing; nothing
that earlier starts left has changed; the exit code is the documented one.
"""

import argparse
import hashlib
import json
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

from mcap.reader import NonSeekingReader, make_reader

SOURCE = "pathfinder:easy?size=64&fps=20&seed="


def frames_in(path, findings):
    """Sequence numbers and capture times in a file, by both of the library's readers."""
    streamed = None
    for reader in (NonSeekingReader, make_reader):
        with open(path, "rb") as file:
            messages = reader(file).iter_messages(topics=["/camera/frame"])
            try:
                frames = [json.loads(message.data) for _, _, message in messages]
            except Exception as error:  # whatever the library raises is a finding
                findings.append(f"{path.name}: {reader.__name__}: {error!r}")
                continue
        if streamed is not None and frames != streamed:
            findings.append(f"{path.name}: {len(streamed)} frames streamed, {len(frames)} by the index")
        streamed = frames
    return streamed or []


def opens_here(binary, path, frames, findings):
    """Copies the recording with our own reader; every frame must come through. One that no frame has reached yet is named as such (code 4)."""
    copy = path.with_name("copy.mcap")
    copy.unlink(missing_ok=True)
    done = subprocess.run([binary, "record", str(path), str(copy)], capture_output=True, text=True)
    got = len(frames_in(copy, findings)) if copy.exists() else 0
    if done.returncode != (0 if frames else 4) or got != len(frames):
        findings.append(f"{path.name}: our reader gives {got} of {len(frames)} frames, code {done.returncode}: {done.stderr[-200:]}")
    copy.unlink(missing_ok=True)


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("seen*.mcap")}


def started(binary, folder, seed, **more):
    """One start under the same name as all others; its output goes to a file, so that a kill loses none of it."""
    answers = open(folder / "answers.jsonl", "wb")
    command = [binary, "run", "--engine", "cpu", "--source", SOURCE + str(seed), "--report", "json", "--record", str(folder / "seen.mcap")]
    return subprocess.Popen(command, stdout=answers, stderr=subprocess.PIPE, **more)


def answered(folder):
    lines = (folder / "answers.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def judge(binary, folder, before, findings, what):
    """What a start left: its frames, after everything about them was checked."""
    after = hashes(folder)
    changed = [name for name in before if after.get(name) != before[name]]
    if changed:
        findings.append(f"{what}: earlier recordings changed: {changed}")
    new = [folder / name for name in after if name not in before]
    if len(new) != 1:
        findings.append(f"{what}: {len(new)} new files")
        return [], None
    frames = frames_in(new[0], findings)
    opens_here(binary, new[0], frames, findings)
    return frames, new[0]


def kills(binary, folder, count, random_, findings):
    worst, lost = 0.0, 0
    for number in range(count):
        before = hashes(folder)
        run = started(binary, folder, number)
        until = time.time() + 60
        while not (folder / "answers.jsonl").stat().st_size and time.time() < until:
            time.sleep(0.01)
        time.sleep(random_.uniform(0, 2.5))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        answers = answered(folder)
        frames, _ = judge(binary, folder, before, findings, f"kill {number}")
        # From the last recorded frame, or the first answered one where there is none, to the last answered one.
        last = frames[-1]["captured_ns"] / 1e9 if frames else answers[0]["captured_s"]
        missing = answers[-1]["captured_s"] - last
        lost += sum(answer["captured_s"] > last + 1e-9 for answer in answers)
        worst = max(worst, missing)
        if missing > 1.0:
            findings.append(f"kill {number}: {missing:.2f} s of answered frames are missing")
        numbers = {frame["sequence"] for frame in frames}
        holes = [answer["sequence"] for answer in answers if answer["captured_s"] <= last and answer["sequence"] not in numbers]
        if holes and frames:
            findings.append(f"kill {number}: answered frames are missing in the middle: {holes}")
        trim(folder)
    print(f"{count} runs killed with SIGKILL: {worst:.2f} s of answered frames missing at worst, {lost} frames in all")


def disks(binary, folder, count, random_, findings):
    sizes = []
    for number in range(count):
        before = hashes(folder)
        most = random_.randrange(3_000, 400_000)

        def full():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        # Answers go through a pipe: they are not to meet the limit first.
        command = [binary, "run", "--engine", "cpu", "--source", "pathfinder:easy?size=64&seed=" + str(number), "--frames", "400"]
        command += ["--report", "json", "--record", str(folder / "seen.mcap")]
        done = subprocess.run(command, capture_output=True, preexec_fn=full, restore_signals=False)
        said = done.stderr.decode(errors="replace")
        if done.returncode != 7 or "the disk is full" not in said:
            findings.append(f"disk of {most} bytes: code {done.returncode}: {said[-300:]}")
        if len(done.stdout.splitlines()) != 400:
            findings.append(f"disk of {most} bytes: {len(done.stdout.splitlines())} of 400 frames were answered")
        frames, path = judge(binary, folder, before, findings, f"disk of {most} bytes")
        if path:
            sizes.append((path.stat().st_size / most, len(frames)))
        trim(folder)
    share = min((share for share, _ in sizes), default=0)
    print(f"{count} disks full at a random byte: the recording holds {100 * share:.0f} % of what fitted at least, {sum(n for _, n in sizes)} frames in all")


def trim(folder):
    """Keeps three earlier recordings: whether they change is seen on those, and the folder stays small."""
    for path in sorted(folder.glob("seen*.mcap"), key=lambda path: path.stat().st_mtime)[:-3]:
        path.unlink()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--disks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    random_ = random.Random(args.seed)
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        kills(args.binary, pathlib.Path(folder), args.kills, random_, findings)
    with tempfile.TemporaryDirectory() as folder:
        disks(args.binary, pathlib.Path(folder), args.disks, random_, findings)
    for finding in findings:
        print("FINDING:", finding)
    raise SystemExit(1 if findings else 0)


if __name__ == "__main__":
    main()
