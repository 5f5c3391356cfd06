"""Slots of a batch, each a scene seen by a virtual camera: pictures, boxes and masks are sampled on the training device.

A slot shows one still, a mosaic of four stills (small objects) or a clip, through a camera that stands or moves smoothly, with exposure, colour and
noise of its own. It lives over many iterations, so that hidden states of hundreds of frames are trained; what changes, and when, is the training loop's business.
"""

import io
import json
import pathlib
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

BOXES = 80
"""Boxes kept of one picture."""
POSITIVE, IGNORED = 1, 2
SURE, UNSURE = 0.45, 0.15
"""A teacher's box is an object from SURE on, and says nothing between UNSURE and SURE."""
VOID = 255


def box_kind(box: list, complete: set) -> int:
    """Whether a box is an object, an area to leave out of the loss, or nothing."""
    class_index, score, source = box[4], box[5], box[6]
    if source in ("human", "both"):
        return POSITIVE
    if class_index in complete:
        return IGNORED if score >= UNSURE else 0
    return POSITIVE if score >= SURE else IGNORED if score >= UNSURE else 0


class Pictures:
    """All pictures of one task on the device: red, green, blue and mask packed into an int32 a pixel.

    pixels [N * side * side]; size [N,2] (width, height); boxes [N,BOXES,4] (x, y, w, h); classes, kinds [N,BOXES].
    """

    def __init__(self, path: pathlib.Path, task: str, split: str, device: torch.device):
        with zipfile.ZipFile(path) as archive:
            index = json.loads(archive.read("index.json"))
            entries, self.clips = [], []
            if task == "camvid":
                entries = [(e["file"], e["mask"], [], set(), []) for e in index["camvid"] if e["split"] == split]
            else:
                for e in index["stills"]:
                    if e["split"] == split:
                        entries.append((e["file"], None, e["boxes"], set(e["complete"]), e["crowd"]))
                for clip in index["clips"] if split == "train" else []:
                    self.clips.append((len(entries), len(clip["frames"])))
                    entries += [(file, None, boxes, set(), []) for file, boxes in clip["frames"]]
            self.stills = len(entries) - sum(count for _, count in self.clips)
            data = [(archive.read(file), archive.read(mask) if mask else None) for file, mask, *_ in entries]
        with ThreadPoolExecutor() as pool:
            decoded = list(pool.map(lambda pair: self.decode(*pair), data))
        self.side = max(max(picture.shape[:2]) for picture in decoded)
        count = len(decoded)
        packed = np.zeros((count, self.side, self.side, 4), np.uint8)
        packed[..., 3] = VOID
        size = np.zeros((count, 2), np.float32)
        boxes, classes = np.zeros((count, BOXES, 4), np.float32), np.zeros((count, BOXES), np.int64)
        kinds = np.zeros((count, BOXES), np.int64)
        for at, (picture, (_, _, labels, complete, crowd)) in enumerate(zip(decoded, entries)):
            height, width = picture.shape[:2]
            packed[at, :height, :width] = picture
            size[at] = width, height
            known = [(box[:4], box[4], box_kind(box, complete)) for box in labels] + [(box[:4], box[4], IGNORED) for box in crowd]
            # An unsure box as large as the picture must not blank out the loss.
            known = [k for k in known if k[2] == POSITIVE or (k[2] == IGNORED and k[0][2] * k[0][3] < 0.25 * width * height)]
            known.sort(key=lambda k: (k[2], -k[0][2] * k[0][3]))
            for slot, (place, class_index, kind) in enumerate(known[:BOXES]):
                boxes[at, slot], classes[at, slot], kinds[at, slot] = place, class_index, kind
        # Pictures with people or two-wheelers come more often: they are few.
        rare = ((kinds == POSITIVE) & np.isin(classes, (0, 1, 3)))[: self.stills].any(1)
        self.chance = (1 + 1.5 * rare) / (1 + 1.5 * rare).sum()
        self.pixels = torch.from_numpy(packed.view(np.int32).reshape(-1)).to(device)
        self.size, self.boxes = torch.from_numpy(size).to(device), torch.from_numpy(boxes).to(device)
        self.classes, self.kinds = torch.from_numpy(classes).to(device), torch.from_numpy(kinds).to(device)
        self.device, self.masks = device, task == "camvid"

    @staticmethod
    def decode(picture: bytes, mask: bytes | None) -> np.ndarray:
        colour = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        classes = np.asarray(Image.open(io.BytesIO(mask))) if mask else np.full(colour.shape[:2], VOID, np.uint8)
        return np.dstack([colour, classes])


