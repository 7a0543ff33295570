"""The GPU check, with programs that only pretend."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import gpu_check_results as results  # noqa: E402

HOST = r"""
import json, os, sys
from pathlib import Path
command, options = sys.argv[1], sys.argv[2:]
value = lambda name: options[options.index(name) + 1]
if command == "doctor":
    print(json.dumps({"cuda": True, "gpus": [{"name": "Pretended"}]}))
elif command == "check-kernels":
    wrong = int("kernels" in os.environ.get("PRETEND", ""))
    kernel = {"kernel": "relu_forward", "shape": "96", "different": wrong, "flops": 0, "bytes": 768,
              "seconds": 1e-6 if "--repeat" in options else None}
    print(json.dumps({"kernels": [kernel, {**kernel, "kernel": "gemm", "flops": 1e6}]}))
    if wrong:
        print("error: not the CPU's bits: relu_forward", file=sys.stderr)
        sys.exit(1)
elif command == "train":
    out = Path(value("--out"))
    (out / "checkpoints").mkdir(parents=True)
    (out / "metrics.jsonl").write_text('{"loss": 2.5}\n{"loss": 9, "validation": true}\n')
    what = value("--gpus") if "training" in os.environ.get("PRETEND", "") else "same"
    (out / "checkpoints/step-0000020.safetensors").write_text(what)
elif command == "bench":
    print(json.dumps({"batch": 128, "training_images_per_second": 900.0,
                      "layers": {"00 conv1": [1e-3, 2e-3, 3e-3], "01 relu1": [1e-4, 1e-4, 0.0]}}))
"""
TORCH = r"""
import json
phases = {"forward": 2e-3, "input_gradient": 0.0, "weight_gradient": 4e-3}
print(json.dumps({"peaks": {"fp32_flops": 2e12, "bytes_per_second": 1e9},
                  "layers": {"conv1": {"fp32": phases}},
                  "best_steps": {"fp32": {"images_per_second": 1000.0, "variant": "graph"}}}))
"""
SANITIZER = "#!/bin/sh\nwhile [ \"$1\" != 99 ]; do shift; done; shift; \"$@\" >/dev/null\necho '== ERROR SUMMARY: 0 errors'\n"


class GpuCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bundle = Path(folder.name) / "bundle"
        (self.bundle / "sets/train").mkdir(parents=True)
        self.program("host", f"#!{sys.executable}\n{HOST}")
        self.program("bin/compute-sanitizer", SANITIZER)
        self.program("bin/nvidia-smi", "#!/bin/sh\necho Pretended, 1.2\n")
        (self.bundle / "gpu_check_torch.py").write_text(TORCH)
        (self.bundle / "origin.json").write_text("{}")
        shutil.copy(HERE / "gpu_check_run.py", self.bundle / "run")
        shutil.copy(HERE / "gpu_check_results.py", self.bundle)

    def program(self, name, text):
        path = self.bundle / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def check(self, *options, pretend=""):
        out = self.bundle / "out"
        environment = {**os.environ, "PATH": f"{self.bundle}/bin:{os.environ['PATH']}", "PRETEND": pretend}
        command = [sys.executable, self.bundle / "run", "--out", out, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return done, json.loads((out / "gpu-check.json").read_text())

    def test_everything_in_order(self):
        done, found = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(list(found), ["environment", "kernels", "training", "speed", "sanitizer", "layers", "pytorch"])
        self.assertTrue(all(one["ok"] for one in found.values()))
        self.assertIn("checkpoints of full width on 0, 0,0, cpu,cpu: identical", done.stdout)
        self.assertIn("ours is 0.90 of it", done.stdout)
        self.assertEqual(found["training"]["full"]["runs"]["cpu,cpu"]["last_loss"], 2.5)
        self.assertIn("0 errors", found["sanitizer"]["racecheck"]["summary"][0])
        log = (self.bundle / "out/gpu-check.log").read_text()
        self.assertEqual(log.count("host train"), 6)
        self.assertEqual((self.bundle / "out/gpu-check.txt").read_text(), done.stdout)

    def test_other_checkpoints_are_told(self):
        done, found = self.check("--only", "training", pretend="training")
        self.assertEqual((done.returncode, list(found)), (1, ["training"]))
        self.assertIn("NOT identical", done.stdout)
        self.assertIn("FAILED: reduced: the checkpoints differ", done.stdout)

    def test_other_bits_are_told_and_the_rest_goes_on(self):
        done, found = self.check("--only", "kernels", "sanitizer", "speed", pretend="kernels")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: error: not the CPU's bits: relu_forward", done.stdout)
        self.assertEqual(found["kernels"]["kernels"][0]["different"], 1)
        self.assertTrue(found["speed"]["ok"])

    def test_a_stage_that_breaks_costs_only_itself(self):
        (self.bundle / "gpu_check_torch.py").write_text("raise SystemExit('PyTorch finds no CUDA device')")
        (self.bundle / "origin.json").unlink()
        done, found = self.check("--only", "environment", "pytorch", "layers")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(found["pytorch"]["error"], "PyTorch finds no CUDA device")
        self.assertIn("FileNotFoundError", found["environment"]["error"])
        self.assertTrue(found["layers"]["ok"])

    def test_time_that_has_run_out_is_named(self):
        done, found = self.check("--seconds", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no time was left", found["kernels"]["error"])

    def test_the_table_shows_shares_of_the_peaks(self):
        case = {"kernel": "gemm", "seconds": 1e-6, "flops": 1e6, "bytes": 500}
        lines = results.kernels([case], {"fp32_flops": 2e12, "bytes_per_second": 1e9})
        self.assertRegex(lines[1], r"gemm +1\.0 +1000 +50% +0 +50%")
        self.assertIn("-", results.kernels([case], {})[1])

    def test_both_programs_have_help(self):
        for program in ("gpu-check", "gpu_check_run.py"):
            done = subprocess.run([sys.executable, HERE / program, "--help"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0)
            self.assertIn("Example:", done.stdout)


if __name__ == "__main__":
    unittest.main()
