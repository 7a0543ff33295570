#!/usr/bin/env python3
"""Speed of the paper's network in PyTorch on a GPU: its layers, its step, the chip's own peaks. Prints JSON.

Precisions: strict fp32, TF32, bf16. A layer's phase takes the faster of both memory layouts; the step the
fastest of eager, CUDA graph and torch.compile in both layouts, with the response normalisation as library,
grouped convolution or shifted sums, as far as the time goes.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent))
for folder in Path(__file__).resolve().parents[:2]:
    sys.path.append(str(folder / "tests" / "reference"))
import paper_net  # noqa: E402

# What the layers are left of the time, after the steps.
LAYERS_SECONDS = 50
PRECISIONS = ("fp32", "tf32", "bf16")
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CONVOLUTIONS = {  # input side, padding, stride, whether each tower reads its own maps
    "conv1": (227, 0, 4, False),
    "conv2": (27, 2, 1, True),
    "conv3": (13, 1, 1, False),
    "conv4": (13, 1, 1, True),
    "conv5": (13, 1, 1, True),
}


class Bench:
    def __init__(self, options):
        self.device = torch.device(options.device)
        self.batch = options.batch
        self.end = time.monotonic() + options.seconds
        self.shape = scaled(options.width)
        self.on_gpu = self.device.type == "cuda"

    def left(self):
        return self.end - time.monotonic()

    def seconds(self, action, most=0.15, captured=False):
        """The median time of an action, by the GPU's own clock and without the time it takes to launch."""
        for _ in range(3):
            action()
        inside = 1
        if self.on_gpu and not captured:
            action, inside = captured_times(action, 10)
        once = self.measure(action, 1)[0]
        times = max(5, min(50, int(most / max(once, 1e-6))))
        return median(self.measure(action, times)) / inside

    def measure(self, action, times):
        if not self.on_gpu:
            return [clocked(action) for _ in range(times)]
        marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(times)]
        for begin, end in marks:
            begin.record()
            action()
            end.record()
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) / 1e3 for begin, end in marks]


def clocked(action):
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def captured_times(action, times):
    """A CUDA graph of the action so many times; the action itself where it cannot be captured."""
    try:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            for _ in range(times):
                action()
        graph.replay()
        torch.cuda.synchronize()
        return graph.replay, times
    except RuntimeError:
        torch.cuda.synchronize()
        return action, 1


