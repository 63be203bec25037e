//! Which cells of two versions of a column differ, bit by bit: -0.0 is not 0.0 and a NaN equals itself.
#![allow(unsafe_code)]

use crate::base::wide::{Set, Wide};

/// Bytes compared at a time.
const BLOCK: usize = 64;

/// Whether two slices hold the same bytes.
#[must_use]
pub fn equal(old: &[u8], new: &[u8]) -> bool {
    old == new
}

/// The unchanged cells between two runs that are cheaper to write again than to begin another run.
#[must_use]
pub const fn cheap_gap(cell: usize) -> usize {
    // A run costs about four bytes in a frame: its gap and its length.
    4 / cell
}

/// Hands out the runs of cells of `cell` bytes that differ, first cell and number of cells, in order. Runs with at most
/// `gap` equal cells between them are handed out as one; `gap` 0 gives exactly the cells that differ.
///
/// # Panics
/// When the slices differ in length or `cell` is 0.
pub fn changed_runs(old: &[u8], new: &[u8], cell: usize, gap: usize, sink: impl FnMut(u64, u64)) {
    changed_runs_with(Wide::best(), old, new, (cell, gap), sink);
}

/// [`changed_runs`] with these instructions: for those who compare what they find and take.
///
/// # Panics
/// When the slices differ in length or `cell` is 0.
pub fn changed_runs_with(
    wide: Wide,
    old: &[u8],
    new: &[u8],
    (cell, gap): (usize, usize),
    sink: impl FnMut(u64, u64),
) {
    assert!(
        old.len() == new.len() && cell > 0,
        "{} bytes against {} in cells of {cell}",
        old.len(),
        new.len()
    );
    let (next, mask): (Next, Mask) = match wide.set() {
        #[cfg(target_arch = "aarch64")]
        Set::Plain => (arm::next_neon, arm::mask_neon),
        #[cfg(not(target_arch = "aarch64"))]
        Set::Plain => (next_plain, mask_plain),
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => (x86::next_avx2, x86::mask_avx2),
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => (x86::next_avx512, x86::mask_avx512),
    };
    // SAFETY: whoever has the set has the instructions.
    unsafe { scan((old, new), (cell, gap), (next, mask), sink) };
}

/// The first block from `at` on that differs, and a bit for each byte of it that does; the end of the last whole block
/// and no bits when there is none. `at` is a multiple of [`BLOCK`], and the slices are equally long.
type Next = unsafe fn(&[u8], &[u8], usize) -> (usize, u64);

/// A bit for each byte of a block that differs.
type Mask = unsafe fn(&[u8; BLOCK], &[u8; BLOCK]) -> u64;

/// `N` bytes from one on.
#[inline(always)]
fn block<const N: usize>(bytes: &[u8], from: usize) -> &[u8; N] {
    bytes[from..].first_chunk().expect("as many bytes are left")
}

#[cfg_attr(target_arch = "aarch64", allow(dead_code, reason = "NEON is always there"))]
fn next_plain(old: &[u8], new: &[u8], at: usize) -> (usize, u64) {
    let (blocks, others) = (old[at..].as_chunks::<BLOCK>().0, new[at..].as_chunks::<BLOCK>().0);
    for (place, (old, new)) in blocks.iter().zip(others).enumerate() {
        if old != new {
            return (at + place * BLOCK, mask_plain(old, new));
        }
    }
    (at + blocks.len() * BLOCK, 0)
}

