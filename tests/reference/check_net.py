#!/usr/bin/env python3
"""Judges the judge: paper_net against central differences and plain loops, all in float64.

    python tests/reference/check_net.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

import make_state
from paper_net import PAPER, Lrn, Sgd, Shape, forward, kept, loss_and_gradients

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

import pytorch_cpu  # noqa: E402

failures = []


def judge(what, worst, limit):
    verdict = "ok" if worst <= limit else "FAILED"
    print(f"{verdict:<7}{what}: {worst:.1e} (limit {limit:.0e})", flush=True)
    if not worst <= limit:
        failures.append(what)


def central_differences(name, per_parameter=4, images=4, step=1e-6):
    """d loss / d w for some weights of every parameter, beside autograd's.

    The step is small because kinks are near: at 1e-5 one weight of one_gpu_small's conv1
    already changes the winner of two pooling windows, which shows as an error of 8e-4.
    """
    shape, seed, _ = make_state.STATES[name]
    weights = make_state.initial_weights(shape, seed)
    params = {k: torch.tensor(w, dtype=torch.float64, requires_grad=True) for k, w in weights.items()}
    x = torch.from_numpy(make_state.pixels()[:images]).double() - 128
    y = torch.from_numpy(make_state.labels()[:images])
    _, _, gradients = loss_and_gradients(params, x, y, shape.towers)
    random = np.random.default_rng(5)

    def loss():
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(forward(params, x, shape.towers, dropout=kept), y).item()

    for key, w in params.items():
        flat, grad = w.data.view(-1), gradients[key].flatten()
        alive = torch.nonzero(grad).flatten().numpy()
        got, want = [], []
        for i in random.choice(alive, per_parameter):
            old = flat[i].item()
            flat[i] = old + step
            up = loss()
            flat[i] = old - step
            got.append((up - loss()) / (2 * step))
            flat[i] = old
            want.append(grad[i].item())
        judge(f"{name} {key} central differences", make_state.error(np.array(got), np.array(want)), 1e-5)


def lrn_by_loops():
    random = np.random.default_rng(6)
    a = random.normal(0, 60, (2, 14, 3, 2))
    for towers in (1, 2):
        for lrn in (Lrn(), Lrn(divide_by_n=True)):
            alpha = 1e-4 / 5 if lrn.divide_by_n else 1e-4
            per, want = 14 // towers, np.zeros_like(a)
            for i in range(14):
                first = i // per * per
                near = range(max(first, i - 2), min(first + per - 1, i + 2) + 1)
                want[:, i] = a[:, i] / (2 + alpha * sum(a[:, j] ** 2 for j in near)) ** 0.75
            got = lrn(torch.from_numpy(a), towers).numpy()
            judge(f"LRN by loops, towers {towers}, alpha/n {lrn.divide_by_n}", make_state.error(got, want), 1e-14)


def lrn_of_the_benchmark():
    a = torch.randn(2, 32, 5, 5, dtype=torch.float64) * 60
    g = torch.randn_like(a)
    for name, lrn in pytorch_cpu.LRN.items():
        x, y = a.clone().requires_grad_(), a.clone().requires_grad_()
        got, want = lrn(x, 2), Lrn()(y, 2)
        judge(f"benchmark's LRN {name}", make_state.error(got.detach().numpy(), want.detach().numpy()), 1e-12)
        got.backward(g)
        want.backward(g)
        judge(f"benchmark's LRN {name}, gradient", make_state.error(x.grad.numpy(), y.grad.numpy()), 1e-12)


def logits_by_loops():
    """A network of the fewest maps, computed tower by tower with NumPy alone."""
    shape = Shape(2, (8, 12, 8, 12, 8), (8, 12), 6)
    random = np.random.default_rng(7)
    params = {k: random.normal(0.02, 0.1, s) for k, s in shape.parameters().items()}
    image = make_state.pixels()[3].astype(np.float64) - 128

    def conv(x, layer, towers, pad, stride=1):
        w, b = params[f"{layer}.weight"], params[f"{layer}.bias"]
        x = np.pad(x, ((0, 0), pad, pad))
        size, share = w.shape[2], w.shape[0] // towers
        out = (x.shape[1] - size) // stride + 1
        y = np.empty((w.shape[0], out, out))
        for m in range(w.shape[0]):
            own = x if towers == 1 else np.split(x, towers)[m // share]
            for i in range(out):
                for j in range(out):
                    window = own[:, i * stride : i * stride + size, j * stride : j * stride + size]
                    y[m, i, j] = (w[m] * window).sum() + b[m]
        return np.maximum(y, 0)

    def normalise(x):
        towers = [Lrn()(torch.from_numpy(t[None]), 1).numpy()[0] for t in np.split(x, 2)]
        return np.concatenate(towers)

    def pool(x):
        out = (x.shape[1] - 3) // 2 + 1
        y = np.empty((x.shape[0], out, out))
        for i in range(out):
            for j in range(out):
                y[:, i, j] = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2))
        return y

    def fc(x, layer):
        return params[f"{layer}.weight"] @ x + params[f"{layer}.bias"]

    x = pool(normalise(conv(image, "conv1", 1, (0, 3), 4)))
    x = pool(normalise(conv(x, "conv2", 2, (2, 2))))
    x = conv(conv(x, "conv3", 1, (1, 1)), "conv4", 2, (1, 1))
    x = pool(conv(x, "conv5", 2, (1, 1)))
    x = 0.5 * np.maximum(fc(x.reshape(-1), "fc6"), 0)
    x = 0.5 * np.maximum(fc(x, "fc7"), 0)
    want = fc(x, "fc8")
    tensors = {k: torch.from_numpy(v) for k, v in params.items()}
    got = forward(tensors, torch.from_numpy(image[None]), 2).numpy()[0]
    judge("logits by loops", make_state.error(got, want), 1e-12)


def sgd_by_hand():
    w = {"a.weight": torch.tensor([2.0], dtype=torch.float64), "a.bias": torch.tensor([2.0], dtype=torch.float64)}
    sgd = Sgd(w, lr=0.1, momentum=0.5, decay=0.25)
    for g in (1.0, 3.0):
        sgd.step({k: torch.tensor([g], dtype=torch.float64) for k in w})
    # weight: v = -0.05 - 0.1 = -0.15, w = 1.85; v = -0.075 - 0.04625 - 0.3 = -0.42125, w = 1.42875
    # bias: v = -0.1, w = 1.9; v = -0.05 - 0.3 = -0.35, w = 1.55
    got = np.array([w["a.weight"].item(), w["a.bias"].item()])
    judge("two SGD steps by hand", make_state.error(got, np.array([1.42875, 1.55])), 1e-15)


def main():
    count = sum(int(np.prod(s)) for s in PAPER.parameters().values())
    judge(f"the paper's {count:,} parameters", abs(count - 60_965_224), 0)
    sgd_by_hand()
    lrn_by_loops()
    lrn_of_the_benchmark()
    logits_by_loops()
    for name in make_state.STATES:
        central_differences(name)
    sys.exit(f"{len(failures)} checks failed: {', '.join(failures)}" if failures else 0)


if __name__ == "__main__":
    main()
