"""The recurrent network for natural video and its feed-forward twins.

Everything is local: no operator looks further than its kernel, so that a runtime may recompute only what moved. With RMS norm over the
channels of a pixel `n(x) = x / sqrt(mean_c(x^2) + eps) * g + b`, two states `h8` [96, H/8, W/8] and `h16` [96, H/16, W/16]:

    drive  = relu(n(conv1x1(f8) + up2(conv1x1(f16))))          f8, f16: features of the encoder
    a      = relu(n(conv3x3[drive; h8; up2(conv1x1(h16))]))
    h8    <- h8 + sigmoid(conv1x1(a)) * (3 tanh(conv1x1(a)) - h8)
    b      = relu(n(conv3x3[relu(conv3x3/2(h8)); h16]))
    h16   <- h16 + sigmoid(conv1x1(b)) * (3 tanh(conv1x1(b)) - h16)

The update is that of a convolutional GRU without its reset gate (compare Ballas et al. 2016, arXiv 1511.06432), over two scales.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .encoder import Conv, Encoder

WIDTH8, WIDTH16 = 96, 96
DETAIL = 48
"""Channels that carry detail at stride 4 past the recurrence to the readout of a segmentation network."""
EPS = 1e-3
BOX_CLASSES, MASK_CLASSES = 6, 11


class ChannelNorm(nn.Module):
    """RMS norm over the channels of each pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return (wide / torch.sqrt((wide * wide).mean(1, keepdim=True) + EPS) * self.gain + self.bias).to(x.dtype)


def up2(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Cell(nn.Module):
    """One step: drive, (h8, h16) -> (h8, h16)."""

    def __init__(self):
        super().__init__()
        self.lift = Conv(WIDTH16, 64, 1)
        self.mix8 = Conv(WIDTH8 + WIDTH8 + 64, 96, 3)
        self.norm8 = ChannelNorm(96)
        self.gate8, self.value8 = Conv(96, WIDTH8, 1), Conv(96, WIDTH8, 1)
        self.down = Conv(WIDTH8, 96, 3, 2)
        self.mix16 = Conv(96 + WIDTH16, 96, 3)
        self.norm16 = ChannelNorm(96)
        self.gate16, self.value16 = Conv(96, WIDTH16, 1), Conv(96, WIDTH16, 1)
        for gate in (self.gate8, self.gate16):
            nn.init.normal_(gate.weight, std=0.02)
        for value in (self.value8, self.value16):
            nn.init.xavier_normal_(value.weight)

    def forward(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        h8, h16 = state
        a = F.relu(self.norm8(self.mix8(torch.cat([drive, h8, up2(self.lift(h16))], 1))))
        h8 = h8 + torch.sigmoid(self.gate8(a)) * (3 * torch.tanh(self.value8(a)) - h8)
        b = F.relu(self.norm16(self.mix16(torch.cat([F.relu(self.down(h8)), h16], 1))))
        h16 = h16 + torch.sigmoid(self.gate16(b)) * (3 * torch.tanh(self.value16(b)) - h16)
        return h8, h16


class BoxHead(nn.Module):
    """(h8, h16) -> scores [B,6,h,w] (logits) and boxes [B,4,h,w]: logarithms of the distances left, top, right, bottom in units of 8 pixels."""

    def __init__(self):
        super().__init__()
        self.from8, self.from16 = Conv(WIDTH8, 96, 1), Conv(WIDTH16, 96, 1)
        self.around = Conv(96, 96, 3, 1, 96)
        self.hidden = Conv(96, 96, 1)
        self.scores, self.boxes = Conv(96, BOX_CLASSES, 1), Conv(96, 4, 1)
        nn.init.normal_(self.scores.weight, std=0.01)
        nn.init.constant_(self.scores.bias, -4.6)
        nn.init.normal_(self.boxes.weight, std=0.01)
        nn.init.constant_(self.boxes.bias, 0.5)

    def forward(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.relu(self.from8(state[0]) + up2(self.from16(state[1])))
        x = F.relu(self.hidden(F.relu(self.around(x))))
        return self.scores(x), self.boxes(x)


class MaskHead(nn.Module):
    """drive, (h8, h16) -> logits [B,11,H/2,W/2]; the drive's last channels hold detail of stride 4."""

    def __init__(self):
        super().__init__()
        self.from8, self.from16 = Conv(WIDTH8, 96, 1), Conv(WIDTH16, 96, 1)
        self.spread = nn.ConvTranspose2d(96 + DETAIL, 48, 2, 2)
        self.around = Conv(48, 48, 3, 1, 48)
        self.hidden, self.logits = Conv(48, 48, 1), Conv(48, MASK_CLASSES, 1)

    def forward(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x = F.relu(self.from8(state[0]) + up2(self.from16(state[1])))
        x = F.relu(self.spread(torch.cat([x, drive[:, WIDTH8:]], 1)))
        x = F.relu(self.hidden(F.relu(self.around(x))))
        return F.interpolate(self.logits(x), scale_factor=2, mode="bilinear", align_corners=False)


class Network(nn.Module):
    """A detection (`street`) or segmentation (`camvid`) network.

    `cells` is 1 for the recurrent network, whose cell is applied any number of times, and the number of untied cells of a feed-forward twin.
    """

    def __init__(self, task: str, cells: int = 1, recurrent: bool = True):
        super().__init__()
        self.task, self.recurrent = task, recurrent
        self.encoder = Encoder()
        self.from8, self.from16 = Conv(32, WIDTH8, 1), Conv(96, WIDTH8, 1)
        self.norm = ChannelNorm(WIDTH8)
        self.detail = nn.Conv2d(24, DETAIL, 2, 2) if task == "camvid" else None
        self.cells = nn.ModuleList(Cell() for _ in range(cells))
        self.head = MaskHead() if task == "camvid" else BoxHead()

    def drive(self, frame: torch.Tensor) -> torch.Tensor:
        """frame [B,3,H,W], 2 * value / 255 - 1, H and W multiples of 16 -> drive [B,96(+48),H/8,W/8]."""
        f4, f8, f16 = self.encoder(frame)
        drive = F.relu(self.norm(self.from8(f8) + up2(self.from16(f16))))
        return drive if self.detail is None else torch.cat([drive, F.relu(self.detail(f4))], 1)

    def zeros(self, frame: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, _, height, width = frame.shape
        return (frame.new_zeros(batch, WIDTH8, height // 8, width // 8), frame.new_zeros(batch, WIDTH16, height // 16, width // 16))

    def step(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor], at: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cells[at](drive[:, :WIDTH8], state)

    def readout(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]):
        return self.head(drive, state)

    def forward(self, drive: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor], steps: int):
        """The state after `steps` steps; a feed-forward twin applies each of its cells once."""
        if not self.recurrent:
            state = tuple(torch.zeros_like(part) for part in state)
            for cell in self.cells:
                state = cell(drive[:, :WIDTH8], state)
            return state
        for _ in range(steps):
            state = self.step(drive, state)
        return state
