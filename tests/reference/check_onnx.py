#!/usr/bin/env python3
"""Compares the logits of an exported graph, run by onnxruntime, with the program's own.

    python tests/reference/check_onnx.py GRAPH.onnx LOGITS.safetensors [KEY]

LOGITS is what `host features --layer LAYER --with-images` wrote of the layer before the softmax. With KEY it is
`weights/weights.safetensors`, whose one `image` and `mean` go with the logits of that name. The graph may have the mean
inside or not. Exit status 1 where a logit is off by more than 1e-4 of their norm.
"""

import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file


def main():
    path, tensors = sys.argv[1], load_file(sys.argv[2])
    onnx.checker.check_model(path, full_check=True)
    images, mean = tensors.get("images"), tensors["mean"]
    if len(sys.argv) > 3:
        images, logits = tensors["image"][None], tensors[sys.argv[3]][None]
    else:
        logits = tensors["features"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    if image.type != "tensor(uint8)":
        crop, size = image.shape[2], images.shape[1]
        edge = (size - crop) // 2
        square = slice(edge, edge + crop)
        images = (images.astype(np.float32) - mean)[:, square, square].transpose(0, 3, 1, 2)
    found, probabilities = session.run(["logits", "probabilities"], {image.name: np.ascontiguousarray(images)})
    error = np.abs(found - logits).max() / np.linalg.norm(logits, axis=1).mean()
    likely = np.exp(logits - logits.max(1, keepdims=True))
    likely /= likely.sum(1, keepdims=True)
    opset = onnx.load(path, load_external_data=False).opset_import[0].version
    print(f"{path}: opset {opset}, {len(images)} images, logits {error:.1e}, "
          f"probabilities {np.abs(probabilities - likely).max():.1e}")
    sys.exit(not error <= 1e-4)


if __name__ == "__main__":
    main()
