//! Every built-in rule on levels that threads share: bytes, traces and errors are those of one thread, whatever kernels
//! remember from one commit to the next.

use crate::common::{Row, row, sound};
use mmsb::algebra::family::Family;
use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::graph::edge::Edge;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::digest::Digest;
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::closure::spec::{Closure, Starts};
use mmsb::propagation::product::spec::{Form, Product};
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::relation::filter::Filter;
use mmsb::propagation::relation::gather::Gather;
use mmsb::propagation::relation::join::Join;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::{Rule, What};
use mmsb::propagation::trace::Outcome;
use proptest::prelude::*;

/// Rows of the tables, and how many values their keys have.
const ROWS: u64 = 16;
const KEYS: u64 = 4;

/// The pages that are written.
struct Sources {
    /// Keys, flags, values.
    book: PageId,
    /// For each key a value, each key once.
    names: PageId,
    /// Edges between as many vertices as there are keys, and what each is long.
    edges: PageId,
    /// A square matrix, and a vector.
    matrix: PageId,
    vector: PageId,
    /// Where each row of a matrix begins of which the book has the entries.
    starts: PageId,
}

fn table(bus: &Bus, name: &str, columns: &[(&str, DType)], rows: u64) -> PageId {
    let columns = columns.iter().map(|(name, dtype)| Column::new(*name, *dtype, vec![]).unwrap()).collect();
    let schema = Schema::new(Kind::Table, columns, None).unwrap();
    bus.create_page(name, schema, rows, &Note::default()).unwrap()
}

fn array(bus: &Bus, name: &str, dtype: DType, rows: u64, inner: &[u64]) -> PageId {
    let schema = Schema::array(dtype, inner.to_vec(), false, None).unwrap();
    bus.create_page(name, schema, rows, &Note::default()).unwrap()
}

fn cell(page: PageId, column: u16, row: u64, bytes: &[u8]) -> Change<'static> {
    let part = Part { column, select: Select::range(row, row + 1), data: Data::Dense(bytes.to_vec().into()) };
    Change::Write(Delta::single(page, OperatorId::ASSIGN, part))
}

fn whole(value: u64) -> [u8; 8] {
    (value as i64).to_le_bytes()
}

fn sources(bus: &Bus) -> Sources {
    let columns = [("key", DType::I64), ("flag", DType::Bool), ("value", DType::F64)];
    let sources = Sources {
        book: table(bus, "book", &columns, ROWS),
        names: table(bus, "names", &[("key", DType::I64), ("of", DType::F64)], KEYS),
        edges: table(bus, "edges", &[("from", DType::I64), ("to", DType::I64), ("long", DType::F64)], KEYS),
        matrix: array(bus, "matrix", DType::F64, KEYS, &[KEYS]),
        vector: array(bus, "vector", DType::F64, KEYS, &[]),
        starts: array(bus, "starts", DType::I64, KEYS + 1, &[]),
    };
    let mut all = Vec::new();
    for key in 0..KEYS {
        all.push(cell(sources.names, 0, key, &whole(key)));
        all.push(cell(sources.edges, 0, key, &whole(key)));
        all.push(cell(sources.edges, 1, key, &whole((key + 1) % KEYS)));
        all.push(cell(sources.edges, 2, key, &(key as f64 + 1.0).to_le_bytes()));
        all.push(cell(sources.starts, 0, key + 1, &whole((key + 1) * (ROWS / KEYS))));
    }
    bus.commit(&all, &Note::default()).unwrap();
    sources
}

/// What one of every kind of rule says, and what from.
fn rules(from: &Sources) -> Vec<(Vec<PageId>, What)> {
    let Sources { book, names, edges, matrix, vector, starts } = *from;
    let reduce = |what, over| What::Reduce(Reduce { column: 2, what, over });
    let family = |name| Family::named(name).unwrap();
    let product = |name, matrix| What::Product(Product { family: family(name), matrix });
    let csr = Form::Csr { index: 0, value: 2 };
    let key = Over::Key { column: 0, groups: KEYS };
    let all = Closure {
        family: family("min_plus"),
        source: 0,
        target: 1,
        weight: 2,
        vertices: KEYS,
        starts: Starts::All,
    };
    vec![
        (vec![book], reduce(Reduction::Sum, Over::Whole)),
        (vec![book], reduce(Reduction::ArgMax, Over::Whole)),
        (vec![book], reduce(Reduction::Sum, key)),
        (vec![book], reduce(Reduction::Min, key)),
        (vec![book], reduce(Reduction::Mean, key)),
        (vec![book], What::Filter(Filter { column: 1 })),
        (vec![book], What::Window(Window { column: 2, what: Reduction::Max, rows: 3 })),
        (vec![names, book], What::Gather(Gather { index: 0 })),
        (vec![book, names], What::Join(Join { left_key: 0, right_key: 0 })),
        (vec![edges], What::Closure(all.clone())),
        (vec![edges], What::Closure(Closure { starts: Starts::List(vec![1]), ..all })),
        (vec![matrix, vector], product("plus_times", Form::Dense)),
        (vec![matrix, vector], product("min_plus", Form::Dense)),
        (vec![matrix, matrix], product("max_plus", Form::DenseDense)),
        (vec![starts, book, vector], product("plus_times", csr)),
        (vec![starts, book, vector], product("min_plus", csr)),
    ]
}

