"""JPEG pictures of a film, every tenth of them damaged: half cut short, half with a marker where none belongs.

usage: mjpeg.py VIDEO FOLDER
"""

import pathlib
import subprocess
import sys


def main():
    video, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    pattern = str(folder / "%04d.jpg")
    scale = ["-frames:v", "100", "-vf", "scale=640:480", "-q:v", "4", "-pix_fmt", "yuvj422p"]
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-loglevel", "error", "-i", video, *scale, pattern], check=True)
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        data = bytearray(path.read_bytes())
        if number % 20 == 9:
            data = data[: len(data) * 2 // 3]
        elif number % 20 == 19:
            # A second start of image in the middle of the data: what a lost USB packet followed by the next frame looks like.
            middle = len(data) // 2
            data[middle : middle + 2] = b"\xff\xd8"
        path.write_bytes(data)


main()
