//! Roundings in every direction, found by comparing with the exact value.

use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rounding {
    Zero,
    Up,
    Down,
}

pub use Rounding::{Down, Up, Zero};

pub trait Float: Copy + PartialOrd {
    fn up(self) -> Self;
    fn down(self) -> Self;
}

impl Float for f32 {
    fn up(self) -> Self {
        self.next_up()
    }

    fn down(self) -> Self {
        self.next_down()
    }
}

impl Float for f64 {
    fn up(self) -> Self {
        self.next_up()
    }

    fn down(self) -> Self {
        self.next_down()
    }
}

/// The number beside an exact value, which is not zero: `near` is not far from it, and `compare` says where another
/// number stands to it.
pub fn round<F: Float>(
    near: F,
    compare: impl Fn(F) -> Ordering,
    rounding: Rounding,
    positive: bool,
) -> F {
    let mut below = near;
    while compare(below) == Ordering::Greater {
        below = below.down();
    }
    while compare(below.up()) != Ordering::Greater {
        below = below.up();
    }
    let down = match rounding {
        Down => true,
        Up => false,
        Zero => positive,
    };
    match down || compare(below) == Ordering::Equal {
        true => below,
        false => below.up(),
    }
}

/// The sign of an exact sum of finite terms.
pub fn sign(terms: &[f64]) -> Ordering {
    // Parts that do not overlap, from the smallest to the largest.
    let mut parts: Vec<f64> = Vec::new();
    for &term in terms {
        let mut carried = term;
        for part in &mut parts {
            let sum = carried + *part;
            let of_part = sum - carried;
            *part = (carried - (sum - of_part)) + (*part - of_part);
            carried = sum;
        }
        parts.push(carried);
    }
    let largest = parts.iter().rev().find(|part| **part != 0.0);
    largest.map_or(Ordering::Equal, |part| part.total_cmp(&0.0))
}

/// The sum of terms to single precision; what they make to the nearest is `near`.
pub fn sum_f32(near: f32, terms: &[f64], rounding: Rounding) -> f32 {
    if terms.iter().any(|term| !term.is_finite()) {
        return near;
    }
    let is_positive = match sign(terms) {
        Ordering::Equal => return cancelled(terms, rounding, near.into()) as f32,
        other => other == Ordering::Greater,
    };
    let compare = |number: f32| match number.is_finite() {
        true => sign(&[terms, &[-f64::from(number)]].concat()).reverse(),
        false => number.total_cmp(&0.0),
    };
    round(near, compare, rounding, is_positive)
}

/// The same to double precision.
pub fn sum_f64(near: f64, terms: &[f64], rounding: Rounding) -> f64 {
    if terms.iter().any(|term| !term.is_finite()) {
        return near;
    }
    match sign(terms) {
        Ordering::Equal => cancelled(terms, rounding, near),
        other => {
            let compare = |number: f64| sign(&[terms, &[-number]].concat()).reverse();
            round(near, compare, rounding, other == Ordering::Greater)
        }
    }
}

/// Zero as a sum: negative when it is rounded down, unless all that it is made of are zeros of one sign.
fn cancelled(terms: &[f64], rounding: Rounding, near: f64) -> f64 {
    let all = |negative: bool| {
        terms
            .iter()
            .all(|term| *term == 0.0 && term.is_sign_negative() == negative)
    };
    match (all(true) || all(false), rounding) {
        (false, Down) => -0.0,
        _ => near,
    }
}
