//! What the lanes of a warp do together: shuffles, votes, matches, reductions.

use super::thread::{ENDED, Thread};
use super::wait;
use crate::LAUNCH_FAILED;

/// The most words that a lane brings.
pub const WORDS: usize = 12;

/// Lanes that meet: those of a mask, over and over.
pub struct Exchange {
    warp: u32,
    mask: u32,
    arrived: u32,
    generation: u32,
    /// What the lanes brought, this time and the time before: who is late still reads it.
    brought: [[[u32; WORDS]; 32]; 2],
}

/// Brings words to the lanes of a mask, waits for all of them, and gives what each has brought.
fn meet(thread: &Thread, mask: u32, line: u32, words: &[u32]) -> Result<[[u32; WORDS]; 32], u32> {
    let lanes_there = (thread.threads() - thread.warp * 32).min(32);
    let mask = mask & u32::MAX >> (32 - lanes_there);
    if mask & 1 << thread.lane == 0 {
        let cause = format!(
            "lane {} is not among those of its own mask {mask:#x}",
            thread.lane
        );
        return Err(thread.fail(LAUNCH_FAILED, line, cause));
    }
    // SAFETY: the reference ends before another thread runs.
    let block = unsafe { thread.block_state() };
    let same = |one: &Exchange| one.warp == thread.warp && one.mask == mask;
    let at = block.exchanges.iter().position(same).unwrap_or_else(|| {
        block.exchanges.push(Exchange {
            warp: thread.warp,
            mask,
            arrived: 0,
            generation: 0,
            brought: [[[0; WORDS]; 32]; 2],
        });
        block.exchanges.len() - 1
    });
    let exchange = &mut block.exchanges[at];
    let generation = exchange.generation;
    let side = (generation % 2) as usize;
    exchange.brought[side][thread.lane as usize][..words.len()].copy_from_slice(words);
    exchange.arrived |= 1 << thread.lane;
    if exchange.arrived == mask {
        exchange.arrived = 0;
        exchange.generation += 1;
        block.waiting -= mask.count_ones() - 1;
        block.meetings[thread.warp as usize] += 1;
    } else {
        let status = wait::until(thread, line, "the other lanes of its warp", |thread| {
            // SAFETY: the reference ends with the comparison.
            unsafe { thread.block_state() }.exchanges[at].generation != generation
        });
        if status != ENDED {
            return Err(status);
        }
    }
    // SAFETY: the reference ends with the function; what was brought is copied.
    Ok(unsafe { thread.block_state() }.exchanges[at].brought[side])
}

/// `bar.warp.sync`.
pub extern "C" fn sync(thread: &Thread, mask: u32, line: u32) -> u32 {
    match meet(thread, mask, line, &[]) {
        Ok(_) => ENDED,
        Err(status) => status,
    }
}

/// `shfl.sync`: mode 0 to 3 for `up`, `down`, `bfly`, `idx`; writes the value and whether it came from a lane in range.
pub extern "C" fn shuffle(
    thread: &Thread,
    out: &mut [u32; 2],
    value: u32,
    mode: u32,
    lane: u32,
    clamp: u32,
    mask: u32,
    line: u32,
) -> u32 {
    let brought = match meet(thread, mask, line, &[value]) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let own = thread.lane;
    let (segment, clamp, by) = (clamp >> 8 & 31, clamp & 31, lane & 31);
    let last = own & segment | clamp & !segment;
    let first = own & segment;
    let (from, in_range) = match mode {
        0 => (own.wrapping_sub(by), own as i32 - by as i32 >= last as i32),
        1 => (own + by, own + by <= last),
        2 => (own ^ by, own ^ by <= last),
        _ => {
            let from = first | by & !segment;
            (from, from <= last)
        }
    };
    let from = if in_range { from } else { own };
    *out = [brought[from as usize % 32][0], u32::from(in_range)];
    ENDED
}

/// `vote.sync`: mode 0 to 3 for `all`, `any`, `uni`, `ballot`.
pub extern "C" fn vote(
    thread: &Thread,
    out: &mut u32,
    mode: u32,
    predicate: u32,
    mask: u32,
    line: u32,
) -> u32 {
    let brought = match meet(thread, mask, line, &[predicate]) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let holds = lanes(mask, thread).filter(|&lane| brought[lane][0] != 0);
    let ballot = holds.fold(0u32, |ballot, lane| ballot | 1 << lane);
    let all = lanes(mask, thread).fold(0u32, |all, lane| all | 1 << lane);
    *out = match mode {
        0 => u32::from(ballot == all),
        1 => u32::from(ballot != 0),
        2 => u32::from(ballot == all || ballot == 0),
        _ => ballot,
    };
    ENDED
}

/// `match.sync`: the lanes with the same value, or with `all` those of the mask if all have it; and whether there are any.
pub extern "C" fn matching(
    thread: &Thread,
    out: &mut [u32; 2],
    all: u32,
    value: u64,
    mask: u32,
    line: u32,
) -> u32 {
    let words = [value as u32, (value >> 32) as u32];
    let brought = match meet(thread, mask, line, &words) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let same = lanes(mask, thread)
        .filter(|&lane| brought[lane][..2] == words)
        .fold(0u32, |same, lane| same | 1 << lane);
    let everybody = lanes(mask, thread).fold(0u32, |all, lane| all | 1 << lane);
    *out = match all {
        0 => [same, 1],
        _ if same == everybody => [same, 1],
        _ => [0, 0],
    };
    ENDED
}

