"""Table and picture of the paper's Figure 1, from the runs that scripts/figure-1 has made."""

import argparse
import json
import pathlib
import sys


class Run:
    """Training error over epochs: at each step, the mean over the batches of the last half epoch."""

    def __init__(self, path):
        self.net, self.rate = path.name.split("-", 1)
        lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        lines = [line for line in lines if not line.get("validation")]
        per_epoch = lines[0]["step"] / lines[0]["epoch"]
        self.window = max(1, round(per_epoch / 2))
        errors = [100 * line["top1_error"] for line in lines]
        self.epochs = [line["epoch"] for line in lines][self.window - 1 :]
        self.errors = [
            sum(errors[end - self.window : end]) / self.window
            for end in range(self.window, len(errors) + 1)
        ]

    def reaches(self, level):
        """Epochs until the error is no higher than the level, or nothing."""
        return next((e for e, error in zip(self.epochs, self.errors) if error <= level), None)

    def lowest(self):
        return min(self.errors, default=100.0)

    def order(self, level):
        """Best first: which reaches the level soonest, or else comes closest."""
        reached = self.reaches(level)
        return (reached is None, reached if reached is not None else self.lowest())


def table(runs, best, level):
    rows = [f"| network | learning rate | epochs to {level:g} % | lowest error | |", "|---|---|---|---|---|"]
    for run in runs:
        reached = run.reaches(level)
        epochs = "not reached" if reached is None else f"{reached:.2f}"
        mark = "best" if run in best.values() else ""
        rows.append(f"| {run.net} | {run.rate} | {epochs} | {run.lowest():.1f} % | {mark} |")
    relu, tanh = (best[net].reaches(level) for net in ("relu", "tanh"))
    if relu is None:
        rows.append(f"\nThe ReLUs never reach {level:g} %; take a higher --level or more --epochs.")
    elif tanh is None:
        last = best["tanh"].epochs[-1]
        rows.append(f"\nReLU reaches {level:g} % more than {last / relu:.1f} times sooner: tanh has not within {last:g} epochs.")
    else:
        rows.append(f"\nReLU reaches {level:g} % {tanh / relu:.1f} times sooner than tanh.")
    return "\n".join(rows) + "\n"


def picture(runs, best, level, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = {"relu": ("ReLU", "#1f77b4", "-"), "tanh": ("tanh", "#d62728", "--")}
    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=120)
    for run in runs:
        name, colour, line = styles[run.net]
        if run is best[run.net]:
            axes.plot(run.epochs, run.errors, line, color=colour, label=f"{name}, rate {run.rate}")
        else:
            axes.plot(run.epochs, run.errors, line, color=colour, alpha=0.25, linewidth=0.8)
    axes.axhline(level, color="#888888", linewidth=0.8, linestyle=":")
    for run in best.values():
        reached = run.reaches(level)
        if reached is not None:
            axes.plot([reached], [level], "o", color=styles[run.net][1])
    axes.set_xlabel("epochs")
    axes.set_ylabel("training error, %")
    axes.set_xlim(left=0)
    axes.set_ylim(0, min(100, 4 * level))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", type=float, required=True, help="training error, percent")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("runs", type=pathlib.Path, nargs="+", metavar="NET-RATE")
    options = parser.parse_args()
    runs = [Run(path) for path in options.runs]
    best = {
        net: min((run for run in runs if run.net == net), key=lambda run: run.order(options.level))
        for net in ("relu", "tanh")
    }
    text = table(runs, best, options.level)
    (options.out / "figure-1.md").write_text(text)
    print(text, end="")
    try:
        picture(runs, best, options.level, options.out / "figure-1.png")
    except ModuleNotFoundError as missing:
        sys.exit(f"no picture: {missing} (pip install matplotlib)")


if __name__ == "__main__":
    main()
