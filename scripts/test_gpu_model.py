"""Tests of gpu-model's arithmetic: `python3 -m unittest discover -s scripts`."""

import runpy
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
occupancy = runpy.run_path(str(Path(__file__).resolve().parent / "gpu-model"))["occupancy"]


class Occupancy(unittest.TestCase):
    """Against NVIDIA's occupancy calculator for compute capability 9.0."""

    def test_what_limits_it(self):
        for threads, registers, shared, blocks in [
            (256, 32, 0, 8),         # warps
            (256, 128, 33792, 2),    # registers
            (256, 32, 100 << 10, 2),  # shared memory
            (32, 16, 0, 32),         # blocks
            (1024, 64, 0, 1),
        ]:
            with self.subTest(threads=threads, registers=registers, shared=shared):
                self.assertEqual(occupancy(threads, registers, shared), blocks)


if __name__ == "__main__":
    unittest.main()
