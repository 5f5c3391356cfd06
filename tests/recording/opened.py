"""A recording of 20 frames with boxes, opened by others' readers: PyPI's `mcap` and `mcap-protobuf-support`.

    python3 tests/recording/opened.py BINARY

Pictures, annotations, outcomes and times decode; the file's checksums, chunks and index agree with what is in it. A recording that was
killed is read to its last flush by the same readers.
"""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import zlib

from mcap.reader import NonSeekingReader, make_reader
from mcap.records import Channel, Chunk, ChunkIndex, DataEnd, Footer, MessageIndex, Schema
from mcap.stream_reader import StreamReader, get_chunk_data_stream, breakup_chunk
from mcap_protobuf.decoder import DecoderFactory

FRAMES = 20
TOPICS = {
    "/camera/image": "foxglove.RawImage",
    "/recslowfast/annotations": "foxglove.ImageAnnotations",
    "/camera/frame": "recslowfast.Frame",
    "/recslowfast/outcome": "recslowfast.Outcome",
}


def record(binary, path):
    """Records frames and returns the answers that were printed."""
    before = time.time()
    command = [binary, "run", "--engine", "cpu", "--source", "pathfinder:easy?seed=7&fps=20", "--frames", str(FRAMES)]
    done = subprocess.run(command + ["--report", "json", "--record", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], (before, time.time())


def structure(path):
    """What an `mcap doctor` looks at: every chunk's checksum, every index entry, the summary's and the data's checksums."""
    data = path.read_bytes()
    records = list(StreamReader(open(path, "rb"), emit_chunks=True, validate_crcs=True).records)
    chunks = [record for record in records if isinstance(record, Chunk)]
    indexes = [record for record in records if isinstance(record, ChunkIndex)]
    footer = next(record for record in records if isinstance(record, Footer))
    end = next(record for record in records if isinstance(record, DataEnd))
    assert chunks and len(chunks) == len(indexes), (len(chunks), len(indexes))
    for chunk, index in zip(chunks, indexes):
        assert chunk.compression == index.compression and chunk.compression in ("zstd", "")
        _, size = get_chunk_data_stream(chunk, validate_crc=True)
        assert chunk.uncompressed_crc and chunk.uncompressed_size == index.uncompressed_size == size
        assert (chunk.message_start_time, chunk.message_end_time) == (index.message_start_time, index.message_end_time)
        assert data[index.chunk_start_offset] == 0x06
        times = [record.log_time for record in breakup_chunk(chunk, validate_crc=True) if hasattr(record, "log_time")]
        if times:
            assert (min(times), max(times)) == (index.message_start_time, index.message_end_time)
    assert footer.summary_start > 0
    summary = data[footer.summary_start : len(data) - 8 - 4]
    assert zlib.crc32(summary) == footer.summary_crc, "the summary's checksum"
    data_end = footer.summary_start - (1 + 8 + 4)
    assert data[data_end] == 0x0F and zlib.crc32(data[:data_end]) == end.data_section_crc, "the data's checksum"
    assert any(isinstance(record, MessageIndex) for record in records)


def whole(binary, folder):
    path = folder / "seen.mcap"
    answers, (before, after) = record(binary, path)
    assert len(answers) == FRAMES and any(answer["detections"] for answer in answers), "nothing was seen in 20 frames"
    structure(path)
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        schemas = {channel.topic: summary.schemas[channel.schema_id].name for channel in summary.channels.values()}
        assert schemas == TOPICS, schemas
        counts = {summary.channels[at].topic: count for at, count in summary.statistics.channel_message_counts.items()}
        assert counts["/camera/image"] == counts["/camera/frame"] >= FRAMES, counts
        assert counts["/recslowfast/outcome"] == counts["/recslowfast/annotations"] == FRAMES, counts
        pictures, drawn, said = {}, {}, {}
        for schema, channel, message, decoded in reader.iter_decoded_messages(topics=["/camera/image", "/recslowfast/annotations"]):
            assert before - 1 < message.log_time / 1e9 < after + 1, "log times are of the wall clock"
            (pictures if channel.topic == "/camera/image" else drawn)[message.sequence] = (message.log_time, decoded)
        for schema, channel, message in reader.iter_messages(topics=["/recslowfast/outcome", "/camera/frame"]):
            said.setdefault(message.sequence, {})[channel.topic] = (message.log_time, json.loads(message.data))
    for answer in answers:
        at = answer["sequence"]
        log_time, picture = pictures[at]
        assert picture.encoding == "mono8" and len(picture.data) >= picture.step * (picture.height - 1) + picture.width, picture.encoding
        assert picture.timestamp.seconds * 10**9 + picture.timestamp.nanos == log_time
        annotated_time, annotations = drawn[at]
        assert annotated_time == log_time
        # One box and one name a detection; outlines of the mask beside them.
        boxes = [points for points in annotations.points if points.thickness == 2]
        assert len(boxes) == len(annotations.texts) == len(answer["detections"])
        for box, detection in zip(boxes, answer["detections"]):
            x, y, width, height = detection["box"]
            assert box.type == 2 and len(box.points) == 4
            assert abs(box.points[0].x - x) < 1e-3 and abs(box.points[2].y - (y + height)) < 1e-3
            assert box.timestamp.seconds * 10**9 + box.timestamp.nanos == log_time
        if answer["detections"]:
            outlines = [points for points in annotations.points if points.thickness == 1]
            assert outlines and all(len(outline.points) >= 4 for outline in outlines), "a mask without an outline"
        outcome_time, outcome = said[at]["/recslowfast/outcome"]
        assert outcome_time == log_time and outcome["steps"] == answer["steps"] and outcome["wall"] == answer["wall"]
        frame_time, frame = said[at]["/camera/frame"]
        assert frame_time == log_time == frame["wall_ns"] and abs(frame["captured_ns"] / 1e9 - answer["captured_s"]) < 1e-6
        assert frame["run"]["fate"] == "answered"
    print(f"{FRAMES} frames, {sum(len(answer['detections']) for answer in answers)} boxes: pictures, annotations, times, checksums, index")


def killed(binary, folder):
    path = folder / "killed.mcap"
    command = [binary, "run", "--engine", "cpu", "--source", "pathfinder:easy?seed=7&fps=20", "--report", "json", "--record", str(path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for _ in range(40):
        running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.communicate()
    for reader in (NonSeekingReader(open(path, "rb")), make_reader(open(path, "rb"))):
        frames = sum(1 for _ in reader.iter_messages(topics=["/camera/image"]))
        assert 18 <= frames, f"{frames} of 40 frames are left of a killed recording"
    print(f"killed after 40 frames: {frames} are read")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        whole(sys.argv[1], pathlib.Path(folder))
        killed(sys.argv[1], pathlib.Path(folder))
