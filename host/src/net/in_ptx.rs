//! What the cases reach of the kernels' PTX, and which mistakes in it they find. Where a build has no PTX there is
//! nothing to see.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cases::cases;
use super::spec::Spec;
use super::IMAGES;
use crate::check::Case;
use crate::device::{CpuDevice, Device, PtxDevice};

fn narrow() -> Vec<Case> {
    let net = Spec::load("paper", &[]).unwrap().resolve(0.1, 40).unwrap();
    cases(&net, IMAGES).unwrap()
}

fn cpu() -> Arc<dyn Device> {
    CpuDevice::new(2).unwrap()
}

/// The text of the newest architecture.
fn text() -> Option<&'static str> {
    alexnet::PTX.last().map(|ptx| ptx.source)
}

#[test]
fn every_kernel_gives_the_cpus_bits_and_every_block_of_it_runs() {
    let Some(text) = text() else { return };
    let ptx = PtxDevice::new(text, 2).unwrap();
    let device: Arc<dyn Device> = ptx.clone();
    let cpu = cpu();
    let cases = narrow();
    for case in &cases {
        let began = std::time::Instant::now();
        let found = case.run([&device, &cpu], 0).unwrap();
        assert_eq!(found.different, 0, "{}: {}", case.kernel, case.shape);
        eprintln!("{:8.3} {}: {}", began.elapsed().as_secs_f64(), case.kernel, case.shape);
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut kernels: BTreeMap<&str, ()> = BTreeMap::new();
    for case in &cases {
        kernels.insert(case.kernel, ());
    }
    for kernel in kernels.keys() {
        let blocks = ptx.kernel(kernel).unwrap().coverage();
        let missing: Vec<_> = blocks.iter().filter(|(_, ran)| !ran).collect();
        eprintln!("{kernel}: {} of {} blocks", blocks.len() - missing.len(), blocks.len());
        for (line, _) in missing {
            eprintln!("    {line}: {}", lines[line - 1].trim());
        }
    }
}
