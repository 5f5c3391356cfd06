"""The ConvLSTM baseline (Shi et al. 2015, arXiv 1506.04214, without peepholes): 25 channels, 15x15 kernels.

    X  = W_x * (conv7x7(frame) + b)^2 + b_x                       drive: the input's share of the four gates, [B,100,H,W]
    i, f, o, g = X + W_h * H                                      100 channels, four groups of 25
    C <- sigma(f) . C + sigma(i) . tanh(g)
    H <- sigma(o) . tanh(C)
    logits = conv1x1(N(H))

W_x * ... does not change between the steps of a frame, so it is part of the encoder: the same network at half the cost of a step.
The plain form carries H and C as one tensor [B,50,H,W], H first; the exported graphs have the two states `h` and `c`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .hgru import EPS, gabor_bank


class ConvLstm(nn.Module):
    """Parameters of the ConvLSTM and its plain NCHW form."""

    STRIDE = 1

    def __init__(self, channels: int = 25, kernel: int = 15, seed: int = 1):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.channels, self.kernel = channels, kernel
        spread = (channels * kernel * kernel) ** -0.5

        def normal(scale: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*shape, generator=generator))

        self.drive_w = nn.Parameter(gabor_bank(channels, 7))
        self.drive_b = nn.Parameter(torch.zeros(channels))
        self.w_x = normal(spread, 4 * channels, channels, kernel, kernel)
        self.w_h = normal(spread, 4 * channels, channels, kernel, kernel)
        # a forget gate that starts open (Jozefowicz et al. 2015)
        gates = torch.zeros(4 * channels)
        gates[channels : 2 * channels] = 1
        self.b_x = nn.Parameter(gates)
        self.out_n_w, self.out_n_b = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.out_w = normal(0.2, 2, channels)
        self.out_b = nn.Parameter(torch.zeros(2))

    def features(self, frame: torch.Tensor) -> torch.Tensor:
        return F.conv2d(frame, self.drive_w, self.drive_b, padding=3).square()

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return F.conv2d(self.features(frame), self.w_x, self.b_x, padding=self.kernel // 2)

    def step(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        hidden, cell = state.chunk(2, 1)
        i, f, o, g = (drive + F.conv2d(hidden, self.w_h, padding=self.kernel // 2)).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat([torch.sigmoid(o) * torch.tanh(cell), cell], 1)

    def readout(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        normed = F.instance_norm(state[:, : self.channels], weight=self.out_n_w, bias=self.out_n_b, eps=EPS)
        return F.conv2d(normed, self.out_w[:, :, None, None], self.out_b)
