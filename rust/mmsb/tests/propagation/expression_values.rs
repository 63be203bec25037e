//! What expressions come to, bit for bit against a model that takes one cell at a time: random expressions over columns of
//! all types, of rows that are single, spread and repeated, with the values at which types end among them.

use crate::expression_model;
use crate::expression_model::{Cell, Kind, fits};
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind as PageKind, Schema};
use mmsb::propagation::error::RuleError;
use mmsb::propagation::expression::node::{Binary, Builder, Constant, Id, Unary};
use mmsb::propagation::kernel::Shape;
use mmsb::propagation::runs::Run;
use proptest::prelude::*;

/// Cells of a row that is no single one.
const INNER: u64 = 3;

fn noise(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// A cell, often one of those that are special.
fn cell(dtype: DType, seed: &mut u64) -> Cell {
    let (kind, any) = (noise(seed) % 8, noise(seed));
    if dtype.is_float() {
        const SPECIAL: [f64; 14] =
            [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.0, 7.0, 1e-8, 300.25, 1e30, -1e300, f64::INFINITY, f64::NAN];
        match kind {
            0..4 => return Cell::float(SPECIAL[any as usize % SPECIAL.len()], dtype),
            4..6 => return Cell::float((any % 2001) as f64 / 64.0 - 15.0, dtype),
            _ => {}
        }
    }
    let small = i128::from(any % 17) - 8;
    match kind {
        0..3 => Cell::int(small, dtype),
        3 => Cell::int(if any % 2 == 0 { 1 << 127 } else { -1 }, dtype),
        4 => Cell::int((1 << (8 * dtype.size() as u32 - 1)) - i128::from(any % 2), dtype),
        _ => Cell::int(any.into(), dtype),
    }
}

/// A column: of which input, and all its cells.
struct Data {
    input: u16,
    column: u16,
    cells: Vec<Cell>,
    /// Words, so that cells lie as they must.
    words: Vec<u64>,
}

/// Four inputs, of many rows and of one, of single cells and of three; each with columns of these types.
struct World {
    rows: u64,
    schemas: Vec<Schema>,
    data: Vec<Data>,
}

impl World {
    fn new(types: &[Vec<DType>; 4], rows: u64, seed: &mut u64) -> Self {
        let mut world = World { rows, schemas: Vec::new(), data: Vec::new() };
        for (input, types) in (0u16..).zip(types) {
            let inner = if input < 2 { vec![] } else { vec![INNER] };
            let n = (if input % 2 == 0 { rows } else { 1 }) * inner.iter().product::<u64>();
            let columns = types
                .iter()
                .enumerate()
                .map(|(i, &dtype)| Column::new(format!("c{i}"), dtype, inner.clone()).expect("a column"));
            world.schemas.push(Schema::new(PageKind::Table, columns.collect(), None).expect("a schema"));
            for (column, &dtype) in (0..).zip(types) {
                let cells: Vec<Cell> = (0..n).map(|_| cell(dtype, seed)).collect();
                let mut bytes: Vec<u8> =
                    cells.iter().flat_map(|cell| cell.bits.to_le_bytes()[..dtype.size()].to_vec()).collect();
                bytes.resize(bytes.len().next_multiple_of(8), 0);
                let words = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")));
                world.data.push(Data { input, column, cells, words: words.collect() });
            }
        }
        world
    }

    fn shapes(&self) -> Vec<Shape<'_>> {
        let rows = |input| if input % 2 == 0 { self.rows } else { 1 };
        self.schemas.iter().enumerate().map(|(i, schema)| Shape { schema, rows: rows(i) }).collect()
    }

    fn bytes(&self, (input, column): (u16, u16)) -> &[u8] {
        let found = self.data.iter().find(|data| data.input == input && data.column == column);
        let data = found.expect("a column");
        &bytemuck::cast_slice(&data.words)[..data.cells.len() * data.cells[0].dtype.size()]
    }
}

