//! The plain model that the tests of the bus compare it with: pages as byte vectors, written cell by cell.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mmsb::algebra::operator::{Builtin, builtin};
use mmsb::base::ids::PageId;
use mmsb::bus::state::State;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::{Axis, Inner, Rows, Select};

pub mod merge;
mod merging;
pub mod script;
pub mod world;

/// A page as plain bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub name: String,
    pub schema: Schema,
    pub rows: u64,
    pub columns: Vec<Vec<u8>>,
}

/// All pages of a state.
pub type Pages = BTreeMap<PageId, Arc<Page>>;

/// Splitmix64 (Steele, Lea, Flood, OOPSLA 2014): what chances are drawn from.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Whether something happens that happens once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn bytes(&mut self, n: u64) -> Vec<u8> {
        // Small values often, so that equal cells and zeros occur.
        let mask = if self.one_in(3) { 1 } else { 0xFF };
        (0..n).map(|_| self.next() as u8 & mask).collect()
    }
}

/// Schemas of every kind: all layouts, cells that straddle chunks, operators.
pub fn schema(n: u64) -> Schema {
    let table = |columns: Vec<(&str, DType, Vec<u64>)>, op| {
        let columns =
            columns.into_iter().map(|(name, dtype, inner)| Column::new(name, dtype, inner).unwrap());
        Schema::new(Kind::Table, columns.collect(), op).unwrap()
    };
    match n % 9 {
        0 => Schema::array(DType::F32, vec![], false, None).unwrap(),
        1 => Schema::array(DType::F64, vec![3], false, None).unwrap(),
        2 => table(
            vec![("a", DType::I32, vec![]), ("b", DType::U8, vec![2, 3]), ("c", DType::Bytes(5), vec![])],
            None,
        ),
        3 => Schema::raw(None).unwrap(),
        4 => Schema::array(DType::I64, vec![], false, Some(Builtin::Add.id())).unwrap(),
        5 => table(vec![("x", DType::U16, vec![4]), ("y", DType::U32, vec![])], Some(Builtin::Xor.id())),
        6 => Schema::array(DType::F64, vec![], true, None).unwrap(),
        7 => Schema::array(DType::Bytes(9000), vec![], false, None).unwrap(),
        _ => Schema::array(DType::F32, vec![5], false, Some(Builtin::Max.id())).unwrap(),
    }
}

/// Rows that put a page behind its header, in blocks, in a few chunks, in a tree of two levels; and none at all.
pub fn rows(schema: &Schema, chance: &mut Chance) -> u64 {
    if schema.kind() == (Kind::Array { scalar: true }) {
        return 1;
    }
    let bytes = match chance.below(8) {
        0 => 0,
        1..4 => 1 + chance.below(2000),
        4 | 5 => 2000 + chance.below(12_000),
        6 => 12_000 + chance.below(80_000),
        _ => 500_000 + chance.below(400_000),
    };
    bytes / schema.row_bytes()
}

impl Page {
    pub fn new(name: &str, schema: Schema, rows: u64) -> Self {
        let columns =
            schema.columns().iter().map(|column| vec![0; (rows * column.row_bytes()) as usize]).collect();
        Page { name: name.into(), schema, rows, columns }
    }

    pub fn resize(&mut self, rows: u64) {
        self.rows = rows;
        for (column, bytes) in self.schema.columns().iter().zip(&mut self.columns) {
            bytes.resize((rows * column.row_bytes()) as usize, 0);
        }
    }

    /// Applies a delta cell by cell.
    pub fn write(&mut self, delta: &Delta<'_>) {
        for part in &delta.parts {
            let column = self.schema.column(part.column).unwrap().clone();
            let size = column.cell_bytes() as usize;
            let data = part.data.bytes();
            for (i, cell) in cells(&part.select, &column).into_iter().enumerate() {
                let from = i * size % data.len();
                let target = &mut self.columns[usize::from(part.column)][cell as usize * size..][..size];
                match Builtin::from_id(delta.op) {
                    None => target.copy_from_slice(&data[from..from + size]),
                    Some(op) => op.apply(column.dtype(), target, &data[from..from + size]),
                }
            }
        }
    }
}

/// The cells of a selection, in its order, by the plainest of loops.
pub fn cells(select: &Select, column: &Column) -> Vec<u64> {
    let width = column.cells_per_row();
    let along = |axis: &Axis| -> Vec<u64> { (axis.start..axis.stop).step_by(axis.step as usize).collect() };
    let (rows, inner) = match select {
        Select::Cells(list) => return list.to_vec(),
        Select::Rows { rows: Rows::Index(list), inner } => (list.to_vec(), inner),
        Select::Rows { rows: Rows::Range { start, stop, step }, inner } => {
            (along(&Axis { start: *start, stop: *stop, step: *step }), inner)
        }
    };
    let mut in_row: Vec<u64> = vec![0];
    match inner {
        None => in_row = (0..width).collect(),
        Some(Inner(axes)) => {
            for (axis, size) in axes.iter().zip(column.inner()) {
                in_row = in_row
                    .iter()
                    .flat_map(|at| along(axis).into_iter().map(move |i| at * size + i))
                    .collect();
            }
        }
    }
    rows.iter().flat_map(|row| in_row.iter().map(move |cell| row * width + cell)).collect()
}

