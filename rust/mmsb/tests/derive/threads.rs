//! Any number of threads comes to the same: bytes, trace, errors; and more than one do work where there is some.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::common::{ROWS, Row, Sum, cells, delta, row, schema, sound, source, write};
use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::graph::edge::Edge;
use mmsb::page::digest::Digest;
use mmsb::propagation::expression::node::{Binary, Builder};
use mmsb::propagation::expression::rule::Express;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::{Rule, What};
use proptest::prelude::*;

/// A bus whose levels are all shared by so many threads.
fn bus(threads: usize) -> Bus {
    let options =
        Options { history_budget: None, threads: Some(threads), worth_threads: 0, ..Options::default() };
    Bus::memory(&options).unwrap()
}

/// A sum that any thread may make.
#[derive(Debug)]
struct Anywhere(Arc<Sum>);

impl Program for Anywhere {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        self.0.run(call, made)
    }

    fn is_native(&self) -> bool {
        true
    }
}

/// A page that follows from one or two others: by a function of either kind, an expression or a window.
fn follow(bus: &Bus, name: &str, kind: usize, inputs: &[PageId], sum: &Arc<Sum>) -> PageId {
    let rule = |what| Rule::new(inputs.iter().copied().map(Edge::data).collect(), what);
    let (rule, program): (Rule, Option<Arc<dyn Program>>) = match kind {
        0 => (Rule::program("sum", inputs), Some(Arc::clone(sum) as _)),
        1 => (Rule::program("sum", inputs), Some(Arc::new(Anywhere(Arc::clone(sum))))),
        2 if inputs.len() == 1 => {
            (rule(What::Window(Window { column: 0, what: Reduction::Sum, rows: 2 })), None)
        }
        _ => {
            let mut all = Builder::default();
            let first = all.column(0, 0);
            let sum = (1..inputs.len()).fold(first, |sum, input| {
                let next = all.column(input as u16, 0);
                all.binary(Binary::Add, sum, next)
            });
            (rule(What::Express(Express::array(all.finish(sum).unwrap()))), None)
        }
    };
    bus.derive(name, Derived { rule, shape: Some((schema(), ROWS)), program }, &Note::default()).unwrap()
}

/// What became of a graph and commits: the digest, errors and traces of all of them.
fn outcome(
    threads: usize,
    graph: &[(usize, Vec<prop::sample::Index>)],
    commits: &[Vec<(usize, u64, i64)>],
) -> (Digest, Vec<Result<Vec<Row>, String>>) {
    let bus = bus(threads);
    let mut pages: Vec<PageId> = (0..4).map(|i| source(&bus, &format!("s{i}"))).collect();
    let sums: Vec<Arc<Sum>> = graph.iter().map(|_| Sum::plus(1)).collect();
    for (number, ((kind, inputs), sum)) in graph.iter().zip(&sums).enumerate() {
        // Of a few pages back, so that levels are wide.
        let from = pages.len().saturating_sub(8);
        let inputs: BTreeSet<usize> =
            inputs.iter().map(|input| from + input.index(pages.len() - from)).collect();
        let inputs: Vec<PageId> = inputs.into_iter().map(|at| pages[at]).collect();
        pages.push(follow(&bus, &format!("p{number}"), *kind, &inputs, sum));
    }
    let mut all = Vec::new();
    for (number, commit) in commits.iter().enumerate() {
        // Now and then two fail: the first of them in the order of pages is the one that is told of.
        let failing: Vec<&Arc<Sum>> =
            sums.iter().skip(number).step_by(5).filter(|_| number % 3 == 2).take(2).collect();
        failing.iter().for_each(|sum| sum.fails.store(true, Ordering::Relaxed));
        let changes: Vec<Change<'_>> =
            commit.iter().map(|&(at, row, value)| Change::Write(delta(pages[at], row, value))).collect();
        let done = bus.commit(&changes, &Note::default());
        failing.iter().for_each(|sum| sum.fails.store(false, Ordering::Relaxed));
        all.push(match done {
            Ok(committed) => Ok(bus.trace(committed.epoch).unwrap().iter().map(row).collect()),
            Err(error) => Err(error.to_string()),
        });
    }
    (sound(&bus), all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_threads_comes_to_the_same(
        graph in prop::collection::vec((0usize..4, prop::collection::vec(any::<prop::sample::Index>(), 1..3)), 1..25),
        commits in prop::collection::vec(prop::collection::vec((0usize..4, 0..ROWS, 0i64..3), 1..5), 1..8),
    ) {
        let one = outcome(1, &graph, &commits);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&outcome(threads, &graph, &commits), &one, "{} threads", threads);
        }
    }
}

/// Waits for another of its level, so that both run at the same time or it fails.
#[derive(Debug)]
struct Meets {
    came: AtomicU64,
    waits: AtomicBool,
    on: Mutex<BTreeSet<String>>,
}

impl Program for Meets {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        let thread: ThreadId = std::thread::current().id();
        self.on.lock().unwrap().insert(format!("{thread:?}"));
        if self.waits.load(Ordering::Relaxed) {
            self.came.fetch_add(1, Ordering::Relaxed);
            let end = Instant::now() + Duration::from_secs(20);
            while self.came.load(Ordering::Relaxed) < 2 {
                if Instant::now() > end {
                    return Err("it is alone".into());
                }
                std::thread::yield_now();
            }
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
        made.put(0, 0, &vec![call.inputs[0].rows() as i64; call.page.rows() as usize]);
        Ok(())
    }

    fn is_native(&self) -> bool {
        true
    }
}

#[test]
fn pages_of_a_level_are_made_at_the_same_time_where_that_pays() {
    let options = Options { threads: Some(2), ..Options::default() };
    let bus = Bus::memory(&options).unwrap();
    let a = source(&bus, "a");
    let program =
        Arc::new(Meets { came: AtomicU64::new(0), waits: AtomicBool::new(false), on: Mutex::default() });
    let pages: Vec<PageId> = (0..2)
        .map(|i| {
            let program: Arc<dyn Program> = Arc::clone(&program) as _;
            let rule = Rule::program("meets", &[a]);
            let derived = Derived { rule, shape: Some((schema(), ROWS)), program: Some(program) };
            bus.derive(&format!("p{i}"), derived, &Note::default()).unwrap()
        })
        .collect();
    // How long they take is known from then on: a millisecond each, which is worth it.
    write(&bus, a, 0, 1).unwrap();
    program.on.lock().unwrap().clear();
    program.waits.store(true, Ordering::Relaxed);
    let epoch = write(&bus, a, 0, 2).unwrap();
    assert_eq!(program.on.lock().unwrap().len(), 2, "two threads");
    let order: Vec<PageId> = bus.trace(epoch).unwrap().iter().map(|step| step.page).collect();
    assert_eq!(order, pages);
    assert_eq!(cells(&bus, pages[1]), [ROWS as i64; 4]);
}
