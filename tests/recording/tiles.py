"""The topic /recslowfast/tiles, opened by PyPI's `mcap` and `mcap-protobuf-support`.

    python3 tests/recording/tiles.py BINARY

A film in which one box walks over ground that stands still is recorded with `--tiles auto`: what is marked as moved in a frame covers the places
where the box is and was, and nothing far from them, at the time of that frame's picture. Without tiles the topic is absent.
"""

import pathlib
import subprocess
import sys
import tempfile

from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

TOPIC = "/recslowfast/tiles"
FRAMES, WIDTH, HEIGHT, TILE = 24, 320, 240, 8
BOX, STEP, TOP = (24, 48), 6, 96
ORANGE = (1.00, 0.59, 0.16)


def left(number):
    """Of the box in this frame, in pixels."""
    return 40 + STEP * number


def film(path):
    """A Y4M film of one bright box over a ground of grey steps."""
    ground = bytes(70 + 6 * ((x // 16 + y // 16) % 8) for y in range(HEIGHT) for x in range(WIDTH))
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(FRAMES):
            luma = bytearray(ground)
            for row in range(TOP, TOP + BOX[1]):
                # Stripes: so that all of the box changes from frame to frame, not only its edges.
                stripes = bytes(210 + 40 * ((x // 3) % 2) for x in range(BOX[0]))
                luma[row * WIDTH + left(number) : row * WIDTH + left(number) + BOX[0]] = stripes
            file.write(b"FRAME\n" + luma + bytes([128]) * (WIDTH * HEIGHT // 2))


def record(binary, source, path, tiles):
    command = [binary, "run", "--engine", "cpu", "--threads", "1", "--model", "street", "--source", str(source), "--tiles", tiles]
    done = subprocess.run([*command, "--report", "json", "--record", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def messages(path, topics):
    """Log times and decoded messages by topic and sequence number, and all topics of the file."""
    found = {topic: {} for topic in topics}
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        every = {channel.topic for channel in reader.get_summary().channels.values()}
        for _, channel, message, decoded in reader.iter_decoded_messages(topics=topics):
            found[channel.topic][message.sequence] = message.log_time, decoded
    return found, every


def squares(annotations, log_time):
    """Left, top, right, bottom of all that is marked as moved."""
    marked = []
    for line in annotations.points:
        assert line.timestamp.seconds * 10**9 + line.timestamp.nanos == log_time, "an outline has the time of its picture"
        assert line.type == 2 and len(line.points) == 4, "a closed line of four corners"
        if all(abs(is_ - wanted) < 1e-6 for is_, wanted in zip((line.outline_color.r, line.outline_color.g, line.outline_color.b), ORANGE)):
            marked.append((line.points[0].x, line.points[0].y, line.points[2].x, line.points[2].y))
    return marked


def with_tiles(binary, folder, source):
    path = folder / "tiles.mcap"
    record(binary, source, path, "auto")
    found, every = messages(path, ["/camera/image", TOPIC])
    pictures, tiles = found["/camera/image"], found[TOPIC]
    assert TOPIC in every and tiles.keys() == pictures.keys(), (sorted(tiles), sorted(pictures))
    judged = 0
    for number in sorted(tiles):
        log_time, annotations = tiles[number]
        assert log_time == pictures[number][0], f"frame {number}: the tiles have another time than the picture"
        marked = squares(annotations, log_time)
        if marked == [(0, 0, WIDTH, HEIGHT)]:
            continue  # a frame that was run densely, as the first ones are
        judged += 1
        # Where the box is or was in the frame before; a tile is marked as a whole.
        first, last = (left(number - 1)) // TILE * TILE, -(-(left(number) + BOX[0]) // TILE) * TILE
        top, bottom = TOP // TILE * TILE, -(-(TOP + BOX[1]) // TILE) * TILE
        for one in marked:
            inside = one[0] >= first and one[2] <= last and one[1] >= top and one[3] <= bottom
            assert inside, f"frame {number}: {one} is marked, the box moved within {(first, top, last, bottom)}"
        covered = {(x, y) for a, b, c, d in marked for x in range(int(a), int(c), TILE) for y in range(int(b), int(d), TILE)}
        wanted = {(x // TILE * TILE, y // TILE * TILE) for x in range(left(number - 1), left(number)) for y in range(TOP, TOP + BOX[1])}
        wanted |= {(x // TILE * TILE, y // TILE * TILE) for x in range(left(number) + BOX[0] - STEP, left(number) + BOX[0]) for y in range(TOP, TOP + BOX[1])}
        assert wanted <= covered, f"frame {number}: {sorted(wanted - covered)} moved and are not marked"
    assert judged >= FRAMES // 2, f"only {judged} of {FRAMES} frames were run by tiles"
    print(f"{TOPIC}: {judged} frames by tiles, marked where the box moved and nowhere else, at the times of their pictures")


def without_tiles(binary, folder, source):
    path = folder / "dense.mcap"
    record(binary, source, path, "off")
    found, every = messages(path, ["/camera/image", TOPIC])
    assert len(found["/camera/image"]) == FRAMES and TOPIC not in every, every
    print(f"{TOPIC} is absent without tiles")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        film(place / "box.y4m")
        with_tiles(sys.argv[1], place, place / "box.y4m")
        without_tiles(sys.argv[1], place, place / "box.y4m")
