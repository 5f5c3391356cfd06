"""The hGRU step in the training layout [N, C*B] of fastconv.py; numerically the same network as hgru.py."""

import os

import torch
from torch.nn import functional as F

from .fastconv import SpectralKernel, Transform, mix_pixels
from .hgru import EPS, HGru


def _norm(value, weight, bias):
    mean = value.mean(0, keepdim=True)
    centred = value - mean
    variance = centred.square().mean(0, keepdim=True)
    return centred * (torch.rsqrt(variance + EPS) * weight) + bias


def _gate(hidden, mixed, bias):
    return torch.sigmoid(mixed + bias) * hidden


def _inhibit(c1, hidden, drive, n_w, n_b, alpha, mu):
    return F.softplus(drive - F.softplus(_norm(c1, n_w, n_b) * (alpha * hidden + mu)))


def _excite(c2, inhibited, mixed, hidden, bias, n_w, n_b, kappa, gamma, omega):
    gate = torch.sigmoid(mixed + bias)
    c2 = _norm(c2, n_w, n_b)
    candidate = F.softplus(kappa * inhibited + gamma * c2 + omega * inhibited * c2)
    return F.softplus(hidden + gate * (candidate - hidden))


def _read(hidden, n_w, n_b, out_w, out_b):
    """Logit of class 1 minus logit of class 0, [N,B]; out_w [C,1], n_w and n_b [C,B]."""
    n, columns = hidden.shape
    batch = n_w.shape[1]
    normed = _norm(hidden, n_w.reshape(1, columns), n_b.reshape(1, columns)).view(n, columns // batch, batch)
    return (normed * out_w).sum(1) + out_b


if os.environ.get("RECSLOWFAST_COMPILE", "1") == "1":
    _gate, _inhibit, _excite, _read = (torch.compile(part, dynamic=False) for part in (_gate, _inhibit, _excite, _read))


class FastHGru:
    """Runs `net` on batches in the training layout. Call `refresh` after each change of the parameters."""

    def __init__(self, net: HGru, size: int, batch: int):
        self.net, self.size, self.batch = net, size, batch
        transform = Transform(size, net.kernel, net.mu.device)
        self.inhibition = SpectralKernel(transform, net.w_inh)
        self.excitation = SpectralKernel(transform, net.w_exc)
        self.refresh()

    def refresh(self) -> None:
        self.inhibition.refresh()
        self.excitation.refresh()
        net = self.net

        def columns(vector: torch.Tensor) -> torch.Tensor:
            return vector.repeat_interleave(self.batch)[None, :]

        self.gate1 = columns(net.b1)
        self.first = [columns(v) for v in (net.n1_w, net.n1_b, net.alpha, net.mu)]
        self.second = [columns(v) for v in (net.b2, net.n2_w, net.n2_b, net.kappa, net.gamma, net.omega)]

    def collect(self) -> None:
        self.inhibition.collect()
        self.excitation.collect()

    def zeros(self) -> torch.Tensor:
        return torch.zeros(self.size * self.size, self.net.channels * self.batch, device=self.net.mu.device)

    def to_columns(self, nchw: torch.Tensor) -> torch.Tensor:
        return nchw.permute(2, 3, 1, 0).reshape(self.size * self.size, -1)

    def to_nchw(self, columns: torch.Tensor) -> torch.Tensor:
        return columns.view(self.size, self.size, -1, self.batch).permute(3, 2, 0, 1).contiguous()

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return self.to_columns(self.net.drive(frame))

    def step(self, drive: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        gated = _gate(hidden, mix_pixels(self.net.u1, hidden, self.batch), self.gate1)
        c1 = self.inhibition(gated, self.batch)
        inhibited = _inhibit(c1, hidden, drive, *self.first)
        mixed = mix_pixels(self.net.u2, inhibited, self.batch)
        c2 = self.excitation(inhibited, self.batch)
        return _excite(c2, inhibited, mixed, hidden, *self.second)

    def margin(self, hidden: torch.Tensor) -> torch.Tensor:
        """Contour logit minus background logit, [N,B]."""
        net = self.net
        n_w, n_b = (v[:, None].expand(-1, self.batch).contiguous() for v in (net.out_n_w, net.out_n_b))
        return _read(hidden, n_w, n_b, (net.out_w[1] - net.out_w[0])[:, None], net.out_b[1] - net.out_b[0])
