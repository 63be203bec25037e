//! Applying and reading deltas against a plain model that works cell by cell, over memory in pieces of any size.

use mmsb::base::ids::PageId;
use mmsb::page::delta::{Data, Delta, Part, Source, Target, read};
use mmsb::page::dtype::DType;
use mmsb::page::error::PageError;
use mmsb::page::operator::{Merge, OperatorId, Operators};
use mmsb::page::schema::{Column, Schema};
use mmsb::page::select::{Axis, Inner, Rows, Select};
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// A column in pieces of a fixed number of bytes.
struct Pieces {
    bytes: Vec<u8>,
    piece: usize,
}

impl Pieces {
    fn end(&self, byte: usize) -> usize {
        ((byte / self.piece + 1) * self.piece).min(self.bytes.len())
    }
}

impl Target for Pieces {
    fn piece(&mut self, byte: u64) -> &mut [u8] {
        let end = self.end(byte as usize);
        &mut self.bytes[byte as usize..end]
    }
}

impl Source for Pieces {
    fn piece(&self, byte: u64) -> &[u8] {
        &self.bytes[byte as usize..self.end(byte as usize)]
    }
}

/// `old * 2 + new` byte by byte: order matters, so a merge out of order or done twice shows.
struct Shift;

impl Merge for Shift {
    fn id(&self) -> OperatorId {
        OperatorId(900)
    }
    fn name(&self) -> &'static str {
        "shift"
    }
    fn supports(&self, dtype: DType) -> bool {
        dtype != DType::Bool
    }
    fn exact(&self, _: DType) -> bool {
        false
    }
    fn apply(&self, dtype: DType, dst: &mut [u8], src: &[u8]) {
        assert_eq!(dst.len(), src.len());
        assert_eq!(dst.len() % dtype.size(), 0, "whole cells only");
        for (old, new) in dst.iter_mut().zip(src) {
            *old = old.wrapping_mul(2).wrapping_add(*new);
        }
    }
}

fn axis(size: u64) -> impl Strategy<Value = Axis> {
    (0..=size, 0..=size, 1..4u64).prop_map(|(a, b, step)| Axis { start: a.min(b), stop: a.max(b), step })
}

