"""Box targets and losses, decoding, non-maximum suppression, average precision.

Scores are trained as heat maps (Zhou et al. 2019, arXiv 1904.07850: penalty-reduced focal loss round the centre), boxes as distances from cells
near the centre (Tian et al. 2019, arXiv 1904.01355) with the generalised IoU loss (Rezatofighi et al. 2019, arXiv 1902.09630), weighted by the heat
(Liu et al. 2019, arXiv 1909.00700).
"""

import numpy as np
import torch
from torch.nn import functional as F

from .scenes import IGNORED, POSITIVE, Boxes

STRIDE = 8
CLASSES = 6


def cells(height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells in pixels: x [w], y [h]."""
    return (torch.arange(width, device=device) + 0.5) * STRIDE, (torch.arange(height, device=device) + 0.5) * STRIDE


def box_loss(scores: torch.Tensor, distances: torch.Tensor, boxes: Boxes) -> tuple[torch.Tensor, torch.Tensor]:
    """scores [F,6,h,w] (logits), distances [F,4,h,w] (logarithms, units of STRIDE) -> focal loss, GIoU loss, both per object."""
    scores, distances = scores.float(), distances.float()
    frames, _, height, width = scores.shape
    x, y = cells(height, width, scores.device)
    c = boxes.corners
    middle, side = (c[..., :2] + c[..., 2:]) / 2, c[..., 2:] - c[..., :2]
    sigma = (0.1 * side).clamp(min=0.4 * STRIDE)
    gx = torch.exp(-((x - middle[..., 0, None]) ** 2) / (2 * sigma[..., 0, None] ** 2))
    gy = torch.exp(-((y - middle[..., 1, None]) ** 2) / (2 * sigma[..., 1, None] ** 2))
    # The cell nearest to the centre is the positive one.
    column = (middle[..., 0] / STRIDE).long().clamp(0, width - 1)
    row = (middle[..., 1] / STRIDE).long().clamp(0, height - 1)
    positive = (boxes.kinds == POSITIVE)[..., None, None]
    heat = gx[..., None, :] * gy[..., :, None]
    peak = (torch.arange(width, device=c.device) == column[..., None])[..., None, :] & (torch.arange(height, device=c.device) == row[..., None])[..., :, None]
    heat = torch.where(peak, 1.0, heat) * positive

    inside_x = (x > c[..., 0, None]) & (x < c[..., 2, None])
    inside_y = (y > c[..., 1, None]) & (y < c[..., 3, None])
    inside = (inside_x[..., None, :] & inside_y[..., :, None]) | peak
    ignored = inside & (boxes.kinds == IGNORED)[..., None, None]

    index = boxes.classes[..., None, None].expand_as(heat)
    target = torch.zeros_like(scores).scatter_reduce_(1, index, heat, "amax")
    leave = torch.zeros_like(scores).scatter_reduce_(1, index, ignored.float(), "amax") * (target < 1)

    chance = torch.sigmoid(scores).clamp(1e-4, 1 - 1e-4)
    hit = target >= 1
    focal = torch.where(hit, (1 - chance) ** 2 * F.softplus(-scores), (1 - target) ** 4 * chance**2 * F.softplus(scores) * (1 - leave))
    objects = hit.sum().clamp(min=1)

    # Every cell learns the smallest box it lies near the centre of.
    area = side.prod(-1).clamp(min=1)[..., None, None]
    near = (heat > 0.3) & (inside | peak)
    rank = torch.where(near, area, torch.inf)
    smallest, owner = rank.min(1)
    weight = torch.where(smallest < torch.inf, heat.gather(1, owner[:, None])[:, 0], 0.0)
    wanted = c.gather(1, owner.flatten(1)[..., None].expand(-1, -1, 4)).unflatten(1, (height, width))
    total = (heat * near).sum((2, 3)).gather(1, owner.flatten(1)).unflatten(1, (height, width)).clamp(min=1)
    giou = generalised_iou(corners(distances), wanted.permute(0, 3, 1, 2))
    weight = weight / total
    return focal.sum() / objects, ((1 - giou) * weight).sum() / weight.sum().clamp(min=1)


def corners(distances: torch.Tensor) -> torch.Tensor:
    """Logarithmic distances [F,4,h,w] -> left, top, right, bottom [F,4,h,w] in pixels."""
    x, y = cells(distances.shape[2], distances.shape[3], distances.device)
    d = distances.float().clamp(max=5).exp() * STRIDE
    return torch.stack([x - d[:, 0], y[:, None] - d[:, 1], x + d[:, 2], y[:, None] + d[:, 3]], 1)


def generalised_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Corners along dimension 1."""
    def area(low_x, low_y, high_x, high_y):
        return (high_x - low_x).clamp(min=0) * (high_y - low_y).clamp(min=0)

    shared = area(torch.maximum(a[:, 0], b[:, 0]), torch.maximum(a[:, 1], b[:, 1]), torch.minimum(a[:, 2], b[:, 2]), torch.minimum(a[:, 3], b[:, 3]))
    union = area(*a.unbind(1)) + area(*b.unbind(1)) - shared
    hull = area(torch.minimum(a[:, 0], b[:, 0]), torch.minimum(a[:, 1], b[:, 1]), torch.maximum(a[:, 2], b[:, 2]), torch.maximum(a[:, 3], b[:, 3]))
    return shared / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def suppress(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    """Greedy non-maximum suppression within one class: the indices kept, best first."""
    order, kept = np.argsort(-scores), []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), 1)
        order = order[shared <= limit * (area[best] + area[order] - shared)]
    return kept