def median(values):
    return sorted(values)[len(values) // 2]


def scaled(width):
    p = paper_net.PAPER
    if width == 1.0:
        return p
    by = lambda n: max(32, round(n * width / 32) * 32)
    return paper_net.Shape(2, tuple(map(by, p.conv)), tuple(map(by, p.fc)), p.classes)


@contextlib.contextmanager
def precision(name):
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    yield torch.bfloat16 if name == "bf16" else torch.float32


def peaks(bench):
    """What the chip reaches: a large matrix product, a large copy (bytes read and written)."""
    side, words = (8192, 1 << 28) if bench.on_gpu else (256, 1 << 16)
    found = {}
    for name in PRECISIONS:
        with precision(name) as dtype:
            a, b = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
            found[f"{name}_flops"] = 2 * side**3 / bench.seconds(lambda: torch.mm(a, b))
    source = torch.randn(words, device=bench.device)
    target = torch.empty_like(source)
    found["bytes_per_second"] = 2 * 4 * words / bench.seconds(lambda: target.copy_(source))
    return found


def layers(bench):
    found = {}
    for name in CONVOLUTIONS:
        found[name] = {p: best_of(bench, convolution, name, p) for p in PRECISIONS}
    for name in ("fc6", "fc7", "fc8"):
        found[name] = {p: tried(bench, linear, name, p) for p in PRECISIONS}
    for name, maps, side in (("lrn1", 0, 55), ("lrn2", 1, 27)):
        found[name] = {p: best_lrn(bench, bench.shape.conv[maps], side, p) for p in PRECISIONS}
    for name, maps, side in (("pool1", 0, 55), ("pool2", 1, 27), ("pool5", 4, 13)):
        found[name] = {p: best_of(bench, pooling, (bench.shape.conv[maps], side), p) for p in PRECISIONS}
    return found


def best_of(bench, measure, what, name):
    """Each phase in the layout that suits it better; nothing where this build can do neither, or no time is left."""
    return fastest(tried(bench, measure, what, name, layout) for layout in LAYOUTS.values())


def tried(bench, measure, *arguments):
    if bench.left() < 2:
        return {}
    try:
        return measure(bench, *arguments)
    except Exception as error:  # what this build cannot run is left out
        print(f"{measure.__name__} {arguments}: {error}".splitlines()[0], file=sys.stderr)
        return {}


def fastest(trials):
    best = {}
    for trial in trials:
        best = {phase: min(seconds, best.get(phase, seconds)) for phase, seconds in trial.items()} or best
    return best


def convolution(bench, layer, name, layout):
    side, padding, stride, own = CONVOLUTIONS[layer]
    weight_shape = bench.shape.parameters()[f"{layer}.weight"]
    groups = bench.shape.towers if own else 1
    with precision(name) as dtype:
        make = lambda *size: torch.randn(*size, device=bench.device).to(dtype).to(memory_format=layout)
        x, w = make(bench.batch, weight_shape[1] * groups, side, side), make(*weight_shape)
        bias = torch.randn(weight_shape[0], device=bench.device).to(dtype)
        forward = lambda: F.conv2d(x, w, bias, stride, padding, 1, groups)
        dy = torch.randn_like(forward())
        s, p, d = [stride] * 2, [padding] * 2, [1, 1]
        back = lambda mask: torch.ops.aten.convolution_backward(
            dy, x, w, [weight_shape[0]], s, p, d, False, [0, 0], groups, mask)
        return {
            "forward": bench.seconds(forward),
            # Nobody wants the gradient to the image.
            "input_gradient": bench.seconds(lambda: back([True, False, False])) if layer != "conv1" else 0.0,
            "weight_gradient": bench.seconds(lambda: back([False, True, True])),
        }


def linear(bench, layer, name):
    outputs, inputs = bench.shape.parameters()[f"{layer}.weight"]
    with precision(name) as dtype:
        make = lambda *size: torch.randn(*size, device=bench.device).to(dtype)
        x, w, bias, dy = make(bench.batch, inputs), make(outputs, inputs), make(outputs), make(bench.batch, outputs)
        return {
            "forward": bench.seconds(lambda: F.linear(x, w, bias)),
            "input_gradient": bench.seconds(lambda: dy @ w),
            "weight_gradient": bench.seconds(lambda: (dy.t() @ x, dy.sum(0))),
        }


def best_lrn(bench, maps, side, name):
    return fastest(best_of(bench, lrn, (kind, maps, side), name) for kind in ("library", "conv"))


def lrn(bench, what, name, layout):
    kind, maps, side = what
    return differentiated(bench, lambda x: LRN[kind](bench)(x, 2), (maps, side), name, layout)


def pooling(bench, what, name, layout):
    return differentiated(bench, paper_net.pool, what, name, layout)


def differentiated(bench, function, what, name, layout):
    """Forward, and backward through autograd."""
    maps, side = what
    with precision(name) as dtype:
        x = torch.randn(bench.batch, maps, side, side, device=bench.device).to(dtype).to(memory_format=layout)
        x.requires_grad_()
        y = function(x)
        dy = torch.randn_like(y)
        return {
            "forward": bench.seconds(lambda: function(x)),
            "input_gradient": bench.seconds(lambda: torch.autograd.grad(y, x, dy, retain_graph=True)),
            "weight_gradient": 0.0,
        }


def power(s):
    """s^-0.75 without pow."""
    r = s.rsqrt()
    return r * r.sqrt()


def lrn_library(_bench):
    def act(a, towers):
        b, c, h, w = a.shape
        per_tower = a.reshape(b * towers, c // towers, h, w)
        return F.local_response_norm(per_tower, 5, alpha=5e-4, beta=0.75, k=2.0).reshape(a.shape)
    return act


def lrn_conv(bench):
    """A grouped 1x1 convolution of the squares with a banded matrix."""
    bands = {}

    def act(a, towers):
        key = (a.shape[1], a.dtype)
        if key not in bands:
            i = torch.arange(a.shape[1] // towers, device=bench.device)
            near = (i[:, None] - i[None, :]).abs() <= 2
            bands[key] = near.to(a.dtype)[:, :, None, None].repeat(towers, 1, 1, 1)
        return a * power(2.0 + 1e-4 * F.conv2d(a * a, bands[key], groups=towers))
    return act


def lrn_shifts(_bench):
    """The sum of five shifted views."""
    def act(a, towers):
        x = a.unflatten(1, (towers, a.shape[1] // towers))
        q = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        m = x.shape[2]
        s = q[:, :, 0:m] + q[:, :, 1 : m + 1] + q[:, :, 2 : m + 2] + q[:, :, 3 : m + 3] + q[:, :, 4 : m + 4]
        return (x * power(2.0 + 1e-4 * s)).flatten(1, 2)
    return act


LRN = {"library": lrn_library, "conv": lrn_conv, "shifts": lrn_shifts}


class Step:
    """A training step: forward, loss, backward, SGD."""

    def __init__(self, bench, name, layout, kind, mode):
        self.bench, self.name = bench, name
        form = LAYOUTS[layout]
        self.images = (torch.randn(bench.batch, 3, 224, 224, device=bench.device) * 50).to(memory_format=form)
        self.labels = torch.randint(0, bench.shape.classes, (bench.batch,), device=bench.device)
        self.params = {}
        for key, size in bench.shape.parameters().items():
            value = torch.randn(size, device=bench.device) * 0.01
            value = value.to(memory_format=form) if value.dim() == 4 else value
            self.params[key] = value.requires_grad_()
        decayed = [p for key, p in self.params.items() if key.endswith(".weight")]
        others = [p for key, p in self.params.items() if key.endswith(".bias")]
        groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
        self.sgd = torch.optim.SGD(groups, lr=1e-6, momentum=0.9, fused=bench.on_gpu or None)
        act = LRN[kind](bench)
        drop = lambda x: F.dropout(x, 0.5) * 0.5  # the paper's: what is kept is not scaled

        def loss(params, images, labels):
            logits = paper_net.forward(params, images, bench.shape.towers, act, drop)
            return F.cross_entropy(logits.float(), labels)

        self.loss = torch.compile(loss) if mode == "compile" else loss
        self.run = self.graph() if mode == "graph" else self.once

    def once(self):
        bf16 = self.name == "bf16"
        with torch.autocast(self.bench.device.type, torch.bfloat16, enabled=bf16):
            loss = self.loss(self.params, self.images, self.labels)
        loss.backward()
        self.sgd.step()
        self.sgd.zero_grad(set_to_none=False)

    def graph(self):
        """The whole step in a CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.once()
        return graph.replay


def steps(bench):
    """Graphs in all precisions go first, then strict fp32 in all ways, then the others."""
    modes = [("graph", "conv"), ("compile", "shifts"), ("compile", "conv"), ("eager", "conv"), ("eager", "library")]
    if not bench.on_gpu:
        modes = [("eager", "conv"), ("eager", "library")]
    order = [(name, layout, kind, mode) for mode, kind in modes for name in PRECISIONS for layout in LAYOUTS]
    order.sort(key=lambda one: one[0] != "fp32" and ["graph", "compile", "eager"].index(one[3]))
    found = []
    for name, layout, kind, mode in order:
        if bench.left() < LAYERS_SECONDS + (45 if mode == "compile" else 5):
            found.append({"precision": name, "variant": f"{mode}, {layout}, LRN {kind}", "error": "no time was left"})
            continue
        found.append(step(bench, name, layout, kind, mode))
    return found


def step(bench, name, layout, kind, mode):
    result = {"precision": name, "variant": f"{mode}, {layout}, LRN {kind}"}
    try:
        with precision(name):
            trial = Step(bench, name, layout, kind, mode)
            seconds = bench.seconds(trial.run, most=1.0, captured=True)
        return {**result, "seconds": seconds, "images_per_second": bench.batch / seconds}
    except Exception as error:  # a variant that this build cannot run is reported, not fatal
        return {**result, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    finally:
        if bench.on_gpu:
            torch.cuda.empty_cache()


def best_steps(found):
    best = {}
    for one in found:
        rate = one.get("images_per_second", 0.0)
        if rate > best.get(one["precision"], {}).get("images_per_second", 0.0):
            best[one["precision"]] = one
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=200.0, help="the time there is")
    bench = Bench(parser.parse_args())
    if bench.on_gpu and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device")
    torch.backends.cudnn.benchmark = True
    found = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "device": torch.cuda.get_device_name() if bench.on_gpu else "cpu",
        "peaks": peaks(bench),
        "steps": steps(bench),
    }
    found["best_steps"] = best_steps(found["steps"])
    found["layers"] = layers(bench)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
