#!/usr/bin/env python3
"""Writes torchvision_small.safetensors: a state_dict as torchvision's `alexnet` has it, and what PyTorch makes of it.

    python tests/reference/make_torchvision.py

The modules stand where torchvision has them, so the tensors have its names (`features.0.weight`, `classifier.1.bias`, …);
the layers are narrow, so that the file is small, and the weights random.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

BATCH, CLASSES, SEED = 32, 10, 2014
MAPS, UNITS = (16, 32, 32, 16, 16), 32


class AlexNet(nn.Module):
    def __init__(self):
        super().__init__()
        a, b, c, d, e = MAPS
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1), nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(e * 36, UNITS), nn.ReLU(),
            nn.Dropout(), nn.Linear(UNITS, UNITS), nn.ReLU(),
            nn.Linear(UNITS, CLASSES),
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def images():
    """[n, c, y, x]: 8×8 fields of one value; of the field's number times 2654435761 in 32 bits the upper 8, less 128, over 64."""
    field = np.arange(BATCH * 3 * 8 * 8, dtype=np.uint32).reshape(BATCH, 3, 8, 8)
    upper = (field * np.uint32(2654435761)) >> np.uint32(24)
    return np.kron((upper.astype(np.float64) - 128) / 64, np.ones((28, 28)))


def main():
    torch.manual_seed(SEED)
    net = AlexNet().eval()
    for weight in net.parameters():
        if weight.dim() > 1:
            nn.init.kaiming_normal_(weight)  # PyTorch's own are so small that all images give the same
    state = net.state_dict()
    with torch.no_grad():
        logits = net.double()(torch.from_numpy(images())).float()
    state = {name: tensor.float().contiguous() for name, tensor in state.items()}
    path = Path(__file__).resolve().parent / "torchvision_small.safetensors"
    save_file({**state, "logits": logits}, path)
    print(f"{path.name}: {path.stat().st_size} bytes, logits {logits.std(0).mean():.3g} apart")


if __name__ == "__main__":
    main()
