//! The sum of gradients over ranks, the same bits for any number of them.
//!
//! Each rank has the sum over its own [shares](super::shares), a subtree. Of a piece of a gradient every rank gets the
//! subtrees' sums of one chunk (all-to-all), adds them as the tree goes on above them, and gives the result to all
//! (all-gather). So each float is added by one rank, in one order, and every rank goes on with the same gradient.

use anyhow::Result;
use gpu_kernels::launch;

use super::rates::Rates;
use super::{Network, Tower, stream};
use crate::device::{Buffer, Stream};
use crate::ranks::Ranks;

/// Floats that are exchanged at a time, at most.
const PIECE: usize = 1 << 22;

/// Floats of a chunk come in multiples of this, as the kernel wants them.
const LANES: usize = 16;

/// What a rank needs of memory for the exchange.
pub struct Collective<'a> {
    ranks: &'a Ranks,
    /// The subtrees' sums of this rank's chunk.
    chunks: Buffer<f32>,
    send: Vec<f32>,
    receive: Vec<f32>,
}

impl Network {
    /// What the ranks add gradients with; nothing, where there is one.
    pub fn collective<'a>(&self, ranks: &'a Ranks) -> Result<Option<Collective<'a>>> {
        let longest = self.gradients().map(|(_, gradient)| gradient.len()).max();
        let longest = longest.unwrap_or(0).min(PIECE);
        (!ranks.is_alone())
            .then(|| {
                let len = padded(longest, ranks);
                Ok(Collective {
                    ranks,
                    chunks: Buffer::new(&self.towers[0].device, len)?,
                    send: vec![0.0; len],
                    receive: vec![0.0; len],
                })
            })
            .transpose()
    }

    /// Adds the wanted gradients of all ranks, last layer first; waits for them.
    pub fn add_ranks(&self, collective: &mut Collective, rates: &Rates) -> Result<()> {
        for i in (0..self.steps()).rev() {
            for tower in &self.towers {
                for gradient in wanted(tower, i, rates) {
                    collective.add(stream(&self.towers[0]), stream(tower), gradient)?;
                }
            }
        }
        Ok(())
    }

    fn gradients(&self) -> impl Iterator<Item = (&Tower, &Buffer<f32>)> {
        let of_tower = |tower| {
            let parameters = Tower::parameters(tower);
            let gradients = parameters.flat_map(|p| [&p.weights.gradient, &p.biases.gradient]);
            gradients.map(move |gradient| (tower, gradient))
        };
        self.towers.iter().flat_map(of_tower)
    }
}

/// The gradients of a layer of a tower that are wanted.
fn wanted<'a>(tower: &'a Tower, i: usize, rates: &Rates) -> Vec<&'a Buffer<f32>> {
    let Some(parameters) = tower.parameters_of(i) else {
        return Vec::new();
    };
    let tensors = [&parameters.weights, &parameters.biases];
    let wanted = tensors.into_iter().zip(rates.wanted(i));
    let wanted = wanted.filter(|(_, wanted)| *wanted);
    wanted.map(|(tensor, _)| &tensor.gradient).collect()
}

/// A length that can be cut into chunks, one for each rank.
fn padded(len: usize, ranks: &Ranks) -> usize {
    len.next_multiple_of(LANES * ranks.size() as usize)
}

impl Collective<'_> {
    /// Adds the gradients that all ranks have here, `own` the stream of its tower; the sums are made on `sums`.
    fn add(&mut self, sums: &dyn Stream, own: &dyn Stream, gradient: &Buffer<f32>) -> Result<()> {
        for begin in (0..gradient.len()).step_by(PIECE) {
            let end = gradient.len().min(begin + PIECE);
            self.add_piece(sums, own, &gradient.slice(begin..end))?;
        }
        Ok(())
    }

    fn add_piece(
        &mut self,
        sums: &dyn Stream,
        own: &dyn Stream,
        piece: &Buffer<f32>,
    ) -> Result<()> {
        let len = padded(piece.len(), self.ranks);
        let chunk = len / self.ranks.size() as usize;
        let (send, receive) = (&mut self.send[..len], &mut self.receive[..len]);
        send[..piece.len()].copy_from_slice(&own.download(piece)?);
        send[piece.len()..].fill(0.0);
        self.ranks.all_to_all(send, receive);
        for (rank, from) in receive.chunks_exact(chunk).enumerate() {
            let at = chunk * reversed(rank, self.ranks.size());
            send[at..at + chunk].copy_from_slice(from);
        }
        let chunks = self.chunks.slice(0..len);
        sums.upload(send, &chunks);
        add_neighbours(sums, &chunks, chunk);
        let sum = sums.download(&chunks.slice(0..chunk))?;
        self.ranks.all_gather(&sum, receive);
        own.upload(&receive[..piece.len()], piece);
        Ok(())
    }
}

/// Queues the sum of chunks, level by level of their tree, into the first. In the order of reversed bits a chunk's neighbour
/// lies half of them away, and so do all at once.
fn add_neighbours(stream: &dyn Stream, chunks: &Buffer<f32>, chunk: usize) {
    let mut len = chunks.len();
    while len > chunk {
        let (both, sum) = (chunks.slice(0..len), chunks.slice(0..len / 2));
        stream.launch(|on| launch::sum_parts(2, on.read(&both), on.write(&sum), on.target()));
        len /= 2;
    }
}

/// A rank's number, of a power of two, with its bits in reverse.
fn reversed(rank: usize, ranks: u32) -> usize {
    match ranks.trailing_zeros() {
        0 => rank,
        bits => rank.reverse_bits() >> (usize::BITS - bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_lie_half_of_all_away() {
        let order = |ranks| Vec::from_iter((0..ranks as usize).map(|rank| reversed(rank, ranks)));
        assert_eq!(order(1), [0]);
        assert_eq!(order(2), [0, 1]);
        assert_eq!(order(8), [0, 4, 2, 6, 1, 5, 3, 7]);
    }
}
