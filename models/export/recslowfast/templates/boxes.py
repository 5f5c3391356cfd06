from torchvision.models import mobilenet_v3_small

STRIDE = 8
NAMES = ["disc", "square"]


class Detector(nn.Module):
    """MobileNetV3's first layers (squeeze-and-excitation, hard swish) and an anchor-free head, as FCOS has one: for every cell a score of each
    class, and the distances of the four edges from the cell's centre in pixels."""

    def __init__(self):
        super().__init__()
        # `weights="DEFAULT"` begins from ImageNet's.
        self.backbone = mobilenet_v3_small(weights=None).features[:4]
        self.mix = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.Hardswish())
        self.scores, self.edges = nn.Conv2d(32, len(NAMES), 3, padding=1), nn.Conv2d(32, 4, 3, padding=1)
        nn.init.constant_(self.scores.bias, -4.0)

    def forward(self, frame):
        x = self.mix(self.backbone(frame))
        return {"scores": self.scores(x), "boxes": F.softplus(self.edges(x)) * STRIDE}


def wanted(boxes):
    """For each cell which class has its centre nearest (-1: none), and the distances of that box's edges; boxes [B, 2, 4]."""
    centres = (torch.arange(SIZE // STRIDE) + 0.5) * STRIDE
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    left, top, right, bottom = boxes[..., None, None].unbind(2)
    edges = torch.stack([x - left, y - top, right - x, bottom - y], 2)
    near = ((x - (left + right) / 2).abs() < STRIDE) & ((y - (top + bottom) / 2).abs() < STRIDE) & (edges.amin(2) > 0)
    kind = torch.where(near[:, 0], 0, torch.where(near[:, 1], 1, -1))
    chosen = edges.gather(1, kind.clamp(min=0)[:, None, None].expand(-1, 1, 4, -1, -1))[:, 0]
    return kind, chosen


def main():
    args = options()
    net = Detector().train()

    def loss_of():
        frames, _, boxes = batch(16, 1)
        kind, edges = wanted(boxes[:, 0])
        made = net(frames[:, 0])
        hot = torch.stack([kind == at for at in range(len(NAMES))], 1).float()
        probability = made["scores"].sigmoid()
        sure = torch.where(hot > 0, probability, 1 - probability)
        focal = -((1 - sure) ** 2 * sure.clamp(min=1e-6).log()).sum() / hot.sum().clamp(min=1)
        there = (kind >= 0)[:, None].expand_as(edges)
        return focal + 0.1 * F.smooth_l1_loss(made["boxes"][there], edges[there])

    train(net.parameters(), loss_of, args.seconds)
    frames, _, _ = clip(5)
    boxes = {"scores": "logits", "format": "ltrb", "unit": "pixels", "strides": [STRIDE]}
    task = {"kind": "boxes", "classes": NAMES, "boxes": boxes}
    export(net, example=frames, out=args.out, task=task, name="@NAME@", exporter=args.exporter, keep_manifest=True)
    if args.images:
        write_pictures(args.images)


if __name__ == "__main__":
    main()
