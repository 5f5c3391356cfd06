"""Known pictures in every pixel format, and an independent opinion on what they show.

usage: formats.py make FOLDER VIDEO      writes one picture in every format, and the list for scenarios/formats.sh
       formats.py check FOLDER           compares the tensors with ffmpeg's conversion, and with plain arithmetic for raw mosaics

A tensor may differ from the reference by one grey level (of 255) at any pixel.
"""

import array
import pathlib
import subprocess
import sys

# Our name, FourCC, ffmpeg's name (none: made here from RGB), bytes per pixel of the first plane.
FORMATS = [
    ("yuyv", "YUYV", "yuyv422", 2),
    ("uyvy", "UYVY", "uyvy422", 2),
    ("nv12", "NV12", "nv12", 1),
    ("nv21", "NV21", "nv21", 1),
    ("i420", "YU12", "yuv420p", 1),
    ("grey", "GREY", "gray", 1),
    ("y10", "Y10 ", "gray10le", 2),
    ("y16", "Y16 ", "gray16le", 2),
    ("rgb24", "RGB3", "rgb24", 3),
    ("bgr24", "BGR3", "bgr24", 3),
    ("mjpeg", "MJPG", None, 0),
] + [
    (f"bayer-{order}{depth}", code, None, 1 if depth == 8 else 2)
    for depth, codes in ((8, "RGGB BA81 GRBG GBRG"), (10, "RG10 BG10 BA10 GB10"), (12, "RG12 BG12 BA12 GB12"))
    for order, code in zip(("rggb", "bggr", "grbg", "gbrg"), codes.split())
]
# Width, height, bytes added to a row by request, driver.
ODD = (322, 241)
SIZES = [(640, 480, 0, "vivid"), (640, 480, 64, "vivid"), (*ODD, 0, "loopback")]
# What the drivers of this kernel do not carry.
LOOPBACK = {"yuyv", "uyvy", "nv12", "grey", "rgb24", "bgr24", "mjpeg", "i420"}
PADDED = {"yuyv", "uyvy", "grey", "rgb24", "bgr24", "y16", "bayer-rggb8"}


def ffmpeg(*arguments, data=None):
    command = ["ffmpeg", "-nostdin" if data is None else "-y", "-loglevel", "error", *arguments, "pipe:1"]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def raw(pixels, size, data, *arguments):
    shape = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{size[0]}x{size[1]}", "-i", "pipe:0"]
    return ffmpeg(*shape, *arguments, data=data)


def mosaic(name, size, rgb):
    """Samples of a colour filter array, 8, 10 or 12 bits deep."""
    order, depth = name[6:10], int(name[10:])
    width, height = size
    channel = {"r": 0, "g": 1, "b": 2}
    samples = (rgb[3 * (y * width + x) + channel[order[y % 2 * 2 + x % 2]]] for y in range(height) for x in range(width))
    if depth == 8:
        return bytes(samples)
    return array.array("H", (sample << (depth - 8) for sample in samples)).tobytes()


def groups(name, size, data):
    """Luma of each 2x2 group: red, the mean of the greens, blue, by BT.601."""
    order, depth = name[6:10], int(name[10:])
    width, height = size
    samples = data if depth == 8 else array.array("H", data)
    at = [order.index("r"), order.index("g"), order.rindex("g"), order.index("b")]
    luma = []
    for y in range(0, height - 1, 2):
        for x in range(0, width - 1, 2):
            cell = [samples[y * width + x], samples[y * width + x + 1], samples[(y + 1) * width + x], samples[(y + 1) * width + x + 1]]
            red, green1, green2, blue = (cell[i] / (1 << (depth - 8)) for i in at)
            luma.append(0.299 * red + 0.587 * (green1 + green2) / 2 + 0.114 * blue)
    return luma, width // 2, height // 2