/// A node, and what the model says it comes to: as many cells as rows and inner cells.
#[derive(Clone)]
struct Known {
    id: Id,
    kind: Kind,
    /// Whether a row has [`INNER`] cells and whether there are many rows, by which cells repeat.
    many: (bool, bool),
    cells: Vec<Cell>,
}

impl Known {
    fn at(&self, row: u64, inner: u64, as_type: DType) -> Cell {
        let width = if self.many.0 { INNER } else { 1 };
        let (row, inner) = (if self.many.1 { row } else { 0 }, if self.many.0 { inner } else { 0 });
        match self.kind {
            Kind::Strong(_) => self.cells[(row * width + inner) as usize],
            Kind::Int(value) if as_type.is_float() => Cell::float(value as f64, as_type),
            Kind::Int(value) => Cell::int(value, as_type),
            Kind::Float(value) => Cell::float(value, DType::F64).to(as_type),
        }
    }
}

/// What the model makes of an operation on nodes; `None` where it is an error.
fn model(
    operands: &[&Known],
    rows: u64,
    f: impl Fn(u64, u64) -> Option<Cell>,
) -> Option<((bool, bool), Vec<Cell>)> {
    let many = operands.iter().fold((false, false), |(a, b), known| (a | known.many.0, b | known.many.1));
    let (rows, width) = (if many.1 { rows } else { 1 }, if many.0 { INNER } else { 1 });
    let cells = (0..rows).flat_map(|row| (0..width).map(move |inner| (row, inner)));
    Some((many, cells.map(|(row, inner)| f(row, inner)).collect::<Option<_>>()?))
}

/// What the model says a node comes to.
type Found = (DType, (bool, bool), Vec<Cell>);

/// One step of a random expression: a choice, and operands.
type Choice = (u8, u8, u16, u16, u16);

struct Play {
    world: World,
    builder: Builder,
    known: Vec<Known>,
}

impl Play {
    fn new(world: World, seed: &mut u64) -> Self {
        let (mut builder, mut known) = (Builder::default(), Vec::new());
        for data in &world.data {
            let kind = Kind::Strong(data.cells[0].dtype);
            let many = (data.input >= 2, data.input % 2 == 0 && world.rows != 1);
            let id = builder.column(data.input, data.column);
            known.push(Known { id, kind, many, cells: data.cells.clone() });
        }
        for value in [2, 0, -1, 5, 300, 1 << 40, 1 << 63] {
            let id = builder.constant(Constant::Int(value));
            known.push(Known { id, kind: Kind::Int(value), many: (false, false), cells: vec![] });
        }
        for value in [2.0, -0.5, 1e300, f64::NAN] {
            let id = builder.constant(Constant::float(value));
            known.push(Known { id, kind: Kind::Float(value), many: (false, false), cells: vec![] });
        }
        for dtype in DType::FIXED {
            let cell = cell(dtype, seed);
            let id = builder.constant(Constant::Cell(dtype, cell.bits));
            let kind = Kind::Strong(dtype);
            known.push(Known { id, kind, many: (false, false), cells: vec![cell] });
        }
        Self { world, builder, known }
    }

    /// The operand of this number that a step may have.
    fn pick(&self, number: u16) -> Known {
        self.known[usize::from(number) % self.known.len()].clone()
    }

    /// One that has a type.
    fn pick_strong(&self, number: u16) -> Known {
        let strong: Vec<_> =
            self.known.iter().filter(|known| matches!(known.kind, Kind::Strong(_))).collect();
        strong[usize::from(number) % strong.len()].clone()
    }

    fn unary(&mut self, op: Unary, a: &Known) -> (Id, Option<Found>) {
        let id = self.builder.unary(op, a.id);
        let gives = expression_model::of_unary(op.name(), a.kind);
        let found = gives.and_then(|gives| {
            let own = match a.kind {
                Kind::Strong(dtype) => dtype,
                Kind::Int(value) if !fits(value, DType::I64) && !gives.is_float() => return None,
                Kind::Int(_) => DType::I64,
                Kind::Float(_) => DType::F64,
            };
            let of = if matches!(a.kind, Kind::Int(_)) && gives.is_float() { gives } else { own };
            let f = |row, inner| Some(expression_model::unary(op, a.at(row, inner, of), gives));
            model(&[a], self.world.rows, f).map(|(many, cells)| (gives, many, cells))
        });
        (id, found)
    }

