//! Pages that follow from others by a function that adds up: what the tests of propagation share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::digest::Digest;
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use mmsb::propagation::kernel::read;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::rule::Rule;
use mmsb::propagation::trace::{Outcome, Step};

pub const ROWS: u64 = 4;

/// What sums are taken modulo: a prime, so that a change of one term is a change of the sum.
pub const PRIME: i64 = 1_000_000_007;

/// The sum of its inputs, cell by cell, and a number; counts its runs, and fails when told to.
#[derive(Debug, Default)]
pub struct Sum {
    pub plus: i64,
    pub runs: AtomicU64,
    pub fails: AtomicBool,
}

impl Sum {
    pub fn plus(plus: i64) -> Arc<Self> {
        Arc::new(Sum { plus, ..Sum::default() })
    }

    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }
}

impl Program for Sum {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) {
            return Err("it was told to fail".into());
        }
        let mut sum = vec![self.plus; call.page.rows() as usize];
        let mut cells: Vec<i64> = Vec::new();
        for input in call.inputs {
            cells.clear();
            read(&input.column(0), 0, input.rows(), &mut cells)?;
            sum.iter_mut().zip(&cells).for_each(|(sum, cell)| *sum = (*sum + cell) % PRIME);
        }
        made.put(0, 0, &sum);
        Ok(())
    }
}

pub fn schema() -> Schema {
    Schema::array(DType::I64, vec![], false, None).unwrap()
}

pub fn memory() -> Bus {
    Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap()
}

pub fn source(bus: &Bus, name: &str) -> PageId {
    bus.create_page(name, schema(), ROWS, &Note::default()).unwrap()
}

pub fn derived(inputs: &[PageId], program: &Arc<Sum>) -> Derived {
    let program: Arc<dyn Program> = Arc::clone(program) as _;
    Derived { rule: Rule::program("sum", inputs), shape: Some((schema(), ROWS)), program: Some(program) }
}

pub fn sum(bus: &Bus, name: &str, inputs: &[PageId]) -> (PageId, Arc<Sum>) {
    let program = Sum::plus(0);
    (bus.derive(name, derived(inputs, &program), &Note::default()).unwrap(), program)
}

pub fn write(bus: &Bus, page: PageId, row: u64, value: i64) -> Result<Epoch, Error> {
    let select = Select::range(row, row + 1);
    bus.assign(page, 0, select, &[value], &Note::default()).map(|committed| committed.epoch)
}

pub fn cells(bus: &Bus, page: PageId) -> Vec<i64> {
    bus.state().unwrap().cells(page, 0).unwrap()
}

pub fn delta(page: PageId, row: u64, value: i64) -> Delta<'static> {
    let data = Data::Dense(value.to_le_bytes().to_vec().into());
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select: Select::range(row, row + 1), data })
}

/// The pages that ran in an epoch, in their order, and what came of them.
pub fn ran(bus: &Bus, epoch: Epoch) -> Vec<(PageId, Outcome)> {
    bus.trace(epoch).unwrap().iter().map(|step| (step.page, step.outcome())).collect()
}

/// All of a step but how long it took.
pub type Row = (PageId, PageId, u32, u32, u32, Outcome);

pub fn row(step: &Step) -> Row {
    (step.page, step.cause, step.rows_in, step.rows_out, step.level(), step.outcome())
}

/// The digest of a bus whose replay comes to the same, and whose blocks are counted right.
pub fn sound(bus: &Bus) -> Digest {
    let digest = bus.state().unwrap().digest().unwrap();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
    bus.audit().unwrap();
    digest
}
