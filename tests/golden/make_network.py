"""Write network.npz: one training step's gradients, and the parameters after three, of whole networks in PyTorch.

    PYTHONPATH=tests python tests/golden/make_network.py

The networks are torchvision's ResNets and He et al.'s CIFAR net, written here once more in torch.nn, so that nothing
but PyTorch is needed. Float64 throughout.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from golden_network import NETWORKS, SGD, STEPS, images, record, weights
from torch import nn


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, C, OC, stride, option_a):
        super().__init__()
        self.conv1 = nn.Conv2d(C, OC, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(OC)
        self.conv2 = nn.Conv2d(OC, OC, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(OC)
        self.downsample = shortcut(C, OC, stride, option_a)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.downsample(x))


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, C, OC, stride, option_a):
        super().__init__()
        self.conv1 = nn.Conv2d(C, OC, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(OC)
        self.conv2 = nn.Conv2d(OC, OC, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(OC)
        self.conv3 = nn.Conv2d(OC, 4 * OC, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * OC)
        self.downsample = shortcut(C, 4 * OC, stride, option_a)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + self.downsample(x))


class OptionA(nn.Module):
    def __init__(self, new):
        super().__init__()
        self.new = new

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))


def shortcut(C, OC, stride, option_a):
    if stride == 1 and C == OC:
        return nn.Identity()
    return OptionA(OC - C) if option_a else nn.Sequential(nn.Conv2d(C, OC, 1, stride, bias=False), nn.BatchNorm2d(OC))


class ResNet(nn.Module):
    def __init__(self, block, blocks, channels, classes, cifar):
        super().__init__()
        C = channels[0]
        self.conv1 = nn.Conv2d(3, C, 3, 1, 1, bias=False) if cifar else nn.Conv2d(3, C, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(C)
        self.maxpool = nn.Identity() if cifar else nn.MaxPool2d(3, 2, 1)
        self.stages = []
        for i, OC in enumerate(channels):
            stage = []
            for j in range(blocks[i]):
                stage.append(block(C, OC, 2 if i and not j else 1, cifar))
                C = OC * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.count = len(channels)
        self.fc = nn.Linear(C, classes)

    def forward(self, x):
        h = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for i in range(self.count):
            h = getattr(self, f"layer{i + 1}")(h)
        return self.fc(h.mean((2, 3)))


def build(name, classes):
    if name == "cifar_resnet20":
        return ResNet(BasicBlock, (3, 3, 3), (16, 32, 64), classes, True)
    block, blocks = {"resnet18": (BasicBlock, (2, 2, 2, 2)), "resnet50": (Bottleneck, (3, 4, 6, 3))}[name]
    return ResNet(block, blocks, (64, 128, 256, 512), classes, False)


def run(name):
    model = build(name, NETWORKS[name][1]).double()
    state = weights({key: tuple(t.shape) for key, t in model.state_dict().items()})
    model.load_state_dict({key: torch.tensor(array) for key, array in state.items()})
    x, labels = (torch.tensor(array) for array in images(name))
    optimizer, losses = torch.optim.SGD(model.parameters(), **SGD), []
    for step in range(STEPS):
        leaf = x.clone().requires_grad_()
        logits = model(leaf)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            first = logits.detach().numpy().copy()
            dx = leaf.grad.numpy()
            gradients = {key: p.grad.numpy().copy() for key, p in model.named_parameters()}
            running = {key: b.numpy().copy() for key, b in model.named_buffers() if "running" in key}
        optimizer.step()
    parameters = {key: p.detach().numpy() for key, p in model.named_parameters()}
    return record(first, losses, dx, gradients, running, parameters)


def main():
    torch.set_num_threads(1)
    members = {f"{name}/{key}": array for name in NETWORKS for key, array in run(name).items()}
    keys, fingerprints = np.array(list(members)), np.array(list(members.values()))
    np.savez_compressed(Path(__file__).with_name("network.npz"), keys=keys, fingerprints=fingerprints)


if __name__ == "__main__":
    main()
