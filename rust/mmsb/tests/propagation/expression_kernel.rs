//! The kernel of expressions on pages: after any changes it makes what making all anew would give, bit for bit, of columns
//! behind the header, in a block, and in chunks all over the arena.

use std::sync::Arc;
use std::time::Instant;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::base::limits::CHUNK;
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::Arena;
use mmsb::memory::machine::place::Place;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::stage::{Scratch, Stage};
use mmsb::page::version::{ColumnMut, PageRef, column_mut, create, set_tree};
use mmsb::propagation::expression::node::{Binary, Builder, Constant, Expression, Unary};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::kernel::{Input, Kernel, Shape, Spec};
use mmsb::propagation::made::Made;
use mmsb::propagation::runs::{Run, push};
use proptest::prelude::*;

fn schema(columns: &[(DType, &[u64])]) -> Schema {
    let column =
        |(i, &(dtype, inner)): (usize, &(DType, &[u64]))| Column::new(format!("c{i}"), dtype, inner.to_vec());
    let columns = columns.iter().enumerate().map(column).collect::<Result<_, _>>().expect("columns");
    Schema::new(Kind::Table, columns, None).expect("a schema")
}

/// A version of a page with these bytes.
fn page(arena: &Arena, schema: &Schema, rows: u64, columns: &[Vec<u8>]) -> Addr {
    let mut stage = Stage::new(arena, 1, Scratch::default());
    let at = create(&mut stage, PageId(1), Addr::default(), schema, rows, Epoch(1)).expect("a page");
    for (i, bytes) in columns.iter().enumerate() {
        match column_mut(&mut stage, at, schema, i).expect("a column") {
            ColumnMut::Whole(to) => to.copy_from_slice(bytes),
            ColumnMut::Tree(mut writer) => {
                // From behind, so that chunks do not lie side by side; one of zeros is left out.
                for (n, from) in bytes.chunks(CHUNK).enumerate().rev().filter(|(n, _)| n % 5 != 3) {
                    writer.chunk(n as u64).expect("a chunk")[..from.len()].copy_from_slice(from);
                }
                let root = writer.root();
                set_tree(arena, at, i, root);
            }
        }
    }
    stage.settle(&mut Vec::new());
    at
}

/// What a run makes, put over what was there.
fn run(kernel: &mut dyn Kernel, inputs: &[Input<'_>], sizes: &[usize], out: &mut [Vec<u8>]) -> usize {
    let mut made = Made::default();
    kernel.run(inputs, &mut made).expect("a run");
    assert_eq!(made.rows(), None);
    let mut bytes = 0;
    for (piece, from) in made.pieces() {
        let column = usize::from(piece.column);
        out[column][piece.first as usize * sizes[column]..][..from.len()].copy_from_slice(from);
        bytes += from.len();
    }
    bytes
}

/// Columns of two pages: what is read where it is, repeated over rows, filled in from one row, and the same for all cells.
fn rule() -> Express {
    let mut all = Builder::default();
    let (a, b, v) = (all.column(0, 0), all.column(0, 1), all.column(0, 2));
    let (k, w) = (all.column(1, 0), all.column(1, 1));
    let two = all.constant(Constant::Int(2));
    let first = all.binary(Binary::Mul, a, two);
    let first = all.binary(Binary::Add, first, k);
    let second = all.binary(Binary::Mul, v, w);
    let second = all.binary(Binary::Sub, second, b);
    let third = all.unary(Unary::Sin, first);
    let third = all.binary(Binary::Lt, third, b);
    let large = all.constant(Constant::Int(1 << 40));
    let fourth = all.binary(Binary::Lt, b, large);
    let outputs = [first, second, third, fourth].map(|root| all.finish(root).expect("an expression"));
    let names = ["x", "y", "z", "all"].map(str::to_owned);
    Express::new(names.into_iter().zip(outputs).collect()).expect("a rule")
}

fn noise(n: usize, seed: &mut u64) -> Vec<u8> {
    let mut next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed as u8
    };
    (0..n).map(|_| next()).collect()
}