    fn binary(&mut self, op: Binary, a: &Known, b: &Known) -> (Id, Option<Found>) {
        let id = self.builder.binary(op, a.id, b.id);
        let found = expression_model::of_binary(op.name(), a.kind, b.kind).and_then(|gives| {
            let comparison =
                matches!(op, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge);
            // The type that a python number has here.
            let weak = expression_model::of_binary("where", a.kind, b.kind)?;
            let weak = if comparison { weak } else { gives };
            for kind in [a.kind, b.kind] {
                if let Kind::Int(value) = kind
                    && !comparison
                    && !fits(value, weak)
                {
                    return None;
                }
            }
            let f = |row, inner| {
                if let (true, Kind::Int(x)) = (comparison && !fits_kind(a.kind, weak), a.kind) {
                    return Some(Cell::truth(beyond(op, x > 0)));
                }
                if let (true, Kind::Int(x)) = (comparison && !fits_kind(b.kind, weak), b.kind) {
                    return Some(Cell::truth(beyond(op, x < 0)));
                }
                let (x, y) = (a.at(row, inner, weak), b.at(row, inner, weak));
                let two = matches!(b.kind, Kind::Int(2)) || b.kind == Kind::Float(2.0);
                if op == Binary::Pow && two && gives.is_float() {
                    return expression_model::binary(Binary::Mul, x, x, gives);
                }
                expression_model::binary(op, x, y, gives)
            };
            model(&[a, b], self.world.rows, f).map(|(many, cells)| (gives, many, cells))
        });
        (id, found)
    }

    fn choose(&mut self, test: &Known, a: &Known, b: &Known) -> (Id, Option<Found>) {
        let id = self.builder.select(test.id, a.id, b.id);
        let found = expression_model::of_binary("where", a.kind, b.kind).and_then(|gives| {
            if [a.kind, b.kind].iter().any(|&kind| !fits_kind(kind, gives)) {
                return None;
            }
            let f = |row, inner| {
                let is = test.at(row, inner, DType::Bool).to(DType::Bool).bits != 0;
                Some(if is { a } else { b }.at(row, inner, gives).to(gives))
            };
            model(&[test, a, b], self.world.rows, f).map(|(many, cells)| (gives, many, cells))
        });
        (id, found)
    }

    fn cast(&mut self, to: DType, a: &Known) -> (Id, Option<Found>) {
        let id = self.builder.cast(to, a.id);
        let found = fits_kind(a.kind, to)
            .then(|| model(&[a], self.world.rows, |row, inner| Some(a.at(row, inner, to).to(to))))
            .flatten();
        (id, found.map(|(many, cells)| (to, many, cells)))
    }

    fn step(&mut self, (what, op, a, b, c): Choice) {
        let (strong, any, third) = (self.pick_strong(a), self.pick(b), self.pick(c));
        let (x, y) = if what & 1 == 0 { (&strong, &any) } else { (&any, &strong) };
        let (id, found) = match what % 8 {
            0 | 1 => self.unary(Unary::ALL[usize::from(op) % Unary::ALL.len()], &any),
            2 => self.choose(&third, &strong, &any),
            3 => self.cast(DType::FIXED[usize::from(op) % 12], &any),
            _ => self.binary(Binary::ALL[usize::from(op) % Binary::ALL.len()], x, y),
        };
        let told = format!("{what} {op} of {:?} {:?}", x.kind, y.kind);
        let got = self.evaluate(id);
        match (found, got) {
            (None, Err(RuleError::Unfit { .. } | RuleError::Value { .. })) => {}
            (Some((dtype, many, cells)), Ok((got, columns))) => {
                // What reads fewer columns than it names still has the rows of all.
                let known = Known { id, kind: Kind::Strong(dtype), many, cells };
                assert_eq!(columns, dtype, "{told}");
                self.compare(&known, &got, &told);
                self.known.push(known);
            }
            // It reads no column.
            (Some((_, (false, false), _)), Err(RuleError::Unfit { what, .. }))
                if what == "it reads no column" => {}
            (found, got) => panic!("{told}: {:?} and {got:?}", found.map(|found| found.0)),
        }
    }

