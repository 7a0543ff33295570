#!/usr/bin/env python3
"""Speed of an exported network in ONNX Runtime on the CPU: what `host bench`'s inference stands beside.

    host export --checkpoint runs/a --out alexnet.onnx
    python benches/onnxruntime_cpu.py alexnet.onnx
    python benches/onnxruntime_cpu.py alexnet.onnx --batch 32 128 --steps 9 --json

Centre crops, in fp32; the graph is optimised as far as ONNX Runtime does. Wants onnxruntime and numpy.
"""

import argparse
import json
import os
import statistics
import sys
import time

import numpy
import onnxruntime


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="what `host export` wrote")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128], help="batch sizes (32 128)")
    parser.add_argument("--steps", type=int, default=5, help="timed batches, of which the median counts (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (all cores)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


def session(options):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    try:
        return onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no one class for what it refuses
        sys.exit(f"{options.model}: {str(error).splitlines()[0]}")


def rate(network, batch, steps):
    """Images a second: the median, after two batches that are not measured."""
    entry = network.get_inputs()[0]
    sides = [side if isinstance(side, int) else batch for side in entry.shape]
    kind = numpy.uint8 if entry.type == "tensor(uint8)" else numpy.float32
    images = numpy.random.default_rng(1).uniform(0, 255, sides).astype(kind)
    times = []
    for step in range(2 + steps):
        begun = time.perf_counter()
        network.run(None, {entry.name: images})
        if step >= 2:
            times.append(time.perf_counter() - begun)
    return sides[0] / statistics.median(times)


def main():
    options = arguments()
    network = session(options)
    rates = {batch: round(rate(network, batch, options.steps), 2) for batch in options.batch}
    if options.json:
        print(json.dumps({"onnxruntime": onnxruntime.__version__, "threads": options.threads, "images_per_second": rates}))
        return
    print(f"onnxruntime {onnxruntime.__version__}, {options.threads} threads")
    for batch, images in rates.items():
        print(f"infer {batch:>5} {images:>8.2f} img/s")


if __name__ == "__main__":
    main()
