//! Every form of a loop that wide instructions have gives the bits of the plain one: merges, over lengths, alignments, tails
//! and types; listed cells in pieces, against one cell after the other. Comparing has its own in `page/compare.rs`, the
//! CRC in `base/crc.rs`.

use mmsb::algebra::operator::Builtin;
use mmsb::base::wide::Wide;
use mmsb::page::delta::{Data, Part, Source, Target, read};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Column;
use mmsb::page::select::{Rows, Select};
use proptest::prelude::*;
use std::borrow::Cow;

/// Bytes of cells, among them floats that are strange: zeros of both signs, infinities, NaNs of any sign and payload,
/// subnormal ones.
fn bytes(dtype: DType, cells: usize, seed: u64) -> Vec<u8> {
    let (size, mut x) = (dtype.size(), seed | 1);
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let top = 8 * size as u32;
    // Sign, exponent and fraction of the widest exponent that the type has.
    let fraction = match dtype {
        DType::F16 => 10,
        DType::F32 => 23,
        _ => 52,
    };
    let exponents = if dtype.is_float() { (1u64 << (top - 1)) - (1 << fraction) } else { 0 };
    (0..cells)
        .flat_map(|_| {
            let (kind, noise) = (next() % 8, next());
            let value = match kind {
                0 => 0,
                1 => 1 << (top - 1),
                2 => exponents,
                3 => exponents | 1 << (top - 1),
                4 => exponents | noise,
                5 => noise & ((1 << (fraction.min(top - 1))) - 1),
                _ => noise,
            };
            value.to_le_bytes()[..size].to_vec()
        })
        .collect()
}

fn pairs() -> impl Strategy<Value = (Builtin, DType)> {
    let pairs: Vec<_> = Builtin::ALL
        .into_iter()
        .flat_map(|op| DType::FIXED.into_iter().map(move |dtype| (op, dtype)))
        .filter(|(op, dtype)| op.supports(*dtype))
        .collect();
    prop::sample::select(pairs)
}