def spans(length, outputs):
    """For each output, the inputs it covers and their shares (area), or the two nearest (enlarging)."""
    scale = length / outputs
    for index in range(outputs):
        if scale >= 1:
            start, end = index * scale, (index + 1) * scale
            inside = range(int(start), min(length, int(end) + (end > int(end))))
            shares = [(i, min(end, i + 1) - max(start, i)) for i in inside]
            yield [(i, share / scale) for i, share in shares if share > 1e-9]
        else:
            centre = min(max((index + 0.5) * scale - 0.5, 0), length - 1)
            low = int(centre)
            yield [(low, 1 - (centre - low))] + ([(low + 1, centre - low)] if low + 1 < length else [])


def resize(luma, width, height, out_width, out_height):
    if (width, height) == (out_width, out_height):
        return list(luma)
    rows = []
    across = list(spans(width, out_width))
    for y in range(height):
        row = luma[y * width : (y + 1) * width]
        rows.append([sum(row[i] * share for i, share in parts) for parts in across])
    return [sum(rows[i][x] * share for i, share in parts) for parts in spans(height, out_height) for x in range(out_width)]


def make(folder, video):
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for width, height, more, driver in SIZES:
        size = (width, height)
        rgb = ffmpeg("-ss", "20", "-i", video, "-frames:v", "1", "-vf", f"scale={width}:{height}", "-pix_fmt", "rgb24", "-f", "rawvideo")
        for name, code, pixels, sample in FORMATS:
            if (driver == "loopback") != (name == "mjpeg" or size == ODD) and not (driver == "loopback" and name in LOOPBACK):
                continue
            if (driver == "loopback" and name not in LOOPBACK) or (driver == "vivid" and name == "mjpeg") or (more and name not in PADDED):
                continue
            if pixels:
                data = raw("rgb24", size, rgb, "-pix_fmt", pixels, "-f", "rawvideo")
            elif name == "mjpeg":
                data = raw("rgb24", size, rgb, "-pix_fmt", "yuvj422p", "-q:v", "3", "-f", "mjpeg")
            else:
                data = mosaic(name, size, rgb)
            label = f"{name}-{width}x{height}" + (f"-{more}" if more else "")
            (folder / f"{label}.raw").write_bytes(data)
            lines.append(f"{label} {code.replace(' ', '_')} {width} {height} {width * sample + more if more else 0} {driver}\n")
    (folder / "list").write_text("".join(lines))
    print(f"formats: {len(lines)} pictures")


def check(folder):
    by_name = {name: (pixels, sample) for name, _, pixels, sample in FORMATS}
    worst, failed = [], []
    for line in (folder / "list").read_text().splitlines():
        label, _, width, height, _, driver = line.split()
        size = (int(width), int(height))
        name = label[: label.rindex(f"-{width}x")]
        pixels, _ = by_name[name]
        data = (folder / f"{label}.raw").read_bytes()
        if pixels:
            luma = raw(pixels, size, data, "-pix_fmt", "gray", "-f", "rawvideo")
        elif name == "mjpeg":
            luma = ffmpeg("-f", "mjpeg", "-i", "pipe:0", "-pix_fmt", "gray", "-f", "rawvideo", data=data)
        reference, shape = (luma, size) if not name.startswith("bayer") else (None, None)
        if reference is None:
            reference, *shape = groups(name, size, data)
        for kind, target in (("same", size), ("small", (150, 150))):
            path = folder / f"{label}.{kind}"
            if not path.exists():
                failed.append(f"{label} ({driver}): no tensor")
                continue
            tensor = array.array("f", path.read_bytes())
            expected = resize(reference, *shape, *target)
            error = max(abs(255 * got - want) for got, want in zip(tensor, expected, strict=True))
            worst.append((error, f"{label} {kind}"))
            if error > 1.001:
                failed.append(f"{label} {kind} ({driver}): off by {error:.2f} grey levels")
    for line in failed:
        print(line)
    print(f"formats: {len(worst)} tensors, the worst off by {max(worst)[0]:.2f} grey levels ({max(worst)[1]})")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]), sys.argv[3])
    else:
        check(pathlib.Path(sys.argv[2]))
