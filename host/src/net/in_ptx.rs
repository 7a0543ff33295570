//! What the cases reach of the kernels' PTX, and which mistakes in it they find. Where a build has no PTX there is
//! nothing to see.
#![allow(clippy::print_stdout, reason = "lists of what the tests found")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::IMAGES;
use super::cases::cases;
use super::spec::Spec;
use crate::check::Case;
use crate::device::{CpuDevice, Device, PtxDevice};

fn narrow() -> Vec<Case> {
    let net = Spec::load("paper", &[]).unwrap().resolve(0.1, 40).unwrap();
    cases(&net, IMAGES, false).unwrap()
}

fn cpu() -> Arc<dyn Device> {
    CpuDevice::new(2).unwrap()
}

/// The text of the newest architecture.
fn text() -> Option<&'static str> {
    alexnet::PTX.last().map(|ptx| ptx.source)
}

/// Kernels of whose blocks some never run, how many at most, and why.
const MAY_BE_MISSED: &[(&str, usize, &str)] = &[
    ("convolution_", 1, "a product of no terms"),
    ("fully_connected_", 1, "a product of no terms"),
    ("local_", 1, "a product of no terms"),
    (
        "winograd_forward",
        5,
        "what others of these miss, and for both windows the second phase of y, which has one",
    ),
    (
        "winograd_input_gradient",
        4,
        "what others of these miss, and the second phase of dy, which has one",
    ),
    (
        "winograd_",
        3,
        "a block's second columns, which large layers have, and second filters, which have a block of their own",
    ),
    (
        "softmax",
        ALL,
        "libm's expf beyond the range that `math::exp` leaves it",
    ),
    (
        "cross_entropy",
        ALL,
        "the same; libm's logf below 1, where a sum over classes never is",
    ),
    (
        "gaussian_fill",
        ALL,
        "libm's logf of denormal numbers, of 0, of 1 and below 0, which no interval's middle is",
    ),
    (
        "lrn_",
        ALL,
        "libm's powf with bases and exponents that a normalisation does not have",
    ),
    ("tanh_forward", ALL, "libm's expm1f below 0"),
];

const ALL: usize = usize::MAX;

/// The small ones, of which every kernel has some: with all checks a kernel is slow.
fn small_cases() -> Vec<Case> {
    let mut cases = narrow();
    // Its 36 products of more than half a tile are as large as this.
    let most = |case: &Case| match case.kernel {
        "winograd_weight_gradient" => 1_150_000,
        _ => 600_000,
    };
    cases.retain(|case| case.bytes() <= most(case));
    cases.sort_by_key(Case::bytes);
    cases
}

#[test]
fn every_kernel_gives_the_cpus_bits_and_every_block_of_it_runs() {
    let Some(text) = text() else { return };
    let ptx = PtxDevice::new(text, 2).unwrap();
    let device: Arc<dyn Device> = ptx.clone();
    let (cpu, cases) = (cpu(), small_cases());
    let mut kernels = BTreeSet::new();
    for case in &cases {
        let found = case.run([&device, &cpu], 0).unwrap();
        assert_eq!(found.different, 0, "{}: {}", case.kernel, case.shape);
        kernels.insert(case.kernel);
    }
    let lines: Vec<&str> = text.lines().collect();
    for kernel in kernels {
        let blocks = ptx.kernel(kernel).unwrap().coverage();
        let missing = blocks.iter().filter(|(_, ran)| !ran);
        let missing: Vec<_> = missing
            .map(|(line, _)| format!("{line}: {}", lines[line - 1].trim()))
            .collect();
        println!(
            "{kernel}: {} of {} blocks ran",
            blocks.len() - missing.len(),
            blocks.len()
        );
        let allowed = MAY_BE_MISSED
            .iter()
            .find(|(name, ..)| kernel.starts_with(name));
        let most = allowed.map_or(0, |(_, most, _)| *most);
        assert!(
            missing.len() <= most,
            "{kernel}: no case reaches what follows {missing:#?}"
        );
    }
}

