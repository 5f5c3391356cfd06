"""The training form, the plain form and the exported form are the same network."""

import os

os.environ.setdefault("RECSLOWFAST_COMPILE", "0")

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recslowfast_train import fastconv
from recslowfast_train.data import to_tensors
from recslowfast_train.evaluate import load_network, parse_rule, scores
from recslowfast_train.export import DEFAULT_CARD, write_folder
from recslowfast_train.fastconv import SpectralKernel, Transform
from recslowfast_train.fasthgru import FastHGru
from recslowfast_train.hgru import HGru


@pytest.fixture(params=["native", "torch"])
def backend(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(fastconv, "_native", None)
    elif fastconv._native is None:
        pytest.skip("no C++ compiler here")


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("size", [64, 24])
def test_spectral_convolution_equals_direct(backend, size):
    batch, channels = 8, 25
    weight = random(channels, channels, 15, 15).requires_grad_()
    value = random(batch, channels, size, size).requires_grad_()
    seen = random(batch, channels, size, size) + 1
    direct = F.conv2d(value, weight, padding=7)
    (direct * seen).sum().backward()
    wanted_weight, wanted_value = weight.grad.clone(), value.grad.clone()
    weight.grad = value.grad = None

    kernel = SpectralKernel(Transform(size, 15, torch.device("cpu")), weight)
    columns = value.permute(2, 3, 1, 0).reshape(size * size, -1)
    spectral = kernel(columns, batch).view(size, size, channels, batch).permute(3, 2, 0, 1)
    (spectral * seen).sum().backward()
    kernel.collect()
    for got, wanted in ((spectral, direct), (weight.grad, wanted_weight), (value.grad, wanted_value)):
        assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_training_form_equals_plain_form(backend):
    net = HGru()
    fast = FastHGru(net, 64, 8)
    frame = torch.rand(8, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    drive, columns = net.drive(frame), fast.drive(frame)
    hidden, state = torch.zeros_like(drive), fast.zeros()
    for _ in range(2):
        hidden, state = net.step(drive, hidden), fast.step(columns, state)
    logits = net.readout(hidden)
    plain, margin = logits[:, 1] - logits[:, 0], fast.margin(state)
    assert (plain - margin.t().view(8, 64, 64)).abs().max() < 1e-3
    seen = random(64 * 64, 8)
    wanted = torch.autograd.grad((plain * seen.t().view(8, 64, 64)).sum(), list(net.parameters()))
    (margin * seen).sum().backward()
    fast.collect()
    for (name, parameter), gradient in zip(net.named_parameters(), wanted):
        assert (parameter.grad - gradient).norm() < 1e-3 * gradient.norm() + 1e-7, name


def test_export_is_checked_and_reads_back(tmp_path):
    net = HGru(seed=5)
    write_folder(net, tmp_path, 64, DEFAULT_CARD)
    for name, value in load_network(str(tmp_path)).state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name


def test_scores_of_known_pictures():
    margin = torch.tensor([[1.0, -1.0], [1.0, -1.0], [-1.0, -1.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    overlap, precision, recall, f1 = scores(margin, target)
    assert overlap.tolist() == pytest.approx([1 / 3, 1])
    assert precision.tolist() == pytest.approx([0.5, 1])
    assert recall.tolist() == pytest.approx([0.5, 1])
    assert f1.tolist() == pytest.approx([0.5, 1])


def test_rules_are_read():
    assert parse_rule("fixed:6")["later"] == 6
    assert parse_rule("slow-fast:6,1")["first"] == 6
    assert parse_rule("relative-l2:0.05,0.01")["zero"] == 0.01
    with pytest.raises(SystemExit):
        parse_rule("sometimes:3")


def test_frames_become_luma_and_target():
    luma, target = to_tensors(np.full((3, 2, 4, 4), 255, np.uint8))
    assert luma.shape == (3, 1, 4, 4) and luma.max() == 1
    assert target.shape == (3, 4, 4) and target.min() == 1