/// What the operator makes, one cell after the other.
fn one_by_one(op: Builtin, dtype: DType, dst: &mut [u8], src: &[u8]) {
    let size = dtype.size();
    for (dst, src) in dst.chunks_exact_mut(size).zip(src.chunks_exact(size)) {
        op.apply_with(Wide::PLAIN, dtype, dst, src);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn merges_give_the_same_bits(
        (op, dtype) in pairs(),
        cells in 0..400usize,
        (left, right) in (0..9usize, 0..9usize),
        seed: u64,
    ) {
        let size = dtype.size();
        let old = [vec![0xA5; left], bytes(dtype, cells, seed)].concat();
        let data = [vec![0x5A; right], bytes(dtype, cells, seed ^ 0x9E37_79B9_7F4A_7C15)].concat();
        let mut wanted = old.clone();
        one_by_one(op, dtype, &mut wanted[left..], &data[right..]);
        for wide in Wide::all() {
            let mut found = old.clone();
            op.apply_with(wide, dtype, &mut found[left..], &data[right..]);
            prop_assert_eq!(&found, &wanted, "{} on {} with {:?}", op.name(), dtype, wide);
        }
        let mut found = old.clone();
        op.apply(dtype, &mut found[left..], &data[right..]);
        prop_assert_eq!(&found, &wanted, "{} on {}", op.name(), dtype);
        prop_assert_eq!(found.len(), left + cells * size);
    }

    #[test]
    fn listed_cells_are_done_up_to_the_first_outside(
        (op, dtype) in pairs(),
        list in prop::collection::vec(0..60u64, 0..40),
        (first, cells) in (0..20u64, 0..60usize),
        seed: u64,
    ) {
        let size = dtype.size();
        let (old, data) = (bytes(dtype, cells, seed), bytes(dtype, list.len(), !seed));
        let (mut wanted, mut many) = (old.clone(), 0);
        for (cell, data) in list.iter().zip(data.chunks_exact(size)) {
            if *cell < first || cell - first >= cells as u64 {
                break;
            }
            op.apply_with(Wide::PLAIN, dtype, &mut wanted[(cell - first) as usize * size..][..size], data);
            many += 1;
        }
        let mut found = old.clone();
        prop_assert_eq!(op.apply_at(dtype, &mut found, (&list, first), &data), many);
        prop_assert_eq!(&found, &wanted);
        // The trait's own way, for operators that have no loop for it.
        let mut found = old;
        prop_assert_eq!(Cellwise(op).apply_at(dtype, &mut found, (&list, first), &data), many);
        prop_assert_eq!(&found, &wanted);
    }

    #[test]
    fn pieces_of_any_length_and_steps_make_no_difference(
        (op, dtype) in pairs(),
        merges: bool,
        fill: bool,
        rows in 1..200u64,
        picked in prop_oneof![
            prop::collection::vec(any::<prop::sample::Index>(), 0..300).prop_map(Picked::List),
            (any::<prop::sample::Index>(), 1..9u64).prop_map(|(start, step)| Picked::Steps(start, step)),
        ],
        (length, shift) in (1..50usize, 0..50usize),
        seed: u64,
    ) {
        let size = dtype.size();
        let column = Column::new("c", dtype, vec![]).expect("a column");
        let (select, list) = picked.of(rows);
        let old = bytes(dtype, rows as usize, seed);
        let given = bytes(dtype, if fill { 1 } else { list.len() }, !seed);
        let mut wanted = old.clone();
        for (place, cell) in list.iter().enumerate() {
            let data = &given[if fill { 0 } else { place * size }..][..size];
            let cell = &mut wanted[*cell as usize * size..][..size];
            if merges { one_by_one(op, dtype, cell, data) } else { cell.copy_from_slice(data) }
        }
        let data = if fill { Data::Fill(Cow::Borrowed(&given[..])) } else { Data::Dense(Cow::Borrowed(&given[..])) };
        let part = Part { column: 0, select, data };
        prop_assert_eq!(part.check(&column, rows), Ok(()));
        let op: Option<&dyn Merge> = if merges { Some(&op) } else { None };
        let mut whole = old.clone();
        part.apply(&column, op, whole.as_mut_slice());
        prop_assert_eq!(&whole, &wanted);
        let mut pieces = Pieces { bytes: old, length, shift };
        part.apply(&column, op, &mut pieces);
        prop_assert_eq!(&pieces.bytes, &wanted);
        let cells = |from: &[u8]| -> Vec<u8> {
            list.iter().flat_map(|cell| from[*cell as usize * size..][..size].to_vec()).collect()
        };
        let mut found = vec![0; list.len() * size];
        read(&part.select, &column, &pieces, &mut found);
        prop_assert_eq!(&found, &cells(&wanted));
        read(&part.select, &column, wanted.as_slice(), &mut found);
        prop_assert_eq!(&found, &cells(&wanted));
    }
}

#[derive(Clone, Debug)]
enum Picked {
    List(Vec<prop::sample::Index>),
    Steps(prop::sample::Index, u64),
}

impl Picked {
    fn of(&self, rows: u64) -> (Select, Vec<u64>) {
        match self {
            Self::List(list) => {
                let list: Vec<u64> = list.iter().map(|index| index.index(rows as usize) as u64).collect();
                (Select::indices(list.clone()), list)
            }
            Self::Steps(start, step) => {
                let (start, step) = (start.index(rows as usize) as u64, *step);
                let rows_of = Rows::Range { start, stop: rows, step };
                let list = (start..rows).step_by(step as usize).collect();
                (Select::Rows { rows: rows_of, inner: None }, list)
            }
        }
    }
}

/// A column in pieces of `length` bytes, the first of them shorter by `shift`.
struct Pieces {
    bytes: Vec<u8>,
    length: usize,
    shift: usize,
}

impl Pieces {
    fn piece_of(&self, byte: u64) -> (usize, usize) {
        let shift = self.shift % self.length;
        let start = ((byte as usize + shift) / self.length * self.length).saturating_sub(shift);
        let end = (byte as usize + shift) / self.length * self.length + self.length - shift;
        (start, end.min(self.bytes.len()))
    }
}

impl Target for Pieces {
    fn piece(&mut self, byte: u64) -> &mut [u8] {
        let end = self.piece_of(byte).1;
        &mut self.bytes[byte as usize..end]
    }

    fn around(&mut self, byte: u64) -> (u64, &mut [u8]) {
        let (start, end) = self.piece_of(byte);
        (start as u64, &mut self.bytes[start..end])
    }
}

impl Source for Pieces {
    fn piece(&self, byte: u64) -> &[u8] {
        &self.bytes[byte as usize..self.piece_of(byte).1]
    }

    fn around(&self, byte: u64) -> (u64, &[u8]) {
        let (start, end) = self.piece_of(byte);
        (start as u64, &self.bytes[start..end])
    }
}

/// An operator with nothing but what it must have.
struct Cellwise(Builtin);

impl Merge for Cellwise {
    fn id(&self) -> OperatorId {
        self.0.id()
    }
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn supports(&self, dtype: DType) -> bool {
        self.0.supports(dtype)
    }
    fn exact(&self, dtype: DType) -> bool {
        self.0.exact(dtype)
    }
    fn apply(&self, dtype: DType, dst: &mut [u8], src: &[u8]) {
        self.0.apply_with(Wide::PLAIN, dtype, dst, src);
    }
}