/// `redux.sync`: mode 0 to 4 for `add`, `min`, `max`, `and`, `or`, and 5 for `xor`.
pub extern "C" fn reduce(
    thread: &Thread,
    out: &mut u32,
    mode: u32,
    signed: u32,
    value: u32,
    mask: u32,
    line: u32,
) -> u32 {
    let brought = match meet(thread, mask, line, &[value]) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let values = lanes(mask, thread).map(|lane| brought[lane][0]);
    let result = values.reduce(|a, b| match (mode, signed) {
        (0, _) => a.wrapping_add(b),
        (1, 0) => a.min(b),
        (1, _) => (a as i32).min(b as i32) as u32,
        (2, 0) => a.max(b),
        (2, _) => (a as i32).max(b as i32) as u32,
        (3, _) => a & b,
        (4, _) => a | b,
        _ => a ^ b,
    });
    *out = result.unwrap_or(value);
    ENDED
}

/// `activemask`: the lanes that have not ended are not known one by one; those that the block has.
pub extern "C" fn active(thread: &Thread) -> u32 {
    lanes(u32::MAX, thread).fold(0, |all, lane| all | 1 << lane)
}

/// The lanes of a mask that the block has.
fn lanes(mask: u32, thread: &Thread) -> impl Iterator<Item = usize> {
    let there = (thread.threads() - thread.warp * 32).min(32);
    (0..there as usize).filter(move |lane| mask & 1 << lane != 0)
}

/// How `mma.sync` reads its factors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    F16 = 0,
    Bf16 = 1,
    Tf32 = 2,
}

impl Factor {
    fn of(kind: u32) -> Self {
        match kind {
            0 => Factor::F16,
            1 => Factor::Bf16,
            _ => Factor::Tf32,
        }
    }

    /// Numbers in a register.
    fn per_word(self) -> usize {
        if self == Factor::Tf32 { 1 } else { 2 }
    }

    fn value(self, word: u32, at: usize) -> f32 {
        let half = (word >> (16 * at)) as u16;
        match self {
            Factor::F16 => half::f16::from_bits(half).to_f32(),
            Factor::Bf16 => half::bf16::from_bits(half).to_f32(),
            // The hardware looks at the upper 19 bits.
            Factor::Tf32 => f32::from_bits(word & !0x1fff),
        }
    }
}

/// `mma.sync.m16n8kK.row.col` with sums in f32: words are A's, then B's, then C's, as the PTX ISA lays fragments out.
/// A sum begins with C and takes the products in order of k, each multiply-add rounded once.
pub extern "C" fn multiply(
    thread: &Thread,
    out: &mut [f32; 4],
    words: &[u32; WORDS],
    kind: u32,
    depth: u32,
    line: u32,
) -> u32 {
    let brought = match meet(thread, u32::MAX, line, words) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let factor = Factor::of(kind);
    let per_word = factor.per_word();
    // A 16 × 8 or 8 × 8 part of the matrices has four threads a row, with one word each.
    let in_part = 4 * per_word;
    let parts = depth as usize / in_part;
    let (a_words, b_words) = (2 * parts, parts);
    let a = |row: usize, k: usize| {
        let (part, column) = (k / in_part, k % in_part);
        let lane = row % 8 * 4 + column / per_word;
        factor.value(brought[lane][part * 2 + row / 8], column % per_word)
    };
    let b = |k: usize, column: usize| {
        let (part, row) = (k / in_part, k % in_part);
        let lane = column * 4 + row / per_word;
        factor.value(brought[lane][a_words + part], row % per_word)
    };
    let (group, place) = (thread.lane as usize / 4, thread.lane as usize % 4);
    for (i, sum) in out.iter_mut().enumerate() {
        let (row, column) = (group + 8 * (i / 2), place * 2 + i % 2);
        let c = f32::from_bits(words[a_words + b_words + i]);
        *sum = (0..depth as usize).fold(c, |sum, k| a(row, k).mul_add(b(k, column), sum));
    }
    ENDED
}

/// `ldmatrix`: `count` matrices of 8 × 8 halves, whose rows lie at the addresses that lanes 0 to 8 · count − 1 bring.
///
/// # Safety
/// The rows are 16 bytes of shared memory each; their offsets come from the program and are checked against its size.
pub unsafe extern "C" fn load_matrix(
    thread: &Thread,
    out: &mut [u32; 4],
    row: u32,
    count: u32,
    transposed: u32,
    line: u32,
) -> u32 {
    let brought = match meet(thread, u32::MAX, line, &[row]) {
        Ok(brought) => brought,
        Err(status) => return status,
    };
    let lane = thread.lane as usize;
    for (i, word) in out.iter_mut().enumerate().take(count as usize) {
        let half = |row: usize, column: usize| -> Option<u32> {
            let offset = brought[i * 8 + row][0] as usize;
            if offset + 16 > thread.total_shared as usize || !offset.is_multiple_of(16) {
                return None;
            }
            // SAFETY: within the block's shared memory, as was just seen.
            let half = unsafe { thread.shared.add(offset + 2 * column).cast::<u16>().read() };
            Some(u32::from(half))
        };
        let at = |k: usize| match transposed {
            0 => half(lane / 4, lane % 4 * 2 + k),
            _ => half(lane % 4 * 2 + k, lane / 4),
        };
        *word = match (at(0), at(1)) {
            (Some(low), Some(high)) => low | high << 16,
            _ => {
                let cause = format!(
                    "ldmatrix of a row outside the {} bytes of shared memory, or at no multiple of 16",
                    thread.total_shared
                );
                return thread.fail(LAUNCH_FAILED, line, cause);
            }
        };
    }
    ENDED
}
