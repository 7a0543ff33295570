"""Nearest neighbours by NumPy's plain search, sharing nothing with the Rust code.

    python neighbours.py           writes neighbours.safetensors
    python neighbours.py --check   compares with it instead
    python neighbours.py INDEX     judges an index and its codes, as `host index --bits` wrote them
"""

import json
import pathlib
import struct
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent
ROWS, WIDTH, QUERIES, COUNT = 600, 72, 12, 7


def features(random):
    """Rows in clumps, so tight that a byte a feature mistakes their order, behind a ReLU; some rows are there twice."""
    centres = random.normal(size=(ROWS // 20, WIDTH))
    rows = np.repeat(centres, 20, axis=0) + 1e-3 * random.normal(size=(ROWS, WIDTH))
    rows[-5:] = rows[:5]
    return np.maximum(9 * rows, 0).astype(np.float32)


def nearest(rows, query, count):
    """Of equals the first."""
    distances = np.sqrt(((rows.astype(np.float64) - query.astype(np.float64)) ** 2).sum(axis=1))
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]


def make():
    random = np.random.Generator(np.random.PCG64(16))
    rows = features(random)
    chosen = rows[random.choice(ROWS, QUERIES, replace=False)]
    queries = (chosen + 2e-3 * random.normal(size=chosen.shape)).astype(np.float32)
    state = {"features": rows, "queries": queries}
    for name, stored in [("f32", rows), ("f16", rows.astype(np.float16))]:
        found = [nearest(stored, query, COUNT) for query in queries]
        state[f"rows.{name}"] = np.array([order for order, _ in found], dtype=np.int64)
        state[f"distances.{name}"] = np.array([distances for _, distances in found])
    return state


def judge(path):
    """What `host index --bits` prints, from the files alone."""
    raw = pathlib.Path(path).read_bytes()
    assert raw[:8] == b"ALEXIDX2"
    about = json.loads(raw[32 : 32 + struct.unpack_from("<I", raw, 16)[0]])
    rows, width = about["rows"], about["width"]
    aligned = lambda at: (at + 63) // 64 * 64
    begin = aligned(aligned(4096 + rows * width) + 24 * rows)
    kind = np.float16 if about["half"] else np.float32
    stored = np.frombuffer(raw, kind, rows * width, begin).reshape(rows, width)

    raw = pathlib.Path(f"{path}.codes").read_bytes()
    assert raw[:8] == b"ALEXCOD1"
    length = struct.unpack_from("<I", raw, 8)[0]
    bits = json.loads(raw[16 : 16 + length])["bits"]
    numbers = np.frombuffer(raw, np.float32, 1 + width + width * bits + bits, 16 + length)
    scale, mean = numbers[0], numbers[1 : 1 + width]
    weights, biases = numbers[1 + width : -bits].reshape(width, bits), numbers[-bits:]
    begin = 16 + length + 4 * len(numbers)
    codes = np.unpackbits(np.frombuffer(raw, np.uint8, offset=begin), bitorder="little")
    codes = codes.reshape(rows, bits).astype(np.float32)

    sample = stored[:: max(1, rows // 2000)].astype(np.float64)
    units = ((sample - mean) * scale) @ weights.astype(np.float64) + biases
    differ = ((units > 0) != codes[:: max(1, rows // 2000)].astype(bool)).mean()
    print(f"bits that a computation in 64 bits has otherwise: {100 * differ:.4f} %")

    hits, whole, squares = {10: 0, 100: 0, 1000: 0}, 0, (stored.astype(np.float32) ** 2).sum(axis=1)
    for number in range(min(rows, 200)):
        own = number * rows // min(rows, 200)
        # A first choice in 32 bits, then exactly.
        rough = squares - 2 * stored.astype(np.float32) @ stored[own].astype(np.float32)
        rough[own] = np.inf
        some = np.sort(np.argpartition(rough, min(100, rows - 1))[:100])
        some = some[some != own]
        exact = set(some[nearest(stored[some], stored[own], 10)[0]])
        apart = codes.sum(axis=1) + codes[own].sum() - 2 * codes @ codes[own]
        apart[own] = np.inf
        order = np.argsort(apart, kind="stable")
        whole += len(exact)
        for among in hits:
            hits[among] += len(exact & set(order[:among]))
    for among, found in hits.items():
        print(f"{100 * found / whole:5.1f} % among the {among} nearest by their codes")


def main(words):
    path = HERE / "neighbours.safetensors"
    if not words:
        save_file(make(), path)
    elif words == ["--check"]:
        known, made = load_file(path), make()
        assert known.keys() == made.keys()
        for name, values in made.items():
            assert np.allclose(known[name], values, rtol=1e-12, atol=0), name
        print("the same")
    else:
        judge(words[0])


main(sys.argv[1:])
