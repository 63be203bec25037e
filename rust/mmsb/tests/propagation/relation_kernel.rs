//! Relations mended after any history of runs, undone and kept, have the bits that plain loops make.

use crate::page_maker::Pages;
use crate::relation_model::{NAMES, Noise, Table, World, schema, worlds};
use mmsb::memory::addr::Addr;
use mmsb::page::dtype::DType;
use mmsb::propagation::error::RuleError;
use mmsb::propagation::kernel::{Input, Kernel};
use mmsb::propagation::made::Made;
use mmsb::propagation::relation::gather::Gather;
use mmsb::propagation::rule::What;
use mmsb::propagation::runs::{Run, push};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Undo,
    More,
    /// It is told to make everything, whatever it remembers.
    Anew,
}

#[derive(Debug, Clone)]
struct Step {
    /// Rows that change in each table.
    rows: [u64; 2],
    /// Whether in the first table, and in which columns.
    columns: u8,
    /// Whether cells may be such as cannot be.
    wrong: bool,
    then: Then,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let count =
        || prop_oneof![3 => Just(0u64), 2 => Just(1), 3 => 1u64..9, 1 => 30u64..90, 1 => 3000u64..4000];
    let then = prop_oneof![4 => Just(Then::Keep), 3 => Just(Then::Undo), 2 => Just(Then::More), 1 => Just(Then::Anew)];
    let step = (count(), count(), 1u8..32, prop::bool::weighted(0.15), then)
        .prop_map(|(a, b, columns, wrong, then)| Step { rows: [a, b], columns, wrong, then });
    prop::collection::vec(step, 1..10)
}

/// Changes some rows of both tables; for each column of each, runs with all that changed and more.
fn change(world: &mut World, step: &Step) -> Vec<Vec<Vec<Run>>> {
    let mut changed = Vec::new();
    for table in 0..2 {
        let rows = world.tables[table].rows;
        let columns: Vec<usize> = (0..5).filter(|i| step.columns >> i & 1 == 1).collect();
        let mut at: Vec<u64> =
            (0..if rows > 0 { step.rows[table] } else { 0 }).map(|_| world.noise.hot(rows)).collect();
        let swaps = matches!(world.what, What::Join(_)) && table == 1 && world.noise.below(2) == 0;
        if swaps && columns.contains(&0) {
            world.swap(&at);
        } else {
            at.iter().for_each(|&row| world.fill(table, row, &columns, step.wrong));
        }
        at.sort_unstable();
        let mut around = Vec::new();
        for row in at {
            let (before, behind) = (world.noise.below(3), world.noise.below(3));
            around.push(Run::new(row.saturating_sub(before), (row + 1 + behind).min(rows)));
        }
        around.sort_unstable();
        let mut runs = Vec::new();
        around.iter().for_each(|&run| push(&mut runs, run));
        changed.push((0..5).map(|i| if columns.contains(&i) { runs.clone() } else { Vec::new() }).collect());
    }
    changed
}

fn run(
    (pages, world): (&Pages, &World),
    kernel: &mut dyn Kernel,
    now: &[Addr],
    before: Option<&[Addr]>,
    changed: &[Vec<Vec<Run>>],
) -> (Made, Result<(), RuleError>) {
    let mut made = Made::default();
    let inputs: Vec<Input<'_>> = (0..world.inputs())
        .map(|i| {
            let before = before.map(|before| pages.get(before[i]));
            Input::new(pages.get(now[i]), &world.tables[i].schema, before, &changed[i])
        })
        .collect();
    let done = kernel.run(&inputs, &mut made);
    (made, done)
}

fn write(made: &Made, out: &mut Table) {
    if let Some(rows) = made.rows() {
        out.resize(rows);
    }
    for (piece, bytes) in made.pieces() {
        let column = usize::from(piece.column);
        let first = piece.first as usize * out.schema.columns()[column].dtype().size();
        out.columns[column][first..first + bytes.len()].copy_from_slice(bytes);
    }
}

