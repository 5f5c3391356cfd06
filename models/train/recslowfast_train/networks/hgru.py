"""The horizontal convolutional GRU (hGRU): parameters and the plain form of its three graphs.

Equations: Linsley et al. 2018 (arXiv 1805.08315) in the form of the public Pathfinder training code, as written down in the
project's science notes. With s = softplus and sigma = logistic:

    X  = (conv7x7(frame) + b)^2                                   drive
    G1 = sigma(U1 H + b1)              C1 = N1(W_inh * (G1 . H))
    I  = s(X - s(C1 . (alpha . H + mu)))
    G2 = sigma(U2 I + b2)              C2 = N2(W_exc * I)
    H~ = s(kappa . I + gamma . C2 + omega . I . C2)
    H <- s((1 - G2) . H + G2 . H~)
    logits = conv1x1(N(H))             class 0 background, class 1 contour

N is instance normalisation over H x W (biased variance, eps 1e-3, affine), so nothing depends on the batch.
Everything here is NCHW float32: frame [B,1,H,W] luma in [0,1], drive and hidden [B,C,H,W], logits [B,2,H,W].
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = 25
KERNEL = 15
EPS = 1e-3


def gabor_bank(count: int, size: int) -> torch.Tensor:
    """`count` odd and even Gabor filters [count,1,size,size] of evenly spread orientations, zero mean, unit norm."""
    half = (size - 1) / 2
    axis = torch.arange(size) - half
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    bank = []
    for index in range(count):
        angle = math.pi * index / count
        along = x * math.cos(angle) + y * math.sin(angle)
        phase = 0.0 if index % 2 == 0 else math.pi / 2
        envelope = torch.exp(-(x * x + y * y) / (2 * (size / 4) ** 2))
        kernel = envelope * torch.cos(2 * math.pi * along / (size * 0.7) + phase)
        kernel = kernel - kernel.mean()
        bank.append(kernel / kernel.norm())
    return torch.stack(bank)[:, None]


class HGru(nn.Module):
    """Parameters of the reference network, with its published initial values."""

    STRIDE = 1

    def __init__(self, channels: int = CHANNELS, kernel: int = KERNEL, seed: int = 1):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.channels, self.kernel = channels, kernel

        def vector(value: float) -> nn.Parameter:
            return nn.Parameter(torch.full((channels,), value))

        def orthogonal(*shape: int) -> nn.Parameter:
            return nn.Parameter(nn.init.orthogonal_(torch.empty(*shape), generator=generator))

        self.drive_w = nn.Parameter(gabor_bank(channels, 7))
        self.drive_b = vector(0.0)
        self.u1 = orthogonal(channels, channels)
        self.u2 = orthogonal(channels, channels)
        gate = torch.log(1 + 6 * torch.rand(channels, generator=generator))
        self.b1 = nn.Parameter(gate.clone())
        self.b2 = nn.Parameter(-gate)
        self.w_inh = orthogonal(channels, channels, kernel, kernel)
        self.w_exc = orthogonal(channels, channels, kernel, kernel)
        self.n1_w, self.n1_b = vector(0.1), vector(0.0)
        self.n2_w, self.n2_b = vector(0.1), vector(0.0)
        self.alpha, self.mu = vector(0.1), vector(1.0)
        self.gamma, self.kappa, self.omega = vector(1.0), vector(0.5), vector(0.5)
        self.out_n_w, self.out_n_b = vector(1.0), vector(0.0)
        self.out_w = nn.Parameter(0.2 * torch.randn(2, channels, generator=generator))
        self.out_b = nn.Parameter(torch.zeros(2))

    def norm(self, value: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return F.instance_norm(value, weight=weight, bias=bias, eps=EPS)

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return F.conv2d(frame, self.drive_w, self.drive_b, padding=3).square()

    def step(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        def across(vector: torch.Tensor) -> torch.Tensor:
            return vector[None, :, None, None]

        pad = self.kernel // 2
        gate1 = torch.sigmoid(F.conv2d(hidden, self.u1[:, :, None, None], self.b1))
        c1 = self.norm(F.conv2d(gate1 * hidden, self.w_inh, padding=pad), self.n1_w, self.n1_b)
        inhibited = F.softplus(drive - F.softplus(c1 * (across(self.alpha) * hidden + across(self.mu))))
        gate2 = torch.sigmoid(F.conv2d(inhibited, self.u2[:, :, None, None], self.b2))
        c2 = self.norm(F.conv2d(inhibited, self.w_exc, padding=pad), self.n2_w, self.n2_b)
        candidate = F.softplus(across(self.kappa) * inhibited + across(self.gamma) * c2 + across(self.omega) * inhibited * c2)
        return F.softplus((1 - gate2) * hidden + gate2 * candidate)

    def readout(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        normed = self.norm(hidden, self.out_n_w, self.out_n_b)
        return F.conv2d(normed, self.out_w[:, :, None, None], self.out_b)
