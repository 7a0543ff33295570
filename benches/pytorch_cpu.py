#!/usr/bin/env python3
"""Speed of the paper's network in PyTorch on the CPU: the figure that `host bench` stands beside.

A training step is forward, loss, backward and the paper's SGD, with dropout, in fp32.
Several ways to write the response normalisation, both memory layouts and torch.compile
are tried at the first batch size; the fastest few are then measured at every batch size.

    python benches/pytorch_cpu.py
    python benches/pytorch_cpu.py --batch 128 --steps 9 --json
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "reference"))

import paper_net  # noqa: E402

# For the measuring processes: keep freed memory and use huge pages, or every large tensor
# of every step is mapped and faulted in anew.
MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_ARENA_MAX": "1",
    "THP_MEM_ALLOC_ENABLE": "1",
}


def lrn_library(a, towers):
    """torch's own (an avg_pool3d); it divides alpha by n, so alpha * n is passed."""
    b, c, h, w = a.shape
    per_tower = a.reshape(b * towers, c // towers, h, w)
    return F.local_response_norm(per_tower, 5, alpha=5e-4, beta=0.75, k=2.0).reshape(a.shape)


def power(s):
    """s^-0.75 without pow."""
    r = s.rsqrt()
    return r * r.sqrt()


def lrn_shifts(a, towers):
    """The sum of five shifted views."""
    b, c, h, w = a.shape
    x = a.unflatten(1, (towers, c // towers))
    q = F.pad(x * x, (0, 0, 0, 0, 2, 2))
    m = c // towers
    s = q[:, :, 0:m] + q[:, :, 1 : m + 1] + q[:, :, 2 : m + 2] + q[:, :, 3 : m + 3] + q[:, :, 4 : m + 4]
    return (x * power(2.0 + 1e-4 * s)).flatten(1, 2)


def lrn_cumsum(a, towers):
    """The difference of two running sums."""
    b, c, h, w = a.shape
    x = a.unflatten(1, (towers, c // towers))
    q = F.pad(x * x, (0, 0, 0, 0, 3, 2)).cumsum(2)
    return (x * power(2.0 + 1e-4 * (q[:, :, 5:] - q[:, :, :-5]))).flatten(1, 2)


def band(maps, dtype):
    i = torch.arange(maps)
    near = (i[:, None] - i[None, :]).abs() <= 2
    return near.to(dtype)[:, :, None, None]


def lrn_conv(a, towers):
    """A grouped 1x1 convolution of the squares with a banded matrix."""
    weight = band(a.shape[1] // towers, a.dtype).repeat(towers, 1, 1, 1)
    return a * power(2.0 + 1e-4 * F.conv2d(a * a, weight, groups=towers))


class OwnGradient(torch.autograd.Function):
    """`lrn_conv` with its gradient written out."""

    @staticmethod
    def forward(ctx, a, towers):
        weight = band(a.shape[1] // towers, a.dtype).repeat(towers, 1, 1, 1)
        s = F.conv2d(a * a, weight, groups=towers).mul_(1e-4).add_(2.0)
        p = power(s)
        ctx.save_for_backward(a, s, p, weight)
        ctx.towers = towers
        return a * p

    @staticmethod
    def backward(ctx, g):
        a, s, p, weight = ctx.saved_tensors
        q = F.conv2d(g * a * p / s, weight, groups=ctx.towers)
        return torch.addcmul(g * p, a, q, value=-2 * 1e-4 * 0.75), None


LRN = {
    "library": lrn_library,
    "shifts": lrn_shifts,
    "cumsum": lrn_cumsum,
    "conv": lrn_conv,
    "own-gradient": OwnGradient.apply,
}


def parameters(shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    params = {}
    for name, size in shape.parameters().items():
        if name.endswith(".weight"):
            params[name] = torch.randn(size, generator=generator) * 0.01
        else:
            one = name.split(".")[0] in ("conv2", "conv4", "conv5", "fc6", "fc7")
            params[name] = torch.full(size, 1.0 if one else 0.0)
    return params


def drop(x):
    return F.dropout(x, 0.5) * 0.5  # the paper's: the units that are kept are not scaled


class Trial:
    """One way to run the network at one batch size."""

    def __init__(self, variant, batch, shape):
        lrn, layout, compiled = variant
        self.batch = batch
        form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        self.images = (torch.randn(batch, 3, 224, 224) * 50).to(memory_format=form)
        self.labels = torch.randint(0, shape.classes, (batch,))
        self.params = parameters(shape)
        for name, p in self.params.items():
            p = p.to(memory_format=form) if p.dim() == 4 else p
            self.params[name] = p.requires_grad_()
        # With a constant rate torch's momentum is the paper's, seen from w.
        decayed = [p for n, p in self.params.items() if n.endswith(".weight")]
        others = [p for n, p in self.params.items() if n.endswith(".bias")]
        groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
        self.sgd = torch.optim.SGD(groups, lr=1e-4, momentum=0.9, fused=True)

        def run(params, images, dropout):
            return paper_net.forward(params, images, shape.towers, LRN[lrn], dropout)

        self.run = torch.compile(run) if compiled else run

    def train(self):
        loss = F.cross_entropy(self.run(self.params, self.images, drop), self.labels)
        loss.backward()
        self.sgd.step()
        self.sgd.zero_grad()
        return loss.item()

    @torch.inference_mode
    def infer(self):
        return self.run(self.params, self.images, paper_net.halved)


def busy_seconds():
    """CPU time that the whole machine has spent, or None where /proc does not say."""
    try:
        user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split(None, 8)[1:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def seconds(action, steps, warm_up):
    """Seconds of each step, and how many cores other programs used meanwhile."""
    for _ in range(warm_up):
        action()
    times = []
    busy, own, begin = busy_seconds(), time.process_time(), time.perf_counter()
    for _ in range(steps):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    if busy is None:
        return times, None
    others = busy_seconds() - busy - (time.process_time() - own)
    return times, max(0.0, round(others / (time.perf_counter() - begin), 2))


def rate(variant, batch, shape, steps, kind, warm_up=2):
    torch.manual_seed(7)
    trial = Trial(variant, batch, shape)
    times, others = seconds(getattr(trial, kind), steps, warm_up)
    return {
        "kind": kind,
        "batch": batch,
        "lrn": variant[0],
        "layout": variant[1],
        "compiled": variant[2],
        "images_per_second": round(batch / statistics.median(times), 2),
        "best_images_per_second": round(batch / min(times), 2),
        "seconds": [round(t, 4) for t in times],
        "cores_used_by_others": others,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def in_child(job):
    """Runs one measurement in a process of its own, so that peak memory is its own."""
    context = torch.multiprocessing.get_context("spawn")
    with context.Pool(1) as workers:
        return workers.apply(child, (job,))


def child(job):
    variant, batch, steps, kind, threads, width, warm_up = job
    start(threads)
    torch._inductor.config.freezing = kind == "infer" and variant[2]
    try:
        return rate(variant, batch, scaled(width), steps, kind, warm_up)
    except Exception as error:  # a variant that this build of torch cannot run is reported, not fatal
        return {"kind": kind, "batch": batch, "lrn": variant[0], "layout": variant[1],
                "compiled": variant[2], "error": f"{type(error).__name__}: {error}".splitlines()[0]}


def scaled(width):
    p = paper_net.PAPER
    if width == 1.0:
        return p
    by = lambda n: max(16, round(n * width / 16) * 16)
    return paper_net.Shape(2, tuple(map(by, p.conv)), tuple(map(by, p.fc)), p.classes)


def start(threads):
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")


def describe(r):
    head = f"{r['kind']:<6}{r['batch']:>5}  {r['lrn']:<13}{r['layout']:<14}"
    head += f"{'compiled' if r['compiled'] else 'eager':<9}"
    if "error" in r:
        return head + r["error"]
    return head + (f"{r['images_per_second']:>8.2f} img/s (best step {r['best_images_per_second']:.2f})"
                   f"  {r['peak_rss_mib']:>6} MiB  others used {r['cores_used_by_others']} cores")


def cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(l.split(":", 1)[1].strip() for l in lines if l.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 64, 128], help="batch sizes (32 64 128)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, of which the median counts (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores)")
    parser.add_argument("--width", type=float, default=1.0, help="share of the maps and units (1.0)")
    parser.add_argument("--finalists", type=int, default=2, help="variants measured at every batch size (2)")
    parser.add_argument("--all", action="store_true", help="measure every variant at every batch size")
    parser.add_argument("--variant", nargs=3, metavar=("LRN", "LAYOUT", "MODE"),
                        help="measure this one alone, e.g. library channels_last eager")
    parser.add_argument("--kind", choices=["train", "infer"], nargs="+", default=["train", "infer"])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args()


def contest(kind, options, say):
    """Screens the variants at the first batch size, then measures the best at all."""

    def measure(variant, batch, steps, warm_up):
        job = (variant, batch, steps, kind, options.threads, options.width, warm_up)
        result = in_child(job)
        say(result)
        return result

    if options.variant:
        lrn, layout, mode = options.variant
        variants = [(lrn, layout, mode == "compiled")]
    else:
        variants = [(l, f, c) for l in LRN for f in ("contiguous", "channels_last") for c in (False, True)]
    if not options.all and len(variants) > options.finalists:
        screened = [measure(v, options.batch[0], 2, 2) for v in variants]
        order = sorted(range(len(variants)), key=lambda i: -screened[i].get("best_images_per_second", 0))
        variants = [variants[i] for i in order[: options.finalists]]
    return [measure(v, b, options.steps, 2) for b in options.batch for v in variants]


def main():
    options = arguments()
    for name, value in MEMORY.items():
        os.environ.setdefault(name, value)
    say = lambda r: print(describe(r), file=sys.stderr if options.json else sys.stdout, flush=True)
    head = {"torch": torch.__version__, "cpu": cpu_name(), "threads": options.threads,
            "cpu_capability": torch.backends.cpu.get_cpu_capability()}
    if not options.json:
        print(", ".join(f"{k} {v}" for k, v in head.items()), flush=True)
    results = [r for kind in options.kind for r in contest(kind, options, say)]
    best = {}
    for kind in options.kind:
        good = [r for r in results if r["kind"] == kind and "error" not in r]
        if not good:
            sys.exit(f"no variant could run: {results[0]['error']}")
        best[kind] = max(good, key=lambda r: r["images_per_second"])
    if options.json:
        print(json.dumps({**head, "results": results, "best": best}))
        return
    for kind in options.kind:
        print(f"best {describe(best[kind])}")


if __name__ == "__main__":
    main()
