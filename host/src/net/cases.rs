//! Every kernel, on the shapes of every layer of a network.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use gpu_kernels::launch;

use super::IMAGES;
use super::layer::Site;
use super::shapes::Net;
use super::shares::Shares;
use super::spec::{PRESETS, Spec};
use crate::check::data::{bytes, random, unwritten, views};
use crate::check::{Case, Cases, edges};

/// The width of the presets whose layers stand in for kinds that a network does not have.
const NARROW: f64 = 0.1;

/// One float in so many is special, so that not all of a product's sums are.
const RARITY: u32 = 509;

/// The cases of one tower's layers for batches of `images`; where two layers make the same one it comes once. Kernels
/// that none of them uses come on the shapes of a narrow preset. The smallest case of each kernel comes with special
/// values as well, and at the end come small cases that no layer makes. The gradient to the images, which training does
/// not ask for, comes if it is asked for.
pub fn cases(net: &Net, images: usize, image_gradient: bool) -> Result<Vec<Case>> {
    let mut cases = of_net(net, images, image_gradient);
    for (preset, _) in PRESETS {
        let have: HashSet<&str> = cases.iter().map(|case| case.kernel).collect();
        let other = Spec::load(preset, &[])?.resolve(NARROW, net.classes)?;
        let mut others = of_net(&other, IMAGES, false);
        others.retain(|case| !have.contains(case.kernel));
        cases.extend(others);
    }
    let special = with_special_values(&cases);
    cases.extend(special);
    cases.extend(edges::cases());
    Ok(cases)
}

fn with_special_values(cases: &[Case]) -> Vec<Case> {
    let mut smallest: BTreeMap<&str, &Case> = BTreeMap::new();
    for case in cases {
        let known = smallest.entry(case.kernel).or_insert(case);
        if case.bytes() < known.bytes() {
            *known = case;
        }
    }
    let smallest = smallest.values();
    smallest
        .filter_map(|case| case.with_special_values(RARITY))
        .collect()
}

fn of_net(net: &Net, images: usize, image_gradient: bool) -> Vec<Case> {
    let mut seen = HashSet::new();
    let mut cases = of_all_layers(net, images, image_gradient);
    cases.retain(|case| seen.insert((case.kernel, case.shape.clone())));
    cases
}

fn of_all_layers(net: &Net, images: usize, image_gradient: bool) -> Vec<Case> {
    let mut all = Cases::default();
    input(&mut all, net, images);
    let tower = &net.towers[0];
    for (index, layer) in tower.iter().enumerate() {
        let site = Site {
            tower,
            index,
            images,
            id: index as u32,
            image_gradient,
            shares: &Shares::WHOLE,
        };
        layer.kind.keys().cases(&site, &mut all);
    }
    all.into_vec()
}

fn input(all: &mut Cases, net: &Net, images: usize) {
    let [size, crop] = [net.input.size, net.input.crop];
    let len = |side: usize| side * side * 3;
    for side in [size, crop] {
        let sizes = [size, side, crop].map(|n| n as u32);
        let tensors = [
            bytes(1, images * len(side)),
            views(2, images, (size - crop) as u32),
            random(3, len(size), 255.0),
            unwritten(images * len(crop)),
        ];
        let text = format!("{size} to {crop}, {images} images of {side}");
        all.add("augment", text, tensors, move |at| {
            let (pixels, views, mean) = (at.read(0), at.views(1), at.read(2));
            launch::augment(sizes, pixels, views, mean, at.write(3), at.target())
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::device::{CpuDevice, Device};

    /// A case that is left out because another has its kernel and text must be that one.
    #[test]
    fn what_has_the_same_text_gives_the_same_result() {
        let device: Arc<dyn Device> = CpuDevice::new(2).unwrap();
        let mut left_out = 0;
        for (preset, _) in PRESETS {
            let net = Spec::load(preset, &[])
                .unwrap()
                .resolve(NARROW, 20)
                .unwrap();
            let mut known: HashMap<(&str, String), Case> = HashMap::new();
            for case in of_all_layers(&net, IMAGES, true) {
                match known.get(&(case.kernel, case.shape.clone())) {
                    Some(first) => {
                        assert!(
                            first.same_results(&case, &device).unwrap(),
                            "{preset}, {}: {}",
                            case.kernel,
                            case.shape
                        );
                        left_out += 1;
                    }
                    None => drop(known.insert((case.kernel, case.shape.clone()), case)),
                }
            }
        }
        assert!(left_out > 0);
    }
}
