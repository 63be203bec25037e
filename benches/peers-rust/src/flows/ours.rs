//! A graph of small pages of mmsb.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mmsb::base::ids::PageId;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use mmsb::propagation::expression::node::{Binary, Builder, Constant};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::made::Made as Cells;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::rule::{Rule, What};
use tempfile::TempDir;

use crate::flows::net::{Kept, Net};
use crate::measure::Failed;
use crate::ours::options;
use crate::store::Level;

/// By what nodes are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// A function in Rust.
    Function,
    /// A built-in rule.
    Expression,
}

/// Pages of `rows` cells of 8 bytes.
pub struct Small {
    bus: Bus,
    note: Note,
    rows: u64,
    sources: Vec<PageId>,
    leaves: Vec<PageId>,
    ran: Arc<AtomicU64>,
    /// Where nothing counts, all run that must; the trace tells of each commit.
    traced: bool,
    _folder: TempDir,
}

/// A bus in memory: without files, its log forgotten beyond a budget. That is what "log off" means here.
pub fn in_memory() -> Result<Bus, Failed> {
    Ok(Bus::memory(&options(Level::Memory))?)
}

/// Cells of 8 bytes.
pub fn cells(dtype: DType) -> Result<Schema, Failed> {
    Ok(Schema::array(dtype, vec![], false, None)?)
}

/// The sum of its inputs and a number, cell by cell.
#[derive(Debug)]
pub struct Sum {
    plus: i64,
    ran: Arc<AtomicU64>,
}

impl Sum {
    /// Adds a number, and counts its runs.
    pub fn new(plus: i64, ran: &Arc<AtomicU64>) -> Arc<dyn Program> {
        Arc::new(Self { plus, ran: Arc::clone(ran) })
    }
}

impl Program for Sum {
    fn run(&self, call: &Call<'_>, made: &mut Cells) -> Result<(), Raised> {
        self.ran.fetch_add(1, Ordering::Relaxed);
        let room = made.room::<i64>(0, 0, call.page.rows() as usize);
        room.fill(self.plus);
        for input in call.inputs {
            let cells = input.cells::<i64>(0).ok_or("cells that are not in one piece")?;
            for (sum, cell) in room.iter_mut().zip(cells) {
                *sum = sum.wrapping_add(*cell);
            }
        }
        Ok(())
    }
}

/// What a node follows from, and how.
pub fn derived(inputs: &[PageId], rows: u64, program: Arc<dyn Program>) -> Result<Derived, Failed> {
    let shape = Some((cells(DType::I64)?, rows));
    Ok(Derived { rule: Rule::program("sum", inputs), shape, program: Some(program) })
}

fn expression(inputs: &[PageId], plus: i64) -> Result<Derived, Failed> {
    let mut builder = Builder::default();
    let mut sum = builder.constant(Constant::cell(plus));
    for input in 0..inputs.len() as u16 {
        let column = builder.column(input, 0);
        sum = builder.binary(Binary::Add, column, sum);
    }
    let what = What::Express(Express::array(builder.finish(sum)?));
    let edges = inputs.iter().copied().map(Edge::data).collect();
    Ok(Derived { rule: Rule::new(edges, what), shape: None, program: None })
}

impl Small {
    /// The pages of a graph.
    pub fn new(net: &Net, folder: &Path, level: Level, rows: u64, by: Made) -> Result<Self, Failed> {
        let (own, note, ran) = (tempfile::tempdir_in(folder)?, Note::default(), Arc::default());
        let bus = match level {
            Level::Memory => in_memory()?,
            _ => Bus::open(own.path().join("bus"), &Options { checkpoint_after: None, ..options(level) })?,
        };
        let mut tx = bus.begin(Isolation::Snapshot, note.clone())?;
        let mut pages = Vec::new();
        for number in 0..net.sources {
            pages.push(tx.create_page(&number.to_string(), cells(DType::I64)?, rows)?);
        }
        for (inputs, plus) in &net.nodes {
            let inputs: Vec<PageId> = inputs.iter().map(|input| pages[*input]).collect();
            let derived = match by {
                Made::Function => derived(&inputs, rows, Sum::new(*plus, &ran))?,
                Made::Expression => expression(&inputs, *plus)?,
            };
            pages.push(tx.derive(&pages.len().to_string(), derived)?);
        }
        tx.commit()?;
        let leaves = net.leaves.iter().map(|leaf| pages[*leaf]).collect();
        pages.truncate(net.sources);
        let traced = by == Made::Expression;
        Ok(Small { bus, note, rows, sources: pages, leaves, ran, traced, _folder: own })
    }
}

impl Kept for Small {
    fn write(&mut self, source: usize, value: i64) {
        let data = [value; 8];
        let cells = &data[..self.rows as usize];
        let select = Select::range(0, self.rows);
        self.bus.assign(self.sources[source], 0, select, cells, &self.note).expect("a commit");
    }

    fn leaves(&self) -> Vec<i64> {
        let state = self.bus.state().expect("a state");
        let cell = |page: &PageId| {
            let cells = state.cells::<i64>(*page, 0).expect("cells of 8 bytes");
            assert!(cells.iter().all(|cell| *cell == cells[0]), "cells that were written alike differ");
            cells[0]
        };
        self.leaves.iter().map(cell).collect()
    }

    fn runs(&self) -> u64 {
        if !self.traced {
            return self.ran.load(Ordering::Relaxed);
        }
        // Of the newest commit, added to those before.
        let steps = self.bus.epoch().and_then(|epoch| self.bus.trace(epoch)).expect("a trace").len() as u64;
        self.ran.fetch_add(steps, Ordering::Relaxed) + steps
    }
}
