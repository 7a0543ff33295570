"""Tests of figure_1.py: `python3 -m unittest discover -s scripts`."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import figure_1  # noqa: E402

PER_EPOCH = 8


def write(folder, name, errors):
    """A run whose batches have these errors; the validations between them are none of them."""
    run = pathlib.Path(folder) / name
    run.mkdir()
    with (run / "metrics.jsonl").open("w") as out:
        for step, error in enumerate(errors, 1):
            line = {"step": step, "epoch": step / PER_EPOCH, "top1_error": error}
            print(json.dumps(line), file=out)
            print(json.dumps({**line, "validation": True, "top1_error": 0.0}), file=out)
    return figure_1.Run(run)


class Figure1(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_of(self, name, errors):
        return write(self.folder.name, name, errors)

    def test_an_error_is_the_mean_over_half_an_epoch(self):
        run = self.run_of("relu-0.01", [0.9, 0.5, 0.3, 0.1, 0.2, 0.2, 0.2, 0.2])
        self.assertEqual(run.window, 4)
        expected = [45, 27.5, 20, 17.5, 20]
        for error, wanted in zip(run.errors, expected, strict=True):
            self.assertAlmostEqual(error, wanted)
        self.assertEqual(run.reaches(20), 6 / PER_EPOCH)
        self.assertIsNone(run.reaches(10))

    def test_each_network_is_judged_at_its_own_best_rate(self):
        steps = 48
        late = [0.9] * 36 + [0.1] * 12
        soon = [0.9] * 6 + [0.1] * (steps - 6)
        never = [0.5] * steps
        runs = [
            self.run_of(name, errors)
            for name, errors in [("relu-0.1", never), ("relu-0.01", soon), ("tanh-0.1", late), ("tanh-0.01", never)]
        ]
        best = {net: min((r for r in runs if r.net == net), key=lambda r: r.order(25)) for net in ("relu", "tanh")}
        self.assertEqual((best["relu"].rate, best["tanh"].rate), ("0.01", "0.1"))
        text = figure_1.table(runs, best, 25)
        self.assertIn("| relu | 0.01 | 1.25 | 10.0 % | best |", text)
        self.assertIn("| tanh | 0.01 | not reached | 50.0 % |  |", text)
        self.assertIn("4.0 times sooner than tanh", text)
        best["tanh"] = runs[3]
        self.assertIn("more than 4.8 times sooner", figure_1.table(runs, best, 25))


if __name__ == "__main__":
    unittest.main()