/// A mistake: what it is called, and what it makes of an instruction that it can befall.
type Mistake = (&'static str, fn(&str) -> Option<String>);

const MISTAKES: &[Mistake] = &[
    ("an fma split", |line| {
        let operands = line.strip_prefix("fma.rn.f32")?.trim().strip_suffix(';')?;
        let [d, a, b, c] = operands.split(", ").collect::<Vec<_>>().try_into().ok()?;
        Some(format!(
            "{{ .reg .f32 %part; mul.rn.f32 %part, {a}, {b}; add.rn.f32 {d}, %part, {c}; }}"
        ))
    }),
    ("a barrier left out", |line| {
        line.starts_with("bar.sync").then(String::new)
    }),
    ("a comparison off by one", |line| {
        replaced(
            line.strip_prefix("setp.").map(|_| line)?,
            &[
                (".lt.", ".le."),
                (".le.", ".lt."),
                (".gt.", ".ge."),
                (".ge.", ".gt."),
                (".leu.", ".ltu."),
            ],
        )
    }),
    ("a comparison turned", |line| {
        replaced(
            line.strip_prefix("setp.").map(|_| line)?,
            &[(".eq.", ".ne."), (".ne.", ".eq."), (".num.", ".nan.")],
        )
    }),
    ("a branch always taken", |line| {
        let (_, bra) = line.strip_prefix('@')?.split_once(' ')?;
        Some(bra.trim().to_owned())
    }),
    ("a branch never taken", |line| {
        line.starts_with('@').then(String::new)
    }),
    ("an address shifted", |line| {
        let access = line.strip_prefix("ld.").or(line.strip_prefix("st."))?;
        let (before, rest) = line.split_once('[')?;
        let (address, after) = rest.split_once(']')?;
        let (base, offset) = address.split_once('+').unwrap_or((address, "0"));
        let by = if access.contains(".v4") { 16 } else { 4 };
        let offset = offset.parse::<i64>().ok()? + by;
        let is_memory = !access.starts_with("param");
        is_memory.then(|| format!("{before}[{base}+{offset}]{after}"))
    }),
    ("a sum for a difference", |line| {
        let pairs = [
            ("add.rn.f32", "sub.rn.f32"),
            ("sub.rn.f32", "add.rn.f32"),
            ("add.s32", "sub.s32"),
            ("sub.s32", "add.s32"),
            ("add.s64", "sub.s64"),
        ];
        replaced(line, &pairs)
    }),
    ("the last bit of a constant", |line| {
        let at = line.find("0f")?;
        let digits = line.get(at + 2..at + 10)?;
        // Next to zero stands what every sum absorbs.
        let bits = u32::from_str_radix(digits, 16)
            .ok()
            .filter(|bits| *bits != 0)?;
        Some(line.replacen(digits, &format!("{:08X}", bits ^ 1), 1))
    }),
    ("a choice turned", |line| {
        let (head, operands) = line
            .strip_prefix("selp.")?
            .split_once(char::is_whitespace)?;
        let [d, a, b, p] = operands
            .trim()
            .split(", ")
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        Some(format!("selp.{head} {d}, {b}, {a}, {p}"))
    }),
    ("the greater for the lesser", |line| {
        replaced(line, &[("max.u32", "min.u32"), ("min.u32", "max.u32")])
    }),
    ("and for or", |line| {
        replaced(
            line,
            &[
                ("and.pred", "or.pred"),
                ("or.pred", "and.pred"),
                ("and.b32", "or.b32"),
            ],
        )
    }),
    ("a shift by one more", |line| {
        let count = line
            .strip_prefix("sh")?
            .strip_suffix(';')?
            .rsplit_once(", ")?
            .1;
        let more = count.parse::<u32>().ok()? + 1;
        Some(line.replacen(&format!(", {count};"), &format!(", {more};"), 1))
    }),
];

fn replaced(line: &str, pairs: &[(&str, &str)]) -> Option<String> {
    let (from, to) = pairs.iter().find(|(from, _)| line.contains(from))?;
    Some(line.replacen(from, to, 1))
}

/// The text with nothing in the bodies of the other kernels, its lines where they were.
fn alone(text: &str, kernel: &str) -> String {
    let module = ptx_reader::Module::parse(text).unwrap();
    let mut alone = text.to_owned();
    for entry in module.entries().filter(|entry| entry.name != kernel) {
        let body = entry.body.clone().unwrap();
        let lines = "\n".repeat(text[body.clone()].matches('\n').count());
        let empty = format!("{{ ret; {lines}}}");
        let at = alone.len() - (text.len() - body.start);
        alone.replace_range(at..at + body.len(), &empty);
    }
    alone
}

/// Each mistake at two places of each kernel that it can befall: how many are found out, and the others line by line.
#[test]
#[ignore = "takes minutes; cargo test -p host --lib mistakes -- --ignored --nocapture lists them"]
fn mistakes_are_found_out() {
    let Some(text) = text() else { return };
    let (cpu, cases) = (cpu(), small_cases());
    let mut kernels: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        kernels.entry(case.kernel).or_default().push(case);
    }
    let mut counts: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    for (kernel, cases) in &kernels {
        let began = Instant::now();
        let alone = alone(text, kernel);
        let lines: Vec<&str> = alone.lines().collect();
        for (mistake, make) in MISTAKES {
            let sites = lines.iter().enumerate();
            let sites: Vec<_> = sites
                .filter_map(|(at, line)| Some((at, make(line.trim())?)))
                .collect();
            for (at, changed) in sites.iter().step_by(sites.len().div_ceil(2).max(1)) {
                let mut wrong = lines.clone();
                wrong[*at] = changed;
                let found = is_found_out(&wrong.join("\n"), cases, &cpu);
                counts.entry(mistake).or_default()[usize::from(found)] += 1;
                if !found {
                    println!(
                        "NOT FOUND  {kernel}, line {}, {mistake}: {} -> {changed}",
                        at + 1,
                        lines[*at].trim()
                    );
                }
            }
        }
        println!("{kernel}: {:.1} s", began.elapsed().as_secs_f64());
    }
    for (mistake, [not, found]) in &counts {
        println!("{mistake}: {found} of {}", found + not);
    }
    let sum = |i: usize| counts.values().map(|counts| counts[i]).sum::<u32>();
    println!("{} of {} found out", sum(1), sum(0) + sum(1));
    // The others change nothing that can be seen, or stand in the blocks that never run.
    assert!(sum(1) > 4 * sum(0));
}

fn is_found_out(text: &str, cases: &[&Case], cpu: &Arc<dyn Device>) -> bool {
    let device: Arc<dyn Device> = PtxDevice::new(text, 2).unwrap();
    cases.iter().any(|case| match case.run([&device, cpu], 0) {
        Ok(found) => found.different > 0,
        Err(_) => true,
    })
}
