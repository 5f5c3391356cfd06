"""ffmpeg as the judge: films and pictures of many kinds are made, and read by ffmpeg and by this program. Frame counts must be the same,
and the luma of every frame too: to 1 level where a decoder is exact, to 3 for JPEG.

usage: judge.py RECSLOWFAST_LUMA FOLDER
"""

import pathlib
import shutil
import struct
import subprocess
import sys

SIZE = "97x61"
FRAMES = 6
SOURCES = ["testsrc", "testsrc2", "mandelbrot", "smptebars", "rgbtestsrc", "yuvtestsrc", "cellauto", "life"]
PASSTHROUGH = ["-vsync", "passthrough"]


def run(*command, data=None, ok=True):
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, timeout=120)
    if ok and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace')[-600:]}")
    return done


def make(path, source, *options, frames=FRAMES, size=SIZE):
    run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"{source}=size={size}:rate=10", "-frames:v", frames, *options, path)


def ours(luma, uri, data=None):
    """Frames as (width, height, bytes), whether it went well, and what was said."""
    done = run(luma, uri, data=data, ok=False)
    frames, rest = [], done.stdout
    while rest:
        line, rest = rest.split(b"\n", 1)
        width, height = map(int, line.split())
        frames.append((width, height, rest[: width * height]))
        rest = rest[width * height :]
    return frames, done.returncode == 0, done.stderr.decode(errors="replace")


def theirs(path, *options):
    probe = run("ffmpeg", "-v", "error", *options, "-i", path, "-map", "0:v:0", *PASSTHROUGH, "-sws_dither", "none", "-pix_fmt", "gray", "-f", "rawvideo", "-", ok=False)
    return probe.stdout


def compare(name, frames, raw, most, count=None):
    assert frames, f"{name}: no frame"
    width, height, _ = frames[0]
    size = width * height
    expected = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert len(frames) == (len(expected) if count is None else count), f"{name}: {len(frames)} frames, ffmpeg reads {len(expected)}"
    worst = 0
    for number, ((w, h, got), wanted) in enumerate(zip(frames, expected)):
        assert (w, h) == (width, height) and len(wanted) == size, f"{name}: frame {number} has another size"
        worst = max(worst, max(abs(a - b) for a, b in zip(got, wanted)))
    assert worst <= most, f"{name}: luma differs by {worst} levels, {most} are allowed"
    return worst


def films(folder):
    """Name, film, levels that luma may differ by."""
    for source in SOURCES:
        for pixels in ["yuvj420p", "yuvj422p", "yuvj444p"]:
            path = folder / f"{source}-{pixels}.avi"
            make(path, source, "-c:v", "mjpeg", "-q:v", 3, "-huffman", "optimal", "-pix_fmt", pixels)
            yield path, 3
    for number, (pixels, strict) in enumerate(
        [("yuv420p", 0), ("yuv422p", 0), ("yuv444p", 0), ("yuv411p", 0), ("gray", 0), ("yuv420p10", 1), ("yuv422p10", 1), ("yuv444p12", 1), ("gray10", 1), ("gray16", 1)]
    ):
        path = folder / f"{pixels}.y4m"
        # With more than 8 bits ffmpeg 5 writes rows of an odd width that it cannot read itself.
        make(path, SOURCES[number % len(SOURCES)], "-pix_fmt", pixels, *(["-strict", "-1"] if strict else []), size="98x62" if strict else SIZE)
        yield path, 1
    path = folder / "interlaced.y4m"
    make(path, "testsrc2", "-vf", "interlace", "-flags", "+ildct", "-pix_fmt", "yuv420p")
    yield path, 1
    for name, options in [
        ("mjpeg.mkv", ["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]),
        ("mjpeg.mov", ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]),
        ("mjpeg.mjpeg", ["-c:v", "mjpeg", "-pix_fmt", "yuvj444p"]),
        ("mpeg4.avi", ["-c:v", "mpeg4"]),
        ("huffyuv.avi", ["-c:v", "huffyuv", "-pix_fmt", "yuv422p"]),
        ("ffv1.mkv", ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]),
        ("raw.avi", ["-c:v", "rawvideo", "-pix_fmt", "yuv420p"]),
        ("mpeg2.ts", ["-c:v", "mpeg2video", "-flags", "+ildct+ilme"]),
        ("x264.mp4", ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]),
        ("x264.mkv", ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"]),
        ("vp8.webm", ["-c:v", "libvpx", "-deadline", "realtime"]),
    ]:
        path = folder / name
        make(path, "testsrc2", *options, size="98x62")
        yield path, 3 if "mjpeg" in name else 1
    upright, turned = folder / "x264.mp4", folder / "turned.mp4"
    run("ffmpeg", "-v", "error", "-y", "-i", upright, "-c", "copy", "-metadata:s:v", "rotate=90", turned)
    yield turned, 1


