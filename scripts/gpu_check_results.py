"""The table that ends a GPU check, from what its stages found."""

PHASES = ("forward", "input_gradient", "weight_gradient")


def table(found):
    lines = stages(found)
    if "speed" in found and found["speed"].get("ok"):
        lines += ["", *speed(found["speed"], found.get("pytorch") or {})]
    if "layers" in found and found["layers"].get("kernels"):
        lines += ["", *kernels(found["layers"]["kernels"], (found.get("pytorch") or {}).get("peaks") or {})]
    return "\n".join(lines) + "\n"


def stages(found):
    lines = []
    for name, one in found.items():
        verdict = "ok" if one["ok"] else f"FAILED: {one['error']}"
        lines.append(f"{name:12} {one.get('seconds', 0):6.1f} s  {verdict}")
    for name in ("reduced", "full"):
        run = found.get("training", {}).get(name)
        if run:
            places = ", ".join(run["runs"])
            lines.append(f"checkpoints of {name} width on {places}: {'identical' if run['identical'] else 'NOT identical'}")
    return lines


def speed(host, torch):
    """The step, and each layer's phases, beside PyTorch's best in each precision."""
    own = host["training_images_per_second"]
    lines = [f"training step, batch {host['batch']}: {own:.0f} images/s"]
    for precision, best in (torch.get("best_steps") or {}).items():
        rate = best["images_per_second"]
        lines.append(f"  PyTorch {precision}: {rate:.0f} images/s ({best['variant']}); ours is {own / rate:.2f} of it")
    lines.append(f"{'ms':8}" + "".join(f"{phase:>34}" for phase in PHASES))
    lines.append(f"{'':8}" + f"{'ours':>10}{'fp32':>8}{'tf32':>8}{'bf16':>8}" * len(PHASES))
    theirs = torch.get("layers") or {}
    for key, times in (host.get("layers") or {}).items():
        name = key.split(" ", 1)[1]
        cells = ""
        for phase, own in zip(PHASES, times, strict=True):
            cells += f"{1e3 * own:10.3f}"
            for precision in ("fp32", "tf32", "bf16"):
                seconds = theirs.get(name, {}).get(precision, {}).get(phase)
                cells += f"{1e3 * seconds:8.3f}" if seconds else f"{'-':>8}"
        lines.append(f"{name:8}{cells}")
    return lines


def kernels(cases, peaks):
    """The share of the chip's measured rates that each kernel reaches, on its largest shape."""
    largest = {}
    for case in cases:
        if case["seconds"]:
            before = largest.get(case["kernel"])
            if before is None or case["seconds"] > before["seconds"]:
                largest[case["kernel"]] = case
    flops, bandwidth = peaks.get("fp32_flops"), peaks.get("bytes_per_second")
    lines = [f"{'kernel':32}{'us':>10}{'GFLOP/s':>10}{'of peak':>9}{'GB/s':>9}{'of peak':>9}"]
    for name, case in sorted(largest.items()):
        rate, bytes_rate = case["flops"] / case["seconds"], case["bytes"] / case["seconds"]
        cells = f"{rate / 1e9:10.0f}{share(rate, flops)}" if rate else f"{'-':>10}{'-':>9}"
        lines.append(f"{name:32}{1e6 * case['seconds']:10.1f}{cells}{bytes_rate / 1e9:9.0f}{share(bytes_rate, bandwidth)}")
    return lines


def share(rate, peak):
    return f"{rate / peak:9.0%}" if peak else f"{'-':>9}"
