"""Images packed per second of CPU time, beside other decoders and resizers on the same files.

    pip install numpy pillow opencv-python-headless "PyTurboJPEG<2"    # and in another environment pillow-simd
    python benches/pack_speed.py --program default=target/release/dataset-pack --simd other/bin/python

Without --photos FOLDER (class folders of JPEGs), 400 images with the spectrum and the size in bytes of
ImageNet's are made. Each peer does what packing does to an image: full decode, shorter side to 256
(bilinear, antialiased), centre crop, all from files in the page cache, on one core. The programs do
all else as well: look through the folder, hash, add up, write and bring to the disk. Every contestant
takes its turn in every round; the medians of the rounds are printed. CPU time is what a busy machine
distorts least.
"""

import argparse
import io
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SIZE = 256


def make_photos(folder, count):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(1)
    for number in range(count):
        width, height = [(500, 375), (500, 333), (375, 500), (400, 300)][number % 4]
        fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
        amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / max(width, height))
        layers = [np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * amplitude).real for _ in range(4)]
        mixed = np.stack([layers[0] + 0.4 * layer for layer in layers[1:]], axis=-1)
        mixed = (mixed - mixed.mean()) / mixed.std() * 55 + 128
        path = folder / f"class-{number % 4}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mixed.clip(0, 255).round().astype(np.uint8)).save(path, quality=86)


def pillow(content):
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    shorter = min(image.size)
    width, height = (SIZE * side // shorter for side in image.size)
    image = image.resize((width, height), Image.BILINEAR)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    return image.crop((left, top, left + SIZE, top + SIZE)).tobytes()


def opencv(content):
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    shorter = min(height, width)
    # Its INTER_LINEAR does not antialias; INTER_AREA is what does the same work.
    image = cv2.resize(image, (SIZE * width // shorter, SIZE * height // shorter), interpolation=cv2.INTER_AREA)
    top, left = (image.shape[0] - SIZE) // 2, (image.shape[1] - SIZE) // 2
    return cv2.cvtColor(image[top:top + SIZE, left:left + SIZE], cv2.COLOR_BGR2RGB).tobytes()


def turbojpeg(content):
    from turbojpeg import TJPF_RGB, TurboJPEG

    turbojpeg.decoder = getattr(turbojpeg, "decoder", None) or TurboJPEG()
    return turbojpeg.decoder.decode(content, pixel_format=TJPF_RGB)


PEERS = {"pillow": pillow, "opencv": opencv, "turbojpeg": turbojpeg}


def run_peer(name, folder):
    """In a process of its own: prints CPU seconds per image."""
    if name == "opencv":
        import cv2
        cv2.setNumThreads(1)
    files = sorted(pathlib.Path(folder).rglob("*.jpg"))
    work = PEERS[name]
    work(files[0].read_bytes())
    began = time.process_time()
    for path in files:
        work(path.read_bytes())
    print((time.process_time() - began) / len(files))


def cpu_of(command):
    """CPU and wall seconds of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(after[i] - before[i] for i in (0, 1)), time.time() - began


def contestants(arguments, folder, count, scratch):
    """Yields (name, function that returns CPU seconds and wall seconds per image)."""
    pythons = {"pillow": sys.executable, "opencv": sys.executable, "turbojpeg": sys.executable}
    names = {"pillow": "Pillow", "opencv": "OpenCV (area)", "turbojpeg": "libjpeg-turbo, bare decode"}
    peers = [(names[name], name, python) for name, python in pythons.items()]
    if arguments.simd:
        peers.append(("pillow-simd", "pillow", arguments.simd))
    for label, name, python in peers:
        def peer(name=name, python=python):
            command = ["taskset", "-c", arguments.core, python, __file__, "--peer", name, "--photos", str(folder)]
            seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            return seconds, None
        yield label, peer
    for program in arguments.program:
        label, path = program.split("=", 1)
        for jobs in (1, 2):
            def ours(path=path, jobs=jobs):
                out = scratch / "set"
                shutil.rmtree(out, ignore_errors=True)
                pinned = ["taskset", "-c", arguments.core] if jobs == 1 else []
                cpu, wall = cpu_of(pinned + [path, "build", "--source", str(folder), "--out", str(out), "--jobs", str(jobs)])
                return cpu / count, wall / count
            yield f"{label}, {jobs} job{'s' * (jobs > 1)}", ours


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", default="0")
    parser.add_argument("--simd", help="a Python with pillow-simd")
    parser.add_argument("--program", action="append", default=[], help="NAME=PATH of dataset-pack")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return run_peer(arguments.peer, arguments.photos)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folder = pathlib.Path(arguments.photos) if arguments.photos else scratch / "photos"
        if not arguments.photos:
            make_photos(folder, arguments.count)
        files = list(folder.rglob("*.jpg"))
        mean = sum(path.stat().st_size for path in files) / len(files)
        print(f"{len(files)} files of {mean / 1024:.0f} KiB on average")
        turns = list(contestants(arguments, folder, len(files), scratch))
        seconds = {name: [] for name, _ in turns}
        for _ in range(arguments.rounds):
            for name, turn in turns:
                seconds[name].append(turn())
        for name, taken in seconds.items():
            cpu = statistics.median(cpu for cpu, _ in taken)
            walls = [wall for _, wall in taken if wall]
            wall = f"{1 / statistics.median(walls):8.0f} a second" if walls else ""
            print(f"{name:32} {1 / cpu:8.0f} a CPU second {wall}")


if __name__ == "__main__":
    main()