fn select(count: u64, dims: Vec<u64>) -> impl Strategy<Value = Select> {
    let cells = count * dims.iter().product::<u64>();
    let rows = prop_oneof![
        axis(count).prop_map(|Axis { start, stop, step }| Rows::Range { start, stop, step }),
        prop::collection::vec(0..count, 0..9).prop_map(|list| Rows::Index(Arc::new(list))),
    ];
    prop_oneof![
        3 => (rows, prop::option::of(dims.into_iter().map(axis).collect::<Vec<_>>()))
            .prop_map(|(rows, inner)| Select::Rows { rows, inner: inner.map(Inner) }),
        1 => prop::collection::vec(0..cells, 0..20).prop_map(|list| Select::Cells(Arc::new(list))),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    column: Column,
    rows: u64,
    before: Vec<u8>,
    piece: usize,
    part: Part<'static>,
}

fn cases() -> impl Strategy<Value = Case> {
    let dtype =
        prop_oneof![Just(DType::U8), Just(DType::I32), Just(DType::F64), (1..12u16).prop_map(DType::Bytes)];
    (dtype, 1..20u64, prop::collection::vec(1..5u64, 0..3))
        .prop_flat_map(|(dtype, rows, dims)| {
            let column = Column::new("c", dtype, dims.clone()).expect("a valid column");
            let bytes = (rows * column.row_bytes()) as usize;
            (
                Just((column, rows)),
                select(rows, dims),
                prop::collection::vec(any::<u8>(), bytes),
                1..100usize,
                0..3u8,
            )
        })
        .prop_flat_map(|((column, rows), select, before, piece, form)| {
            let cell = column.dtype().size();
            let bytes = match form {
                0 => select.cells(&column) as usize * cell,
                1 => cell,
                _ => select.cells_per_row(&column) as usize * cell,
            };
            (prop::collection::vec(any::<u8>(), bytes), any::<bool>()).prop_map(move |(bytes, same)| {
                // Half the fills are of equal bytes, which go their own way.
                let bytes = if same && form > 0 { vec![7; bytes.len()] } else { bytes };
                let data =
                    if form == 0 { Data::Dense(Cow::Owned(bytes)) } else { Data::Fill(Cow::Owned(bytes)) };
                let part = Part { column: 0, select: select.clone(), data };
                Case { column: column.clone(), rows, before: before.clone(), piece, part }
            })
        })
}

/// The cells selected, in order; `page_select.rs` tests runs themselves.
fn cells(select: &Select, column: &Column) -> Vec<usize> {
    let mut cells = Vec::new();
    select.runs(column, |run| cells.extend(run.cell as usize..(run.cell + run.cells) as usize));
    cells
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn apply_is_cell_by_cell_in_order(case in cases(), merges: bool) {
        let Case { column, rows, before, piece, part } = case;
        prop_assert_eq!(part.check(&column, rows), Ok(()));
        let cell = column.dtype().size();
        let data = part.data.bytes();
        let mut wanted = before.clone();
        for (place, at) in cells(&part.select, &column).into_iter().enumerate() {
            let from = place * cell % data.len();
            let (old, new) = (&mut wanted[at * cell..][..cell], &data[from..from + cell]);
            if merges { Shift.apply(column.dtype(), old, new) } else { old.copy_from_slice(new) }
        }
        let op: Option<&dyn Merge> = if merges { Some(&Shift) } else { None };
        let mut pieces = Pieces { bytes: before.clone(), piece };
        part.apply(&column, op, &mut pieces);
        prop_assert_eq!(&pieces.bytes, &wanted);
        let mut whole = before;
        part.apply(&column, op, whole.as_mut_slice());
        prop_assert_eq!(&whole, &wanted);
    }

    #[test]
    fn reading_gathers_the_cells(case in cases()) {
        let Case { column, before, piece, part, .. } = case;
        let cell = column.dtype().size();
        let wanted: Vec<u8> =
            cells(&part.select, &column).into_iter().flat_map(|at| before[at * cell..][..cell].to_vec()).collect();
        let mut out = vec![0; wanted.len()];
        read(&part.select, &column, &Pieces { bytes: before, piece }, &mut out);
        prop_assert_eq!(out, wanted);
    }

    #[test]
    fn data_of_another_length_is_refused(case in cases(), extra in 1..9usize) {
        let Case { column, rows, part, .. } = case;
        let longer = |data: &Data<'_>| [data.bytes(), &vec![1; extra]].concat();
        let data = match &part.data {
            Data::Dense(_) => Data::Dense(Cow::Owned(longer(&part.data))),
            Data::Fill(_) => Data::Fill(Cow::Owned(longer(&part.data))),
        };
        let length = data.bytes().len();
        let (cell, row) = (column.dtype().size(), part.select.cells_per_row(&column) as usize);
        let fits = matches!(data, Data::Fill(_)) && (length == cell || length == row * cell);
        let refused = Part { data, ..part }.check(&column, rows);
        prop_assert_eq!(matches!(refused, Err(PageError::DataLength { .. })), !fits);
    }
}

#[test]
fn deltas_are_checked_against_the_schema() {
    let schema = Schema::array(DType::F32, vec![], false, None).expect("valid");
    let part =
        |column| Part { column, select: Select::range(0, 2), data: Data::Dense(Cow::Borrowed(&[0; 8])) };
    assert_eq!(Delta::single(PageId(1), OperatorId::ASSIGN, part(0)).check(&schema, 2), Ok(()));
    let no_column = Err(PageError::NoSuchColumn { column: 1, columns: 1 });
    assert_eq!(Delta::single(PageId(1), OperatorId::ASSIGN, part(1)).check(&schema, 2), no_column);
    assert!(Delta::single(PageId(1), OperatorId::ASSIGN, part(0)).check(&schema, 1).is_err());
    let nothing = Part { column: 0, select: Select::range(0, 2), data: Data::Fill(Cow::Borrowed(&[])) };
    assert!(nothing.check(schema.column(0).expect("there is one"), 2).is_err());
}

#[test]
fn the_last_of_several_assignments_wins() {
    let column = Column::new("c", DType::U8, vec![]).expect("valid");
    let part = Part {
        column: 0,
        select: Select::indices(vec![1, 1, 0, 1]),
        data: Data::Dense(Cow::Borrowed(b"abcd")),
    };
    let mut bytes = *b"..";
    part.apply(&column, None, bytes.as_mut_slice());
    assert_eq!(&bytes, b"cd");
}

#[test]
fn the_table_of_operators() {
    let mut operators = Operators::new();
    operators.register(Arc::new(Shift)).expect("free");
    let taken = Err(PageError::OperatorTaken { name: "shift" });
    assert_eq!(operators.register(Arc::new(Shift)), taken);
    assert!(operators.on(OperatorId::ASSIGN, DType::Bool).expect("always there").is_none());
    assert_eq!(operators.on(OperatorId(900), DType::U8).expect("there").map(Merge::name), Some("shift"));
    let unsupported = PageError::UnsupportedOperator { operator: "shift", dtype: DType::Bool };
    assert_eq!(operators.on(OperatorId(900), DType::Bool).err(), Some(unsupported.clone()));
    assert_eq!(unsupported.to_string(), "operator 'shift' does not work on bool");
    assert_eq!(operators.get(OperatorId(7)).err(), Some(PageError::UnknownOperator(OperatorId(7))));
    assert_eq!(operators.named("shift").map(Merge::id), Ok(OperatorId(900)));
    assert!(operators.named("add").is_err());
    assert_eq!(operators.iter().count(), 1);
}
