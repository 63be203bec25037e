//! Tables as plain bytes, changes to them, and what relations make of them by plain loops.

pub mod window;

use std::collections::HashMap;

use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::kernel::{Shape, Spec};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::filter::Filter;
use mmsb::propagation::relation::gather::Gather;
use mmsb::propagation::relation::join::Join;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::What;
use proptest::prelude::*;

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n.max(1)
    }

    /// As that, and half of the time one of the first few: so that the same ones meet again and again.
    pub fn hot(&mut self, n: u64) -> u64 {
        let few = if self.below(2) == 0 { n.min(6) } else { n };
        self.below(few)
    }
}

/// The columns that every table has: integers that name rows or are keys, truths, values, and two that lie across chunks.
pub const NAMES: u16 = 0;
pub const FLAG: u16 = 1;
pub const VALUE: u16 = 2;
pub const WIDE: u16 = 3;

pub fn schema(names: DType, value: DType) -> Schema {
    let column = |name: &str, dtype, inner: &[u64]| Column::new(name, dtype, inner.to_vec()).unwrap();
    let columns = vec![
        column("names", names, &[]),
        column("flag", DType::Bool, &[]),
        column("value", value, &[]),
        column("wide", value, &[3]),
        column("text", DType::Bytes(5), &[]),
    ];
    Schema::new(Kind::Table, columns, None).unwrap()
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub schema: Schema,
    pub rows: u64,
    pub columns: Vec<Vec<u8>>,
}

impl Table {
    pub fn new(schema: Schema, rows: u64) -> Self {
        let columns = schema.columns().iter().map(|c| vec![0; (c.row_bytes() * rows) as usize]).collect();
        Self { schema, rows, columns }
    }

    pub fn shape(&self) -> Shape<'_> {
        Shape { schema: &self.schema, rows: self.rows }
    }

    pub fn width(&self, column: usize) -> usize {
        self.schema.columns()[column].row_bytes() as usize
    }

    pub fn row(&self, column: usize, row: u64) -> &[u8] {
        let width = self.width(column);
        &self.columns[column][row as usize * width..][..width]
    }

    pub fn set(&mut self, column: usize, row: u64, bytes: &[u8]) {
        let width = self.width(column);
        self.columns[column][row as usize * width..][..width].copy_from_slice(bytes);
    }

    pub fn resize(&mut self, rows: u64) {
        for (column, cells) in self.schema.columns().iter().zip(&mut self.columns) {
            cells.resize((column.row_bytes() * rows) as usize, 0);
        }
        self.rows = rows;
    }

    /// An integer of the first column.
    pub fn name(&self, row: u64) -> i128 {
        let (bytes, dtype) = (self.row(0, row), self.schema.columns()[0].dtype());
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let (value, bits) = (u64::from_le_bytes(wide), 8 * bytes.len() as u32);
        match dtype {
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
                i128::from((value << (64 - bits)) as i64 >> (64 - bits))
            }
            _ => value.into(),
        }
    }
}

/// What is made of two tables, and how their columns of names are filled.
#[derive(Debug, Clone)]
pub struct World {
    pub tables: [Table; 2],
    pub what: What,
    pub noise: Noise,
    /// A key that no row has had.
    pub next: u64,
}

impl World {
    pub fn spec(&self) -> &dyn Spec {
        match &self.what {
            What::Gather(spec) => spec,
            What::Filter(spec) => spec,
            What::Window(spec) => spec,
            What::Join(spec) => spec,
            other => unreachable!("{other:?} is tested elsewhere"),
        }
    }

    /// How many of both tables are its inputs.
    pub fn inputs(&self) -> usize {
        if matches!(self.what, What::Gather(_) | What::Join(_)) { 2 } else { 1 }
    }

    pub fn shapes(&self) -> Vec<Shape<'_>> {
        self.tables[..self.inputs()].iter().map(Table::shape).collect()
    }

    /// Other cells in a row of a table; where `wrong`, maybe such as cannot be.
    pub fn fill(&mut self, table: usize, row: u64, columns: &[usize], wrong: bool) {
        for &i in columns {
            let dtype = self.tables[table].schema.columns()[i].dtype();
            let size = dtype.size();
            let bytes: Vec<u8> = if i == 0 {
                self.name(table, wrong).to_le_bytes()[..size].to_vec()
            } else {
                let count = self.tables[table].width(i) / size;
                (0..count).flat_map(|_| cell(dtype, &mut self.noise)).collect()
            };
            self.tables[table].set(i, row, &bytes);
        }
    }

    fn name(&mut self, table: usize, wrong: bool) -> u64 {
        let rows = self.tables.each_ref().map(|table| table.rows);
        match (&self.what, table) {
            (What::Gather(_), 1) => {
                let signed = self.tables[1].name_is_signed();
                let least = u64::from(signed);
                (self.noise.hot(rows[0] + least + u64::from(wrong))).wrapping_sub(least)
            }
            (What::Join(_), 1) if !wrong => {
                self.next += 1;
                self.next
            }
            _ => self.noise.hot(2 * rows[1] + 9),
        }
    }

    pub fn fill_all(&mut self) {
        for table in 0..2 {
            for row in 0..self.tables[table].rows {
                self.fill(table, row, &[0, 1, 2, 3, 4], false);
            }
        }
    }

    /// Some right rows exchange their keys, so that keys go from row to row.
    pub fn swap(&mut self, rows: &[u64]) {
        for pair in rows.chunks_exact(2) {
            let [a, b] = [pair[0], pair[1]].map(|row| self.tables[1].row(0, row).to_vec());
            self.tables[1].set(0, pair[0], &b);
            self.tables[1].set(0, pair[1], &a);
        }
    }

    /// What is to be made; `None` where it cannot be.
    pub fn made(&self) -> Option<Table> {
        let [a, b] = &self.tables;
        match &self.what {
            What::Gather(_) => gather(a, b),
            What::Filter(_) => Some(filter(a)),
            What::Window(window) => Some(window::made(a, window)),
            What::Join(_) => join(a, b),
            other => unreachable!("{other:?} is tested elsewhere"),
        }
    }
}