def pictures(folder):
    for ending, options in [
        ("jpg", ["-pix_fmt", "yuvj420p", "-q:v", 3]),
        ("png", ["-pix_fmt", "gray"]),
        ("pgm", ["-pix_fmt", "gray"]),
        ("bmp", ["-pix_fmt", "gray"]),
        ("tiff", ["-pix_fmt", "gray"]),
    ]:
        path = folder / f"sequence-{ending}"
        path.mkdir()
        make(path / f"%02d.{ending}", "testsrc", *options)
        yield path, path / f"%02d.{ending}", 3 if ending == "jpg" else 1


def grab(avi):
    """The chunks of pictures in an AVI."""
    data, at, out = avi.read_bytes(), 0, []
    at = data.index(b"movi") + 4
    while data[at : at + 4] == b"00dc":
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return data, out


def fields(folder):
    """An AVI of pictures whose two fields are a JPEG each, made of films of the fields."""
    # Without colour: woven pictures are RGB, and the luma of colours that RGB cannot hold is another.
    for name, half in [("upper", "top"), ("lower", "bottom")]:
        options = ["-vf", f"hue=s=0,field=type={half}", "-c:v", "mjpeg", "-q:v", 2, "-pix_fmt", "yuvj422p"]
        make(folder / f"{name}.avi", "testsrc2", *options, size="96x64")
    data, upper = grab(folder / "upper.avi")
    lower = grab(folder / "lower.avi")[1]
    head = bytearray(data[: data.index(b"movi") + 4])
    for at in (head.index(b"avih") + 8 + 36, head.index(b"strf") + 8 + 8):
        head[at : at + 4] = struct.pack("<I", 64)
    body = b""
    for one, two in zip(upper, lower):
        chunk = one + two
        body += b"00dc" + struct.pack("<I", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
    head[-8:-4] = struct.pack("<I", 4 + len(body))
    head[4:8] = struct.pack("<I", len(head) - 8 + len(body))
    woven = folder / "fields.avi"
    woven.write_bytes(bytes(head) + body)
    # ffmpeg 5 puts the first field into the lower lines, whatever the picture says: its own reading of the fields is woven here.
    lines = [[raw[at : at + 96] for at in range(0, len(raw), 96)] for raw in (theirs(folder / "upper.avi"), theirs(folder / "lower.avi"))]
    return woven, b"".join(line for pair in zip(*lines) for line in pair)


def main():
    luma, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count, worst = 0, {1: 0, 3: 0}
    for path, most in films(folder):
        frames, well, said = ours(luma, path)
        assert well, f"{path.name}: {said}"
        worst[most] = max(worst[most], compare(path.name, frames, theirs(path), most))
        count += 1
    for path, pattern, most in pictures(folder):
        frames, well, said = ours(luma, path)
        assert well, f"{path.name}: {said}"
        worst[most] = max(worst[most], compare(path.name, frames, theirs(pattern), most))
        count += 1
    # Through a pipe: what was written into one, and read from one.
    for name, options in [("pipe.avi", ["-c:v", "mjpeg", "-f", "avi"]), ("pipe.y4m", ["-pix_fmt", "yuv422p", "-f", "yuv4mpegpipe"]), ("pipe.mkv", ["-c:v", "ffv1", "-f", "matroska"])]:
        done = run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=size={SIZE}:rate=10", "-frames:v", FRAMES, *options, "pipe:1")
        (folder / name).write_bytes(done.stdout)
        frames, well, said = ours(luma, "-", data=done.stdout)
        assert well, f"{name}: {said}"
        compare(name, frames, theirs(folder / name), 3)
        count += 1
    woven, both = fields(folder)
    frames, well, said = ours(luma, woven)
    assert well and frames[0][:2] == (96, 64), f"fields: {frames and frames[0][:2]} {said}"
    compare("fields.avi", frames, both, 3)
    count += 1
    # Cut films: the whole frames before the cut, and a word.
    for name in ["testsrc-yuvj420p.avi", "yuv420p.y4m", "x264.mkv", "mpeg4.avi"]:
        whole = (folder / name).read_bytes()
        cut = folder / f"cut-{name}"
        cut.write_bytes(whole[: len(whole) * 3 // 5])
        frames, well, said = ours(luma, cut)
        assert said.strip(), f"{cut.name}: cut, and nothing was said"
        assert 0 < len(frames) < FRAMES, f"{cut.name}: {len(frames)} frames"
        size = frames[0][0] * frames[0][1]
        compare(cut.name, frames, theirs(cut)[: size * len(frames)], 3, count=len(frames))
        count += 1
    print(f"{count} films and pictures: the same frames as ffmpeg; luma to {worst[1]} level where the decoder is exact, to {worst[3]} for JPEG")


main()