/// One cell: which of the sources' columns, which row, and a small number that may go there.
type Cell = (usize, u64, u64);

/// A length of -1 is one that shortest ways cannot be of, and fails.
fn change(to: &Sources, (what, row, value): Cell) -> Change<'static> {
    let float = (value as f64 - 1.0).to_le_bytes();
    match what {
        0 => cell(to.book, 0, row, &whole(value % KEYS)),
        1 => cell(to.book, 1, row, &[(value % 2) as u8]),
        2 => cell(to.book, 2, row, &float),
        3 => cell(to.names, 1, row % KEYS, &float),
        4 => cell(to.edges, 2, row % KEYS, &float),
        5 => cell(to.vector, 0, row % KEYS, &float),
        _ => cell(to.matrix, 0, row % KEYS, &value_row(value)),
    }
}

/// A row of the matrix.
fn value_row(value: u64) -> Vec<u8> {
    (0..KEYS).flat_map(|at| ((value + at) as f64).to_le_bytes()).collect()
}

/// What became of the pages by commits: the digest, and what each said, the trace or the error.
fn outcome(threads: usize, commits: &[Vec<Cell>]) -> (Digest, Vec<Result<Vec<Row>, String>>) {
    let options =
        Options { history_budget: None, threads: Some(threads), worth_threads: 0, ..Options::default() };
    let bus = Bus::memory(&options).unwrap();
    let from = sources(&bus);
    let derive = |name: &str, inputs: &[PageId], what| {
        let rule = Rule::new(inputs.iter().copied().map(Edge::data).collect(), what);
        bus.derive(name, Derived { rule, shape: None, program: None }, &Note::default()).unwrap()
    };
    for (number, (inputs, what)) in rules(&from).into_iter().enumerate() {
        // Two of each, and a level on top.
        for twin in 0..2 {
            let page = derive(&format!("{number} {twin}"), &inputs, what.clone());
            let over = What::Reduce(Reduce { column: 0, what: Reduction::Sum, over: Over::Whole });
            if !matches!(what, What::Reduce(Reduce { over: Over::Whole, .. })) {
                derive(&format!("sum of {number} {twin}"), &[page], over);
            }
        }
    }
    let said = commits.iter().map(|commit| {
        let changes: Vec<Change<'_>> = commit.iter().map(|cell| change(&from, *cell)).collect();
        match bus.commit(&changes, &Note::default()) {
            Ok(done) => Ok(bus.trace(done.epoch).unwrap().iter().map(row).collect()),
            Err(error) => Err(error.to_string()),
        }
    });
    let said = said.collect();
    (sound(&bus), said)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_comes_to_the_same_on_any_number_of_threads(
        commits in prop::collection::vec(prop::collection::vec((0usize..7, 0..ROWS, 0u64..6), 1..6), 1..10),
    ) {
        let one = outcome(1, &commits);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&outcome(threads, &commits), &one, "{} threads", threads);
        }
    }
}

#[test]
fn every_rule_is_among_them_and_runs() {
    let everything: Vec<Cell> = (0..7).map(|what| (what, 1, 3)).collect();
    let (_, said) = outcome(2, &[everything, vec![(4, 0, 0)]]);
    let ran = said[0].as_ref().unwrap();
    // Sources are made first: those that follow are all the others.
    assert!(ran.iter().filter(|step| step.5 == Outcome::Changed).count() > 2 * 12, "{ran:?}");
    let failed = said[1].as_ref().unwrap_err();
    assert!(failed.starts_with("page '9 0': closure: ") && failed.ends_with("(edges -> 9 0)"), "{failed}");
}
