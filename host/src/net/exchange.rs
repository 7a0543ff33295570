//! What the towers exchange: an all-gather of activations before a layer that reads
//! all towers, and a reduce-scatter of the gradients to them.

use gpu_kernels::launch;

use super::tower::{Exchange, Tower};
use super::{Network, stream};
use crate::device::Event;

impl Network {
    /// Before layer `i`, if it reads all towers: every tower copies the others' parts.
    pub(super) fn all_gather(&self, i: usize) {
        let fetched = self.begin(i, |to, from| {
            if to.tower.index != from.tower.index {
                let part = from.exchange.parts[from.tower.index].clone();
                let source = from.exchange.whole.slice(part.clone());
                to.tower
                    .copies
                    .copy(&source, &to.exchange.whole.slice(part));
            }
        });
        self.end(i, &fetched);
    }

    /// After the gradient to what layer `i` read, if it read all towers: every tower
    /// begins to copy all gradients to its part. Until
    /// [`Network::finish_reduce_scatter`] the towers can do what does not change them.
    pub(super) fn begin_reduce_scatter(&self, i: usize) -> Vec<Event> {
        self.begin(i, |to, from| {
            let part = to.exchange.parts[to.tower.index].clone();
            let (Some(gradients), Some(shares)) = (&from.exchange.gradients, &to.exchange.shares)
            else {
                return;
            };
            let begin = from.tower.index * part.len();
            let share = shares.slice(begin..begin + part.len());
            to.tower.copies.copy(&gradients.slice(part), &share);
        })
    }

    /// Adds up what [`Network::begin_reduce_scatter`] has copied.
    pub(super) fn finish_reduce_scatter(&self, i: usize, fetched: &[Event]) {
        self.end(i, fetched);
        self.ends(i).iter().for_each(add_shares);
    }

    /// Lets every tower fetch from every tower, not before what it fetches is
    /// there and what it overwrites is done with; gives when each has done so.
    fn begin(&self, i: usize, fetch: impl Fn(&End, &End)) -> Vec<Event> {
        let ends = self.ends(i);
        let ready: Vec<Event> = ends.iter().map(|end| end.tower.stream.record()).collect();
        let fetch_all = |to: &End| {
            ready.iter().for_each(|ready| to.tower.copies.wait(ready));
            ends.iter().for_each(|from| fetch(to, from));
            to.tower.copies.record()
        };
        ends.iter().map(fetch_all).collect()
    }

    /// Nobody goes on before all have fetched: what one reads next another has
    /// fetched, and what it overwrites next another may still be fetching.
    fn end(&self, i: usize, fetched: &[Event]) {
        for end in self.ends(i) {
            fetched.iter().for_each(|done| end.tower.stream.wait(done));
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
    let (Some(shares), Some(own)) = (&end.exchange.shares, &end.exchange.own_gradient) else {
        return;
    };
    let count = end.exchange.parts.len() as u32;
    stream(end.tower)
        .launch(|on| launch::sum_parts(count, on.read(shares), on.write(own), on.target()));
}
