//! The short way into a page for a few cells: the same log, trace and changed rows as the long way.

use std::sync::{Arc, Mutex};

use crate::common::memory;
use mmsb::base::ids::PageId;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use mmsb::propagation::kernel::read;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::rule::Rule;
use mmsb::propagation::runs::Run;
use mmsb::propagation::trace::Outcome;
use proptest::prelude::*;

/// Copies some cells of its input, as one piece, or with a piece of nothing behind it, which takes the long way.
#[derive(Debug)]
struct Copy {
    cells: (u64, u64),
    long: bool,
}

impl Program for Copy {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        let (mut cells, (from, to)) = (Vec::<u8>::new(), self.cells);
        read(&call.inputs[0].column(0), from, to, &mut cells)?;
        made.put(0, from, &cells);
        if self.long {
            made.put::<u8>(0, to, &[]);
        }
        Ok(())
    }
}

/// Notes which rows of its input changed.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Vec<Run>>>);

impl Program for Seen {
    fn run(&self, call: &Call<'_>, _: &mut Made) -> Result<(), Raised> {
        self.0.lock().unwrap().push(call.inputs[0].changed(0).to_vec());
        Ok(())
    }
}

struct World {
    bus: Bus,
    source: PageId,
    seen: Arc<Seen>,
}

impl World {
    fn new(rows: u64, cells: (u64, u64), long: bool) -> Self {
        let (bus, seen, note) = (memory(), Arc::new(Seen::default()), Note::default());
        let schema = || Schema::array(DType::U8, vec![], false, None).unwrap();
        let source = bus.create_page("source", schema(), rows, &note).unwrap();
        let derive = |name: &str, input: PageId, program: Arc<dyn Program>| {
            let rule = Rule::program(name, &[input]);
            let derived = Derived { rule, shape: Some((schema(), rows)), program: Some(program) };
            bus.derive(name, derived, &note).unwrap()
        };
        let copy = derive("copy", source, Arc::new(Copy { cells, long }));
        derive("seen", copy, Arc::clone(&seen) as _);
        World { bus, source, seen }
    }

    /// Writes all cells; bytes of log since opening, and what ran: page, rows in and out, what came of it.
    fn write(&self, cells: &[u8]) -> (u64, Vec<(PageId, u32, u32, Outcome)>) {
        let select = Select::range(0, cells.len() as u64);
        let made = self.bus.assign(self.source, 0, select, cells, &Note::default()).unwrap();
        let steps = self.bus.trace(made.epoch).unwrap();
        let told = steps.iter().map(|step| (step.page, step.rows_in, step.rows_out, step.outcome()));
        (self.bus.stats().unwrap().appended, told.collect())
    }
}

proptest! {
    #[test]
    fn both_ways_write_and_tell_the_same(
        rows in 1u64..90,
        cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        // Few values, so that many cells stay as they are.
        writes in prop::collection::vec(prop::collection::vec(0u8..3, 90), 1..8),
    ) {
        let cut = (cut.0.index(rows as usize + 1) as u64, cut.1.index(rows as usize + 1) as u64);
        let cells = (cut.0.min(cut.1), cut.0.max(cut.1));
        let [short, long] = [false, true].map(|long| World::new(rows, cells, long));
        prop_assert_eq!(short.bus.stats().unwrap().appended, long.bus.stats().unwrap().appended);
        for write in &writes {
            let write = &write[..rows as usize];
            prop_assert_eq!(short.write(write), long.write(write));
            let digest = |world: &World| world.bus.state().unwrap().digest().unwrap();
            prop_assert_eq!(digest(&short), digest(&long));
        }
        prop_assert_eq!(&*short.seen.0.lock().unwrap(), &*long.seen.0.lock().unwrap());
        let replayed = short.bus.replay_digest(true).unwrap()[0].digest;
        prop_assert_eq!(replayed, short.bus.state().unwrap().digest().unwrap());
    }
}
