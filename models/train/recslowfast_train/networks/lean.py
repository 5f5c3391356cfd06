"""The lean network: the hGRU's equations at half the resolution, answering at full resolution.

With s = softplus, N = instance normalisation, [;] = channels one after the other:

    X = (conv5x5, stride 2 (frame) + b)^2                         drive [B,32,H/2,W/2]
    H <- hGRU step of hgru.py with 32 channels and 7x7 kernels
    logits = deconv2x2, stride 2 (s(conv3x3([N(H); X])))          [B,2,H,W]

A step costs 2 x 32 x 32 x (7 x 7 + 1) MAC on a quarter of the pixels, a ninth to a twelfth of the reference network's: 25 600 a pixel of the
frame against 282 500. The drive keeps what a cell of 2 x 2 pixels looks like, so the readout can put the answer back where it belongs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .hgru import HGru, gabor_bank

# Large beside the instance norm's 1e-3: what a contour leaves in the dark pixels around it is not blown up to the size of a contour.
LOCAL_EPS = 0.1


class Lean(HGru):
    """Parameters of the lean network. `readout` takes the drive as well as the hidden state."""

    STRIDE = 2

    def __init__(self, channels: int = 32, kernel: int = 7, seed: int = 1):
        super().__init__(channels, kernel, seed)
        generator = torch.Generator().manual_seed(seed + 1)

        def normal(scale: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*shape, generator=generator))

        self.drive_w = nn.Parameter(gabor_bank(channels, 5) + 0.2 * torch.randn(channels, 1, 5, 5, generator=generator))
        self.join_w = normal((2 / (18 * channels)) ** 0.5, channels, 2 * channels, 3, 3)
        self.join_b = nn.Parameter(torch.zeros(channels))
        self.out_w = normal(0.2, channels, 2, 2, 2)

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return F.conv2d(frame, self.drive_w, self.drive_b, stride=self.STRIDE, padding=2).square()

    def readout(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([self.norm(hidden, self.out_n_w, self.out_n_b), drive], 1)
        return F.conv_transpose2d(F.softplus(F.conv2d(joined, self.join_w, self.join_b, padding=1)), self.out_w, self.out_b, stride=2)


class Local(Lean):
    """The lean network with N = RMS normalisation over the channels of each pixel, so that no operator looks further than its kernel.

    N(v) = v / sqrt(mean over channels of v^2 + LOCAL_EPS) * weight + bias (Zhang and Sennrich 2019, arXiv 1910.07467, a pixel at a time).
    What far-away pixels do does not matter to a pixel, so the runtime can leave out the tiles of a picture that nothing near them changed.
    """

    def norm(self, value: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        scale = torch.sqrt(value.square().mean(1, keepdim=True) + LOCAL_EPS)
        return value / scale * weight[None, :, None, None] + bias[None, :, None, None]