    fn evaluate(&self, id: Id) -> Result<(Vec<u8>, DType), RuleError> {
        let expression = self.builder.finish(id)?;
        let typed = expression.typed(&self.world.shapes())?;
        let columns: Vec<&[u8]> = typed.reads().into_iter().map(|read| self.world.bytes(read)).collect();
        let all = typed.evaluate(&columns, Run::new(0, typed.rows()))?;
        // Any rows are those of all.
        let width = all.len() / typed.rows() as usize;
        let (from, to) = (typed.rows() / 3, typed.rows() - typed.rows() / 4);
        let some = typed.evaluate(&columns, Run::new(from, to))?;
        assert!(some == all[from as usize * width..to as usize * width], "some rows are not those of all");
        Ok((all, typed.dtype()))
    }

    fn compare(&self, known: &Known, got: &[u8], told: &str) {
        let Kind::Strong(dtype) = known.kind else { return };
        let width = if known.many.0 { INNER } else { 1 };
        for (i, bytes) in (0u64..).zip(got.chunks(dtype.size())) {
            let mut bits = [0; 8];
            bits[..bytes.len()].copy_from_slice(bytes);
            let got = Cell { dtype, bits: u64::from_le_bytes(bits) };
            let wanted = known.at(i / width, i % width, dtype);
            assert_eq!(got, wanted, "{told}: {} and {}", got.as_float(), wanted.as_float());
        }
    }
}

fn fits_kind(kind: Kind, dtype: DType) -> bool {
    !matches!(kind, Kind::Int(value) if !fits(value, dtype))
}

/// A comparison whose left side is larger than all on the right, or smaller.
fn beyond(op: Binary, larger: bool) -> bool {
    match op {
        Binary::Eq => false,
        Binary::Ne => true,
        Binary::Gt | Binary::Ge => larger,
        _ => !larger,
    }
}

fn types() -> impl Strategy<Value = [Vec<DType>; 4]> {
    let list = || prop::collection::vec(prop::sample::select(&DType::FIXED[..]), 1..4);
    [list(), list(), list(), list()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]
    #[test]
    fn expressions_come_to_what_the_model_says(
        types in types(),
        rows in prop_oneof![4 => 1u64..40, 1 => 500u64..1100],
        choices in prop::collection::vec(any::<Choice>(), 1..24),
        seed in 1u64..,
    ) {
        let mut seed = seed;
        let world = World::new(&types, rows, &mut seed);
        let mut play = Play::new(world, &mut seed);
        for choice in choices {
            play.step(choice);
        }
    }
}

/// Every operation on every two types and python numbers, which random ones may miss.
#[test]
fn every_operation_on_every_type() {
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    let all = || DType::FIXED.to_vec();
    let world = World::new(&[all(), vec![DType::F64], vec![DType::F64], vec![DType::F64]], 96, &mut seed);
    let mut play = Play::new(world, &mut seed);
    let leaves = play.known.len() as u16;
    for a in 0..leaves {
        for op in 0..Unary::ALL.len() as u8 {
            play.step((0, op, 0, a, 0));
            play.known.truncate(leaves.into());
        }
        for op in 0..12 {
            play.step((3, op, 0, a, 0));
            play.known.truncate(leaves.into());
        }
    }
    for a in 0..12 {
        for b in 0..leaves {
            for op in 0..Binary::ALL.len() as u8 {
                for side in [4, 5] {
                    play.step((side, op, a, b, 0));
                    play.known.truncate(leaves.into());
                }
            }
            play.step((2, 0, a, b, b));
            play.known.truncate(leaves.into());
        }
    }
}
