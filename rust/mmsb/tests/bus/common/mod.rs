//! A bus driven by a list of steps, with what each step made noted: the oracle of the tests of checkpoints.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use mmsb::base::clock::ManualClock;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::graph::edge::Edge;
use mmsb::memory::disk::{Disk, Sim};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::digest::Digest;
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::page::state_error::StateError;
use mmsb::propagation::expression::node::{Binary, Builder, Constant};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::rule::{Rule, What};
use proptest::prelude::*;

/// One step of a workload. Pages and branches are named by number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A page of so many rows on a branch.
    Create(usize, u64),
    /// Rows `from..from + n` of a page on a branch.
    Write(usize, usize, u64, u64),
    /// A page that follows from another.
    Derive(usize, usize),
    /// A page dropped.
    Drop(usize, usize),
    /// A page resized.
    Resize(usize, usize, u64),
    /// A branch off another, so many epochs back.
    Fork(usize, u64),
    /// A branch dropped.
    DropBranch(usize),
    /// A branch merged into the main one.
    Merge(usize),
    Checkpoint,
    Prune(usize),
}

/// Any step; a page has `rows` rows, or is resized to them.
pub fn any_step(rows: impl Strategy<Value = u64> + Clone) -> impl Strategy<Value = Step> {
    let on = || 0..4usize;
    prop_oneof![
        3 => (on(), rows.clone()).prop_map(|(on, rows)| Step::Create(on, rows)),
        8 => (on(), on(), any::<u64>(), 1..3000u64).prop_map(|(on, page, from, n)| Step::Write(on, page, from, n)),
        2 => (on(), on()).prop_map(|(on, page)| Step::Derive(on, page)),
        1 => (on(), on()).prop_map(|(on, page)| Step::Drop(on, page)),
        2 => (on(), on(), rows).prop_map(|(on, page, rows)| Step::Resize(on, page, rows)),
        2 => (on(), 0..4u64).prop_map(|(on, back)| Step::Fork(on, back)),
        1 => on().prop_map(Step::DropBranch),
        1 => on().prop_map(Step::Merge),
        3 => Just(Step::Checkpoint),
        1 => (1..3usize).prop_map(Step::Prune),
    ]
}

/// Digests by branch and epoch.
pub type Epochs = BTreeMap<(String, u64), Digest>;

pub fn schema() -> Schema {
    let columns =
        vec![Column::new("a", DType::F64, vec![]).unwrap(), Column::new("b", DType::U8, vec![3]).unwrap()];
    Schema::new(Kind::Table, columns, None).unwrap()
}

/// No background work: it is asked for.
pub fn quiet() -> Options {
    Options { checkpoint_after: None, history_budget: None, budget: Some(1 << 30), ..Options::default() }
}

