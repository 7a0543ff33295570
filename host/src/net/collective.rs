//! The sum of gradients over ranks, the same bits for any number of them.
//!
//! Each rank has the sum over its own [shares](super::shares), a subtree. Of a piece of a gradient every rank gets the
//! subtrees' sums of one chunk (all-to-all), adds them as the tree goes on above them, and gives the result to all
//! (all-gather). So each float is added by one rank, in one order, and every rank goes on with the same gradient.
//!
//! A layer's gradients go out as soon as the last share of this rank has passed back through it, and the passes through
//! the layers before it go on meanwhile: they are queued, and the exchange has streams of its own. While numbers of one
//! piece are between the ranks, those of its neighbours are between host and device.

use anyhow::Result;
use gpu_kernels::launch;

use super::rates::Rates;
use super::{Added, Network, Tower};
use crate::device::{Buffer, Stream};
use crate::ranks::{Ranks, Transfer};

/// Floats that are exchanged at a time, at most.
const PIECE: usize = 1 << 22;

/// Floats of a chunk come in multiples of this, as the kernel wants them.
const LANES: usize = 16;

/// What a rank needs for the exchange.
pub struct Collective<'a> {
    ranks: &'a Ranks,
    sides: Vec<Side>,
    /// Memory of the host that is not in use.
    spare: Vec<Vec<f32>>,
}

/// A tower's side of the exchange.
struct Side {
    stream: Box<dyn Stream>,
    /// The subtrees' sums of this rank's chunk of a piece.
    chunks: Buffer<f32>,
}

/// A part of a gradient.
struct Piece {
    tower: usize,
    floats: Buffer<f32>,
}

/// A piece on its way.
struct Underway {
    piece: Piece,
    transfer: Box<dyn Transfer>,
}

impl Network {
    /// What the ranks add gradients with; nothing, where there is one.
    pub fn collective<'a>(&self, ranks: &'a Ranks) -> Result<Option<Collective<'a>>> {
        let side = |tower: &Tower| -> Result<Side> {
            let tensors = tower.parameters().flat_map(|p| [&p.weights, &p.biases]);
            let longest = tensors.map(|tensor| tensor.gradient.len()).max();
            let len = padded(longest.unwrap_or(0).min(PIECE), ranks);
            Ok(Side {
                // SAFETY: it and the tower's own wait for each other, in `add_ranks`.
                stream: unsafe { tower.device.clone().stream() }?,
                chunks: Buffer::new(&tower.device, len)?,
            })
        };
        (!ranks.is_alone())
            .then(|| {
                Ok(Collective {
                    ranks,
                    sides: self.towers.iter().map(side).collect::<Result<_>>()?,
                    spare: Vec::new(),
                })
            })
            .transpose()
    }

    /// Adds the wanted gradients of all ranks, those of a layer when this rank has `added` its own, last layer first.
    /// Returns when the last have been exchanged; what is queued from here on finds the sums.
    pub fn add_ranks(
        &self,
        collective: &mut Collective,
        added: &[Added],
        rates: &Rates,
    ) -> Result<()> {
        for Added { layer, in_tower } in added {
            for (side, event) in collective.sides.iter().zip(in_tower) {
                side.stream.wait(event);
            }
            let of_tower = |tower| pieces(tower, *layer, rates);
            collective.add(self.towers.iter().flat_map(of_tower))?;
        }
        for (side, tower) in collective.sides.iter().zip(&self.towers) {
            tower.stream.wait(&side.stream.record());
        }
        Ok(())
    }
}

/// The wanted gradients of a layer of a tower, in pieces.
fn pieces(tower: &Tower, layer: usize, rates: &Rates) -> Vec<Piece> {
    let Some(parameters) = tower.parameters_of(layer) else {
        return Vec::new();
    };
    let tensors = [&parameters.weights, &parameters.biases];
    let wanted = tensors.into_iter().zip(rates.wanted(layer));
    let gradients = wanted.filter_map(|(tensor, wanted)| wanted.then_some(&tensor.gradient));
    let cut = |gradient: &Buffer<f32>| {
        let len = gradient.len();
        let ranges = (0..len).step_by(PIECE).map(|i| i..len.min(i + PIECE));
        Vec::from_iter(ranges.map(|range| gradient.slice(range)))
    };
    let floats = gradients.flat_map(cut);
    let tower = tower.index;
    floats.map(|floats| Piece { tower, floats }).collect()
}

/// A length that can be cut into chunks, one for each rank.
fn padded(len: usize, ranks: &Ranks) -> usize {
    len.next_multiple_of(LANES * ranks.size() as usize)
}

impl Collective<'_> {
    /// Adds pieces that all ranks have here. One is on its way to be added while the sum of the one before it is on its
    /// way to all; which comes when is the same for every rank.
    fn add(&mut self, pieces: impl Iterator<Item = Piece>) -> Result<()> {
        let (mut scattering, mut gathering) = (None, None);
        for piece in pieces.map(Some).chain([None, None]) {
            let begun = piece.map(|piece| self.scatter(piece)).transpose()?;
            let summed = scattering.map(|piece| self.sum(piece)).transpose()?;
            gathering.into_iter().for_each(|piece| self.spread(piece));
            (scattering, gathering) = (begun, summed);
        }
        Ok(())
    }

    /// Begins to give every rank its chunk.
    fn scatter(&mut self, piece: Piece) -> Result<Underway> {
        let len = padded(piece.floats.len(), self.ranks);
        let (mut send, receive) = (self.memory(len), self.memory(len));
        let (own, padding) = send.split_at_mut(piece.floats.len());
        self.sides[piece.tower]
            .stream
            .download_to(&piece.floats, own)?;
        padding.fill(0.0);
        let transfer = self.ranks.all_to_all(send, receive);
        Ok(Underway { piece, transfer })
    }

    /// Adds what has come, and begins to give all the sum.
    fn sum(&mut self, Underway { piece, transfer }: Underway) -> Result<Underway> {
        let [mut reordered, received] = transfer.finish();
        let chunk = received.len() / self.ranks.size() as usize;
        for (rank, from) in received.chunks_exact(chunk).enumerate() {
            let at = chunk * reversed(rank, self.ranks.size());
            reordered[at..at + chunk].copy_from_slice(from);
        }
        let Side { stream, chunks } = &self.sides[piece.tower];
        let chunks = chunks.slice(0..received.len());
        stream.upload(&reordered, &chunks);
        add_neighbours(&**stream, &chunks, chunk);
        reordered.truncate(chunk);
        stream.download_to(&chunks.slice(0..chunk), &mut reordered)?;
        let transfer = self.ranks.all_gather(reordered, received);
        Ok(Underway { piece, transfer })
    }

    /// Queues the upload of the sum.
    fn spread(&mut self, Underway { piece, transfer }: Underway) {
        let [sent, received] = transfer.finish();
        let sum = &received[..piece.floats.len()];
        self.sides[piece.tower].stream.upload(sum, &piece.floats);
        self.spare.extend([sent, received]);
    }

    /// So many floats of the host's, with whatever they hold.
    fn memory(&mut self, len: usize) -> Vec<f32> {
        let mut memory = self.spare.pop().unwrap_or_default();
        memory.resize(len, 0.0);
        memory
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
