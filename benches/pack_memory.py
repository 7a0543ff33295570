"""The most memory that packing takes, over images that want a lot of it.

    pip install numpy pillow
    python benches/pack_memory.py target/release/dataset-pack

The images, 1.3 GB of them in a temporary folder, are near the default limit on decoded bytes, of every
kind that is decoded, some in long files; two are beyond what is allowed, and refused. Each is packed by
itself, with one job; then all together and among 600 small ones, in three orders for each number of jobs.
"""

import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile

SIDE = 7900  # of a square; 8192×7680 is the most


def make(folder):
    import numpy as np
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((SIDE, SIDE))
    less = image.resize((6600, 6600))
    pixels = np.asarray(less)
    cmyk = Image.fromarray(np.dstack([pixels, pixels[..., 0]]), "CMYK")
    save = {
        "baseline.jpg": (image, {"quality": 80}),
        "progressive.jpg": (image, {"quality": 80, "progressive": True}),
        "progressive-444.jpg": (image, {"quality": 80, "progressive": True, "subsampling": 0}),
        "grey.jpg": (image.convert("L"), {"quality": 80}),
        "cmyk.jpg": (cmyk, {"quality": 80}),
        "progressive-cmyk.jpg": (cmyk, {"quality": 60, "progressive": True, "subsampling": 0}),
        "long.jpg": (Image.new("RGB", (62000, 1000)), {}),
        "rgb.png": (image, {"compress_level": 1}),
        "alpha.png": (less.convert("RGBA"), {"compress_level": 1}),
        "deep.png": (Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), {"compress_level": 1}),
        "grey.png": (Image.new("L", (13700, 13700), 9), {}),
        "rgb.bmp": (image, {}),
        "lzw.tif": (less, {"compression": "tiff_lzw"}),
        "palette.gif": (image.resize((5000, 5000)).convert("P"), {}),
        "lossy.webp": (image, {"quality": 50}),
        "lossless.webp": (image, {"lossless": True, "quality": 0, "method": 0}),
        "over-the-limit.png": (Image.new("RGB", (40000, 40000)), {}),
        "long-file.tif": (image, {"compression": "tiff_lzw"}),
    }
    for name, (of, options) in save.items():
        of.save(folder / name, **options)
    progressive = (folder / "progressive-444.jpg").read_bytes()
    (folder / "cut-short.jpg").write_bytes(progressive[:len(progressive) * 9 // 10])
    (folder / "junk-behind.jpg").write_bytes(progressive + bytes(187_000_000 - len(progressive)))
    small = folder.with_name("small")
    small.mkdir()
    image.resize((500, 375)).save(small / "0.jpg")
    for number in range(1, 600):
        (small / f"{number}.jpg").hardlink_to(small / "0.jpg")
    for name in ["progressive-444.jpg", "rgb.bmp"]:
        for copy in range(3):
            (folder / f"{copy}-{name}").hardlink_to(folder / name)


def pack(program, source, jobs, seed):
    """MiB."""
    with tempfile.TemporaryDirectory() as out:
        options = ["--damaged", "keep", "--jobs", str(jobs), "--seed", str(seed)]
        command = [program, "build", "--source", source, "--out", f"{out}/set", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return os.wait4(process.pid, 0)[2].ru_maxrss / 1024


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "all/class")
        folder.mkdir(parents=True)
        # By another process: the memory of this one would count as that of its children.
        making = multiprocessing.Process(target=make, args=[folder])
        making.start()
        making.join()
        if making.exitcode != 0:
            sys.exit("the images were not made")
        alone = pathlib.Path(temporary, "one/class")
        alone.mkdir(parents=True)
        for program in sys.argv[1:]:
            print(program)
            for image in sorted(folder.iterdir()):
                (alone / image.name).hardlink_to(image)
                print(f"  {image.name:24} {pack(program, alone.parent, 1, 0):6.0f} MiB")
                (alone / image.name).unlink()
            for jobs in [1, 2, 4, 8]:
                most = [pack(program, folder.parent, jobs, seed) for seed in range(3)]
                print(f"  all, {jobs} jobs", *(f"{mib:6.0f} MiB" for mib in most))


if __name__ == "__main__":
    main()
