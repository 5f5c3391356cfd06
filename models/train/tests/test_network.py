"""The training form, the plain form and the exported form are the same network."""

import os

os.environ.setdefault("RECSLOWFAST_COMPILE", "0")

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recslowfast_train import fastconv
from recslowfast_train.checkpoint import load_network
from recslowfast_train.columns import in_columns
from recslowfast_train.data import to_tensors
from recslowfast_train.export import write_folder
from recslowfast_train.fastconv import SpectralKernel, Transform
from recslowfast_train.networks import NETWORKS
from recslowfast_train.train import iou


@pytest.fixture(params=["native", "torch"])
def backend(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(fastconv, "_native", None)
    elif fastconv._native is None:
        pytest.skip("no C++ compiler here")


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize(("size", "kernel", "channels", "out"), [(64, 15, 25, 25), (24, 15, 25, 25), (32, 7, 32, 32), (16, 5, 6, 24)])
def test_spectral_convolution_equals_direct(backend, size, kernel, channels, out):
    batch = 8
    weight = random(out, channels, kernel, kernel).requires_grad_()
    value = random(batch, channels, size, size).requires_grad_()
    seen = random(batch, out, size, size) + 1
    direct = F.conv2d(value, weight, padding=kernel // 2)
    (direct * seen).sum().backward()
    wanted_weight, wanted_value = weight.grad.clone(), value.grad.clone()
    weight.grad = value.grad = None

    spectral = SpectralKernel(Transform(size, kernel, torch.device("cpu")), weight)
    columns = value.permute(2, 3, 1, 0).reshape(size * size, -1)
    result = spectral(columns, batch).view(size, size, out, batch).permute(3, 2, 0, 1)
    (result * seen).sum().backward()
    spectral.collect()
    for got, wanted in ((result, direct), (weight.grad, wanted_weight), (value.grad, wanted_value)):
        assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_training_form_equals_plain_form(backend, name):
    size, batch = 32, 8
    net = NETWORKS[name]()
    fast = in_columns(net, size, batch)
    frame = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0))
    drive, columns, state = net.drive(frame), fast.drive(frame), fast.zeros()
    plain_state = fast.to_nchw(state) if state.numel() else None
    for _ in range(2 if state.numel() else 0):
        plain_state, state = net.step(drive, plain_state), fast.step(columns, state)
    logits = net.readout(drive, plain_state)
    plain, margin = logits[:, 1] - logits[:, 0], fast.margin(columns, state)
    assert (plain - margin.t().view(batch, size, size)).abs().max() < 1e-3
    seen = random(size * size, batch)
    wanted = torch.autograd.grad((plain * seen.t().view(batch, size, size)).sum(), list(net.parameters()))
    (margin * seen).sum().backward()
    fast.collect()
    for (parameter_name, parameter), gradient in zip(net.named_parameters(), wanted):
        assert (parameter.grad - gradient).norm() < 1e-3 * gradient.norm() + 1e-7, parameter_name


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_export_is_checked_and_reads_back(tmp_path, name):
    net = NETWORKS[name](seed=5)
    write_folder(net, tmp_path, 32)
    for key, value in load_network(tmp_path).state_dict().items():
        assert torch.equal(value, net.state_dict()[key]), key


def test_a_lean_step_costs_less_than_a_tenth_of_the_reference_step():
    def macs(name: str) -> float:
        net = NETWORKS[name]()
        return 2 * net.channels**2 * (net.kernel**2 + 1) / net.STRIDE**2

    assert macs("hgru") > 10 * macs("lean")


def test_iou_of_known_pictures():
    margin = torch.tensor([[1.0, -1.0], [1.0, -1.0], [-1.0, -1.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert iou(margin, target).tolist() == pytest.approx([1 / 3, 1])


def test_frames_become_luma_and_target():
    luma, target = to_tensors(np.full((3, 2, 4, 4), 255, np.uint8))
    assert luma.shape == (3, 1, 4, 4) and luma.max() == 1
    assert target.shape == (3, 4, 4) and target.min() == 1
