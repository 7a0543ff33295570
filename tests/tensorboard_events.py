"""Reads a run's event files as TensorBoard does and compares them with the run's metrics and first layer."""

import io
import json
import struct
import sys
from pathlib import Path

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

run = Path(sys.argv[1])
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
everything = {kind: 0 for kind in ("scalars", "images", "histograms", "tensors", "compressedHistograms")}
events = EventAccumulator(str(run / "tensorboard"), size_guidance=everything)
events.Reload()


def single(value):
    """As a 32-bit float holds it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def points(tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


for kind, validation in (("training", False), ("validation", True)):
    own = [line for line in lines if line.get("validation", False) == validation]
    for name in ("loss", "top1_error", "top5_error", "images_per_second"):
        expected = [(line["step"], single(line[name])) for line in own]
        assert points(f"{name}/{kind}") == expected, (name, kind, points(f"{name}/{kind}"), expected)
expected = [(line["step"], single(line["lr"])) for line in lines if not line.get("validation", False)]
assert points("learning_rate") == expected

images = events.Images("filters/conv1.weight")
for image in images:
    assert Image.open(io.BytesIO(image.encoded_image_string)).size == (image.width, image.height)
histograms = events.Histograms("conv1.weight")
for event in histograms:
    value = event.histogram_value
    assert value.num == sum(value.bucket) == 32 * 3 * 7 * 7, value
    assert value.bucket_limit[-1] >= value.max > value.min

# The files hold no point twice, for readers that know nothing of sessions.
seen = set()
for file in sorted((run / "tensorboard").iterdir()):
    for record in RawEventFileLoader(str(file)).Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            assert (value.tag, event.step) not in seen, (value.tag, event.step)
            seen.add((value.tag, event.step))
print(f"{len(lines)} lines, {len(images)} images, {len(histograms)} histograms")