class Slots:
    """`count` scenes. `advance(frames)` moves their cameras and returns what they see."""

    def __init__(self, pictures: Pictures, count: int, width: int, height: int, rng: np.random.Generator, native: float = 1.0):
        """A canvas `native` times narrower than that of the released network sees parts of the pictures at the released network's scale."""
        self.pictures, self.count, self.width, self.height, self.rng, self.native = pictures, count, width, height, rng, native
        n = count
        self.mosaic, self.clip, self.still = np.zeros(n, bool), np.full(n, -1), np.zeros(n, bool)
        self.ids, self.flip, self.cell = np.zeros((n, 4), int), np.zeros((n, 4), bool), np.ones((n, 4), np.float32)
        self.frame, self.pace = np.zeros(n), np.zeros(n)
        self.place, self.speed = np.zeros((n, 4), np.float32), np.zeros((n, 4), np.float32)
        self.light, self.noise = np.zeros((n, 5), np.float32), np.zeros(n, np.float32)
        self.change(range(n))

    def change(self, slots) -> None:
        """New scenes for these slots."""
        rng, pictures = self.rng, self.pictures
        for s in slots:
            kind = rng.random()
            self.clip[s], self.mosaic[s] = -1, False
            if pictures.clips and kind < 0.28:
                sizes = np.sqrt([count for _, count in pictures.clips])
                self.clip[s] = rng.choice(len(pictures.clips), p=sizes / sizes.sum())
                self.frame[s] = rng.integers(pictures.clips[self.clip[s]][1])
                self.pace[s] = rng.choice([-2, -1, -0.5, 0.5, 1, 1, 2])
            self.mosaic[s] = not pictures.masks and self.clip[s] < 0 and kind < 0.62
            self.ids[s] = rng.choice(pictures.stills, 4, p=pictures.chance)
            self.flip[s] = rng.random(4) < 0.5
            self.cell[s] = rng.uniform(0.6, 1.0, 4) if self.mosaic[s] else 1.0
            if self.clip[s] >= 0:
                self.flip[s] = self.flip[s, 0]
            zoom = rng.uniform(0.5, 1.0) if self.mosaic[s] else rng.uniform(0.75, 1.6) if rng.random() < 0.7 else 1.0
            if pictures.masks:
                zoom = rng.uniform(0.8, 1.7) if rng.random() < 0.7 else 1.0
            elif self.clip[s] >= 0 and rng.random() < 0.3:
                zoom = rng.uniform(0.5, 0.9)
            zoom *= self.native
            reach = np.array([self.width, self.height]) * (max(0.0, 2 - 1 / zoom) / 2 if self.mosaic[s] else max(0.1, 1 - 1 / zoom) / 2)
            self.place[s] = [*rng.uniform(-reach, reach), np.log(zoom), rng.normal(0, 0.02) if rng.random() < 0.5 else 0.0]
            self.still[s] = rng.random() < (0.8 if self.clip[s] >= 0 else 0.4)
            self.speed[s] = 0 if self.still[s] else rng.normal(0, 1, 4) * [2.5 / self.native, 1.2 / self.native, 0.008, 0.002]
            dark = rng.random() < 0.12
            gain = rng.uniform(0.2, 0.6) if dark else np.exp(rng.normal(0, 0.18))
            tint = rng.normal(0, 0.06, 3) if rng.random() < 0.6 else np.zeros(3)
            self.light[s] = [*(gain * np.exp(tint)), rng.normal(0, 8), rng.random() < 0.08]
            self.noise[s] = rng.choice([0.0, 2.0, 4.0, 8.0], p=[0.45, 0.3, 0.15, 0.1]) + (3 if dark else 0)

    def move(self) -> None:
        """Every camera and clip goes on by one frame."""
        rng = self.rng
        moving = ~self.still
        kick = rng.normal(0, 1, self.place.shape) * [0.6, 0.3, 0.002, 0.0006]
        self.speed[moving] = (0.97 * self.speed + kick)[moving]
        pull = np.zeros_like(self.place)
        bounds = np.where(self.mosaic, 0.5, max(0.25, 0.5 - 0.4 / self.native))[:, None] * [self.width, self.height]
        pull[:, :2] = -0.05 * np.sign(self.place[:, :2]) * np.maximum(0, np.abs(self.place[:, :2]) - bounds)
        low, high = np.where(self.mosaic, np.log(0.45), np.log(0.7)), np.where(self.mosaic, np.log(1.1), np.log(1.8))
        low, high = low + np.log(self.native), high + np.log(self.native)
        pull[:, 2] = 0.05 * (np.maximum(0, low - self.place[:, 2]) - np.maximum(0, self.place[:, 2] - high))
        pull[:, 3] = -0.05 * self.place[:, 3]
        self.place[moving] += (self.speed + pull)[moving]
        flicker = rng.random(self.count) < 0.01
        self.light[flicker, :3] *= np.exp(rng.normal(0, 0.12, (flicker.sum(), 1)))
        for s in np.flatnonzero(self.clip >= 0):
            last = self.pictures.clips[self.clip[s]][1] - 1
            self.frame[s] += self.pace[s]
            if not 0 <= self.frame[s] <= last:
                self.frame[s] = min(max(self.frame[s], 0), last)
                self.pace[s] = -self.pace[s]

    def snapshot(self) -> dict[str, np.ndarray]:
        ids = self.ids.copy()
        for s in np.flatnonzero(self.clip >= 0):
            ids[s] = self.pictures.clips[self.clip[s]][0] + int(self.frame[s])
        return {"ids": ids, "flip": self.flip, "cell": self.cell, "mosaic": self.mosaic, "place": self.place, "light": self.light, "noise": self.noise}

    def advance(self, frames: int):
        """frame [frames * count, 3, H, W] as 2 v / 255 - 1, time first; the targets of all frames (`Boxes`) or masks [frames * count, H, W] (uint8)."""
        seen = []
        for _ in range(frames):
            seen.append({key: value.copy() for key, value in self.snapshot().items()})
            self.move()
        view = {key: np.concatenate([part[key] for part in seen]) for key in seen[0]}
        return render(self.pictures, view, self.width, self.height, self.rng)


