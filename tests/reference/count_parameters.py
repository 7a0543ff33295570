"""Weights and biases of the presets with 1000 classes, from the layers as they are described, by plain arithmetic.

The values stand in `host/src/net/shapes/tests.rs`. It reads nothing of the project.
"""

TOWERS = 2


def convolution(maps, read, kernel):
    return maps * (read * kernel * kernel + 1)


def dense(units, read):
    return units * (read + 1)


def alexnet(conv3=True, conv4=True, conv5=True, conv6=False):
    """The paper's two towers: a layer reads its own tower's maps, conv3 and the dense layers those of both."""
    total = convolution(96, 3, 11) + convolution(256, 96 // TOWERS, 5)
    maps = 256
    if conv3:
        total += convolution(384, maps, 3)
        maps = 384
    if conv4:
        total += convolution(384, maps // TOWERS, 3)
        maps = 384
    if conv5:
        total += convolution(256, maps // TOWERS, 3)
        maps = 256
    if conv6:
        total += convolution(256, maps // TOWERS, 3)
        maps = 256
    return total + dense(4096, maps * 6 * 6) + dense(4096, 4096) + dense(1000, 4096)


def one_tower(maps):
    """All layers read all maps."""
    total, read = 0, 3
    for count, kernel in zip(maps, [11, 5, 3, 3, 3]):
        total += convolution(count, read, kernel)
        read = count
    return total + dense(4096, read * 6 * 6) + dense(4096, 4096) + dense(1000, 4096)


def figure_1():
    """Three convolutions, each pooled to half its side, on 32×32 images."""
    return convolution(32, 3, 5) + convolution(32, 32, 5) + convolution(64, 32, 5) + dense(1000, 64 * 4 * 4)


if __name__ == "__main__":
    for name, count in {
        "paper": alexnet(),
        "one-gpu": one_tower([48, 128, 192, 192, 256]),
        "sixth-conv": alexnet(conv6=True),
        "torchvision": one_tower([64, 192, 384, 256, 256]),
        "no-conv3": alexnet(conv3=False),
        "no-conv4": alexnet(conv4=False),
        "no-conv5": alexnet(conv5=False),
        "cifar-relu": figure_1(),
    }.items():
        print(f"{name:12} {count:,}".replace(",", "_"))