def decode(scores: torch.Tensor, distances: torch.Tensor, threshold: float = 0.05, overlap: float = 0.6, limit: int = 100) -> list[np.ndarray]:
    """Boxes of every frame: [N,6] left, top, right, bottom, score, class; best first."""
    chances = torch.sigmoid(scores.float()).cpu().numpy()
    places = corners(distances).cpu().numpy()
    found = []
    for chance, place in zip(chances, places):
        rows = []
        for c in range(chance.shape[0]):
            y, x = np.nonzero(chance[c] > threshold)
            boxes, score = place[:, y, x].T, chance[c, y, x]
            if len(score) > 400:
                best = np.argsort(-score)[:400]
                boxes, score = boxes[best], score[best]
            for at in suppress(boxes, score, overlap):
                rows.append([*boxes[at], score[at], c])
        rows.sort(key=lambda row: -row[4])
        found.append(np.array(rows[:limit], np.float32).reshape(-1, 6))
    return found


def average_precision(found: list[np.ndarray], wanted: list[np.ndarray], overlap: float = 0.5) -> float:
    """COCO's 101-point average precision of one class. found [N,5] (corners, score) and wanted [K,4] (corners) of every picture."""
    total = sum(len(boxes) for boxes in wanted)
    entries = sorted(((row[4], picture, at) for picture, rows in enumerate(found) for at, row in enumerate(rows)), key=lambda e: -e[0])
    taken = [np.zeros(len(boxes), bool) for boxes in wanted]
    hits = []
    for _, picture, at in entries:
        box, others = found[picture][at], wanted[picture]
        best = -1
        if len(others):
            low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:])
            shared = np.prod(np.maximum(high - low, 0), 1)
            union = np.prod(box[2:4] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1) - shared
            share = np.where(taken[picture], 0, shared / np.maximum(union, 1e-9))
            best = int(share.argmax()) if share.max() >= overlap else -1
        if best >= 0:
            taken[picture][best] = True
        hits.append(best >= 0)
    if not total or not hits:
        return 0.0
    hit = np.cumsum(hits)
    recall, precision = hit / total, hit / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), "left")
    return float(np.mean([precision[i] if i < len(precision) else 0.0 for i in at]))
