#!/usr/bin/env python3
"""Writes the fuzz targets' seeds: files of the small network in `host/src/fuzzing.rs`, by NumPy, PyTorch and protobuf.

    python host/fuzz/make_seeds.py       wants numpy, protobuf, safetensors and torch

A first byte of 0 says that the rest is a whole file, one of 1 that it is the part that a checksum would guard.
"""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save, save_file

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).resolve().parent / "seeds"
sys.path.insert(0, str(ROOT / "tests/reference"))
from make_weights import caffe_messages, fill  # noqa: E402

WEIGHTS = {"conv1.weight": (32, 3, 2, 2), "conv1.bias": (32,), "fc2.weight": (2, 128), "fc2.bias": (2,)}
STATE = {"tower0.conv1.weight": (12, 16), "tower0.conv1.bias": (16,), "mean": (8, 8, 3)}


def zeros(shapes):
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def caffe():
    messages = caffe_messages()
    for old in (False, True):
        net = messages["NetParameter"](name="small")
        for layer_name in ("conv1", "fc2"):
            layer = (net.layers if old else net.layer).add(name=layer_name)
            for part in ("weight", "bias"):
                fill(layer.blobs.add(), zeros(WEIGHTS)[f"{layer_name}.{part}"], old)
        write("caffe", "old.caffemodel" if old else "new.caffemodel", net.SerializeToString())
    blob = messages["BlobProto"]()
    fill(blob, np.zeros((3, 8, 8), np.float32), old=True)
    write("caffe", "mean.binaryproto", blob.SerializeToString())


def npz():
    for name, save_npz in (("stored", np.savez), ("deflated", np.savez_compressed)):
        file = io.BytesIO()
        save_npz(file, **zeros(WEIGHTS))
        write("npz", name, b"\0" + file.getvalue())
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, np.zeros(2, np.float32), version)
        write("npz", f"array-{version[0]}", b"\1" + file.getvalue())


def pth():
    state = {name: torch.zeros(shape) for name, shape in WEIGHTS.items()}
    for name, saved in (("dict", state), ("wrapped", {"epoch": 3, "state_dict": state}),
                        ("parameter", {"fc2.bias": torch.nn.Parameter(torch.zeros(2))})):
        file = io.BytesIO()
        torch.save(saved, file)
        write("pth", name, b"\0" + file.getvalue())
        with zipfile.ZipFile(file) as archive:
            pickle = next(member for member in archive.namelist() if member.endswith("data.pkl"))
            write("pth", f"{name}.pkl", b"\1" + archive.read(pickle))


def checkpoint():
    text = {"format": "alexnet checkpoint 1", "classes": '["a","b"]', "step": "7", "epoch": "1", "position": "3",
            "schedule": '{"falls":0,"best":null,"waited":0}', "width": "1.0", "seed": "0", "augment": '"paper"',
            "order": '"shuffled"', "data": "00ff", "owed": '"due"',
            "changes": '[{"step":3,"key":"train.momentum","was":0.9,"now":0.8}]',
            "net": (ROOT / "tests/common/tiny.toml").read_text()}
    write("checkpoint", "text", b"\1" + json.dumps(text).encode())
    file = SEEDS / "checkpoint" / "file"
    save_file(zeros(STATE), file, metadata=text)
    write("checkpoint", "file", b"\0" + file.read_bytes())


def index():
    for name, half in (("f32", False), ("f16", True)):
        description = {"checkpoint": "runs/a", "checkpoint_hash": "00", "data": "set", "set": "00", "layer": "fc7",
                       "rows": 3, "width": 8, "half": half}
        text = json.dumps(description).encode()
        numbers = [struct.pack("<8e" if half else "<8f", *range(8 * row, 8 * row + 8)) for row in range(3)]
        codes, notes = b"", b""
        for row in range(3):
            code, note = bytes(range(8 * row, 8 * row + 8)), struct.pack("<ffQ", 0.5, 0.1, 100)
            codes += code
            notes += note + struct.pack("<II", crc32c(code + note), crc32c(numbers[row]))
        codes, notes, numbers = codes.ljust(64, b"\0"), notes.ljust(128, b"\0"), b"".join(numbers)
        write("index", name, b"\1" + text + b"\n" + codes + notes + numbers)
        head = b"ALEXIDX2" + struct.pack("<QII", 3, len(text), crc32c(text))
        write("index", f"{name}-whole", b"\0" + (head.ljust(32, b"\0") + text).ljust(4096, b"\0") + codes + notes + numbers)


def network():
    for file in (*ROOT.glob("nets/*.toml"), ROOT / "tests/common/tiny.toml", ROOT / "tests/reference/kinds.toml"):
        # Without comments, whose letters lead nowhere.
        lines = [line.split("#")[0].rstrip() for line in file.read_text().splitlines()]
        write("network", file.name, "\n".join(line for line in lines if line).encode())
    differs = ('name = "mine"\nbase = "paper"\nremove = ["lrn1"]\n[train]\nlr = 0.02\n[[layer]]\nname = "conv2"\n'
               'init = { bias = 0.1 }\nrates = { weights = 1, biases = 2 }\nfrozen = { until = 3 }\n[[layer]]\n'
               'name = "conv6"\nafter = "pool5"\nkind = "convolution"\nmaps = 256\nkernel = 3\npad = 1\n')
    write("network", "differs.toml", differs.encode())


def main():
    caffe()
    npz()
    pth()
    write("safetensors", "weights", save(zeros(WEIGHTS)))
    write("safetensors", "with-mean", save(zeros({**WEIGHTS, "mean": (8, 8, 3)}), metadata={"a": "b"}))
    checkpoint()
    index()
    network()


if __name__ == "__main__":
    main()