def geometry(pictures: Pictures, view: dict, width: int, height: int) -> dict[str, torch.Tensor]:
    """Where pictures lie on the canvas and how the camera looks at it. A single picture lies in cell 0, a mosaic in cells 0 to 3; canvas origin: its middle."""
    device = pictures.device
    to = lambda name, kind=torch.float32: torch.from_numpy(np.ascontiguousarray(view[name])).to(device=device, dtype=kind)  # noqa: E731
    ids, flip, cell, mosaic, place = to("ids", torch.int64), to("flip", torch.bool), to("cell"), to("mosaic", torch.bool), to("place")
    size = pictures.size[ids]
    scale = torch.minimum(width / size[..., 0], height / size[..., 1]) * cell
    column, row = torch.tensor([-0.5, 0.5, -0.5, 0.5], device=device), torch.tensor([-0.5, -0.5, 0.5, 0.5], device=device)
    centre = torch.stack([column * width, row * height], -1) * mosaic[:, None, None]
    return {"ids": ids, "flip": flip, "mosaic": mosaic, "size": size, "scale": scale, "centre": centre, "place": place, "zoom": place[:, 2].exp(), "roll": place[:, 3]}


def render(pictures: Pictures, view: dict, width: int, height: int, rng: np.random.Generator):
    g = geometry(pictures, view, width, height)
    device, side = pictures.device, pictures.side
    count = len(g["ids"])
    cos, sin = (g["roll"].cos() / g["zoom"])[:, None, None], (g["roll"].sin() / g["zoom"])[:, None, None]
    frame = torch.zeros(count, 3, height, width, device=device)
    rows = torch.arange(count, device=device)[:, None, None]

    def sample(shift_x: float, shift_y: float):
        """Canvas position of every pixel -> picture index and position in it."""
        u = torch.arange(width, device=device, dtype=torch.float32) + shift_x - width / 2
        v = torch.arange(height, device=device, dtype=torch.float32) + shift_y - height / 2
        x = cos * u - sin * v[:, None] + g["place"][:, 0, None, None]
        y = sin * u + cos * v[:, None] + g["place"][:, 1, None, None]
        quarter = ((x >= 0).long() + 2 * (y >= 0).long()) * g["mosaic"][:, None, None]
        scale = g["scale"][rows, quarter]
        w, h = g["size"][rows, quarter].unbind(-1)
        centre = g["centre"][rows, quarter]
        px, py = (x - centre[..., 0]) / scale, (y - centre[..., 1]) / scale
        px = torch.where(g["flip"][rows, quarter], -px, px) + w / 2
        return g["ids"][rows, quarter] * (side * side), px, py + h / 2, w, h

    # Two by two samples a pixel, each interpolated: close to the area average that the runtime takes.
    for sub_y in (0.25, 0.75):
        for sub_x in (0.25, 0.75):
            base, px, py, w, h = sample(sub_x, sub_y)
            inside = (px >= 0) & (py >= 0) & (px < w) & (py < h)
            px, py = (px - 0.5).clamp_(min=0), (py - 0.5).clamp_(min=0)
            left, top = px.floor(), py.floor()
            fx, fy = px - left, py - top
            left, top = torch.minimum(left, w - 1).long(), torch.minimum(top, h - 1).long()
            right, bottom = torch.minimum(left + 1, w.long() - 1).clamp_(min=0), torch.minimum(top + 1, h.long() - 1).clamp_(min=0)
            for tx, wx in ((left.clamp_(min=0), 1 - fx), (right, fx)):
                for ty, wy in ((top.clamp_(min=0), 1 - fy), (bottom, fy)):
                    packed = pictures.pixels[torch.where(inside, base + ty * side + tx, 0)]
                    weight = wx * wy * inside * 0.25
                    for channel in range(3):
                        frame[:, channel] += ((packed >> (8 * channel)) & 255) * weight
    light = torch.from_numpy(view["light"]).to(device)
    grey = (frame * torch.tensor([0.299, 0.587, 0.114], device=device)[:, None, None]).sum(1, keepdim=True)
    frame = torch.where(light[:, 4, None, None, None] > 0.5, grey, frame)
    frame = frame * light[:, :3, None, None] + light[:, 3, None, None, None] * (frame > 0)
    noise = torch.from_numpy(view["noise"]).to(device)[:, None, None, None]
    frame += torch.randn(frame.shape, device=device) * noise
    frame = frame.clamp_(0, 255) * (2 / 255) - 1
    if pictures.masks:
        base, px, py, w, h = sample(0.5, 0.5)
        inside = (px >= 0) & (py >= 0) & (px < w) & (py < h)
        packed = pictures.pixels[torch.where(inside, base + py.long().clamp_(min=0) * side + px.long().clamp_(min=0), 0)]
        return frame, torch.where(inside, (packed >> 24) & 255, VOID).to(torch.uint8)
    return frame, seen_boxes(pictures, g, width, height)