/// A selection of any form that fits, of `rows` rows, which are not 0.
pub fn select(column: &Column, rows: u64, chance: &mut Chance) -> Select {
    let axis = |size: u64, chance: &mut Chance| {
        let start = chance.below(size);
        let stop = start + chance.below(size - start + 1);
        Axis { start, stop, step: 1 + chance.below(3) }
    };
    let most = |chance: &mut Chance| if chance.one_in(4) { 300 } else { 8 };
    match chance.below(8) {
        0 => {
            let (most, width) = (most(chance), column.cells_per_row());
            let n = chance.below(most);
            Select::Cells(Arc::new((0..n).map(|_| chance.below(rows * width)).collect()))
        }
        1 | 2 => {
            let most = most(chance);
            let n = chance.below(most);
            let rows = Rows::Index(Arc::new((0..n).map(|_| chance.below(rows)).collect()));
            Select::Rows { rows, inner: inner(column, chance, axis) }
        }
        3 => Select::range(0, rows),
        4 => Select::range(chance.below(rows), rows),
        kind => {
            let size = if kind == 5 { rows } else { rows.min(60) };
            let Axis { start, stop, step } = axis(size, chance);
            Select::Rows { rows: Rows::Range { start, stop, step }, inner: inner(column, chance, axis) }
        }
    }
}

fn inner(column: &Column, chance: &mut Chance, axis: impl Fn(u64, &mut Chance) -> Axis) -> Option<Inner> {
    (!column.inner().is_empty() && chance.one_in(2))
        .then(|| Inner(column.inner().iter().map(|&size| axis(size, chance)).collect()))
}

/// A delta of any form that fits the page; `None` for a page without rows.
pub fn delta(id: PageId, page: &Page, chance: &mut Chance) -> Option<Delta<'static>> {
    if page.rows == 0 {
        return None;
    }
    let own = page.schema.operator().filter(|_| !chance.one_in(4));
    let op = own.unwrap_or(if chance.one_in(8) { Builtin::Min.id() } else { OperatorId::ASSIGN });
    let fits = |op| page.schema.columns().iter().all(|column| builtin().on(op, column.dtype()).is_ok());
    let op = if fits(op) { op } else { OperatorId::ASSIGN };
    let parts = (0..1 + chance.below(3)).map(|_| part(page, chance)).collect();
    Some(Delta { page: id, op, parts })
}

fn part(page: &Page, chance: &mut Chance) -> Part<'static> {
    let column = chance.below(page.schema.columns().len() as u64) as u16;
    let about = page.schema.column(column).unwrap();
    let select = select(about, page.rows, chance);
    let (n, size) = (select.cells(about), about.cell_bytes());
    let data = match chance.below(4) {
        0 => Data::Fill(Cow::Owned(chance.bytes(size))),
        1 if select.cells_per_row(about) > 0 => {
            Data::Fill(Cow::Owned(chance.bytes(select.cells_per_row(about) * size)))
        }
        _ => Data::Dense(Cow::Owned(chance.bytes(n * size))),
    };
    Part { column, select, data }
}

/// Whether a state of the bus is the model's, byte for byte, however it is read.
pub fn check(state: &State, pages: &Pages, chance: &mut Chance) {
    assert_eq!(state.ids(), pages.keys().copied().collect::<Vec<_>>());
    assert_eq!(state.len(), pages.len() as u64);
    for (&id, page) in pages {
        assert_eq!(state.find(&page.name), Some(id), "by its name");
        let info = state.info(id).unwrap();
        assert_eq!(
            (info.name.as_str(), info.rows, &*info.schema),
            (page.name.as_str(), page.rows, &page.schema)
        );
        assert!(info.version <= state.epoch());
        for (i, bytes) in page.columns.iter().enumerate() {
            let view = state.view(id, i, None).unwrap();
            assert!(view.bytes() == bytes, "column {i} of {id} ({}) as a view {}", page.name, view.kind());
            if page.rows == 0 {
                continue;
            }
            let column = &page.schema.columns()[i];
            let (select, size) = (select(column, page.rows, chance), column.cell_bytes() as usize);
            let cells = cells(&select, column);
            let mut out = vec![0xAA; cells.len() * size];
            state.read(id, i, &select, &mut out).unwrap();
            let same =
                |(k, &cell): (usize, &u64)| out[k * size..][..size] == bytes[cell as usize * size..][..size];
            assert!(cells.iter().enumerate().all(same), "column {i} of {id} by {select:?}");
        }
    }
    assert_eq!(state.find("no such page"), None);
}

/// A number from the environment: how much is tried.
pub fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
