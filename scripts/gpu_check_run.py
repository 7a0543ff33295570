#!/usr/bin/env python3
"""Checks and measures the kernels on this machine's GPU; the bundle is what scripts/gpu-check made.

Stages, in this order: environment, kernels (every one against the CPU, small shapes), training (20
steps on 0, 0,0 and cpu,cpu: the same checkpoints), speed (host bench), sanitizer (memcheck,
racecheck, synccheck), layers (every kernel at full width against the CPU, and how fast), pytorch
(the same layers and step). What the time does not allow is left out, and named.
Example: gpu-check/run --out results
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import gpu_check_results as results  # noqa: E402

HOST = HERE / "host"
STEPS = 20
# Width and batch.
TRAININGS = {"reduced": ("0.25", "32"), "full": ("1.0", "128")}
SMALL = ["--width", "0.1", "--batch", "32", "--classes", "40"]
SANITIZERS = ["memcheck", "racecheck", "synccheck"]


class Clock:
    """The time there is."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()


class Stage:
    """Runs programs within the time, and keeps what they say."""

    def __init__(self, options, clock, work):
        self.options, self.clock, self.work = options, clock, work
        self.log = open(options.out / "gpu-check.log", "w", encoding="utf-8")

    def run(self, command, most, environment=None):
        """Exit status, standard output and the last line of errors; None for a status: no time."""
        command = [str(part) for part in command]
        limit = min(most, self.clock.left())
        if limit < 2:
            return None, "", "no time was left"
        begun = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False,
                                  cwd=self.work, env={**os.environ, **(environment or {})})
            status, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            status, out, err = None, text(late.stdout), text(late.stderr) + f"\nstopped after {limit:.0f} s"
        except OSError as error:
            status, out, err = 127, "", str(error)
        seconds = time.monotonic() - begun
        self.log.write(f"$ {' '.join(command)}\n{out}{err}\n[{status}, {seconds:.1f} s]\n\n")
        self.log.flush()
        print(f"{seconds:6.1f} s  {' '.join(Path(part).name if '/' in part else part for part in command)}"
              f"{'' if status == 0 else f'  [{status}]'}", file=sys.stderr, flush=True)
        return status, out, (err.strip().splitlines() or [""])[-1]

    def json(self, command, most):
        """What a program prints as JSON, or why it does not."""
        status, out, last = self.run(command, most)
        try:
            value = json.loads(out)
        except ValueError:
            value = {}
        return {**value, "ok": status == 0, "error": None if status == 0 else last}


def text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def environment(stage):
    query = ["nvidia-smi", "--format=csv,noheader", "--query-gpu=name,driver_version,memory.total,clocks.max.sm"]
    status, out, last = stage.run(query, 30)
    doctor = stage.json([HOST, "doctor", "--json"], 60)
    return {
        "ok": bool(doctor.get("cuda")),
        "error": doctor["error"] or doctor.get("gpus_missing"),
        "nvidia_smi": out.strip() if status == 0 else last,
        "doctor": doctor,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "origin": json.loads((HERE / "origin.json").read_text()),
    }


def kernels(stage):
    return stage.json([HOST, "check-kernels", "--gpus", stage.options.gpu, *SMALL, "--json"], 150)


def layers(stage):
    """At full width the CPU's results take most of the time."""
    repeat = ["--repeat", "20", "--json"]
    size = ["--batch", stage.options.batch, "--width", stage.options.width]
    return stage.json([HOST, "check-kernels", "--gpus", stage.options.gpu, *size, *repeat], 180)