/// What changes: of which input and column, from which row on, how many.
type Change = (bool, usize, prop::sample::Index, u64);

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_change_makes_what_all_anew_would(
        rows in prop_oneof![1u64..30, 1000u64..9000],
        epochs in prop::collection::vec(prop::collection::vec(any::<Change>(), 0..4), 1..4),
        seed in 1u64..,
    ) {
        let mut seed = seed;
        let schemas = [
            schema(&[(DType::F64, &[]), (DType::I32, &[]), (DType::F32, &[3])]),
            schema(&[(DType::F32, &[]), (DType::F32, &[3])]),
        ];
        let counts = [rows, 1];
        let shapes = [0, 1].map(|i| Shape { schema: &schemas[i], rows: counts[i] });
        let rule = rule();
        let gives = rule.gives(&shapes).expect("a page");
        prop_assert_eq!(gives.rows, rows);
        let sizes: Vec<usize> = gives.columns.iter().map(|column| column.dtype().size()).collect();
        let blank: Vec<Vec<u8>> =
            gives.columns.iter().map(|column| vec![0; (column.row_bytes() * rows) as usize]).collect();
        let arena = Arena::new(Place::Memory, 1 << 30).expect("an arena");
        let width = |i: usize, column: usize| schemas[i].columns()[column].row_bytes() as usize;
        let mut data: [Vec<Vec<u8>>; 2] = [0, 1].map(|i| {
            (0..schemas[i].columns().len()).map(|c| noise(width(i, c) * counts[i] as usize, &mut seed)).collect()
        });
        let mut kernel = rule.kernel(&shapes).expect("a kernel");
        let (mut out, mut before): (Vec<Vec<u8>>, Option<[Addr; 2]>) = (blank.clone(), None);
        for changes in [vec![]].into_iter().chain(epochs) {
            let mut changed: [Vec<Vec<Run>>; 2] =
                [0, 1].map(|i| vec![vec![]; schemas[i].columns().len()]);
            for (one_row, column, from, n) in changes {
                let i = usize::from(one_row && seed % 4 == 0);
                let column = column % data[i].len();
                let from = from.index(counts[i] as usize) as u64;
                let to = (from + n % 700 % rows + 1).min(counts[i]);
                let (x, y) = (from as usize * width(i, column), to as usize * width(i, column));
                let fresh = noise(y - x, &mut seed);
                data[i][column][x..y].copy_from_slice(&fresh);
                changed[i][column].push(Run::new(from, to));
            }
            for (i, lists) in changed.iter_mut().enumerate() {
                for list in lists {
                    let all = before.is_none().then(|| Run::new(0, counts[i]));
                    let mut runs: Vec<Run> = std::mem::take(list).into_iter().chain(all).collect();
                    runs.sort_unstable();
                    runs.into_iter().for_each(|run| push(list, run));
                }
            }
            let pages = [0, 1].map(|i| page(&arena, &schemas[i], counts[i], &data[i]));
            let input = |i: usize, before: Option<[Addr; 2]>, changed| {
                let before = before.map(|before| PageRef::new(&arena, before[i]));
                Input::new(PageRef::new(&arena, pages[i]), &schemas[i], before, changed)
            };
            run(kernel.as_mut(), &[0, 1].map(|i| input(i, before, &changed[i])), &sizes, &mut out);
            let mut anew = rule.kernel(&shapes).expect("a kernel");
            let mut whole = blank.clone();
            let made = run(anew.as_mut(), &[0, 1].map(|i| input(i, None, &[])), &sizes, &mut whole);
            prop_assert_eq!(made, whole.iter().map(Vec::len).sum::<usize>(), "all is made");
            prop_assert!(out == whole, "what was made of changes is not what all of it is");
            prop_assert!(out[3].iter().all(|cell| *cell == 1), "no number of the type is as large");
            before = Some(pages);
        }
    }
}

