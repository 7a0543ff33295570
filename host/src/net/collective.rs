//! A step down the sum of gradients over ranks, the same bits for any number of them.
//!
//! Each rank has the sum over its own [shares](super::shares), a subtree. Of a [piece](super::pieces) of a gradient every
//! rank gets the subtrees' sums of its own chunk (all-to-all), adds them as the tree goes on above them, takes the step
//! there, and gives the new weights to all (all-gather). So each float is added by one rank, in one order, and every rank
//! goes on with the same weights.
//!
//! A layer's gradients go out as soon as the last share of this rank has passed back through it, and the passes through
//! the layers before it go on meanwhile: they are queued, and the exchange has streams of its own. While numbers of one
//! piece are between the ranks, those of its neighbours are between host and device.

use anyhow::Result;
use gpu_kernels::launch;

use super::parameters::{Sgd, Tensor};
use super::pieces::{self, PIECE, Piece};
use super::rates::Rates;
use super::{Added, Network, Tower};
use crate::device::{Buffer, Stream};
use crate::ranks::{Ranks, Transfer};

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

/// A piece of a tensor that learns.
#[derive(Clone, Copy)]
struct Learning<'a> {
    tower: usize,
    tensor: &'a Tensor,
    piece: &'a Piece,
    sgd: Sgd,
}

/// Its numbers on their way.
struct Underway<'a> {
    of: Learning<'a>,
    transfer: Box<dyn Transfer>,
}

impl Network {
    /// What the ranks take steps with together; nothing, where there is one.
    pub fn collective<'a>(&self, ranks: &'a Ranks) -> Result<Option<Collective<'a>>> {
        let side = |tower: &Tower| -> Result<Side> {
            let tensors = tower.parameters().flat_map(|p| [&p.weights, &p.biases]);
            let longest = tensors.map(|tensor| tensor.value.len()).max();
            let len = pieces::padded(longest.unwrap_or(0).min(PIECE), ranks.size() as usize);
            Ok(Side {
                // SAFETY: it and the tower's own wait for each other, in `step`.
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

    /// A step of all ranks down the sum of their gradients, layer by layer as soon as this rank has `added` its own, last
    /// layer first. Returns when all have been exchanged; what is queued from here on finds the new weights.
    pub fn step(&self, collective: &mut Collective, added: &[Added], rates: &Rates) -> Result<()> {
        for Added { layer, in_tower } in added {
            for (side, event) in collective.sides.iter().zip(in_tower) {
                side.stream.wait(event);
            }
            let of_tower = |tower| learning(tower, *layer, rates);
            collective.step(self.towers.iter().flat_map(of_tower))?;
        }
        for (side, tower) in collective.sides.iter().zip(&self.towers) {
            tower.stream.wait(&side.stream.record());
        }
        Ok(())
    }
}

/// What learns of a layer of a tower, in pieces.
fn learning<'a>(
    tower: &'a Tower,
    layer: usize,
    rates: &Rates,
) -> impl Iterator<Item = Learning<'a>> + use<'a> {
    let tensors = tower.parameters_of(layer).into_iter();
    let tensors = tensors.flat_map(|p| [&p.weights, &p.biases]);
    let learn = tensors.zip(rates.of(layer));
    let in_pieces = move |(tensor, sgd): (&'a Tensor, Option<Sgd>)| {
        let pieces = sgd.map(|sgd| tensor.pieces.iter().map(move |piece| (piece, sgd)));
        pieces
            .into_iter()
            .flatten()
            .map(move |(piece, sgd)| Learning {
                tower: tower.index,
                tensor,
                piece,
                sgd,
            })
    };
    learn.flat_map(in_pieces)
}

impl Collective<'_> {
    /// A step of pieces that all ranks have here. The gradients of one are on their way while the weights of the one before
    /// it are; which goes when is the same for every rank.
    fn step<'t>(&mut self, pieces: impl Iterator<Item = Learning<'t>>) -> Result<()> {
        let (mut scattering, mut gathering) = (None, None);
        for piece in pieces.map(Some).chain([None, None]) {
            let scattered = piece.map(|piece| self.scatter(piece)).transpose()?;
            let learnt = scattering.map(|piece| self.learn(piece)).transpose()?;
            gathering.into_iter().for_each(|piece| self.spread(piece));
            (scattering, gathering) = (scattered, learnt);
        }
        Ok(())
    }

    /// Begins to give every rank the gradients of its chunk.
    fn scatter<'t>(&mut self, of: Learning<'t>) -> Result<Underway<'t>> {
        let range = of.piece.range.clone();
        let len = of.piece.chunk * self.ranks.size() as usize;
        let (mut send, receive) = (self.memory(len), self.memory(len));
        let (own, padding) = send.split_at_mut(range.len());
        let stream = &self.sides[of.tower].stream;
        stream.download_to(&of.tensor.gradient.slice(range), own)?;
        padding.fill(0.0);
        let transfer = self.ranks.all_to_all(send, receive);
        Ok(Underway { of, transfer })
    }

    /// Adds what has come, takes the step, and begins to give the new weights to all.
    fn learn<'t>(&mut self, Underway { of, transfer }: Underway<'t>) -> Result<Underway<'t>> {
        let [mut own, received] = transfer.finish();
        let Learning { tensor, piece, .. } = of;
        let Side { stream, chunks } = &self.sides[of.tower];
        for (rank, from) in received.chunks_exact(piece.chunk).enumerate() {
            let at = piece.chunk * reversed(rank, self.ranks.size());
            stream.upload(from, &chunks.slice(at..at + piece.chunk));
        }
        add_neighbours(&**stream, &chunks.slice(0..received.len()), piece.chunk);
        let (range, len) = (piece.own.clone(), piece.own.len());
        stream.copy(&chunks.slice(0..len), &tensor.gradient.slice(range.clone()));
        tensor.step(&**stream, of.sgd, piece);
        own.truncate(piece.chunk);
        stream.download_to(&tensor.value.slice(range), &mut own[..len])?;
        let transfer = self.ranks.all_gather(own, received);
        Ok(Underway { of, transfer })
    }

    /// Queues the upload of the new weights.
    fn spread(&mut self, Underway { of, transfer }: Underway) {
        let [own, all] = transfer.finish();
        let range = of.piece.range.clone();
        let weights = &all[..range.len()];
        let stream = &self.sides[of.tower].stream;
        stream.upload(weights, &of.tensor.value.slice(range));
        self.spare.extend([own, all]);
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