impl Table {
    fn name_is_signed(&self) -> bool {
        matches!(self.schema.columns()[0].dtype(), DType::I8 | DType::I16 | DType::I32 | DType::I64)
    }
}

fn cell(dtype: DType, noise: &mut Noise) -> Vec<u8> {
    let strange = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324];
    let float = match noise.below(16) {
        0 => strange[noise.below(7) as usize],
        _ => (noise.below(2_000_001) as f64 - 1e6) / 7.0,
    };
    match dtype {
        DType::F64 => float.to_le_bytes().to_vec(),
        DType::F32 => (float as f32).to_le_bytes().to_vec(),
        DType::F16 => half::f16::from_f32(float as f32).to_le_bytes().to_vec(),
        DType::Bool => vec![u8::from(noise.below(3) > 0) * (1 + noise.below(2) as u8)],
        _ => noise.next().to_le_bytes()[..dtype.size()].to_vec(),
    }
}

fn gather(source: &Table, index: &Table) -> Option<Table> {
    let mut made = Table::new(source.schema.clone(), index.rows);
    for row in 0..index.rows {
        match index.name(row) {
            -1 => {}
            from if from >= 0 && from < i128::from(source.rows) => {
                (0..5).for_each(|i| made.set(i, row, source.row(i, from as u64)));
            }
            _ => return None,
        }
    }
    Some(made)
}

fn filter(source: &Table) -> Table {
    let mut columns = vec![Column::new("row", DType::I64, vec![]).unwrap()];
    columns.extend_from_slice(source.schema.columns());
    let kept: Vec<u64> = (0..source.rows).filter(|row| source.row(usize::from(FLAG), *row)[0] != 0).collect();
    let mut made = Table::new(Schema::new(Kind::Table, columns, None).unwrap(), kept.len() as u64);
    for (to, &row) in (0..).zip(&kept) {
        made.set(0, to, &row.to_le_bytes());
        (0..5).for_each(|i| made.set(i + 1, to, source.row(i, row)));
    }
    made
}

fn join(left: &Table, right: &Table) -> Option<Table> {
    let mut columns = left.schema.columns().to_vec();
    for column in &right.schema.columns()[1..] {
        let name = format!("{}_right", column.name());
        columns.push(Column::new(name, column.dtype(), column.inner().to_vec()).unwrap());
    }
    columns.push(Column::new("matched", DType::Bool, vec![]).unwrap());
    let mut made = Table::new(Schema::new(Kind::Table, columns, None).unwrap(), left.rows);
    let mut map = HashMap::new();
    for row in 0..right.rows {
        if map.insert(right.name(row), row).is_some() {
            return None;
        }
    }
    for row in 0..left.rows {
        (0..5).for_each(|i| made.set(i, row, left.row(i, row)));
        if let Some(&found) = map.get(&left.name(row)) {
            (1..5).for_each(|i| made.set(i + 4, row, right.row(i, found)));
            made.set(9, row, &[1]);
        }
    }
    Some(made)
}

const KEYS: [DType; 6] = [DType::I16, DType::I32, DType::I64, DType::U16, DType::U32, DType::U64];

pub fn worlds() -> impl Strategy<Value = World> {
    let rows = || prop_oneof![0u64..4, 14u64..90, 1000u64..3000];
    let values = prop::sample::select(vec![
        DType::Bool,
        DType::I8,
        DType::U16,
        DType::I32,
        DType::I64,
        DType::U64,
        DType::F16,
        DType::F32,
        DType::F64,
    ]);
    let reductions =
        [Reduction::Sum, Reduction::Min, Reduction::Max, Reduction::Mean, Reduction::Count].to_vec();
    let window = prop_oneof![1u64..4, 4u64..40, 900u64..4000, Just(u64::MAX)];
    let what = prop_oneof![
        Just(What::Gather(Gather { index: NAMES })),
        Just(What::Filter(Filter { column: FLAG })),
        (prop_oneof![Just(VALUE), Just(WIDE)], prop::sample::select(reductions), window)
            .prop_map(|(column, what, rows)| What::Window(Window { column, what, rows })),
        Just(What::Join(Join { left_key: NAMES, right_key: NAMES })),
    ];
    let keys = prop::sample::select(KEYS.to_vec());
    (what, rows(), rows(), values, (keys.clone(), keys), any::<u64>()).prop_map(
        |(what, a, b, value, (mut left, right), seed)| {
            let u64s = [left, right].contains(&DType::U64);
            if u64s && matches!(what, What::Join(_)) {
                left = right;
            }
            // An index that cannot be -1 has to name something.
            let a = if matches!(what, What::Gather(_)) { a.max(1) } else { a };
            let tables = [Table::new(schema(left, value), a), Table::new(schema(right, value), b)];
            let mut world = World { tables, what, noise: Noise(seed | 1), next: 0 };
            world.fill_all();
            world
        },
    )
}