#[derive(Clone)]
struct Stand {
    tables: [Table; 2],
    before: Option<Vec<Addr>>,
    out: Table,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn what_is_mended_is_what_plain_loops_make(mut world in worlds(), steps in steps()) {
        let wanted = world.made().unwrap();
        let gives = world.spec().gives(&world.shapes()).unwrap();
        prop_assert_eq!(&gives.columns[..], wanted.schema.columns());
        let mut kernel = world.spec().kernel(&world.shapes()).unwrap();
        let mut pages = Pages::new();
        let mut out = Table::new(wanted.schema.clone(), gives.rows);
        out.columns.iter_mut().for_each(|column| column.fill(0x55));
        let mut kept = Stand { tables: world.tables.clone(), before: None, out };
        let mut now = kept.clone();
        for step in steps {
            let changed = change(&mut world, &step);
            let at: Vec<Addr> = world.tables.iter()
                .map(|table| pages.page(&table.schema, table.rows, &table.columns)).collect();
            let before = now.before.as_deref().filter(|_| step.then != Then::Anew);
            let (made, done) = run((&pages, &world), kernel.as_mut(), &at, before, &changed);
            let wanted = world.made();
            prop_assert_eq!(done.is_ok(), wanted.is_some(), "{:?}", done);
            let Some(wanted) = wanted else {
                kernel.undo();
                now = kept.clone();
                world.tables = now.tables.clone();
                continue;
            };
            write(&made, &mut now.out);
            (now.before, now.tables) = (Some(at), world.tables.clone());
            prop_assert!(now.out == wanted, "{:?} of {} and {} rows", world.what, world.tables[0].rows, world.tables[1].rows);
            match step.then {
                Then::Keep | Then::Anew => {
                    kernel.keep();
                    kept = now.clone();
                }
                Then::Undo => {
                    kernel.undo();
                    now = kept.clone();
                    world.tables = now.tables.clone();
                }
                Then::More => {}
            }
        }
    }
}

/// What was sorted of an index that came to nothing is forgotten.
#[test]
fn rows_that_were_sorted_for_nothing_are_sorted_again() {
    let mut pages = Pages::new();
    let source = Table::new(schema(DType::I64, DType::I64), 9);
    let mut index = Table::new(source.schema.clone(), 90);
    (0..90).filter(|row| *row != 5).for_each(|row| index.set(0, row, &4i64.to_le_bytes()));
    let (what, noise) = (What::Gather(Gather { index: NAMES }), Noise(1));
    let mut world = World { tables: [source, index], what, noise, next: 0 };
    let mut kernel = world.spec().kernel(&world.shapes()).unwrap();
    let mut page = |world: &World| {
        world.tables.each_ref().map(|table| pages.page(&table.schema, table.rows, &table.columns))
    };
    let first = page(&world);
    let kept = world.tables.clone();
    // Another index, by which the rows are sorted, as a row of the source changes too.
    world.tables[1].set(0, 5, &3i64.to_le_bytes());
    world.tables[0].set(2, 1, &7i64.to_le_bytes());
    let nothing = page(&world);
    world.tables = kept;
    world.tables[0].set(2, 0, &8i64.to_le_bytes());
    let second = page(&world);
    let row = |table: usize, column: usize, row: u64| {
        let mut changed = vec![vec![Vec::new(); 5]; 2];
        changed[table][column].push(Run::new(row, row + 1));
        changed
    };
    let both = vec![row(0, 2, 1).swap_remove(0), row(1, 0, 5).swap_remove(1)];
    let mut out = world.made().unwrap();
    let none = vec![vec![Vec::new(); 5]; 2];
    run((&pages, &world), kernel.as_mut(), &first, None, &none).1.unwrap();
    kernel.keep();
    run((&pages, &world), kernel.as_mut(), &nothing, Some(&first), &both).1.unwrap();
    kernel.undo();
    out.columns[2].fill(0);
    let (made, done) = run((&pages, &world), kernel.as_mut(), &second, Some(&first), &row(0, 2, 0));
    done.unwrap();
    write(&made, &mut out);
    assert_eq!(out, world.made().unwrap());
}
