"""PyTorch: the same networks, with torchvision's names, so that our weights fit."""

import contenders
import torch
import torch.nn.functional as F
from torch import nn


class PadChannels(nn.Module):
    """Option A of He et al. 2015: every second pixel, and channels of zeros."""

    def __init__(self, more):
        super().__init__()
        self.more = more

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))


class Block(nn.Module):
    """A basic block, or with expansion 4 a bottleneck."""

    def __init__(self, in_channels, channels, stride, expansion, projection):
        super().__init__()
        out = channels * expansion
        plan = [(in_channels, channels, 3, stride), (channels, channels, 3, 1)]
        if expansion > 1:
            plan = [(in_channels, channels, 1, 1), (channels, channels, 3, stride), (channels, out, 1, 1)]
        self.count = len(plan)
        for i, (C, OC, kernel, step) in enumerate(plan, 1):
            setattr(self, f"conv{i}", nn.Conv2d(C, OC, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(OC))
        self.downsample = nn.Identity()
        if stride > 1 or in_channels != out:
            self.downsample = PadChannels(out - in_channels)
            if projection:
                self.downsample = nn.Sequential(nn.Conv2d(in_channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        h = x
        for i in range(1, self.count + 1):
            h = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(h))
            if i < self.count:
                h = F.relu(h, inplace=True)
        return F.relu(h + self.downsample(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, blocks, widths, expansion, num_classes, stem, projection):
        super().__init__()
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.conv1 = nn.Conv2d(3, widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.pool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        C, self.stages = widths[0], len(widths)
        for i, (count, width) in enumerate(zip(blocks, widths, strict=True), 1):
            stage = []
            for block in range(count):
                stage.append(Block(C, width, 2 if i > 1 and block == 0 else 1, expansion, projection))
                C = width * expansion
            setattr(self, f"layer{i}", nn.Sequential(*stage))
        self.fc = nn.Linear(C, num_classes)

    def forward(self, x):
        h = self.pool(F.relu(self.bn1(self.conv1(x)), inplace=True))
        for i in range(1, self.stages + 1):
            h = getattr(self, f"layer{i}")(h)
        return self.fc(h.mean((2, 3)))


DEEP = (64, 128, 256, 512)
PLANS = {
    "resnet18": ((2, 2, 2, 2), DEEP, 1, 1000, True),
    "resnet34": ((3, 4, 6, 3), DEEP, 1, 1000, True),
    "resnet50": ((3, 4, 6, 3), DEEP, 4, 1000, True),
    "resnet101": ((3, 4, 23, 3), DEEP, 4, 1000, True),
    "cifar_resnet20": ((3, 3, 3), (16, 32, 64), 1, 10, False),
}


def network(work, state):
    """The network of a work, with these weights."""
    blocks, widths, expansion, num_classes, projection = PLANS[work["model"]]
    stem = work["options"].get("stem", "imagenet" if projection else "cifar")
    num_classes = work["options"].get("num_classes", num_classes)
    net = ResNet(blocks, widths, expansion, num_classes, stem, projection)
    net.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in state.items()})
    return net


class Torch:
    def __init__(self, threads, form):
        torch.set_num_threads(threads)
        self.form = form
        self.version = torch.__version__

    def prepare(self, work):
        model, x, labels = contenders.problem(work)
        memory = torch.contiguous_format if self.form == "contiguous" else torch.channels_last
        net = network(work, model.state_dict()).to(memory_format=memory)
        x, labels = torch.from_numpy(x).contiguous(memory_format=memory), torch.from_numpy(labels)
        forward = torch.compile(net) if self.form == "compile" else net
        if not work["train"]:
            net.eval()

            def infer():
                with torch.inference_mode():
                    return forward(x)

            return infer, contenders.numbers(infer())
        optimizer = torch.optim.SGD(net.parameters(), contenders.LR, momentum=contenders.MOMENTUM)

        def step():
            optimizer.zero_grad()
            loss = F.cross_entropy(forward(x), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        return contenders.two_losses(step)
