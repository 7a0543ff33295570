"""The paper's network in PyTorch, written from the paper, as the judge of the Rust one.

Both towers live in one tensor, tower 0's maps first: a layer that reads only its
own tower is a grouped convolution. Parameters are a plain dict of tensors under the
names that `host export` writes. With one tower this is the network of footnote 2.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
POOLED = 6  # conv5's maps are 6x6 once pooled


@dataclass(frozen=True)
class Shape:
    """Maps and units of every layer, all towers together."""

    towers: int
    conv: tuple[int, int, int, int, int]
    fc: tuple[int, int]
    classes: int

    def parameters(self):
        """Name -> shape of every weight and bias, in the network's order."""
        c, t = self.conv, self.towers
        weights = (
            (c[0], 3, 11, 11),
            (c[1], c[0] // t, 5, 5),
            (c[2], c[1], 3, 3),
            (c[3], c[2] // t, 3, 3),
            (c[4], c[3] // t, 3, 3),
            (self.fc[0], c[4] * POOLED * POOLED),
            (self.fc[1], self.fc[0]),
            (self.classes, self.fc[1]),
        )
        named = {}
        for layer, shape in zip(LAYERS, weights, strict=True):
            named[f"{layer}.weight"] = shape
            named[f"{layer}.bias"] = shape[:1]
        return named

    @staticmethod
    def of(params):
        """The shape that a set of parameters has; ValueError if they do not fit together."""
        missing = [f"{n}.{p}" for n in LAYERS for p in ("weight", "bias") if f"{n}.{p}" not in params]
        if missing:
            raise ValueError(f"missing tensors: {', '.join(missing)}")
        out = [params[f"{layer}.weight"].shape[0] for layer in LAYERS]
        towers = out[0] // params["conv2.weight"].shape[1]
        shape = Shape(towers, tuple(out[:5]), tuple(out[5:7]), out[7])
        for name, want in shape.parameters().items():
            if tuple(params[name].shape) != tuple(want):
                raise ValueError(f"{name} is {tuple(params[name].shape)}, expected {tuple(want)}")
        return shape


PAPER = Shape(2, (96, 256, 384, 384, 256), (4096, 4096), 1000)


@dataclass(frozen=True)
class Lrn:
    """b = a / (k + alpha * sum of squares over n adjacent maps)^beta, as the paper prints it."""

    k: float = 2.0
    n: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    divide_by_n: bool = False  # the authors' program and PyTorch use alpha / n

    def scale(self):
        return self.alpha / self.n if self.divide_by_n else self.alpha

    def __call__(self, a, towers):
        batch, maps, height, width = a.shape
        per_tower = a.reshape(batch, towers, maps // towers, height, width)
        squares = per_tower * per_tower
        total = torch.zeros_like(squares)
        count = squares.shape[2]
        for offset in range(-(self.n // 2), self.n // 2 + 1):  # clipped at the tower's edges
            to = slice(max(0, -offset), min(count, count - offset))
            source = slice(max(0, offset), min(count, count + offset))
            total[:, :, to] += squares[:, :, source]
        return (per_tower / (self.k + self.scale() * total) ** self.beta).reshape(a.shape)


def halved(x):
    """Dropout at test time: every unit answers, at half strength."""
    return x * 0.5


def kept(x):
    """Dropout switched off in training."""
    return x


def dropped(x):
    """Dropout in training: half of the units silenced, the others unscaled."""
    return x * (torch.rand_like(x) < 0.5)


def pool(x):
    return F.max_pool2d(x, kernel_size=3, stride=2)


def forward(params, images, towers, lrn=Lrn(), dropout=halved):
    """Logits of `images` [n, 3, 224, 224], from which the mean is already taken."""

    def conv(x, layer, groups, padding, stride=1):
        weight, bias = params[f"{layer}.weight"], params[f"{layer}.bias"]
        return F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups))

    def fc(x, layer):
        return F.linear(x, params[f"{layer}.weight"], params[f"{layer}.bias"])

    x = F.pad(images, (0, 3, 0, 3))  # 55 windows of 11 every 4 pixels end at pixel 226
    x = pool(lrn(conv(x, "conv1", 1, padding=0, stride=4), towers))
    x = pool(lrn(conv(x, "conv2", towers, padding=2), towers))
    x = conv(x, "conv3", 1, padding=1)
    x = conv(x, "conv4", towers, padding=1)
    x = pool(conv(x, "conv5", towers, padding=1))
    x = dropout(F.relu(fc(x.flatten(1), "fc6")))
    x = dropout(F.relu(fc(x, "fc7")))
    return fc(x, "fc8")


class Sgd:
    """v <- momentum * v - decay * lr * w - lr * gradient;  w <- w + v."""

    def __init__(self, params, lr, momentum=0.9, decay=0.0005, decay_biases=False):
        self.params = params
        self.lr, self.momentum, self.decay, self.decay_biases = lr, momentum, decay, decay_biases
        self.velocity = {name: torch.zeros_like(w) for name, w in params.items()}

    @torch.no_grad()
    def step(self, gradients):
        for name, w in self.params.items():
            decay = self.decay if name.endswith(".weight") or self.decay_biases else 0.0
            v = self.velocity[name]
            v.copy_(self.momentum * v - decay * self.lr * w - self.lr * gradients[name])
            w.add_(v)


def loss_and_gradients(params, images, labels, towers, lrn=Lrn(), dropout=kept):
    """Logits, mean negative log-probability, and its gradient for every parameter."""
    logits = forward(params, images, towers, lrn, dropout)
    loss = F.cross_entropy(logits, labels)
    gradients = torch.autograd.grad(loss, list(params.values()))
    return logits.detach(), loss.detach(), dict(zip(params, gradients, strict=True))
