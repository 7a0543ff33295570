#!/usr/bin/env python3
"""Writes small files of weights as other programs write them, and the logits that go with them.

    python tests/reference/make_weights.py [FOLDER]

PyTorch writes `torchvision.pth`, NumPy `paper.npz`, and protobuf's Python package, with the fields of Caffe's format
spelt out here, `paper.caffemodel`, its older spelling `paper_v1.caffemodel`, and `mean.binaryproto`. `weights.safetensors`
holds what a reader must make of them: the image, the mean, and logits computed by PyTorch in float64.

The networks are the presets `paper` and `torchvision`, narrow, and for images of 72 pixels of which they see 68: one
position is left of 36 before fc6, and conv1 of `paper` reads three pixels beyond the edge.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from safetensors.numpy import save_file

from paper_net import Lrn, forward

WIDTH, CLASSES, SIZE, CROP = 16, 10, 72, 68


def random_weights(seed, shapes):
    """Float32; as large as keeps the activations' size."""
    random = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for name, shape in shapes.items():
        inputs = int(np.prod(shape[1:]))
        weights[f"{name}.weight"] = (random.standard_normal(shape) * (2 / inputs) ** 0.5).astype(np.float32)
        weights[f"{name}.bias"] = random.normal(0.0, 0.1, shape[0]).astype(np.float32)
    return weights


def paper():
    """Two towers: conv2, conv4 and conv5 in two groups."""
    w, both = WIDTH, 2 * WIDTH
    weights = random_weights(1, {
        "conv1": (both, 3, 11, 11), "conv2": (both, w, 5, 5), "conv3": (both, both, 3, 3), "conv4": (both, w, 3, 3),
        "conv5": (both, w, 3, 3), "fc6": (both, both), "fc7": (both, both), "fc8": (CLASSES, both)})
    weights["conv1.weight"] /= np.float32(50)
    return weights


class AlexNet(torch.nn.Module):
    """torchvision's AlexNet: the same modules in the same places, narrow."""

    def __init__(self):
        super().__init__()
        from torch.nn import Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential
        w = WIDTH
        self.features = Sequential(
            Conv2d(3, w, 11, 4, 2), ReLU(), MaxPool2d(3, 2), Conv2d(w, w, 5, 1, 2), ReLU(), MaxPool2d(3, 2),
            Conv2d(w, w, 3, 1, 1), ReLU(), Conv2d(w, w, 3, 1, 1), ReLU(), Conv2d(w, w, 3, 1, 1), ReLU(), MaxPool2d(3, 2))
        self.classifier = Sequential(
            Dropout(), Linear(w, 4 * w), ReLU(), Dropout(), Linear(4 * w, 4 * w), ReLU(), Linear(4 * w, CLASSES))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def image_and_mean():
    random = np.random.Generator(np.random.PCG64(3))
    coarse = random.integers(0, 256, (9, 9, 3)).repeat(32, 0).repeat(32, 1)[:SIZE, :SIZE]
    image = np.clip(coarse + random.integers(-20, 21, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    y, x, c = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(3), indexing="ij")
    return image, (100 + y / 16 - x / 32 + 5 * c).astype(np.float32)


def caffe_messages():
    """The fields of caffe.proto that networks of weights use."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    scalar = {"float": field.TYPE_FLOAT, "int32": field.TYPE_INT32, "int64": field.TYPE_INT64, "string": field.TYPE_STRING}

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, title, kind, *many in fields:
            added = made.field.add(name=title, number=number)
            added.label = field.LABEL_REPEATED if many else field.LABEL_OPTIONAL
            if kind in scalar:
                added.type = scalar[kind]
                added.options.packed = bool(many) and kind != "string"
            else:
                added.type, added.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"

    message("BlobShape", (1, "dim", "int64", "many"))
    message("BlobProto", (1, "num", "int32"), (2, "channels", "int32"), (3, "height", "int32"), (4, "width", "int32"),
            (5, "data", "float", "many"), (7, "shape", "BlobShape"))
    message("LayerParameter", (1, "name", "string"), (2, "type", "string"), (3, "bottom", "string", "many"),
            (4, "top", "string", "many"), (7, "blobs", "BlobProto", "many"))
    message("V1LayerParameter", (2, "bottom", "string", "many"), (3, "top", "string", "many"), (4, "name", "string"),
            (5, "type", "int32"), (6, "blobs", "BlobProto", "many"))
    message("NetParameter", (1, "name", "string"), (2, "layers", "V1LayerParameter", "many"),
            (100, "layer", "LayerParameter", "many"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))
            for name in ("NetParameter", "BlobProto")}


def fill(blob, array, old):
    if old:
        sides = (1,) * (4 - array.ndim) + array.shape
        blob.num, blob.channels, blob.height, blob.width = sides
    else:
        blob.shape.dim.extend(array.shape)
    blob.data.extend(array.ravel().tolist())


def caffemodel(weights, old):
    """As Caffe has them: conv1 reads blue, green, red, and what follows dropout is for units that are not halved."""
    net = caffe_messages()["NetParameter"](name="AlexNet")
    layers = net.layers if old else net.layer
    layers.add(name="data", top=["data"])
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        if name == "conv1":
            weight = weight[:, ::-1]
        if name in ("fc7", "fc8"):
            weight = weight / 2
        layer = layers.add(name=name, top=[name])
        fill(layer.blobs.add(), weight, old)
        fill(layer.blobs.add(), bias, old)
        layers.add(name=f"relu-{name}", bottom=[name], top=[name])
    return net.SerializeToString()


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent / "weights")
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    image, mean = image_and_mean()
    edge = (SIZE - CROP) // 2
    crop = slice(edge, edge + CROP)
    pixels = torch.from_numpy(image[crop, crop].astype(np.float64)).permute(2, 0, 1)[None]
    centre = pixels - torch.from_numpy(mean[crop, crop].astype(np.float64)).permute(2, 0, 1)[None]

    weights = paper()
    exact = {name: torch.from_numpy(w.astype(np.float64)) for name, w in weights.items()}
    logits = forward(exact, centre, 2, Lrn())
    np.savez_compressed(folder / "paper.npz", **weights)
    (folder / "paper.caffemodel").write_bytes(caffemodel(weights, old=False))
    (folder / "paper_v1.caffemodel").write_bytes(caffemodel(weights, old=True))
    blob = caffe_messages()["BlobProto"]()
    fill(blob, np.ascontiguousarray(mean[..., ::-1].transpose(2, 0, 1)), old=True)
    (folder / "mean.binaryproto").write_bytes(blob.SerializeToString())

    torch.manual_seed(5)
    model = AlexNet().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2.0 if parameter.ndim > 1 else 1.0
    torch.save(model.state_dict(), folder / "torchvision.pth")
    colours = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], dtype=torch.float64)[..., None, None]
    double = model.double()
    with torch.no_grad():
        plain = double(centre / 100)
        normalised = double((pixels / 255 - colours[0]) / colours[1])
    save_file({"image": image, "mean": mean, "paper.logits": logits[0].numpy(),
               "torchvision.normalised": normalised[0].numpy(),
               "torchvision.plain": plain[0].numpy()}, folder / "weights.safetensors")
    for file in sorted(folder.iterdir()):
        print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