pub fn open(disk: &(impl Disk + Clone + 'static)) -> Result<Bus, Error> {
    Bus::on_disk(Arc::new(disk.clone()), &quiet(), Arc::new(ManualClock::new(1_000)))
}

fn branch(bus: &Bus, number: usize) -> Bus {
    let names: Vec<String> = bus.branches().unwrap().into_iter().map(|info| info.name).collect();
    bus.checkout(&names[number % names.len()]).unwrap()
}

fn page(bus: &Bus, number: usize) -> Option<PageId> {
    let ids = bus.state().unwrap().ids();
    (!ids.is_empty()).then(|| ids[number % ids.len()])
}

/// Notes the state of every branch.
pub fn note(bus: &Bus, epochs: &mut Epochs) {
    for info in bus.branches().unwrap() {
        let state = bus.checkout(&info.name).unwrap().state().unwrap();
        epochs.insert((info.name, info.epoch.0), state.digest().unwrap());
    }
}

/// A rule by which a page of the same columns follows from another.
fn follows(page: PageId) -> Rule {
    let expression = |column: u16, factor: i128| {
        let mut to = Builder::default();
        let (cells, factor) = (to.column(0, column), to.constant(Constant::Int(factor)));
        let root = to.binary(Binary::Mul, cells, factor);
        to.finish(root).unwrap()
    };
    let outputs = vec![("a".to_owned(), expression(0, 2)), ("b".to_owned(), expression(1, 3))];
    Rule::new(vec![Edge::data(page)], What::Express(Express::new(outputs).unwrap()))
}

/// Does a step; what cannot be done is left.
pub fn run(bus: &Bus, step: Step, number: u64) -> Result<(), Error> {
    let note = Note::default();
    match step {
        Step::Create(on, rows) => {
            branch(bus, on).create_page(&format!("page {number}"), schema(), rows, &note).map(|_| ())
        }
        Step::Write(on, which, from, n) => {
            let bus = branch(bus, on);
            let Some(id) = page(&bus, which) else { return Ok(()) };
            let rows = bus.state()?.info(id)?.rows;
            if rows == 0 || bus.rule(id)?.is_some() {
                return Ok(());
            }
            let from = from % rows;
            let to = rows.min(from + n.max(1));
            let width = if number.is_multiple_of(2) { 8 } else { 3 };
            let bytes: Vec<u8> = (0..(to - from) * width).map(|i| (i + number) as u8).collect();
            let part = Part {
                column: (width == 3).into(),
                select: Select::range(from, to),
                data: Data::Dense(Cow::Owned(bytes)),
            };
            bus.write(Delta::single(id, OperatorId::ASSIGN, part), &note).map(|_| ())
        }
        Step::Derive(on, which) => {
            let bus = branch(bus, on);
            let Some(id) = page(&bus, which) else { return Ok(()) };
            let derived = Derived { rule: follows(id), shape: None, program: None };
            bus.derive(&format!("page {number}"), derived, &note).map(|_| ())
        }
        Step::Drop(on, which) => {
            let bus = branch(bus, on);
            let Some(id) = page(&bus, which) else { return Ok(()) };
            match bus.drop_page(id, &note) {
                Err(Error::HasFollowers { .. }) => Ok(()),
                done => done.map(|_| ()),
            }
        }
        Step::Resize(on, which, rows) => {
            let bus = branch(bus, on);
            let Some(id) = page(&bus, which) else { return Ok(()) };
            if bus.rule(id)?.is_some() {
                return Ok(());
            }
            bus.resize(id, rows, &note).map(|_| ())
        }
        Step::Fork(on, back) => {
            let from = branch(bus, on);
            let at = Epoch(from.epoch()?.0.saturating_sub(back));
            match from.branch(&format!("branch {number}"), Some(at)) {
                Err(Error::Pruned { .. }) => Ok(()),
                done => done.map(|_| ()),
            }
        }
        Step::DropBranch(on) => {
            let bus = branch(bus, on);
            if bus.branch_name() == "main" { Ok(()) } else { bus.drop_branch() }
        }
        Step::Merge(on) => match bus.merge(&branch(bus, on), OnConflict::Theirs, &note) {
            // What follows here from a page that went there keeps it; what follows there from one that went here stays there.
            Err(Error::Pruned { .. } | Error::HasFollowers { .. } | Error::State(StateError::NoPage(_))) => {
                Ok(())
            }
            done => done.map(|_| ()),
        },
        Step::Checkpoint => bus.checkpoint(&mut |_| {}).map(|_| ()),
        Step::Prune(keep) => bus.prune(keep, &mut |_| {}).map(|_| ()),
    }
}

/// Checks every epoch of the living branches against what was noted; pruned ones may be missing, but none before
/// another that is there. How many are there.
pub fn check_epochs(bus: &Bus, epochs: &Epochs) -> usize {
    let mut there = 0;
    for info in bus.branches().unwrap() {
        let bus = bus.checkout(&info.name).unwrap();
        let mut seen = false;
        // The first state of all is empty, and known for ever.
        for epoch in 1..=info.epoch.0 {
            let digest = bus.at(Epoch(epoch)).and_then(|state| state.digest());
            let digest = match digest {
                Ok(digest) => digest,
                Err(Error::Pruned { first, .. }) => {
                    assert!(!seen, "epoch {epoch} of {} was pruned and an earlier one was not", info.name);
                    assert!(first.0 > epoch, "pruned at {epoch}, said to start at {first}");
                    continue;
                }
                Err(error) => panic!("epoch {epoch} of {}: {error}", info.name),
            };
            seen = true;
            there += 1;
            if let Some(noted) = epochs.get(&(info.name.clone(), epoch)) {
                assert_eq!(digest, *noted, "epoch {epoch} of {}", info.name);
            }
        }
        assert!(seen || info.epoch.0 == 0, "at least the present state of {} is there", info.name);
    }
    there
}

/// How the paths of chunk files end.
pub const CHUNKS: &str = ".chunks";
/// Rows of the pages: packed, with a column in one block, in a tree of few chunks and of many.
pub const ROWS: [u64; 4] = [20, 700, 3000, 40_000];

/// Bytes of so many rows.
pub fn row_bytes(rows: u64) -> u64 {
    rows * 11
}

/// A bus with a page of each size, all of whose cells are written.
pub fn made(sim: &Sim) -> Bus {
    let bus = open(sim).unwrap();
    fill(&bus);
    bus
}

/// Makes those pages.
pub fn fill(bus: &Bus) {
    for (i, rows) in ROWS.into_iter().enumerate() {
        run(bus, Step::Create(0, rows), i as u64).unwrap();
        run(bus, Step::Write(0, i, 0, rows), 100).unwrap();
        run(bus, Step::Write(0, i, 0, rows), 101).unwrap();
    }
}

/// The cells of a page, column by column.
pub fn cells(state: &State, id: PageId) -> Vec<Vec<u8>> {
    (0..2).map(|column| state.view(id, column, None).unwrap().bytes().to_vec()).collect()
}

/// Those of every page.
pub fn all_cells(bus: &Bus) -> Vec<Vec<Vec<u8>>> {
    let state = bus.state().unwrap();
    state.ids().into_iter().map(|id| cells(&state, id)).collect()
}
