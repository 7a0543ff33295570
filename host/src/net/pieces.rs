//! How ranks divide a tensor among them: each adds the gradients of its own part, takes the step there, and keeps the velocity
//! of nothing else.

use std::iter::from_fn;
use std::ops::Range;

/// Floats that ranks exchange at a time, at most.
pub(super) const PIECE: usize = 1 << 22;

/// Floats of a chunk come in multiples of this, as the kernels want them.
const LANES: usize = 16;

/// A piece of a tensor, of which every rank has one chunk for its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the tensor it is.
    pub range: Range<usize>,
    /// Floats of each chunk. The last chunks reach beyond the piece where it has fewer.
    pub chunk: usize,
    /// Where in the tensor this rank's chunk is, as far as it is there.
    pub own: Range<usize>,
    /// Where that is in what this rank has of the tensor, one chunk behind the other.
    pub kept: Range<usize>,
}

/// The pieces of a tensor of `len` floats, for one of `ranks`; a rank alone has it in one.
pub fn pieces(len: usize, [rank, ranks]: [usize; 2]) -> Vec<Piece> {
    let longest = if ranks == 1 { len } else { PIECE };
    let (mut begin, mut kept) = (0, 0);
    let next = || {
        let range = begin..len.min(begin + longest);
        let chunk = padded(range.len(), ranks) / ranks;
        let [first, end] = [rank, rank + 1].map(|n| range.end.min(range.start + n * chunk));
        begin = range.end;
        kept += end - first;
        (!range.is_empty()).then(|| Piece {
            range,
            chunk,
            own: first..end,
            kept: kept - (end - first)..kept,
        })
    };
    from_fn(next).collect()
}

/// A length that can be cut into chunks, one for each rank.
pub(super) fn padded(len: usize, ranks: usize) -> usize {
    len.next_multiple_of(LANES * ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_a_rank_has_all() {
        let len = 3 * PIECE + 16;
        let all = Piece {
            range: 0..len,
            chunk: len,
            own: 0..len,
            kept: 0..len,
        };
        assert_eq!(pieces(len, [0, 1]), [all]);
        assert_eq!(pieces(0, [0, 1]), []);
    }

    #[test]
    fn every_float_is_one_ranks_own() {
        for (len, ranks) in [(16, 4), (48, 2), (PIECE, 8), (2 * PIECE + 80, 4)] {
            let of_ranks = Vec::from_iter((0..ranks).map(|rank| pieces(len, [rank, ranks])));
            let mut end = 0;
            for i in 0..of_ranks[0].len() {
                for of_rank in &of_ranks {
                    let piece = &of_rank[i];
                    assert_eq!(piece.own.start, end, "{len} on {ranks}: {piece:?}");
                    assert!(piece.own.len() <= piece.chunk && piece.own.len() == piece.kept.len());
                    end = piece.own.end;
                }
                assert_eq!(end, of_ranks[0][i].range.end);
            }
            assert_eq!(end, len);
            for of_rank in of_ranks {
                let kept = of_rank.iter().flat_map(|piece| piece.kept.clone());
                let count: usize = of_rank.iter().map(|piece| piece.own.len()).sum();
                assert!(kept.eq(0..count));
            }
        }
    }
}
