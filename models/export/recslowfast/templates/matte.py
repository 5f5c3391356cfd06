
class Memory(nn.Module):
    """A small convolutional GRU over half of its channels, as video matting networks keep one on every scale."""

    def __init__(self, channels):
        super().__init__()
        self.half = channels // 2
        self.gates = nn.Conv2d(2 * self.half, 2 * self.half, 3, padding=1)
        self.candidate = nn.Conv2d(2 * self.half, self.half, 3, padding=1)

    def forward(self, x, state):
        given, kept = x.split(self.half, 1)
        update, reset = self.gates(torch.cat([kept, state], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([kept, reset * state], 1)).tanh()
        moved = (1 - update) * state + update * candidate
        return torch.cat([given, moved], 1), moved


CHANNELS = (8, 16, 16, 16)


class Encoder(nn.Module):
    """Four scales of the frame; the smallest is the drive."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in zip((3, *CHANNELS), CHANNELS))

    def forward(self, frame):
        scales = []
        for layer in self.layers:
            frame = F.hardswish(layer(frame))
            scales.append(frame)
        return {"drive": scales[3], "half": scales[0], "quarter": scales[1], "eighth": scales[2]}


class Step(nn.Module):
    """From the smallest scale up, each with a state of its own."""

    def __init__(self):
        super().__init__()
        self.memories = nn.ModuleList(Memory(channels) for channels in CHANNELS)
        self.mixes = nn.ModuleList(nn.Conv2d(below + own, own, 3, padding=1) for own, below in zip(CHANNELS, CHANNELS[1:]))

    def forward(self, drive, half, quarter, eighth, r1, r2, r3, r4):
        x, r4 = self.memories[3](drive, r4)
        states = [r4]
        for at, skip, state in ((2, eighth, r3), (1, quarter, r2), (0, half, r1)):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x, state = self.memories[at](F.relu(self.mixes[at](torch.cat([x, skip], 1))), state)
            states.append(state)
        r4, r3, r2, r1 = states
        return {"r1": r1, "r2": r2, "r3": r3, "r4": r4, "top": x}


class Readout(nn.Module):
    """The largest scale to the share of foreground, at the frame's resolution."""

    def __init__(self):
        super().__init__()
        self.out = nn.Conv2d(CHANNELS[0], 1, 3, padding=1)

    def forward(self, top):
        return F.interpolate(self.out(top), scale_factor=2, mode="bilinear", align_corners=False).sigmoid()


def main():
    args = options()
    encoder, step, readout = Encoder(), Step(), Readout()
    sizes = {f"r{at + 1}": (1, channels // 2, SIZE >> (at + 1), SIZE >> (at + 1)) for at, channels in enumerate(CHANNELS)}

    def loss_of():
        frames, masks, _ = batch()
        states, loss = {name: torch.zeros(frames.shape[0], *shape[1:]) for name, shape in sizes.items()}, 0
        for at in range(frames.shape[1]):
            moved = step(**encoder(frames[:, at]), **states)
            states = {name: moved[name] for name in sizes}
            loss = loss + F.binary_cross_entropy(readout(moved["top"])[:, 0], (masks[:, at] > 0).float())
        return loss / frames.shape[1]

    train([*encoder.parameters(), *step.parameters(), *readout.parameters()], loss_of, args.seconds)
    frames, _, _ = clip(5)
    states = {name: {"shape": shape} for name, shape in sizes.items()}
    # What the readout reads of the step beside the states is one too, which no step reads: it does not count for halting.
    states["top"] = {"shape": (1, CHANNELS[0], SIZE // 2, SIZE // 2), "halting": False}
    export(encoder, step, readout, frames, args.out, task="matte", states=states, name="@NAME@", exporter=args.exporter, keep_manifest=True)
    if args.images:
        write_pictures(args.images, classes=2)


if __name__ == "__main__":
    main()
