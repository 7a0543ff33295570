#!/usr/bin/env python3
"""A small network of the layers that the paper's has not, in PyTorch: writes kinds_small.safetensors.

    python tests/reference/kinds_net.py            write it
    python tests/reference/kinds_net.py --check    write nothing: compare with the file that stands

kinds.toml is the same network for the Rust program: padding in max- and average-pooling, response normalisation within
each map, a convolution in groups, a locally connected layer. Plain loops judge the last two and the normalisation here
first. Computed in float64, stored in float32.
"""

import argparse
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save

from make_state import HERE, error, ordered

PATH = HERE / "kinds_small.safetensors"
IMAGES, CLASSES, SEED = 32, 10, 3
SHAPES = {
    "conv1": ((16, 3, 3, 3), (16,)),
    "conv2": ((32, 8, 3, 3), (32,)),
    "local3": ((16, 2, 2, 32, 3, 3), (16, 2, 2)),
    "fc4": ((CLASSES, 16 * 2 * 2), (CLASSES,)),
}
SIGMA = {"conv1": 0.2, "conv2": 0.2, "local3": 0.1, "fc4": 0.2}


def within_map(x, k=1.5, n=5, alpha=0.05, beta=0.75):
    """The mean of squares over n×n pixels, zeros beyond the edge."""
    mean = F.avg_pool2d(x * x, n, stride=1, padding=n // 2, count_include_pad=True)
    return x / (k + alpha * mean) ** beta


def local(x, weight, bias, stride, padding):
    """A filter bank of its own at every pixel: weight [map, row, column, map read, row, column]."""
    maps, rows, columns, _, kernel, _ = weight.shape
    windows = F.unfold(x, kernel, padding=padding, stride=stride)
    y = torch.einsum("nkp,mpk->nmp", windows, weight.reshape(maps, rows * columns, -1))
    return y.reshape(len(x), maps, rows, columns) + bias


def forward(p, x):
    x = F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], stride=2, padding=1))
    x = F.max_pool2d(within_map(x), 3, stride=2, padding=1, ceil_mode=True)
    x = torch.tanh(F.conv2d(x, p["conv2.weight"], p["conv2.bias"], padding=1, groups=2))
    x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    x = F.relu(local(x, p["local3.weight"], p["local3.bias"], stride=2, padding=1))
    return F.linear(x.flatten(1), p["fc4.weight"], p["fc4.bias"])


def by_loops(random):
    """How far `within_map`, `local` and a grouped convolution are from their definitions."""
    x = random.normal(0, 1, (2, 4, 5, 6))
    w, b = random.normal(0, 1, (3, 3, 3, 4, 3, 3)), random.normal(0, 1, (3, 3, 3))
    grouped = random.normal(0, 1, (6, 2, 3, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    wide = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    normed, connected = np.empty_like(x), np.empty((2, 3, 3, 3))
    convolved = np.empty((2, 6, 5, 6))
    for n, c, i, j in np.ndindex(x.shape):
        square = wide[n, c, i : i + 5, j : j + 5]
        normed[n, c, i, j] = x[n, c, i, j] / (1.5 + 0.05 / 25 * (square**2).sum()) ** 0.75
    for n, m, i, j in np.ndindex(connected.shape):
        window = padded[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        connected[n, m, i, j] = (w[m, i, j] * window).sum() + b[m, i, j]
    for n, m, i, j in np.ndindex(convolved.shape):
        own = slice(0, 2) if m < 3 else slice(2, 4)
        convolved[n, m, i, j] = (grouped[m] * padded[n, own, i : i + 3, j : j + 3]).sum()
    t = torch.from_numpy
    return {
        "within_map": error(within_map(t(x)).numpy(), normed),
        "local": error(local(t(x), t(w), t(b), 2, 1).numpy(), connected),
        "groups": error(F.conv2d(t(x), t(grouped), padding=1, groups=2).numpy(), convolved),
    }


def compute(images, labels, weights, dtype):
    params = {name: torch.tensor(w, dtype=dtype, requires_grad=True) for name, w in weights.items()}
    logits = forward(params, torch.tensor(images, dtype=dtype))
    loss = F.cross_entropy(logits, torch.from_numpy(labels))
    gradients = torch.autograd.grad(loss, list(params.values()))
    out = {"logits": logits.detach(), "loss": loss.detach().reshape(1)}
    out |= {f"gradient.{name}": g for name, g in zip(params, gradients, strict=True)}
    return {name: value.numpy().astype(np.float64) for name, value in out.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the file that stands")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.Generator(np.random.PCG64(SEED))
    for name, far in by_loops(random).items():
        print(f"{name} by loops: {far:.1e}")
        if not far < 1e-12:
            sys.exit(f"{name} is not what it is defined as")
    images = random.normal(0, 2, (IMAGES, 3, 16, 16)).astype(np.float32)
    labels = np.arange(IMAGES, dtype=np.int64) * 7 % CLASSES
    weights = {}
    for layer, (weight, bias) in SHAPES.items():
        weights[f"{layer}.weight"] = random.normal(0, SIGMA[layer], weight).astype(np.float32)
        weights[f"{layer}.bias"] = random.normal(0, 0.1, bias).astype(np.float32)
    exact = compute(images, labels, weights, torch.float64)
    single = compute(images, labels, weights, torch.float32)
    print(f"loss {exact['loss'][0]:.6f}; float32 deviates by at most {max(error(single[k], exact[k]) for k in exact):.1e}")
    tensors = {f"initial.{k}": w for k, w in weights.items()} | {k: v.astype(np.float32) for k, v in exact.items()}
    tensors |= {"images": images, "labels": labels}
    # A gradient may come in another order of memory, and the file holds the memory as it is.
    tensors = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
    if options.check:
        stands = load_file(PATH)
        worst = max(error(stands[k], tensors[k]) for k in tensors)
        print(f"{PATH.name} deviates by at most {worst:.1e}")
        sys.exit(not worst <= 1e-6)
    PATH.with_suffix(".tmp").write_bytes(ordered(save(tensors, {"network": "kinds.toml"})))
    PATH.with_suffix(".tmp").replace(PATH)


if __name__ == "__main__":
    main()