class Boxes:
    """Boxes of many frames, padded: corners [F,M,4] (left, top, right, bottom), classes [F,M], kinds [F,M] (0 for none)."""

    def __init__(self, corners: torch.Tensor, classes: torch.Tensor, kinds: torch.Tensor):
        self.corners, self.classes, self.kinds = corners, classes, kinds


def seen_boxes(pictures: Pictures, g: dict, width: int, height: int) -> Boxes:
    count = len(g["ids"])
    boxes, classes = pictures.boxes[g["ids"]], pictures.classes[g["ids"]]
    kinds = pictures.kinds[g["ids"]].clone()
    kinds[:, 1:] *= g["mosaic"][:, None, None].long()
    middle = boxes[..., :2] + boxes[..., 2:] / 2 - g["size"][:, :, None] / 2
    middle[..., 0] = torch.where(g["flip"][:, :, None], -middle[..., 0], middle[..., 0])
    middle = middle * g["scale"][:, :, None, None] + g["centre"][:, :, None]
    extent = boxes[..., 2:] * g["scale"][:, :, None, None] * g["zoom"][:, None, None, None]
    x, y = (middle - g["place"][:, None, None, :2]).unbind(-1)
    cos, sin, zoom = (part[:, None, None] for part in (g["roll"].cos(), g["roll"].sin(), g["zoom"]))
    middle = torch.stack([(cos * x + sin * y) * zoom + width / 2, (cos * y - sin * x) * zoom + height / 2], -1)
    corners = torch.cat([middle - extent / 2, middle + extent / 2], -1).reshape(count, -1, 4)
    classes, kinds = classes.reshape(count, -1), kinds.reshape(count, -1)
    bound = torch.tensor([width, height, width, height], device=corners.device, dtype=torch.float32)
    area = (corners[..., 2:] - corners[..., :2]).clamp(min=0).prod(-1)
    corners = torch.minimum(corners.clamp(min=0), bound)
    side = corners[..., 2:] - corners[..., :2]
    visible = side.clamp(min=0).prod(-1) / area.clamp(min=1e-3)
    kinds = torch.where(visible < 0.1, 0, kinds)
    # Too little of it, or too small to be seen: neither object nor background.
    unsure = (visible < 0.35) | (side.min(-1).values < 4) | (side.max(-1).values < 10)
    kinds = torch.where((kinds == POSITIVE) & unsure, IGNORED, kinds)
    # Only as many as the fullest frame has.
    order = (kinds == 0).long().sort(dim=1, stable=True).indices[:, : max(1, int((kinds > 0).sum(1).max()))]
    take = lambda t: t.gather(1, order.reshape(*order.shape, *[1] * (t.dim() - 2)).expand(*order.shape, *t.shape[2:]))  # noqa: E731
    return Boxes(take(corners), take(classes), take(kinds))
