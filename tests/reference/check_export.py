#!/usr/bin/env python3
"""Compares the logits of the Rust program with PyTorch's, for an exported checkpoint of any width.

    python tests/reference/check_export.py EXPORT.safetensors LOGITS.safetensors

EXPORT is what `host export` wrote. LOGITS holds `images` u8 [n,256,256,3] (rows, columns,
RGB), `mean` f32 [256,256,3] and `features` f32 [n,classes], the logits of the centre
crops, as `host features --layer fc8 --with-images` writes them. Exit status 1 where they differ by more than the limit, 2 where a file is unfit.
"""

import argparse
import sys

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from paper_net import Lrn, Shape, forward

CROP = slice(16, 16 + 224)


def unfit(message):
    print(f"check_export: {message}", file=sys.stderr)
    sys.exit(2)


def read(path):
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        unfit(f"{path}: {error}")


def read_logits(path, classes):
    tensors = read(path)
    for name in ("images", "mean", "features"):
        if name not in tensors:
            unfit(f"{path}: no tensor `{name}`")
    images, mean, logits = tensors["images"], tensors["mean"], tensors["features"]
    if images.dtype != np.uint8 or images.shape[1:] != (256, 256, 3) or len(images) == 0:
        unfit(f"{path}: `images` is {images.dtype} {images.shape}, expected uint8 [n,256,256,3], n > 0")
    if mean.shape != (256, 256, 3):
        unfit(f"{path}: `mean` is {mean.shape}, expected [256,256,3]")
    if logits.shape != (len(images), classes):
        unfit(f"{path}: `features` is {logits.shape}, expected {(len(images), classes)}")
    return images, mean, logits


def compute(params, images, mean, towers, lrn, dtype, batch=32):
    params = {name: torch.from_numpy(w).to(dtype) for name, w in params.items()}
    mean = torch.from_numpy(mean[CROP, CROP]).to(dtype)
    logits = []
    with torch.inference_mode():
        for first in range(0, len(images), batch):
            crops = torch.from_numpy(images[first : first + batch, CROP, CROP]).to(dtype) - mean
            logits.append(forward(params, crops.permute(0, 3, 1, 2), towers, lrn))
    return torch.cat(logits).double().numpy()


def error(got, want):
    """Relative, over all logits; nan where either holds one."""
    norm = np.linalg.norm(want)
    return float(np.linalg.norm(got - want) / norm) if norm > 0 else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export")
    parser.add_argument("logits")
    parser.add_argument("--limit", type=float, default=1e-4, help="largest relative error allowed (1e-4)")
    parser.add_argument("--lrn-divide-by-n", action="store_true", help="alpha / n, as the authors' program has it")
    options = parser.parse_args()

    params = {k: v for k, v in read(options.export).items() if k.endswith((".weight", ".bias"))}
    try:
        shape = Shape.of(params)
    except ValueError as cause:
        unfit(f"{options.export}: {cause}")
    images, mean, logits = read_logits(options.logits, shape.classes)

    count = sum(w.size for w in params.values())
    print(f"{shape.towers} towers, {count:,} parameters, {len(images)} images, {shape.classes} classes")
    lrn = Lrn(divide_by_n=options.lrn_divide_by_n)
    f64 = compute(params, images, mean, shape.towers, lrn, torch.float64)
    f32 = compute(params, images, mean, shape.towers, lrn, torch.float32)
    agree = float((logits.argmax(1) == f64.argmax(1)).mean())
    worst = error(logits, f64)
    print(f"logits against PyTorch float64: {worst:.2e}")
    print(f"logits against PyTorch float32: {error(logits, f32):.2e}")
    print(f"PyTorch float32 against float64: {error(f32, f64):.2e}")
    if len(images) > 1:  # an untrained network's logits are mostly the same for every image
        spread = f64 - f64.mean(0)
        print(f"same error against the spread over images: {np.linalg.norm(logits - f64) / np.linalg.norm(spread):.2e}")
    print(f"same first choice: {100 * agree:.1f} %")
    if not max(worst, error(logits, f32)) <= options.limit:  # so that nan fails too
        print(f"FAILED: the limit is {options.limit:.0e}")
        sys.exit(1)


if __name__ == "__main__":
    main()