#[cfg_attr(target_arch = "aarch64", allow(dead_code, reason = "NEON is always there"))]
fn mask_plain(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> u64 {
    mask_of(old, new)
}

/// A bit for each byte that differs, of at most 64.
fn mask_of(old: &[u8], new: &[u8]) -> u64 {
    old.iter().zip(new).enumerate().fold(0, |mask, (place, (old, new))| mask | u64::from(old != new) << place)
}

/// Every byte of a cell differs when one does; only for cells that divide a block's words.
const fn whole_cells(mask: u64, cell: usize) -> u64 {
    match cell {
        2 => ((mask | mask >> 1) & 0x5555_5555_5555_5555) * 0b11,
        4 => {
            let mask = mask | mask >> 1;
            ((mask | mask >> 2) & 0x1111_1111_1111_1111) * 0b1111
        }
        8 => {
            let mask = mask | mask >> 1;
            let mask = mask | mask >> 2;
            ((mask | mask >> 4) & 0x0101_0101_0101_0101) * 0xFF
        }
        _ => mask,
    }
}

/// # Safety
/// The processor has the instructions of `next` and `mask`.
unsafe fn scan(
    (old, new): (&[u8], &[u8]),
    (cell, gap): (usize, usize),
    (next, mask): (Next, Mask),
    sink: impl FnMut(u64, u64),
) {
    let mut runs = Runs { cell, gap, start: 0, end: 0, sink };
    let mut at = 0;
    while at + BLOCK <= old.len() {
        // SAFETY: the caller says so.
        let (found, bytes) = unsafe { next(old, new, at) };
        let mut cells = whole_cells(bytes, cell);
        runs.take(found, cells);
        at = if cells == 0 { found } else { found + BLOCK };
        // Behind a block of which all is new there is mostly another.
        while cells == u64::MAX && at + BLOCK <= old.len() {
            // SAFETY: as above.
            cells = whole_cells(unsafe { mask(block(old, at), block(new, at)) }, cell);
            runs.take(at, cells);
            at += BLOCK;
        }
    }
    runs.take(at, mask_of(&old[at..], &new[at..]));
    runs.flush();
}

/// Joins bytes that differ to runs of cells.
struct Runs<F> {
    cell: usize,
    gap: usize,
    start: usize,
    /// One past the last cell of the run; equal to `start` when there is none yet.
    end: usize,
    sink: F,
}

impl<F: FnMut(u64, u64)> Runs<F> {
    #[inline]
    fn take(&mut self, at: usize, mut mask: u64) {
        if mask == u64::MAX {
            return self.bytes(at, at + BLOCK);
        }
        let mut at = at;
        while mask != 0 {
            let equal = mask.trailing_zeros();
            mask >>= equal;
            let changed = mask.trailing_ones();
            at += equal as usize;
            self.bytes(at, at + changed as usize);
            at += changed as usize;
            mask = mask.checked_shr(changed).unwrap_or(0);
        }
    }

    #[inline]
    fn bytes(&mut self, from: usize, to: usize) {
        let (start, end) = match self.cell {
            1 => (from, to),
            2 => (from / 2, to.div_ceil(2)),
            4 => (from / 4, to.div_ceil(4)),
            8 => (from / 8, to.div_ceil(8)),
            cell => (from / cell, to.div_ceil(cell)),
        };
        if self.start == self.end || start > self.end.saturating_add(self.gap) {
            self.flush();
            self.start = start;
        }
        self.end = end;
    }

    #[inline]
    fn flush(&mut self) {
        if self.start != self.end {
            (self.sink)(self.start as u64, (self.end - self.start) as u64);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::BLOCK;
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm512_cmpneq_epi8_mask, _mm512_loadu_si512,
    };

    #[inline]
    #[target_feature(enable = "avx2")]
    fn same32(old: &[u8; 32], new: &[u8; 32]) -> __m256i {
        // SAFETY: both arrays have the 32 bytes that an unaligned load reads.
        let (old, new) =
            unsafe { (_mm256_loadu_si256(old.as_ptr().cast()), _mm256_loadu_si256(new.as_ptr().cast())) };
        _mm256_cmpeq_epi8(old, new)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn mask_avx2(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> u64 {
        let (old, new) = (old.as_chunks::<32>().0, new.as_chunks::<32>().0);
        let low = _mm256_movemask_epi8(same32(&old[0], &new[0])) as u32;
        let high = _mm256_movemask_epi8(same32(&old[1], &new[1])) as u32;
        !(u64::from(high) << 32 | u64::from(low))
    }

    // Loops by number: what iterators are made of is not always compiled in with a function's own instructions, but called.

    #[target_feature(enable = "avx2")]
    pub(super) fn next_avx2(old: &[u8], new: &[u8], at: usize) -> (usize, u64) {
        const STRIDE: usize = 2 * BLOCK;
        let (strides, others) = (old[at..].as_chunks::<STRIDE>().0, new[at..].as_chunks::<STRIDE>().0);
        let count = strides.len().min(others.len());
        let mut equal = 0;
        while equal < count {
            let (old, new) = (strides[equal].as_chunks::<32>().0, others[equal].as_chunks::<32>().0);
            let low = _mm256_and_si256(same32(&old[0], &new[0]), same32(&old[1], &new[1]));
            let high = _mm256_and_si256(same32(&old[2], &new[2]), same32(&old[3], &new[3]));
            if _mm256_movemask_epi8(_mm256_and_si256(low, high)) != -1 {
                break;
            }
            equal += 1;
        }
        let at = at + equal * STRIDE;
        let (blocks, others) = (old[at..].as_chunks::<BLOCK>().0, new[at..].as_chunks::<BLOCK>().0);
        // At most the two blocks of the stride that differs, or the one after the last stride.
        for place in 0..blocks.len().min(others.len()) {
            let mask = mask_avx2(&blocks[place], &others[place]);
            if mask != 0 {
                return (at + place * BLOCK, mask);
            }
        }
        (at + blocks.len() * BLOCK, 0)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load512(bytes: &[u8; BLOCK]) -> __m512i {
        // SAFETY: the array has the 64 bytes that an unaligned load reads.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn mask_avx512(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> u64 {
        _mm512_cmpneq_epi8_mask(load512(old), load512(new))
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn next_avx512(old: &[u8], new: &[u8], at: usize) -> (usize, u64) {
        let (blocks, others) = (old[at..].as_chunks::<BLOCK>().0, new[at..].as_chunks::<BLOCK>().0);
        for place in 0..blocks.len().min(others.len()) {
            let mask = mask_avx512(&blocks[place], &others[place]);
            if mask != 0 {
                return (at + place * BLOCK, mask);
            }
        }
        (at + blocks.len() * BLOCK, 0)
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::BLOCK;
    use std::arch::aarch64::{
        uint8x16_t, vandq_u8, vceqq_u8, vgetq_lane_u64, vld1q_u8, vminvq_u8, vmvnq_u8, vpaddq_u8,
        vreinterpretq_u64_u8,
    };

    /// Which bytes of a block are equal, 16 at a time: all ones where they are.
    #[inline]
    fn same(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> [uint8x16_t; 4] {
        let (old, new) = (old.as_chunks::<16>().0, new.as_chunks::<16>().0);
        // SAFETY: NEON is part of the architecture, and every array has the 16 bytes that a load reads.
        std::array::from_fn(|i| unsafe { vceqq_u8(vld1q_u8(old[i].as_ptr()), vld1q_u8(new[i].as_ptr())) })
    }

    /// A bit for each byte that is zero, in the order of the bytes: a bit of its own is left of each, and neighbours are
    /// added three times, which makes a byte of eight.
    #[inline]
    fn zeros(same: [uint8x16_t; 4]) -> u64 {
        const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: NEON is part of the architecture, and the array has the 16 bytes that a load reads.
        unsafe {
            let bits = vld1q_u8(BITS.as_ptr());
            let [a, b, c, d] = same.map(|same| vandq_u8(vmvnq_u8(same), bits));
            let sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
            let sum = vpaddq_u8(sum, sum);
            vgetq_lane_u64::<0>(vreinterpretq_u64_u8(sum))
        }
    }

    pub(super) fn mask_neon(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> u64 {
        zeros(same(old, new))
    }

    pub(super) fn next_neon(old: &[u8], new: &[u8], at: usize) -> (usize, u64) {
        let (blocks, others) = (old[at..].as_chunks::<BLOCK>().0, new[at..].as_chunks::<BLOCK>().0);
        for (place, (old, new)) in blocks.iter().zip(others).enumerate() {
            let same = same(old, new);
            let [a, b, c, d] = same;
            // SAFETY: NEON is part of the architecture.
            let least = unsafe { vminvq_u8(vandq_u8(vandq_u8(a, b), vandq_u8(c, d))) };
            if least != u8::MAX {
                return (at + place * BLOCK, zeros(same));
            }
        }
        (at + blocks.len() * BLOCK, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = Vec<(u64, u64)>;

    /// Cell by cell.
    fn model(old: &[u8], new: &[u8], cell: usize, gap: usize) -> Found {
        let mut runs: Found = Vec::new();
        for (place, (old, new)) in old.chunks(cell).zip(new.chunks(cell)).enumerate() {
            let place = place as u64;
            if old == new {
                continue;
            }
            match runs.last_mut() {
                Some((start, cells)) if place - (*start + *cells) <= gap as u64 => {
                    *cells = place - *start + 1
                }
                _ => runs.push((place, 1)),
            }
        }
        runs
    }

    fn every_way(old: &[u8], new: &[u8], cell: usize, gap: usize) -> Vec<(String, Found)> {
        let mut found = Vec::new();
        let mut runs = Vec::new();
        let plain: (Next, Mask) = (next_plain, mask_plain);
        // SAFETY: these need no instructions.
        unsafe { scan((old, new), (cell, gap), plain, |start, cells| runs.push((start, cells))) };
        found.push(("plain".to_owned(), runs));
        for wide in Wide::all() {
            let mut runs = Vec::new();
            changed_runs_with(wide, old, new, (cell, gap), |start, cells| runs.push((start, cells)));
            found.push((format!("{wide:?}"), runs));
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn every_way_finds_what_the_model_finds(
            cell in prop_oneof![Just(1usize), Just(2), Just(4), Just(8), 3..200usize],
            cells in 0..200usize,
            gap in 0..5usize,
            offset in 0..4usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1..300usize), 0..12),
            density in 0..4u8,
        ) {
            let length = cell * cells;
            let old: Vec<u8> = (0..length + offset).map(|place| (place * 31 % 251) as u8).collect();
            let mut new = old.clone();
            if !new.is_empty() {
                for (place, many) in changes {
                    let from = place.index(new.len());
                    let to = (from + many).min(new.len());
                    new[from..to].iter_mut().step_by(usize::from(density) * 2 + 1).for_each(|byte| *byte ^= 0x80);
                }
            }
            let (old, new) = (&old[offset..], &new[offset..]);
            let wanted = model(old, new, cell, gap);
            for (name, found) in every_way(old, new, cell, gap) {
                prop_assert_eq!(found, wanted.clone(), "{}", name);
            }
            prop_assert_eq!(equal(old, new), wanted.is_empty());
        }
    }

    #[test]
    fn floats_are_bits() {
        let old = [0.0f64, f64::NAN, 1.0].map(f64::to_le_bytes).concat();
        let new = [-0.0f64, f64::NAN, 1.0].map(f64::to_le_bytes).concat();
        let mut runs = Vec::new();
        changed_runs(&old, &new, 8, 0, |start, cells| runs.push((start, cells)));
        assert_eq!(runs, [(0, 1)]);
    }

    #[test]
    fn everything_changed_is_one_run() {
        let (old, new) = (vec![0u8; 4096], vec![1u8; 4096]);
        for cell in [1, 2, 4, 8, 16, 64, 4096] {
            for (name, found) in every_way(&old, &new, cell, 0) {
                assert_eq!(found, [(0, 4096 / cell as u64)], "{name}");
            }
        }
    }
}
