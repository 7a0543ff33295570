"""Tests of results_table.py: `python3 -m unittest discover -s scripts`."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import results_table  # noqa: E402


class ResultsTable(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.runs = pathlib.Path(folder.name)

    def write(self, name, validations, test=None, ended=True):
        """A run with these errors at its validations, and its test's."""
        run = self.runs / name
        run.mkdir()
        (self.runs / f"{name}.txt").write_text("report" if ended else "")
        with (run / "metrics.jsonl").open("w") as out:
            for error in validations:
                print(json.dumps({"top1_error": 0.0}), file=out)
                print(json.dumps({"top1_error": error, "validation": True}), file=out)
        if test is not None:
            (self.runs / f"{name}.json").write_text(json.dumps({"top1_error": test}))

    def test_the_best_rate_has_the_lowest_last_error_of_a_run_that_reached_its_end(self):
        self.write("net-0.1-0", [0.1, 0.3])
        self.write("net-0.2-0", [0.5, 0.2])
        self.write("net-0.4-0", [0.2, 0.2])
        self.write("net-0.8-0", [0.1], ended=False)
        self.assertEqual(results_table.best(self.runs, "net", "0", "0.8", "0.4", "0.2", "0.1"), "0.2")

    def test_the_table_has_mean_and_spread_and_what_lies_between(self):
        for seed, errors in enumerate([(0.10, 0.30), (0.12, 0.30), (0.14, 0.33)]):
            self.write(f"a-0.1-{seed}", [], errors[0])
            self.write(f"b-0.2-{seed}", [], errors[1])
        rows = results_table.table(self.runs, "0 1 2", "a", "0.1", "b", "0.2").splitlines()
        self.assertEqual(rows[2], "| a | 0.1 | 10.00, 12.00, 14.00 | 12.00 ± 2.00 |  |")
        self.assertEqual(rows[3], "| b | 0.2 | 30.00, 30.00, 33.00 | 31.00 ± 1.73 | +19.00 |")


if __name__ == "__main__":
    unittest.main()
