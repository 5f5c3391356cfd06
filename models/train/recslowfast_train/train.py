"""Trains a network of the zoo on endless Temporal Pathfinder videos with carried state.

    python -m recslowfast_train.train --network hgru --minutes 60 --run runs/hgru

Every batch slot plays its own video and keeps its hidden state from iteration to iteration (detached: truncated back-propagation
through time over 2 or 3 frames). The number of steps per frame is drawn anew for every frame, some iterations first run the state
for many steps without gradients, and some videos change while the state is kept. The learning rate follows the wall clock, so a
run always ends annealed. On a CPU the work is shared by `--workers` single-threaded processes that average their gradients.
"""

import argparse
import json
import math
import os
import pathlib
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from .checkpoint import load_network
from .columns import Columns, in_columns
from .data import SPLITS, Slots, Videos, to_tensors
from .networks import NETWORKS


def learning_rate(progress: float, peak: float) -> float:
    if progress < 0.03:
        return peak * (0.1 + 0.9 * progress / 0.03)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.03) / 0.97))))


def contour_weight(progress: float) -> float:
    """Weight of contour pixels in the cross-entropy: 4 at first (they are 1 % of the picture), 1 from half time on."""
    return 1 + 3 * max(0.0, 1 - progress / 0.5)


def plan(rng: np.random.Generator, progress: float, args) -> dict:
    """What one iteration does; drawn alike in every worker so that they stay in step.

    From a quarter to three quarters of the run the share of later frames that get one step only rises from --single to --single-late,
    and the longest chain of frames that gradients run through from 3 to --longest: the network first learns the task, then to do it in one step.
    """
    late = min(1.0, max(0.0, (progress - 0.25) / 0.5))
    single = args.single + (args.single_late - args.single) * late

    def few() -> int:
        return 1 if rng.random() < single else int(rng.choice([2, 3, 4], p=[0.45, 0.275, 0.275]))

    frames = int(rng.integers(2, round(3 + (args.longest - 3) * late) + 1))
    kind = rng.choice(["fresh", "carried", "cut", "burn"], p=[0.30, 0.45, 0.10, 0.15])
    early = progress < 0.06 and not args.refine
    if early:
        kind, frames = "fresh", 2
    first = {"fresh": int(rng.integers(3, 9)), "cut": int(rng.integers(3, 9)), "burn": int(rng.integers(1, 4)), "carried": few()}[kind]
    return {
        "kind": str(kind),
        "steps": [first] + [few() for _ in range(frames - 1)],
        "burn": int(rng.integers(8, 28)) if kind == "burn" else 0,
        "early": early,
    }


def losses(margin: torch.Tensor, target: torch.Tensor, weight: float) -> torch.Tensor:
    """margin, target [N,B]. Weighted cross-entropy plus soft IoU, mean over the batch."""
    entropy = F.binary_cross_entropy_with_logits(margin, target, pos_weight=torch.tensor(weight, device=margin.device))
    chance = torch.sigmoid(margin)
    both = (chance * target).sum(0)
    soft = 1 - ((both + 1) / (chance.sum(0) + target.sum(0) - both + 1)).mean()
    return 8 * entropy + 0.5 * soft


