"""The best rate and the table of scripts/results-table, from the runs that it has made."""

import json
import pathlib
import statistics
import sys


def validation_error(run):
    """That of the last validation, in percent; of a run that ended early, 100."""
    if not run.with_name(run.name + ".txt").read_text():  # written by a run that reached its end
        return 100.0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [100 * line["top1_error"] for line in lines if line.get("validation")][-1]


def best(runs, net, seed, *rates):
    """The rate with the lowest validation error; of equal ones the lowest."""
    return min(rates, key=lambda rate: (validation_error(runs / f"{net}-{rate}-{seed}"), float(rate)))


def row(name, rate, errors, base):
    """Mean and spread (standard deviation) of the seeds' errors, and how far the mean lies from the base's."""
    mean, spread = statistics.mean(errors), statistics.stdev(errors) if len(errors) > 1 else 0.0
    each = ", ".join(f"{error:.2f}" for error in errors)
    apart = "" if base is None else f"{mean - base:+.2f}"
    return mean, f"| {name} | {rate} | {each} | {mean:.2f} ± {spread:.2f} | {apart} |"


def table(runs, seeds, *pairs):
    """Of networks and their rates, the first of which is what the others are compared with."""
    seeds = seeds.split()
    lines = [f"| network | learning rate | test error, seeds {', '.join(seeds)}, % | mean ± spread | against the first |"]
    lines.append("|---|---|---|---|---|")
    base = None
    for name, rate in zip(pairs[::2], pairs[1::2], strict=True):
        files = [runs / f"{name}-{rate}-{seed}.json" for seed in seeds]
        errors = [100 * json.loads(file.read_text())["top1_error"] for file in files]
        mean, line = row(name, rate, errors, base)
        base = mean if base is None else base
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    what, runs, *rest = sys.argv[1:]
    print({"best": best, "table": table}[what](pathlib.Path(runs), *rest))