def training(stage):
    gpu = stage.options.gpu
    found = {"ok": True, "error": None}
    for name, (width, batch) in TRAININGS.items():
        runs = {}
        for gpus in (gpu, f"{gpu},{gpu}", "cpu,cpu"):
            out = stage.work / f"{name}-{gpus}"
            command = [HOST, "train", "--data", HERE / "sets/train", "--width", width, "--batch", batch,
                       "--steps", STEPS, "--gpus", gpus, "--out", out]
            status, _, last = stage.run(command, 150)
            checkpoint = out / f"checkpoints/step-{STEPS:07}.safetensors"
            runs[gpus] = {"ok": status == 0, "error": None if status == 0 else last}
            if status == 0:
                runs[gpus]["sha256"] = digest(checkpoint)
                runs[gpus]["last_loss"] = last_loss(out / "metrics.jsonl")
            shutil.rmtree(out, ignore_errors=True)
        digests = {run.get("sha256") for run in runs.values()}
        same = len(digests) == 1 and None not in digests
        failed = next((run["error"] for run in runs.values() if run["error"]), None)
        found[name] = {"identical": same, "runs": runs}
        if not same:
            found["ok"] = False
            found["error"] = found["error"] or failed or f"{name}: the checkpoints differ"
    return found


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 24):
            sha.update(piece)
    return sha.hexdigest()


def last_loss(metrics):
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return next((line["loss"] for line in reversed(lines) if not line.get("validation")), None)


def speed(stage):
    gpu = stage.options.gpu
    command = [HOST, "bench", "--batch", stage.options.batch, "--width", stage.options.width, "--steps", "20",
               "--gpus", gpu, "--layers", "--json"]
    return stage.json(command, 120)


def sanitizer(stage):
    tool = find_sanitizer()
    if tool is None:
        return {"ok": False, "error": "compute-sanitizer is not installed"}
    found = {"ok": True, "error": None}
    for kind in SANITIZERS:
        command = [tool, "--tool", kind, "--error-exitcode", "99", HOST, "check-kernels",
                   "--gpus", stage.options.gpu, *SMALL]
        status, out, last = stage.run(command, 100)
        summary = [line for line in out.splitlines() if "SUMMARY" in line]
        found[kind] = {"ok": status == 0, "status": status, "summary": summary[-1:] or last}
        if status != 0:
            found["ok"] = False
            found["error"] = found["error"] or f"{kind}: {(summary or [last])[-1]}"
    return found


def find_sanitizer():
    places = [os.environ.get("PATH", ""), "/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer"]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(places))


def pytorch(stage):
    seconds = int(min(stage.options.pytorch_seconds, stage.clock.left() - 20))
    if seconds < 30:
        return {"ok": False, "error": "no time was left"}
    command = [sys.executable, HERE / "gpu_check_torch.py", "--batch", stage.options.batch,
               "--width", stage.options.width, "--device", stage.options.torch_device, "--seconds", seconds]
    return stage.json(command, seconds + 60)


STAGES = {
    "environment": environment,
    "kernels": kernels,
    "training": training,
    "speed": speed,
    "sanitizer": sanitizer,
    "layers": layers,
    "pytorch": pytorch,
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="RESULTS", help="where the results go")
    parser.add_argument("--seconds", type=int, default=570, help="the time there is (570)")
    parser.add_argument("--pytorch-seconds", type=int, default=200, help="PyTorch's share of it (200)")
    parser.add_argument("--only", nargs="+", choices=list(STAGES), metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--gpu", default="0", help="which GPU (0)")
    parser.add_argument("--batch", default="128", help="images a step in the measurements (128)")
    parser.add_argument("--width", default="1.0", help="width of the network in the measurements (1.0)")
    parser.add_argument("--torch-device", default="cuda", choices=["cuda", "cpu"], help="for trying this out")
    return parser.parse_args()


def main():
    options = parse_arguments()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    clock = Clock(options.seconds)
    found = {}
    with tempfile.TemporaryDirectory() as work:
        stage = Stage(options, clock, Path(work))
        for name, act in STAGES.items():
            if options.only and name not in options.only:
                continue
            begun = time.monotonic()
            try:
                found[name] = act(stage)
            except Exception as error:  # one stage's fault must not cost the others' results
                found[name] = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            found[name]["seconds"] = round(time.monotonic() - begun, 1)
            write(options.out / "gpu-check.json", found)
    table = results.table(found)
    (options.out / "gpu-check.txt").write_text(table)
    print(table, end="")
    return 0 if all(one["ok"] for one in found.values()) else 1


def write(path, value):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
