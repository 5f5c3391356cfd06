"""The feed-forward baselines: 6 or 8 convolutional layers, nothing remembered and nothing repeated.

    F1 = (conv7x7(frame) + b)^2,  F_n = s(N(W_n * F_(n-1)))       25 channels, 15x15 kernels, s = softplus
    drive = F_6 (or F_8);  logits = conv1x1(drive)
"""

import torch
from torch import nn
from torch.nn import functional as F

from .hgru import EPS, gabor_bank


class FeedForward(nn.Module):
    """Parameters of the feed-forward network and its plain NCHW form. There is no step and no state."""

    STRIDE = 1

    def __init__(self, layers: int, channels: int = 25, kernel: int = 15, seed: int = 1):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.channels, self.kernel = channels, kernel
        self.drive_w = nn.Parameter(gabor_bank(channels, 7))
        self.drive_b = nn.Parameter(torch.zeros(channels))
        deeper = range(layers - 1)
        spread = (channels * kernel * kernel) ** -0.5
        self.w = nn.ParameterList(spread * torch.randn(channels, channels, kernel, kernel, generator=generator) for _ in deeper)
        self.n_w = nn.ParameterList(torch.ones(channels) for _ in deeper)
        self.n_b = nn.ParameterList(torch.zeros(channels) for _ in deeper)
        self.out_w = nn.Parameter(0.2 * torch.randn(2, channels, generator=generator))
        self.out_b = nn.Parameter(torch.zeros(2))

    def features(self, frame: torch.Tensor) -> torch.Tensor:
        return F.conv2d(frame, self.drive_w, self.drive_b, padding=3).square()

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        layer = self.features(frame)
        for w, n_w, n_b in zip(self.w, self.n_w, self.n_b):
            layer = F.softplus(F.instance_norm(F.conv2d(layer, w, padding=self.kernel // 2), weight=n_w, bias=n_b, eps=EPS))
        return layer

    def readout(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return F.conv2d(drive, self.out_w[:, :, None, None], self.out_b)
