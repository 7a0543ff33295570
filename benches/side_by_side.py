#!/usr/bin/env python3
"""Training and inference of the paper's network beside PyTorch and ONNX Runtime, all taking turns.

    cargo build --release -p host
    host export --checkpoint runs/a --out alexnet.onnx
    python benches/side_by_side.py --onnx alexnet.onnx
    python benches/side_by_side.py --onnx alexnet.onnx --avx2 --torch "conv contiguous compiled" --json

Each turn runs every program once, in a process of its own; a program's figure is the median over the turns, and a
ratio is that of `host` to another. `benches/pytorch_cpu.py` finds PyTorch's best settings. Wants torch, onnxruntime
and numpy; the machine should have nothing else to do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
AVX2 = {"ALEXNET_CPU": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=BENCHES.parent / "target/release/host", help="the program (target/release/host)")
    parser.add_argument("--onnx", metavar="FILE", help="what `host export` wrote; without it, no ONNX Runtime")
    parser.add_argument("--torch", default="conv channels_last compiled", help="PyTorch's setting in training")
    parser.add_argument("--torch-infer", default="conv channels_last compiled", help="and in inference")
    parser.add_argument("--torch-batch", type=int, default=64, help="PyTorch's batch in training (64)")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128], help="batches in inference (32 128)")
    parser.add_argument("--turns", type=int, default=5, help="how often each program runs (5)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each run (3)")
    parser.add_argument("--avx2", action="store_true", help="nobody uses AVX-512 (ONNX Runtime cannot be told)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args()


def output(command, environment):
    """What a program prints, as JSON."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **environment},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def host(options, environment, algorithm, batch):
    found = output([options.host, "bench", "--json", "--steps", options.steps, "--batch", batch, "--algorithm", algorithm],
                   environment)
    return {"train": found["training_images_per_second"], "infer": found["inference_images_per_second"]}


def torch(options, environment, kind, setting, batch):
    found = output([sys.executable, BENCHES / "pytorch_cpu.py", "--json", "--steps", options.steps, "--kind", kind,
                    "--batch", batch, "--variant", *setting.split()], environment)
    return found["best"][kind]["images_per_second"]


def turn(options, environment):
    """Images a second by what was done, at which batch, and by whom."""
    rates = {}
    for batch in {*options.batch, 128}:
        for algorithm in ("direct", "winograd"):
            found = host(options, environment, algorithm, batch)
            rates["infer", batch, f"host, {algorithm}"] = found["infer"]
            if batch == 128:
                rates["train", "best", f"host, {algorithm}"] = found["train"]
        rates["infer", batch, "PyTorch"] = torch(options, environment, "infer", options.torch_infer, batch)
        if options.onnx:
            command = [sys.executable, BENCHES / "onnxruntime_cpu.py", options.onnx, "--batch", batch, "--json"]
            found = output(command, environment)["images_per_second"]
            rates["infer", batch, "ONNX Runtime"] = found[str(batch)]
    rates["train", "best", "PyTorch"] = torch(options, environment, "train", options.torch, options.torch_batch)
    return rates


def main():
    options = arguments()
    environment = AVX2 if options.avx2 else {}
    turns = []
    for i in range(options.turns):
        turns.append(turn(options, environment))
        print(f"turn {i + 1} of {options.turns}", file=sys.stderr, flush=True)
    rates = {key: [turn[key] for turn in turns] for key in sorted(turns[0], key=str)}
    rows = []
    for (kind, batch, who), values in rates.items():
        median = statistics.median(values)
        row = {"kind": kind, "batch": batch, "who": who, "images_per_second": values, "median": median}
        if not who.startswith("host"):
            for algorithm in ("direct", "winograd"):
                own = statistics.median(rates[kind, batch, f"host, {algorithm}"])
                row[f"host_{algorithm}_to_it"] = round(own / median, 2)
        rows.append(row)
    if options.json:
        print(json.dumps({"avx2": options.avx2, "torch": options.torch, "torch_batch": options.torch_batch,
                          "torch_infer": options.torch_infer, "rates": rows}))
        return
    for row in rows:
        values = ", ".join(f"{value:.1f}" for value in row["images_per_second"])
        ratios = [f"{row[key]:.2f}" for key in ("host_direct_to_it", "host_winograd_to_it") if key in row]
        beside = f"  direct {ratios[0]} ×, winograd {ratios[1]} × as fast" if ratios else ""
        print(f"{row['kind']:6}{row['batch']:>5}  {row['who']:15}{row['median']:8.1f}  of {values}{beside}")


if __name__ == "__main__":
    main()
