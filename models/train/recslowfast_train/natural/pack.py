"""Packs the data sets `sight` (stills and clips with boxes) and CamVid (pictures with class masks) into one archive of small pictures.

    python -m recslowfast_train.natural.pack --data ../../shared/data --out runs/natural.zip

The archive holds WebP pictures, PNG masks and `index.json`:
`stills`: file, split, source, width, height, boxes [[x, y, w, h, class, score, kind]], complete, crowd;
`clips`: name, width, height, frames [[file, boxes]]; `camvid`: file, mask, split. Boxes are in pixels of the packed picture.
"""

import argparse
import io
import json
import pathlib
import zipfile

import cv2
from PIL import Image

CLASSES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]

def shrunk(picture: Image.Image, side: int) -> tuple[Image.Image, float]:
    """The picture with its long side at most `side` pixels, and the factor."""
    factor = min(1.0, side / max(picture.size))
    size = [max(1, round(n * factor)) for n in picture.size]
    return picture.convert("RGB").resize(size, Image.Resampling.BOX if factor < 1 else None, reducing_gap=3.0), factor


def encoded(picture: Image.Image, kind: str, quality: int = 60) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": quality, "method": 6} if kind == "WEBP" else {"optimize": True}))
    return out.getvalue()


def scaled(boxes: list, factor: float) -> list:
    return [[round(n * factor, 1) for n in box[:4]] + [CLASSES.index(box[4])] + list(box[5:7]) for box in boxes if box[4] in CLASSES]


def pack_stills(root: pathlib.Path, archive: zipfile.ZipFile, side: int, quality: int, splits: list[str]) -> list[dict]:
    found = []
    for line in (root / "stills.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["split"] not in splits:
            continue
        picture, factor = shrunk(Image.open(root / "stills" / entry["file"]), side)
        name = f"stills/{pathlib.Path(entry['file']).stem}.webp"
        archive.writestr(name, encoded(picture, "WEBP", quality))
        crowd = [[round(n * factor, 1) for n in box[:4]] + [CLASSES.index(box[4])] for box in entry.get("crowd", [])]
        found.append({
            "file": name, "split": entry["split"], "source": entry["source"], "width": picture.width, "height": picture.height,
            "boxes": scaled(entry["boxes"], factor), "complete": [CLASSES.index(c) for c in entry["complete"] if c in CLASSES], "crowd": crowd,
        })
    return found


def pack_clips(root: pathlib.Path, archive: zipfile.ZipFile, side: int, quality: int, every: int) -> list[dict]:
    found = []
    for path in sorted((root / "clips").glob("*.mp4")):
        labels = [json.loads(line)["boxes"] for line in path.with_suffix(".jsonl").read_text().splitlines()]
        film, frames, size = cv2.VideoCapture(str(path)), [], (0, 0)
        for number, boxes in enumerate(labels):
            read, pixels = film.read()
            if not read:
                break
            if number % every:
                continue
            picture, factor = shrunk(Image.fromarray(pixels[:, :, ::-1].copy()), side)
            size = picture.size
            name = f"clips/{path.stem}/{number:05}.webp"
            archive.writestr(name, encoded(picture, "WEBP", quality))
            frames.append([name, scaled(boxes, factor)])
        found.append({"name": path.stem, "width": size[0], "height": size[1], "frames": frames})
    return found


def pack_camvid(root: pathlib.Path, archive: zipfile.ZipFile, quality: int, splits: list[str]) -> list[dict]:
    found = []
    for split in splits:
        for path in sorted((root / split).iterdir()):
            name, mask = f"camvid/{split}/{path.stem}.webp", f"camvid/{split}/{path.stem}.png"
            archive.writestr(name, encoded(Image.open(path).convert("RGB"), "WEBP", quality))
            archive.writestr(mask, encoded(Image.open(root / f"{split}annot" / f"{path.stem}.png"), "PNG"))
            found.append({"file": name, "mask": mask, "split": split})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder that holds `sight` and `camvid`")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--side", type=int, default=352, help="long side of packed stills, pixels")
    parser.add_argument("--quality", type=int, default=60)
    parser.add_argument("--every", type=int, default=2, help="of a clip, one frame in so many is packed: neighbours are nearly the same picture")
    parser.add_argument("--train-only", action="store_true", help="without the validation splits")
    args = parser.parse_args()
    splits = ["train"] if args.train_only else ["train", "val"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(args.out, "w", zipfile.ZIP_STORED) as archive:
        index = {
            "classes": CLASSES,
            "camvid": pack_camvid(args.data / "camvid", archive, args.quality + 15, splits),
            "clips": pack_clips(args.data / "sight", archive, 320, args.quality - 10, args.every),
            "stills": pack_stills(args.data / "sight", archive, args.side, args.quality, splits),
        }
        archive.writestr("index.json", json.dumps(index), zipfile.ZIP_DEFLATED)
    print(f"{args.out}: {args.out.stat().st_size / 2**20:.1f} MiB, {len(index['stills'])} stills, {sum(len(c['frames']) for c in index['clips'])} clip frames")


if __name__ == "__main__":
    main()
