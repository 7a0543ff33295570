"""Tests of ptx-report: `python3 -m unittest discover -s scripts`.

The kernels are written by hand, each with one known fault, and assembled for real: the tests need
PyPI, or the directory that ptx-report has already filled.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import ptx_analysis as analysis  # noqa: E402

SCRIPT = Path(__file__).resolve().parent / "ptx-report"
HEADER = ".version 7.0\n.target sm_80\n.address_size 64\n"
PANIC = """.func _RN4core9panicking5panic()
.noreturn
{
trap; exit;
}
.func middle()
{
call.uni _RN4core9panicking5panic, ();
ret;
}
"""


def kernel(name, body, directives=""):
    return f""".visible .entry {name}(.param .u64 a, .param .u32 n)
{directives}{{
.reg .pred %p<4>; .reg .b32 %r<900>; .reg .f32 %f<900>; .reg .b64 %rd<8>;
ld.param.b64 %rd1, [a]; cvta.to.global.u64 %rd1, %rd1; ld.param.b32 %r1, [n];
{body}
ret;
}}
"""


def spilling(live=120):
    """More numbers alive at once than it has registers."""
    loads = [f"ld.volatile.global.f32 %f{i}, [%rd1+{4 * i}];" for i in range(live)]
    stores = [f"st.volatile.global.f32 [%rd1+{4 * i}], %f{i};" for i in reversed(range(live))]
    return kernel("spilling", "\n".join(loads + stores), ".maxnreg 32\n")


def multiply_add_loop(name, fused, others, wide):
    """A loop of so many fused multiply-adds and so many other operations."""
    load = "ld.shared.v4.f32 {%f1,%f2,%f3,%f4}, [tile]; ld.global.v4.f32 {%f5,%f6,%f7,%f8}, [%rd1];" if wide \
        else "ld.global.f32 %f1, [%rd1]; mov.f32 %f5, %f1; mov.f32 %f2, %f1; mov.f32 %f6, %f1;" \
        "mov.f32 %f3, %f1; mov.f32 %f7, %f1; mov.f32 %f4, %f1; mov.f32 %f8, %f1;"
    body = [load, "LOOP:"]
    body += [f"fma.rn.f32 %f{10 + i % 8}, %f{1 + i % 4}, %f{5 + i % 4}, %f{10 + i % 8};" for i in range(fused)]
    body += [f"st.volatile.global.b32 [%rd1+{4 * i}], %r1;" for i in range(others)]
    body += ["sub.u32 %r1, %r1, 1;", "setp.ne.u32 %p1, %r1, 0;", "@%p1 bra LOOP;"]
    body += [f"st.global.f32 [%rd1+{4 * i}], %f{10 + i};" for i in range(8)]
    start = "".join(f"ld.global.f32 %f{10 + i}, [%rd1+{64 + 4 * i}];\n" for i in range(8))
    return kernel(name, start + "\n".join(body))


LOCAL = kernel("local", """.local .align 4 .b8 depot[64]; cvta.local.u64 %rd2, 0;
mov.u64 %rd3, depot; mul.wide.u32 %rd4, %r1, 4; add.u64 %rd3, %rd3, %rd4;
st.local.b32 [depot+8], %r1; ld.local.b32 %r2, [%rd3]; st.global.b32 [%rd1], %r2;""")
PANICKING = PANIC + kernel("panicking", "setp.gt.u32 %p1, %r1, 9; @!%p1 bra OK; \ncall.uni middle, ();\nOK:")
SHARED = ".shared .align 16 .b8 tile[64];\n"


def report(ptx, *options):
    """The exit status, the kernels by name, and the standard output."""
    with tempfile.TemporaryDirectory() as directory:
        source, figures = Path(directory) / "k.ptx", Path(directory) / "k.json"
        source.write_text(HEADER + ptx)
        result = subprocess.run([sys.executable, SCRIPT, source, "--json", figures, *options],
                                capture_output=True, text=True, check=False)
        if not figures.exists():
            raise AssertionError(f"needs ptxas and nvdisasm: {result.stderr}")
        data = json.loads(figures.read_text())
    return result.returncode, {k["name"]: k for k in data["kernels"]}, result.stdout


class Faults(unittest.TestCase):
    def test_a_clean_kernel_passes(self):
        status, kernels, _ = report(kernel("clean", "st.global.b32 [%rd1], %r1;"))
        self.assertEqual((status, kernels["clean"]["faults"]), (0, []))
        self.assertGreater(kernels["clean"]["registers"], 0)

    def test_spills_are_found(self):
        status, kernels, output = report(spilling())
        self.assertEqual(status, 1, output)
        self.assertGreater(kernels["spilling"]["spill_stores"], 0)
        self.assertIn("FAULT: spilling (sm_80) spills", output)

    def test_local_memory_is_found(self):
        status, kernels, output = report(LOCAL)
        self.assertEqual(status, 1, output)
        self.assertEqual(kernels["local"]["stack"], 64)
        self.assertGreater(kernels["local"]["memory"]["LDL"], 0)
        self.assertIn("uses local memory", output)

    def test_panics_behind_other_functions_are_found(self):
        status, kernels, output = report(PANICKING)
        self.assertEqual(status, 1, output)
        self.assertEqual(kernels["panicking"]["panics"], ["_RN4core9panicking5panic"])

    def test_what_differs_from_another_build_is_listed(self):
        first, second = "st.global.b32 [%rd1], %r1;", "add.u32 %r2, %r1, 7; st.global.b32 [%rd1], %r2;"
        with tempfile.TemporaryDirectory() as directory:
            other = Path(directory) / "other.json"
            _, kernels, _ = report(kernel("k", first))
            other.write_text(json.dumps({"kernels": list(kernels.values())}))
            same = report(kernel("k", first), "--against", other)[2]
            changed = report(kernel("k", second), "--against", other)[2]
        self.assertNotIn("->", same)
        self.assertRegex(changed, r"(?m)^k \(sm_80\) instructions: \d+ -> \d+$")

    def test_one_bad_kernel_spoils_no_other(self):
        _, kernels, _ = report(spilling() + kernel("clean", ""))
        self.assertEqual(kernels["clean"]["faults"], [])
        self.assertNotEqual(kernels["spilling"]["faults"], [])


class Gemm(unittest.TestCase):
    def test_a_dense_loop_with_wide_loads_passes(self):
        loop = SHARED + multiply_add_loop("gemm_a", 120, 0, wide=True)
        status, kernels, output = report(loop, "--gemm", "gemm_*")
        self.assertEqual(status, 0, output)
        self.assertGreater(kernels["gemm_a"]["hottest_loop_ffma_share"], 0.85)
        for access in ("LDS.128", "LDG.128"):
            self.assertGreater(kernels["gemm_a"]["memory"][access], 0)
        self.assertEqual(kernels["gemm_a"]["static_shared"], 64)

    def test_a_thin_loop_with_narrow_loads_fails_only_where_it_matters(self):
        loop = multiply_add_loop("thin", 20, 20, wide=False)
        self.assertEqual(report(loop)[0], 0)
        status, kernels, output = report(loop, "--gemm", "thin")
        self.assertEqual(status, 1, output)
        self.assertLess(kernels["thin"]["hottest_loop_ffma_share"], 0.6)
        for cause in ("FFMA share", "has no LDS.128", "has no LDG.128"):
            self.assertIn(cause, output)

    def test_a_name_of_no_kernel_fails(self):
        status, _, output = report(kernel("clean", ""), "--gemm", "clena")
        self.assertEqual(status, 1)
        self.assertIn("no such kernel", output)


class Analysis(unittest.TestCase):
    def test_only_the_innermost_loop_counts(self):
        code = [("MOV", ""), ("FFMA", ""), ("FFMA", ""), ("BRA", "0x10"), ("IADD3", ""), ("BRA", "0x0"),
                ("EXIT", ""), ("BRA", "0x70")]
        self.assertEqual([(loop["first"], loop["last"], loop["ffma"]) for loop in analysis.loops(code)], [(1, 3, 2)])

    def test_accesses_are_told_apart(self):
        code = [(opcode, "") for opcode in ("LDS", "LDS.U", "LDS.64", "LDS.U.128", "LDS.U8", "LDG.E.128.CONSTANT",
                                            "LDG.E", "LDG.E.ENL2.256", "LDGSTS.E.BYPASS.128", "STS.128", "LDL",
                                            "STL.64")]
        counts = analysis.memory_accesses(code)
        self.assertEqual(counts, {"LDS.128": 1, "LDG.128": 3, "STS.128": 2, "STG.128": 0, "LDS.32": 2,
                                  "LDL": 1, "STL": 1})

    def test_what_is_no_ptx_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory) / "not.ptx"
            source.write_text("hello")
            result = subprocess.run([sys.executable, SCRIPT, source], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.splitlines()[-1], "not.ptx: no .target line")


if __name__ == "__main__":
    unittest.main()
