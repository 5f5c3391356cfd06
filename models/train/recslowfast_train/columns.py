"""The networks in the training layout [N, C*B] of fastconv.py; numerically the same as their plain forms in networks/."""

import os

import torch
from torch import nn
from torch.nn import functional as F

from .fastconv import SpectralKernel, Transform, mix_pixels
from .networks import ConvLstm, FeedForward, HGru, Lean, Local
from .networks.hgru import EPS
from .networks.lean import LOCAL_EPS


def _norm(value, weight, bias, local=0):
    """Over the pixels of each column; or, where `local` is the number of channels, over the channels of each pixel."""
    if local:
        channels = value.view(value.shape[0], local, -1)
        scale = torch.rsqrt(channels.square().mean(1, keepdim=True) + LOCAL_EPS)
        return (channels * scale).view_as(value) * weight + bias
    mean = value.mean(0, keepdim=True)
    centred = value - mean
    variance = centred.square().mean(0, keepdim=True)
    return centred * (torch.rsqrt(variance + EPS) * weight) + bias


def _gate(hidden, mixed, bias):
    return torch.sigmoid(mixed + bias) * hidden


def _inhibit(c1, hidden, drive, n_w, n_b, alpha, mu, local):
    return F.softplus(drive - F.softplus(_norm(c1, n_w, n_b, local) * (alpha * hidden + mu)))


def _excite(c2, inhibited, mixed, hidden, bias, n_w, n_b, kappa, gamma, omega, local):
    gate = torch.sigmoid(mixed + bias)
    c2 = _norm(c2, n_w, n_b, local)
    candidate = F.softplus(kappa * inhibited + gamma * c2 + omega * inhibited * c2)
    return F.softplus(hidden + gate * (candidate - hidden))