/// One page of two `float64` columns, and a kernel on it that made all once.
struct Case {
    arena: Arc<Arena>,
    schema: Schema,
    at: Addr,
    kernel: Box<dyn Kernel>,
    made: Made,
}

fn case(rows: u64, expression: impl FnOnce(&mut Builder) -> Expression) -> Case {
    let (arena, schema) = (
        Arena::new(Place::Memory, 1 << 30).expect("an arena"),
        schema(&[(DType::F64, &[]), (DType::F64, &[])]),
    );
    let column: Vec<u8> = (0..rows).flat_map(|row| (row as f64 / 3.0).to_le_bytes()).collect();
    let at = page(&arena, &schema, rows, &[column.clone(), column]);
    let rule = Express::array(expression(&mut Builder::default()));
    let kernel = rule.kernel(&[Shape { schema: &schema, rows }]).expect("a kernel");
    Case { arena, schema, at, kernel, made: Made::default() }
}

impl Case {
    fn run(&mut self, changed: &[Vec<Run>]) {
        let page = PageRef::new(&self.arena, self.at);
        let input = Input::new(page, &self.schema, Some(page), changed);
        self.made.clear();
        self.kernel.run(&[input], &mut self.made).expect("a run");
    }
}

fn linear(all: &mut Builder) -> Expression {
    let (a, b, two) = (all.column(0, 0), all.column(0, 1), all.constant(Constant::Int(2)));
    let product = all.binary(Binary::Mul, a, two);
    let sum = all.binary(Binary::Add, product, b);
    all.finish(sum).expect("an expression")
}

fn length(all: &mut Builder) -> Expression {
    let (a, b) = (all.column(0, 0), all.column(0, 1));
    let (x, y) = (all.binary(Binary::Mul, a, a), all.binary(Binary::Mul, b, b));
    let sum = all.binary(Binary::Add, x, y);
    let root = all.unary(Unary::Sqrt, sum);
    all.finish(root).expect("an expression")
}

fn sine(all: &mut Builder) -> Expression {
    let a = all.column(0, 0);
    let sine = all.unary(Unary::Sin, a);
    all.finish(sine).expect("an expression")
}

#[test]
fn nothing_is_made_where_nothing_changed() {
    let mut case = case(10_000, linear);
    case.run(&[vec![], vec![]]);
    assert_eq!(case.made.pieces().count(), 0);
    case.run(&[vec![Run::new(3, 4), Run::new(6, 7), Run::new(900, 901)], vec![Run::new(2, 3)]]);
    let pieces: Vec<_> = case.made.pieces().map(|(piece, bytes)| (piece.first, bytes.len() / 8)).collect();
    assert_eq!(pieces, [(2, 5), (900, 1)], "what is near is made at once");
}

/// Printed by `cargo test --release --test propagation -- expression_kernel --ignored --nocapture`. The best of several runs.
#[test]
#[ignore = "prints figures, tests nothing"]
fn figures() {
    let figure = |what: &str, rows: u64, mut case: Case| {
        let changed = vec![vec![Run::new(0, rows)]; 2];
        let times = (4_000_000 / rows).clamp(3, 1_000_000);
        let mut best = f64::MAX;
        for _ in 0..7 {
            let start = Instant::now();
            (0..times).for_each(|_| case.run(&changed));
            best = best.min(start.elapsed().as_nanos() as f64 / times as f64);
        }
        println!("{what:<24} {rows:>9} rows {best:>14.1} ns {:>8.3} ns a cell", best / rows as f64);
    };
    for rows in [1, 8, 64, 1000, 1_000_000] {
        figure("a * 2 + b", rows, case(rows, linear));
        figure("sqrt(a * a + b * b)", rows, case(rows, length));
        figure("sin(a)", rows, case(rows, sine));
    }
}
