//! Signs in the counts that labels are not what they are thought to be.

use std::collections::HashMap;

use super::Source;
use super::classes::{composed, is_number};
use super::items::NO_LABEL;
use crate::shard::ClassName;

/// What the user should look at, one line each.
pub(crate) fn of(source: &Source, order_is_given: bool) -> Vec<String> {
    let mut images = vec![0u64; source.classes.len()];
    for label in source.items.iter().map(|item| item.label) {
        if label != NO_LABEL {
            images[label as usize] += 1;
        }
    }
    let with = |count: u64| {
        let classes = source.classes.iter().zip(&images);
        let classes = classes.filter(|(_, images)| **images == count);
        classes
            .map(|(class, _)| class.name.as_str())
            .collect::<Vec<_>>()
    };
    let mut warnings = empty(&with(0));
    let single = with(1);
    if source.classes.len() == 1 {
        warnings.push(format!(
            "there is only one class, {:?}",
            source.classes[0].name
        ));
    } else if single.len() > 1 && images.iter().all(|&images| images <= 1) {
        let count = single.len();
        warnings.push(format!("each of the {count} images is a class of its own"));
    } else if let Some(first) = single.first() {
        let which = match single.len() {
            1 => format!("the class {first:?} has"),
            count => format!("{count} classes, such as {first:?}, have"),
        };
        warnings.push(format!("{which} only one image"));
    }
    warnings.extend(alike(&source.classes));
    if !order_is_given {
        warnings.extend(numbers_in_other_order(&source.classes));
    }
    warnings
}

fn empty(classes: &[&str]) -> Vec<String> {
    if classes.len() > 3 {
        let (count, first) = (classes.len(), classes[0]);
        return vec![format!(
            "{count} classes, such as {first:?}, have no images here"
        )];
    }
    let warning = |name: &&str| format!("the class {name:?} has no images here");
    classes.iter().map(warning).collect()
}

/// Two classes whose names a person would take for one.
fn alike(classes: &[ClassName]) -> Option<String> {
    let mut seen = HashMap::new();
    classes.iter().find_map(|class| {
        let name = class.name.as_str();
        let other = seen.insert(composed(name.trim()).to_lowercase(), name)?;
        Some(format!(
            "the classes {other:?} and {name:?} differ, but hardly"
        ))
    })
}

/// Names that are numbers have labels by their bytes, not by their values.
fn numbers_in_other_order(classes: &[ClassName]) -> Option<String> {
    if !classes.iter().all(|class| is_number(&class.name)) {
        return None;
    }
    let value = |class: &ClassName| class.name.parse::<u128>().ok();
    let at = (1..classes.len()).find(|&at| value(&classes[at]) < value(&classes[at - 1]))?;
    let (label, name) = (at - 1, &classes[at - 1].name);
    let how = "labels follow the bytes of names; --labels gives another order";
    Some(format!(
        "class names are numbers, and class {name:?} has the label {label}: {how}"
    ))
}