def iou(margin: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """IoU per image of [N,B] at probability 0.5; 1 for an empty picture found empty."""
    found, wanted = margin > 0, target > 0.5
    union = (found | wanted).sum(0).float()
    return torch.where(union > 0, (found & wanted).sum(0) / union.clamp(min=1), torch.ones_like(union))


@torch.no_grad()
def validate(fast: Columns, args, frames: int = 12, batches: int = 2) -> dict:
    """IoU on videos of the validation seed, by split: carried with 6 and with 1 step a frame, and 4, 6 and 30 steps on the first frame."""
    found = {}
    for split in SPLITS[args.split]:
        videos = Videos(split, args.validation_seed, args.size, frames, count=fast.batch * batches, binary=args.stream_binary)
        sums = {"first4": [], "first6": [], "first30": [], "last6": [], "last1": []}
        for _ in range(batches):
            clip = np.stack([next(videos) for _ in range(fast.batch)], 1)
            slow = quick = fast.zeros()
            for index in range(frames):
                luma, target = to_tensors(clip[index])
                drive = fast.drive(luma.to(slow.device))
                target = target.permute(1, 2, 0).reshape(-1, fast.batch).to(slow.device)
                for step in range(1, 31 if index == 0 else 7):
                    state = fast.step(drive, slow if step <= 6 else state)
                    if index == 0 and step in (4, 6, 30):
                        sums[f"first{step}"].append(iou(fast.margin(drive, state), target))
                    if step <= 6:
                        slow = state
                quick = slow if index == 0 else fast.step(drive, quick)
            sums["last6"].append(iou(fast.margin(drive, slow), target))
            sums["last1"].append(iou(fast.margin(drive, quick), target))
        videos.close()
        found[split] = {key: round(torch.cat(values).mean().item(), 4) for key, values in sums.items()}
    return found


def work(rank: int, workers: int, args) -> None:
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{args.rendezvous}", rank=rank, world_size=workers)
    run = pathlib.Path(args.run)
    net = NETWORKS[args.network](seed=args.seed).to(device)
    averaged = NETWORKS[args.network](seed=args.seed).to(device)
    optimiser = torch.optim.Adam(net.parameters(), lr=args.rate, betas=(0.9, 0.98))
    elapsed, iteration = 0.0, 0
    if args.resume:
        saved = torch.load(args.resume, map_location=device, weights_only=True)
        net.load_state_dict(saved["net"])
        averaged.load_state_dict(saved["averaged"])
        optimiser.load_state_dict(saved["optimiser"])
        elapsed, iteration = saved["elapsed"], saved["iteration"]
    elif args.refine:
        weights = load_network(args.refine).state_dict()
        net.load_state_dict(weights)
        averaged.load_state_dict(weights)
    parameters = list(net.parameters())
    fast = in_columns(net, args.size, args.batch)
    fast_averaged = in_columns(averaged, args.size, args.batch) if rank == 0 else None
    # each worker and each resumption reads its own stretch of the endless video sequence
    first = rank * 1_000_000_000 + iteration * 100 + (500_000_000 if args.refine else 0)
    videos = [Videos(split, args.seed, args.size, Slots.LENGTH, first=first, binary=args.stream_binary) for split in SPLITS[args.split]]
    own = np.random.default_rng([args.seed, 1 + rank, iteration])
    slots = Slots(videos, args.batch, own)
    hidden = fast.zeros()
    budget = args.minutes * 60
    log = open(run / "log.jsonl", "a") if rank == 0 else None
    started, next_check, next_save = time.monotonic() - elapsed, elapsed + args.check_minutes * 60, elapsed + 120
    recent, progress = [], elapsed / budget
    while progress < 1:
        todo = plan(np.random.default_rng([args.seed, 0, iteration]), progress, args)
        frames = len(todo["steps"])
        keep = torch.ones(args.batch, device=device)
        for slot in range(args.batch):
            often, seldom = {"fresh": (0.8, 0.1), "cut": (0.4, 0.1)}.get(todo["kind"], (0.0, 0.0))
            cut = todo["early"] or own.random() < (seldom if slots.is_long(slot) else often)
            if cut or slots.exhausted(slot, frames):
                slots.cut(slot)
                if todo["kind"] != "cut":
                    keep[slot] = 0
        hidden = hidden.detach() * keep.repeat(hidden.shape[1] // args.batch)[None, :]
        for parameter in parameters:
            parameter.grad = None
        fast.refresh()
        total, score = 0.0, 0.0
        for index, steps in enumerate(todo["steps"]):
            luma, target = to_tensors(slots.frame())
            target = target.permute(1, 2, 0).reshape(-1, args.batch).to(device)
            drive = fast.drive(luma.to(device))
            if index == 0 and todo["burn"]:
                with torch.no_grad():
                    for _ in range(todo["burn"]):
                        hidden = fast.step(drive, hidden)
            for _ in range(steps):
                hidden = fast.step(drive, hidden)
            margin = fast.margin(drive, hidden)
            total = total + losses(margin, target, 1.0 if args.refine else contour_weight(progress)) / frames
            score += iou(margin.detach(), target).mean().item() / frames
            slots.advance()
        total.backward()
        fast.collect()
        now = time.monotonic() - started
        flat = torch.cat([p.grad.reshape(-1) for p in parameters] + [torch.tensor([now, total.item(), score], device=device)])
        if workers > 1:
            dist.all_reduce(flat)
            flat /= workers
        now, loss, score = flat[-3:].tolist()
        at = 0
        for parameter in parameters:
            parameter.grad = flat[at : at + parameter.numel()].view_as(parameter).clone()
            at += parameter.numel()
        norm = torch.nn.utils.clip_grad_norm_(parameters, args.clip).item()
        progress, iteration = now / budget, iteration + 1
        if math.isfinite(norm):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(progress, args.rate)
            optimiser.step()
        else:
            hidden = fast.zeros()
        decay = min(args.average, (1 + iteration) / (10 + iteration))
        with torch.no_grad():
            for mean, value in zip(averaged.parameters(), parameters):
                mean.lerp_(value, 1 - decay)
        if rank != 0:
            continue
        recent.append((loss, score, norm, todo["kind"]))
        line = {}
        if iteration % 25 == 0:
            kinds = {kind: round(float(np.mean([r[1] for r in recent if r[3] == kind])), 3) for kind in sorted({r[3] for r in recent})}
            line = {
                "iteration": iteration, "minutes": round(now / 60, 2), "loss": round(float(np.mean([r[0] for r in recent])), 4),
                "iou": round(float(np.mean([r[1] for r in recent])), 4), "norm": round(float(np.median([r[2] for r in recent])), 3),
                "by_kind": kinds, "rate": round(learning_rate(progress, args.rate), 6),
            }  # fmt: skip
            recent.clear()
        check = now >= next_check or progress >= 1
        if check or now >= next_save:
            saved = {
                "network": args.network, "net": net.state_dict(), "averaged": averaged.state_dict(), "optimiser": optimiser.state_dict(),
                "elapsed": now, "iteration": iteration,
            }  # fmt: skip
            torch.save(saved, run / "last.tmp")
            os.replace(run / "last.tmp", run / "last.pt")
            next_save = now + 120
        if check:
            fast_averaged.refresh()
            line["validation"] = validate(fast_averaged, args)
            line.setdefault("iteration", iteration)
            line.setdefault("minutes", round(now / 60, 2))
            next_check = now + args.check_minutes * 60
        if line:
            print(json.dumps(line), file=log, flush=True)
            print(json.dumps(line), flush=True)
    for source in videos:
        source.close()
    if workers > 1:
        dist.barrier()
        dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="hgru", choices=sorted(NETWORKS))
    parser.add_argument("--run", default="runs/hgru", help="folder for last.pt, log.jsonl and arguments.json")
    parser.add_argument("--minutes", type=float, default=80, help="wall-clock budget; the learning rate is annealed over it")
    parser.add_argument("--check-minutes", type=float, default=5, help="time between validations")
    parser.add_argument("--split", default="both", choices=sorted(SPLITS), help="both: half of the videos of each")
    parser.add_argument("--size", type=int, default=64, help="canvas edge in pixels")
    parser.add_argument("--batch", type=int, default=8, help="videos per worker (8 or 16 use the compiled kernels)")
    parser.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else max(1, os.cpu_count()))
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate of Adam")
    parser.add_argument("--clip", type=float, default=1.0, help="largest gradient norm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validation-seed", type=int, default=2)
    parser.add_argument("--stream-binary", help="a built `stream` example instead of `cargo run`")
    parser.add_argument("--single", type=float, default=0.45, help="probability that a later frame gets one step only, at first")
    parser.add_argument("--single-late", type=float, default=0.85, help="and in the last quarter")
    parser.add_argument("--longest", type=int, default=4, help="most frames that gradients run through in the end (at least 3)")
    parser.add_argument(
        "--average", type=float, default=0.998, help="decay per iteration of the averaged weights, which are the released ones"
    )
    parser.add_argument("--refine", help="a last.pt or an exported folder to start from anew, with a schedule of its own")
    parser.add_argument("--resume", help="a last.pt to go on from; its elapsed time counts towards --minutes")
    args = parser.parse_args()
    run = pathlib.Path(args.run)
    run.mkdir(parents=True, exist_ok=True)
    (run / "arguments.json").write_text(json.dumps(vars(args), indent=1))
    args.rendezvous = str((run / f"rendezvous-{os.getpid()}").resolve())
    # PyTorch returns every large block to the kernel and faults it in again; keeping it is several times faster
    os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "100000000000")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if args.workers == 1:
        work(0, 1, args)
    else:
        mp.spawn(work, (args.workers, args), nprocs=args.workers)
    pathlib.Path(args.rendezvous).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
