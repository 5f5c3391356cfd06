
class Encoder(nn.Module):
    """The frame to the drive, at a quarter of its resolution; and a skip at half of it."""

    def __init__(self, channels=16):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, frame):
        skip = F.relu(self.first(frame))
        return {"drive": F.relu(self.second(skip)), "skip": skip}


class Step(nn.Module):
    """A convolutional GRU: the drive and the state to the next state."""

    def __init__(self, channels=16):
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, drive, hidden):
        update, reset = self.gates(torch.cat([drive, hidden], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([drive, reset * hidden], 1)).tanh()
        return (1 - update) * hidden + update * candidate


class Readout(nn.Module):
    """The state, and the skip, to logits at half of the frame's resolution."""

    def __init__(self, classes, channels=16):
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, classes, 1)

    def forward(self, hidden, skip):
        up = F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(F.relu(self.mix(torch.cat([up, skip], 1))))


class Named(nn.Module):
    """The same, with names in place of a meaning: how much of the frame each class covers beside the logits."""

    def __init__(self, readout):
        super().__init__()
        self.readout = readout

    def forward(self, hidden, skip):
        logits = self.readout(hidden, skip)
        return {"logits": logits, "share": logits.softmax(1).mean((2, 3))}


TASK = "@TASK@"
NAMES = ["ground", "disc"] if TASK == "contour" else ["ground", "disc", "square"]


def main():
    args = options()
    encoder, step, readout = Encoder(), Step(), Readout(len(NAMES))

    def loss_of():
        frames, masks, _ = batch()
        masks = masks.clamp(max=1) if TASK == "contour" else masks
        hidden, loss = torch.zeros(frames.shape[0], 16, SIZE // 4, SIZE // 4), 0
        for at in range(frames.shape[1]):
            encoded = encoder(frames[:, at])
            # Any number of steps has to do.
            for _ in range(int(torch.randint(1, 4, ()))):
                hidden = step(encoded["drive"], hidden)
            logits = F.interpolate(readout(hidden, encoded["skip"]), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
            loss = loss + F.cross_entropy(logits, masks[:, at])
        return loss / frames.shape[1]

    train([*encoder.parameters(), *step.parameters(), *readout.parameters()], loss_of, args.seconds)
    frames, _, _ = clip(5)
    export(
        encoder,
        step,
        Named(readout) if TASK == "raw" else readout,
        frames,
        args.out,
        task=TASK,
        classes=None if TASK == "raw" else NAMES,
        states={"hidden": (1, 16, SIZE // 4, SIZE // 4)},
        name="@NAME@",
        exporter=args.exporter,
        keep_manifest=True,
    )
    if args.images:
        write_pictures(args.images, classes=len(NAMES))


if __name__ == "__main__":
    main()
