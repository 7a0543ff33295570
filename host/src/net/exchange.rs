//! What the towers tell each other: activations on the way forward, gradients on
//! the way back.

use gpu_kernels::sum::{sum_parts, sum_parts_launch};

use super::tower::{Exchange, Tower};
use super::{Network, stream};
use crate::device::Event;

impl Network {
    /// Before layer `i`, if it reads all towers: every tower fetches the others' parts.
    pub(super) fn gather(&self, i: usize) {
        self.swap(i, |to, from| {
            let part = from.exchange.parts[from.tower.index].clone();
            let (source, target) = (
                from.exchange.whole.slice(part.clone()),
                to.exchange.whole.slice(part),
            );
            stream(to.tower).copy(source, target);
        });
    }

    /// After the gradient of layer `i`, if it read all towers: every tower
    /// fetches the others' gradients to its part and adds them up.
    pub(super) fn scatter(&self, i: usize) {
        let backward = |tower: &Tower| {
            tower.steps[i]
                .exchange
                .as_ref()
                .is_some_and(|exchange| exchange.gradients.is_some())
        };
        if !backward(&self.towers[0]) {
            return;
        }
        let fetch = |to: &End, from: &End| {
            let part = to.exchange.parts[to.tower.index].clone();
            let (Some(gradients), Some(shares)) = (from.exchange.gradients, to.exchange.shares)
            else {
                return;
            };
            let begin = from.tower.index * part.len();
            let share = shares.slice(begin..begin + part.len());
            stream(to.tower).copy(gradients.slice(part), share);
        };
        self.ends(i).iter().for_each(|end| fetch(end, end));
        self.swap(i, fetch);
        self.ends(i).iter().for_each(add_shares);
    }

    /// Lets every tower fetch from every other: not before what it fetches is
    /// there, and nobody goes on to overwrite it before it has been fetched.
    fn swap(&self, i: usize, fetch: impl Fn(&End, &End)) {
        let ends = self.ends(i);
        let record = |end: &End| end.tower.stream.record();
        let ready: Vec<Event> = ends.iter().map(record).collect();
        for to in &ends {
            for (from, ready) in ends.iter().zip(&ready) {
                if to.tower.index != from.tower.index {
                    to.tower.stream.wait(ready);
                    fetch(to, from);
                }
            }
        }
        let done: Vec<Event> = ends.iter().map(record).collect();
        for (a, end) in ends.iter().enumerate() {
            let others = done.iter().enumerate().filter(|(b, _)| a != *b);
            others.for_each(|(_, done)| end.tower.stream.wait(done));
        }
    }

    /// The towers with their side of the exchange before layer `i`; none where there is none.
    fn ends(&self, i: usize) -> Vec<End<'_>> {
        let end = |tower| -> Option<End> {
            let tower: &Tower = tower;
            Some(End {
                tower,
                exchange: tower.steps[i].exchange.as_ref()?,
            })
        };
        self.towers.iter().filter_map(end).collect()
    }
}

/// A tower's side of an exchange.
struct End<'a> {
    tower: &'a Tower,
    exchange: &'a Exchange,
}

fn add_shares(end: &End) {
    let (Some(shares), Some(own)) = (end.exchange.shares, end.exchange.own_gradient) else {
        return;
    };
    let (len, count) = (own.len() as u32, end.exchange.parts.len() as u32);
    let stream = stream(end.tower);
    let launch = sum_parts_launch(len, stream.device().target());
    // SAFETY: `shares` holds `count` parts as long as `own`.
    unsafe { stream.launch(&sum_parts, launch, (len, count, shares.read(), own.ptr())) };
}
