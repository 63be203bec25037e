//! Pages that follow from others.

use std::sync::Arc;

use mmsb::base::ids::PageId;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use mmsb::propagation::expression::node::{Binary, Builder, Constant};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::rule::{Rule, What};

use crate::workload::{bus_in_memory, place};
use crate::{Operation, Step, operation};

/// Pages of a graph.
const PAGES: u64 = 100;
/// Cells of a page that is summed.
const CELLS: u64 = 1 << 20;

pub const OPERATIONS: &[Operation] = &[
    operation("follow: chain of 100 functions of a number, each", 10, PAGES, |_| chain(function)),
    operation("follow: chain of 100 expressions of a number, each", 10, PAGES, |_| chain(expression)),
    operation("follow: 100 functions of one number, each", 10, PAGES, |_| fan(function)),
    operation("follow: a number of 100 functions, nothing new, each", 10, PAGES, |_| cut_off()),
    operation("follow: sum of 1 Mi numbers, one of them new", 100, 1, |_| sum()),
    operation("follow: 64 Ki numbers times two, all new, each", 3, 1 << 16, |_| large()),
];

/// One more than its input, or as much where it is at least so much.
#[derive(Debug)]
struct More(i64);

impl Program for More {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        let cells = call.inputs[0].cells::<i64>(0).ok_or("cells in pieces")?;
        made.put(0, 0, &[(cells[0] + 1).min(self.0)]);
        Ok(())
    }
}

fn numbers() -> Schema {
    Schema::array(DType::I64, vec![], false, None).unwrap()
}

fn function(of: PageId) -> Derived {
    let shape = Some((numbers(), 1));
    Derived { rule: Rule::program("more", &[of]), shape, program: Some(Arc::new(More(i64::MAX))) }
}

fn by(of: PageId, what: What) -> Derived {
    Derived { rule: Rule::new(vec![Edge::data(of)], what), shape: None, program: None }
}

fn with(of: PageId, operator: Binary, number: i64) -> Derived {
    let mut builder = Builder::default();
    let (column, number) = (builder.column(0, 0), builder.constant(Constant::cell(number)));
    let made = builder.binary(operator, column, number);
    by(of, What::Express(Express::array(builder.finish(made).unwrap())))
}

fn expression(of: PageId) -> Derived {
    with(of, Binary::Add, 1)
}

/// A bus with a page of so many numbers.
fn source(cells: u64) -> (Bus, PageId) {
    let bus = bus_in_memory();
    let id = bus.create_page("source", numbers(), cells, &Note::default()).unwrap();
    (bus, id)
}

fn assign(bus: &Bus, page: PageId, cell: u64, cells: &[i64]) {
    let select = Select::range(cell, cell + cells.len() as u64);
    bus.assign(page, 0, select, cells, &Note::default()).unwrap();
}

/// Declares pages, each of what `of` says, given all that are there.
fn declare(bus: &Bus, first: PageId, each: impl Fn(&[PageId]) -> Derived) {
    let (mut pages, mut tx) = (vec![first], bus.begin(Isolation::default(), Note::default()).unwrap());
    for number in 0..PAGES {
        pages.push(tx.derive(&number.to_string(), each(&pages)).unwrap());
    }
    tx.commit().unwrap();
}

fn chain(rule: fn(PageId) -> Derived) -> Step {
    let (bus, id) = source(1);
    declare(&bus, id, |pages| rule(pages[pages.len() - 1]));
    Box::new(move |n| assign(&bus, id, 0, &[n as i64 + 1]))
}

fn fan(rule: fn(PageId) -> Derived) -> Step {
    let (bus, id) = source(1);
    declare(&bus, id, |_| rule(id));
    Box::new(move |n| assign(&bus, id, 0, &[n as i64 + 1]))
}

fn cut_off() -> Step {
    let (bus, id) = source(1);
    declare(&bus, id, |_| Derived { program: Some(Arc::new(More(0))), ..function(id) });
    Box::new(move |n| assign(&bus, id, 0, &[n as i64 + 1]))
}

fn sum() -> Step {
    let (bus, id) = source(CELLS);
    assign(&bus, id, 0, &vec![1; CELLS as usize]);
    let what = What::Reduce(Reduce { column: 0, what: Reduction::Sum, over: Over::Whole });
    bus.derive("sum", by(id, what), &Note::default()).unwrap();
    Box::new(move |n| assign(&bus, id, place(n, CELLS), &[n as i64 + 2]))
}

fn large() -> Step {
    let (bus, id) = source(1 << 16);
    bus.derive("double", with(id, Binary::Mul, 2), &Note::default()).unwrap();
    Box::new(move |n| assign(&bus, id, 0, &vec![n as i64 + 1; 1 << 16]))
}