def _read(hidden, n_w, n_b, out_w, out_b):
    """Logit of class 1 minus logit of class 0, [N,B]; out_w [C,1], n_w and n_b [C,B]."""
    n, columns = hidden.shape
    batch = n_w.shape[1]
    normed = _norm(hidden, n_w.reshape(1, columns), n_b.reshape(1, columns)).view(n, columns // batch, batch)
    return (normed * out_w).sum(1) + out_b


def _gates(drive, recurrent, cell):
    i, f, o, g = (drive + recurrent).chunk(4, 1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.cat([torch.sigmoid(o) * torch.tanh(cell), cell], 1)


def _layer(value, weight, bias):
    return F.softplus(_norm(value, weight, bias))


if os.environ.get("RECSLOWFAST_COMPILE", "1") == "1":
    _gate, _inhibit, _excite, _read, _gates, _layer = (
        torch.compile(part, dynamic=False) for part in (_gate, _inhibit, _excite, _read, _gates, _layer)
    )


class Columns:
    """Runs `net` on batches in the training layout. Call `refresh` after each change of the parameters, `collect` after each backward pass.

    Every activation is [N, C*B], the batch innermost, N the pixels of the network's grid (the canvas, or less where it strides).
    """

    STATE = 1  # state tensors of `channels` channels each

    def __init__(self, net: nn.Module, size: int, batch: int):
        self.net, self.canvas, self.size, self.batch = net, size, size // net.STRIDE, batch
        self.device = net.out_b.device
        transform = Transform(self.size, net.kernel, self.device)
        self.kernels = [SpectralKernel(transform, parameter) for parameter in self.spatial()]
        self.refresh()

    def spatial(self) -> list[nn.Parameter]:
        """The parameters that `kernels` convolve with, in order."""
        raise NotImplementedError

    def refresh(self) -> None:
        for kernel in self.kernels:
            kernel.refresh()

    def collect(self) -> None:
        for kernel in self.kernels:
            kernel.collect()

    def columns(self, vector: torch.Tensor) -> torch.Tensor:
        """[C] -> [1, C*B]"""
        return vector.repeat_interleave(self.batch)[None, :]

    def zeros(self) -> torch.Tensor:
        return torch.zeros(self.size * self.size, self.STATE * self.net.channels * self.batch, device=self.device)

    def to_columns(self, nchw: torch.Tensor) -> torch.Tensor:
        return nchw.permute(2, 3, 1, 0).reshape(self.size * self.size, -1)

    def to_nchw(self, columns: torch.Tensor) -> torch.Tensor:
        return columns.view(self.size, self.size, -1, self.batch).permute(3, 2, 0, 1).contiguous()

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        """frame [B,1,H,W] -> drive [N, C*B]"""
        return self.to_columns(self.net.drive(frame))

    def step(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def margin(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Contour logit minus background logit, [H*W, B]."""
        net = self.net
        n_w, n_b = (v[:, None].expand(-1, self.batch).contiguous() for v in (net.out_n_w, net.out_n_b))
        hidden = state[:, : net.channels * self.batch].contiguous()
        return _read(hidden, n_w, n_b, (net.out_w[1] - net.out_w[0])[:, None], net.out_b[1] - net.out_b[0])


class HGruColumns(Columns):
    """The hGRU."""

    LOCAL = False  # whether its norms are over the channels of a pixel

    def spatial(self) -> list[nn.Parameter]:
        return [self.net.w_inh, self.net.w_exc]

    def refresh(self) -> None:
        super().refresh()
        net = self.net
        self.gate1 = self.columns(net.b1)
        self.first = [self.columns(v) for v in (net.n1_w, net.n1_b, net.alpha, net.mu)]
        self.second = [self.columns(v) for v in (net.b2, net.n2_w, net.n2_b, net.kappa, net.gamma, net.omega)]

    def step(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        inhibition, excitation = self.kernels
        local = self.net.channels if self.LOCAL else 0
        gated = _gate(state, mix_pixels(self.net.u1, state, self.batch), self.gate1)
        inhibited = _inhibit(inhibition(gated, self.batch), state, drive, *self.first, local)
        mixed = mix_pixels(self.net.u2, inhibited, self.batch)
        return _excite(excitation(inhibited, self.batch), inhibited, mixed, state, *self.second, local)


class LeanColumns(HGruColumns):
    """The lean network: the hGRU on a coarser grid, read out in its plain form."""

    def margin(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        logits = self.net.readout(self.to_nchw(drive), self.to_nchw(state))
        return (logits[:, 1] - logits[:, 0]).permute(1, 2, 0).reshape(self.canvas * self.canvas, self.batch)


class LocalColumns(LeanColumns):
    """The lean network with norms over the channels of a pixel."""

    LOCAL = True


class ConvLstmColumns(Columns):
    """The ConvLSTM; its state is H and then C."""

    STATE = 2

    def spatial(self) -> list[nn.Parameter]:
        return [self.net.w_x, self.net.w_h]

    def refresh(self) -> None:
        super().refresh()
        self.bias = self.columns(self.net.b_x)

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        return self.kernels[0](self.to_columns(self.net.features(frame)).contiguous(), self.batch) + self.bias

    def step(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        hidden, cell = (part.contiguous() for part in state.chunk(2, 1))
        return _gates(drive, self.kernels[1](hidden, self.batch), cell)


class FeedForwardColumns(Columns):
    """The feed-forward networks: all of it is drive."""

    STATE = 0

    def spatial(self) -> list[nn.Parameter]:
        return list(self.net.w)

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        layer = self.to_columns(self.net.features(frame)).contiguous()
        for kernel, n_w, n_b in zip(self.kernels, self.net.n_w, self.net.n_b):
            layer = _layer(kernel(layer, self.batch), self.columns(n_w), self.columns(n_b))
        return layer

    def step(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return state

    def margin(self, drive: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        net = self.net
        features = drive.view(drive.shape[0], net.channels, self.batch)
        return (features * (net.out_w[1] - net.out_w[0])[:, None]).sum(1) + net.out_b[1] - net.out_b[0]


def in_columns(net: nn.Module, size: int, batch: int) -> Columns:
    """`net` in the training layout for canvases of `size` pixels and batches of `batch` videos."""
    for kind, form in ((Local, LocalColumns), (Lean, LeanColumns), (HGru, HGruColumns), (ConvLstm, ConvLstmColumns), (FeedForward, FeedForwardColumns)):
        if isinstance(net, kind):
            return form(net, size, batch)
    raise TypeError(f"no training layout for {type(net).__name__}")
