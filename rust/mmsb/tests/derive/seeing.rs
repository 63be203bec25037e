//! Seeing propagation: stepping comes to what a commit comes to, and counters are the sum of the traces.

use std::collections::BTreeMap;

use crate::common::{ROWS, cells, delta, memory, source, sum, write};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::bus::transaction::{Isolation, Transaction};
use mmsb::page::select::Select;
use mmsb::propagation::counters::Counts;
use mmsb::propagation::trace::{Outcome, Step};
use proptest::prelude::*;

fn begin(bus: &Bus) -> Transaction {
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.step_by_step();
    tx
}

/// What a transaction has of a page.
fn read(tx: &mut Transaction, page: PageId) -> Vec<i64> {
    let mut bytes = vec![0; 8 * ROWS as usize];
    tx.read(page, 0, &Select::range(0, ROWS), &mut bytes).unwrap();
    bytes.chunks_exact(8).map(|cell| i64::from_le_bytes(cell.try_into().unwrap())).collect()
}

/// What a step says that does not depend on time, nor on what a kernel has seen before.
fn said(step: &Step) -> (PageId, PageId, u32, u32, Outcome) {
    (step.page, step.cause, step.level(), step.rows_out, step.outcome())
}

fn all(tx: &mut Transaction) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let pending = tx.pending().unwrap();
        let Some(step) = tx.step().unwrap() else {
            assert_eq!(pending, []);
            return steps;
        };
        assert_eq!(pending[0], step.page, "what is pending is in the order of the steps");
        steps.push(step);
    }
}

/// The sum of all that was traced.
fn counted(bus: &Bus) -> BTreeMap<PageId, Counts> {
    let mut sums = BTreeMap::<PageId, Counts>::new();
    let mut epochs = 0;
    for (epoch, steps) in bus.traces(Epoch(0), Epoch(u64::MAX)).unwrap() {
        assert_eq!(bus.trace(epoch).unwrap(), steps);
        epochs += 1;
        for step in steps {
            let sum = sums.entry(step.page).or_default();
            sum.looked += 1;
            sum.ran += 1;
            sum.equal += u64::from(step.outcome() == Outcome::Equal);
            sum.rows_in += u64::from(step.rows_in);
            sum.rows_out += u64::from(step.rows_out);
            sum.ns += u64::from(step.ns);
        }
    }
    assert_eq!(bus.traces(Epoch(epochs), Epoch(0)).unwrap(), []);
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stepping_comes_to_what_the_commit_comes_to(
        graph in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..4), 1..12),
        commits in prop::collection::vec(
            (prop::collection::vec((0usize..3, 0..ROWS, -2i64..3), 1..4), 0usize..6),
            1..6,
        ),
    ) {
        let bus = memory();
        let mut pages: Vec<PageId> = (0..3).map(|i| source(&bus, &format!("s{i}"))).collect();
        for (i, inputs) in graph.iter().enumerate() {
            let inputs: Vec<PageId> = inputs.iter().map(|at| pages[at.index(pages.len())]).collect();
            pages.push(sum(&bus, &format!("p{i}"), &inputs).0);
        }
        for (writes, early) in commits {
            let mut tx = begin(&bus);
            let before: Vec<_> = pages.iter().map(|&page| read(&mut tx, page)).collect();
            for (n, &(at, row, value)) in writes.iter().enumerate() {
                tx.write(delta(pages[at], row, value)).unwrap();
                // Some are made of the writes so far, which the next one takes back.
                for _ in 0..early.saturating_sub(n) {
                    tx.step().unwrap();
                }
            }
            let mut known: BTreeMap<PageId, Vec<i64>> = pages.iter().copied().zip(before).collect();
            // What steps tell is what they did, if what was begun is begun anew.
            tx.write(delta(pages[0], 0, 1)).unwrap();
            let mut steps = Vec::new();
            while let Some(step) = tx.step().unwrap() {
                let now = read(&mut tx, step.page);
                prop_assert_eq!(step.outcome() == Outcome::Changed, known[&step.page] != now);
                known.insert(step.page, now);
                steps.push(said(&step));
            }
            let made: Vec<_> = pages.iter().map(|&page| read(&mut tx, page)).collect();
            let committed = tx.commit().unwrap().unwrap();
            let traced: Vec<_> = bus.trace(committed.epoch).unwrap().iter().map(said).collect();
            prop_assert_eq!(steps, traced);
            prop_assert_eq!(made, pages.iter().map(|&page| cells(&bus, page)).collect::<Vec<_>>());
        }
        let mut found: BTreeMap<PageId, Counts> = bus.counters().unwrap().into_iter().collect();
        found.values_mut().for_each(|counts| counts.cut_off = 0);
        prop_assert_eq!(found, counted(&bus));
    }
}

#[test]
fn a_step_that_fails_begins_anew_and_an_abandoned_transaction_leaves_nothing() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let (c, program) = sum(&bus, "c", &[b]);
    let mut tx = begin(&bus);
    assert_eq!(tx.step().unwrap(), None);
    drop(tx);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 0, 5)).unwrap();
    // What a reader had made is made again.
    assert_eq!(read(&mut tx, b), [5, 0, 0, 0]);
    tx.step_by_step();
    assert_eq!(read(&mut tx, b), [0; 4]);
    program.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(tx.step().unwrap().unwrap().page, b);
    let error = tx.step().unwrap_err();
    assert_eq!(error.code(), Code::Rule);
    assert!(error.to_string().contains("page 'c'"), "{error}");
    assert_eq!(read(&mut tx, b), [0; 4]);
    assert_eq!(tx.pending().unwrap(), [b]);
    program.fails.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(all(&mut tx).iter().map(|step| step.page).collect::<Vec<_>>(), [b, c]);
    assert_eq!(read(&mut tx, c), [5, 0, 0, 0]);
    drop(tx);
    assert_eq!(cells(&bus, c), [0; 4]);
    write(&bus, a, 1, 2).unwrap();
    assert_eq!(cells(&bus, c), [0, 2, 0, 0]);
}

#[test]
fn what_is_cut_off_is_counted_where_it_was() {
    let bus = memory();
    let a = source(&bus, "a");
    let b = source(&bus, "b");
    // The sum of both stays when one loses what the other gets.
    let (total, _) = sum(&bus, "total", &[a, b]);
    for i in 0..3 {
        sum(&bus, &format!("after{i}"), &[total]);
    }
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 0, 1)).unwrap();
    tx.write(delta(b, 0, -1)).unwrap();
    tx.commit().unwrap().unwrap();
    let counts: BTreeMap<PageId, Counts> = bus.counters().unwrap().into_iter().collect();
    // When it was declared it came out as it was, too, and nothing followed.
    assert_eq!((counts[&total].looked, counts[&total].equal, counts[&total].cut_off), (2, 2, 3));
}
