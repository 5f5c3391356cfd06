"""The zoo's architectures: parameters, initial values and the plain NCHW float32 form of each.

Every network has `drive(frame)`, `readout(drive, state)` and, unless it is feed-forward, `step(drive, state)`. frame is [B,1,H,W] luma in
[0,1], logits are [B,2,H,W] (background, contour), the state starts at zero.
"""

from functools import partial

from torch import nn

from .convlstm import ConvLstm
from .feedforward import FeedForward
from .hgru import HGru
from .lean import Lean, Local

NETWORKS = {
    "hgru": HGru,
    "convlstm": ConvLstm,
    "ff6": partial(FeedForward, 6),
    "ff8": partial(FeedForward, 8),
    "lean": Lean,
    "local": Local,
}


def name_of(net: nn.Module) -> str:
    """The key of `net` in NETWORKS."""
    if isinstance(net, FeedForward):
        return f"ff{len(net.w) + 1}"
    return {HGru: "hgru", Lean: "lean", Local: "local", ConvLstm: "convlstm"}[type(net)]
