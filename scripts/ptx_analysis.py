"""What ptx-report measures: plain functions from the tools' output to numbers."""

import re

# Smallest unit of machine code on every architecture this project targets.
INSTRUCTION_BYTES = 16


def target(ptx):
    """The architecture a PTX text was made for, such as sm_80."""
    found = re.search(r"^\.target\s+(\w+)", ptx, re.MULTILINE)
    if not found:
        raise ValueError("no .target line: not PTX")
    return found.group(1)


def bodies(ptx):
    """Each function's PTX text by name, and which of them are kernels."""
    texts, kernels = {}, []
    name = None
    for line in ptx.splitlines():
        # `.func (.param .b32 result) name(`: a return value stands before the name.
        header = re.match(r"(?:\.\w+\s+)*\.(entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)", line)
        if header:
            name = header.group(2)
            texts.setdefault(name, "")
            if header.group(1) == "entry":
                kernels.append(name)
        elif name:
            texts[name] += line + "\n"
    return texts, kernels


def panics(texts, kernel):
    """The panic functions a kernel can reach, through any number of calls."""
    seen, waiting = set(), [kernel]
    while waiting:
        body = texts.get(waiting.pop(), "")
        called = set(re.findall(r"^\s*(?:@\S+\s+)?call[\w.]*\s+(?:\([^)]*\),\s*)?([\w$]+)", body, re.MULTILINE))
        waiting.extend(called - seen)
        seen |= called
    return sorted(name for name in seen if "panic" in name)


def resources(log):
    """Per kernel, what `ptxas -v` says it uses."""
    used, kernel, function = {}, None, None
    stacks = {}
    for line in log.splitlines():
        if found := re.search(r"Compiling entry function '([^']+)'", line):
            kernel = found.group(1)
        elif found := re.search(r"Function properties for (\S+)", line):
            function = found.group(1)
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stacks[function] = [int(number) for number in found.groups()]
        elif found := re.search(r"Used (\d+) registers", line):
            stack, stores, loads = stacks.get(kernel, [0, 0, 0])
            used[kernel] = {
                "registers": int(found.group(1)),
                "static_shared": number_before(line, "bytes smem"),
                "spill_stores": stores,
                "spill_loads": loads,
                "stack": max(stack, number_before(line, "bytes cumulative stack size")),
            }
    return used


def number_before(line, words):
    found = re.search(r"(\d+) " + words, line)
    return int(found.group(1)) if found else 0


def machine_code(dump):
    """Per function, its instructions as (opcode, operands), from `nvdisasm -json`."""
    return {
        function["function-name"]: [
            (instruction["opcode"], instruction.get("operands", ""))
            for instruction in function["sass-instructions"]
        ]
        for function in dump[1]
    }


def loops(code):
    """The innermost loops with fused multiply-adds: `first` and `last` instruction, number of
    instructions and share of FFMA. A loop is what a backward branch spans."""
    spans = set()
    for last, (opcode, operands) in enumerate(code):
        address = re.search(r"(?:^|,)\s*(0x[0-9a-f]+)$", operands)
        if opcode.split(".")[0] in ("BRA", "BRX", "JMP") and address:
            first = int(address.group(1), 16) // INSTRUCTION_BYTES
            # The endless branch to itself after the last EXIT is padding.
            if first < last:
                spans.add((first, last))
    found = []
    for first, last in sorted(spans):
        body = [opcode for opcode, _ in code[first : last + 1] if opcode != "NOP"]
        ffma = sum(opcode.startswith("FFMA") for opcode in body)
        if ffma:
            found.append({"first": first, "last": last, "instructions": len(body), "ffma": ffma,
                          "ffma_share": ffma / len(body)})
    return [loop for loop in found if not any(inside(other, loop) for other in found)]


def inside(inner, outer):
    return inner is not outer and outer["first"] <= inner["first"] and inner["last"] <= outer["last"]


def memory_accesses(code):
    """How often the machine code moves data, by kind and width; 128 stands for at least 128, as
    newer architectures have 256-bit accesses too."""
    counts = dict.fromkeys(["LDS.128", "LDG.128", "STS.128", "STG.128", "LDS.32", "LDL", "STL"], 0)
    for opcode, _ in code:
        kind, *modifiers = opcode.replace(".256", ".128").split(".")
        if kind in ("LDL", "STL"):
            counts[kind] += 1
        elif kind == "LDGSTS":
            # Global to shared directly (cp.async).
            for name in ("LDG.128", "STS.128") if "128" in modifiers else ():
                counts[name] += 1
        elif "128" in modifiers and f"{kind}.128" in counts:
            counts[f"{kind}.128"] += 1
        elif kind == "LDS" and not {"64", "128", "U8", "S8", "U16", "S16"} & set(modifiers):
            counts["LDS.32"] += 1
    return counts


def faults(kernel, is_gemm, least_share):
    """Why a kernel is not as it should be; empty if it is."""
    causes = []
    if kernel["spill_stores"] or kernel["spill_loads"]:
        causes.append(f"spills ({kernel['spill_stores']} bytes stored, {kernel['spill_loads']} loaded)")
    memory = kernel["memory"]
    if kernel["stack"] or memory["LDL"] or memory["STL"]:
        causes.append(f"uses local memory ({kernel['stack']} bytes of stack)")
    if kernel["panics"]:
        causes.append("calls " + ", ".join(kernel["panics"]))
    if is_gemm:
        share = kernel["hottest_loop_ffma_share"] or 0.0
        if share < least_share:
            causes.append(f"FFMA share {share:.1%} of its hottest loop is below {least_share:.0%}")
        causes += [f"has no {access}" for access in ("LDS.128", "LDG.128") if not memory[access]]
    return causes
