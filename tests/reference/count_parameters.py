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


def caffe(groups=2):
    """The paper's sizes on one place; conv2, conv4 and conv5 in groups."""
    total, read = 0, 3
    for maps, kernel, parts in [(96, 11, 1), (256, 5, groups), (384, 3, 1), (384, 3, groups), (256, 3, groups)]:
        total += parts * convolution(maps // parts, read // parts, kernel)
        read = maps
    return total + dense(4096, read * 6 * 6) + dense(4096, 4096) + dense(1000, 4096)


def footnote_3():
    """Two convolutions, each pooled to half its side, on 24×24 pixels; then two layers with filters of their own at each
    of the 6×6 pixels that are left."""
    pixels = 6 * 6
    local = pixels * convolution(32, 64, 3) + pixels * convolution(32, 32, 3)
    return convolution(64, 3, 5) + convolution(64, 64, 5) + local + dense(1000, 32 * pixels)


def figure_1():
    """Three convolutions, each pooled to half its side, on 32×32 images."""
    return convolution(32, 3, 5) + convolution(32, 32, 5) + convolution(64, 32, 5) + dense(1000, 64 * 4 * 4)


if __name__ == "__main__":
    for name, count in {
        "paper": alexnet(),
        "krizhevsky-145": alexnet(),
        "one-gpu": one_tower([48, 128, 192, 192, 256]),
        "sixth-conv": alexnet(conv6=True),
        "torchvision": one_tower([64, 192, 384, 256, 256]),
        "caffe": caffe(),
        "no-conv3": alexnet(conv3=False),
        "no-conv4": alexnet(conv4=False),
        "no-conv5": alexnet(conv5=False),
        "cifar-relu": figure_1(),
        "cifar-no-lrn": footnote_3(),
    }.items():
        print(f"{name:12} {count:,}".replace(",", "_"))
