//! Merges whose sides have more than one newest common state (criss-cross), and products: what each side did is in the
//! result once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model;
use crate::model::setting;
use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::memory::disk::Sim;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use proptest::prelude::*;

const ASSIGN: OperatorId = OperatorId::ASSIGN;

fn note() -> Note {
    Note::default()
}

fn memory() -> Bus {
    Bus::memory(&Options::default()).unwrap()
}

fn page(bus: &Bus, dtype: DType, rows: u64, op: Option<Builtin>) -> PageId {
    let schema = Schema::array(dtype, vec![], false, op.map(|op| op.id())).unwrap();
    bus.create_page("p", schema, rows, &note()).unwrap()
}

fn write(bus: &Bus, page: PageId, op: OperatorId, row: u64, value: &[u8]) {
    let data = Data::Dense(Cow::Borrowed(value));
    let part = Part { column: 0, select: Select::range(row, row + 1), data };
    bus.write(Delta::single(page, op, part), &note()).unwrap();
}

fn bytes(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

fn merge(into: &Bus, from: &Bus, policy: OnConflict) {
    into.merge(from, policy, &note()).unwrap().unwrap();
}

fn refused(into: &Bus, from: &Bus, rows: &[u64]) {
    match into.merge(from, OnConflict::Raise, &note()).unwrap_err() {
        Error::Conflict(clashes) => assert_eq!((clashes.len(), &clashes[0].rows[..]), (1, rows)),
        error => panic!("{error}"),
    }
}

/// Merges each of two branches into the other as it was before.
fn cross(a: &Bus, b: &Bus, policies: [OnConflict; 2], name: &str) {
    let old = a.branch(name, None).unwrap();
    a.merge(b, policies[0], &note()).unwrap();
    b.merge(&old, policies[1], &note()).unwrap();
}

/// Pages are the same after replay of the log from its start.
fn replays(bus: &Bus) {
    let found = bus.replay_digest(true).unwrap();
    let main = found.iter().find(|found| found.branch == "main").unwrap();
    assert_eq!(main.digest, bus.checkout("main").unwrap().state().unwrap().digest().unwrap());
}

#[test]
fn what_both_sides_took_from_each_other_counts_once() {
    for (op, start, [mine, theirs], [more, last], wanted) in [
        (Builtin::Add, 10, [1, 2], [4, 8], 25),
        // Zero divisors of wrapping integers, and zero itself.
        (Builtin::Mul, 3, [2, 16], [5, 4], 128),
        (Builtin::Mul, 0, [3, 5], [7, 2], 0),
        (Builtin::Xor, 1, [2, 4], [8, 16], 31),
        (Builtin::Max, 1, [2, 4], [3, 9], 9),
    ] {
        let bus = memory();
        let p = page(&bus, DType::U8, 2, Some(op));
        write(&bus, p, ASSIGN, 0, &[start]);
        let plan = bus.branch("plan", None).unwrap();
        write(&bus, p, op.id(), 0, &[mine]);
        write(&plan, p, op.id(), 0, &[theirs]);
        cross(&bus, &plan, [OnConflict::Raise; 2], "old");
        assert_eq!(bytes(&bus, p), bytes(&plan, p));
        assert!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap().is_none(), "they are the same");
        write(&bus, p, op.id(), 0, &[more]);
        write(&plan, p, op.id(), 0, &[last]);
        bus.merge(&plan, OnConflict::Raise, &note()).unwrap();
        plan.merge(&bus, OnConflict::Raise, &note()).unwrap();
        assert_eq!((bytes(&bus, p)[0], bytes(&plan, p)[0]), (wanted, wanted), "{}", op.name());
        replays(&bus);
    }
}

#[test]
fn crossed_again_and_again_everything_counts_once() {
    // More often than bases are made one below the other.
    for op in [Builtin::Add, Builtin::Mul] {
        let bus = memory();
        let p = page(&bus, DType::U8, 2, Some(op));
        write(&bus, p, ASSIGN, 0, &[1]);
        let plan = bus.branch("plan", None).unwrap();
        let mut wanted = [1];
        for round in 0..80u8 {
            for (bus, value) in [(&bus, 3 + 2 * (round % 5)), (&plan, 5 + 4 * (round % 3))] {
                write(bus, p, op.id(), 0, &[value]);
                op.apply(DType::U8, &mut wanted, &[value]);
            }
            cross(&bus, &plan, [OnConflict::Raise; 2], &format!("old {round}"));
            assert_eq!((bytes(&bus, p)[0], bytes(&plan, p)[0]), (wanted[0], wanted[0]), "{round}");
        }
        replays(&bus);
    }
}

#[test]
fn of_crossed_assignments_those_that_are_known_do_not_conflict() {
    let bus = memory();
    let p = page(&bus, DType::U8, 4, None);
    let plan = bus.branch("plan", None).unwrap();
    write(&bus, p, ASSIGN, 0, &[1]);
    write(&plan, p, ASSIGN, 1, &[2]);
    cross(&bus, &plan, [OnConflict::Raise; 2], "old");
    // Each changes again what came from the other.
    write(&bus, p, ASSIGN, 1, &[3]);
    write(&plan, p, ASSIGN, 0, &[4]);
    merge(&bus, &plan, OnConflict::Raise);
    merge(&plan, &bus, OnConflict::Raise);
    assert_eq!((bytes(&bus, p), bytes(&plan, p)), (vec![4, 3, 0, 0], vec![4, 3, 0, 0]));
}

#[test]
fn what_was_settled_both_ways_conflicts_again() {
    use OnConflict::{Ours, Theirs};
    for (policies, wanted) in [
        ([Ours, Ours], [5, 6]),
        ([Theirs, Theirs], [6, 5]),
        ([Ours, Theirs], [5, 5]),
        ([Theirs, Ours], [6, 6]),
    ] {
        for op in [None, Some(Builtin::Add)] {
            let bus = memory();
            let p = page(&bus, DType::U8, 2, op);
            let plan = bus.branch("plan", None).unwrap();
            write(&bus, p, ASSIGN, 0, &[5]);
            write(&plan, p, ASSIGN, 0, &[6]);
            write(&bus, p, ASSIGN, 1, &[1]);
            cross(&bus, &plan, policies, "old");
            assert_eq!([bytes(&bus, p)[0], bytes(&plan, p)[0]], wanted);
            if wanted[0] == wanted[1] {
                assert!(bus.merge(&plan, OnConflict::Raise, &note()).is_ok());
                assert_eq!(bytes(&bus, p), [wanted[0], 1]);
                continue;
            }
            refused(&bus, &plan, &[0]);
            refused(&plan, &bus, &[0]);
            merge(&bus, &plan, Theirs);
            assert_eq!(bytes(&bus, p), [wanted[1], 1]);
            replays(&bus);
        }
    }
}

#[test]
fn what_was_settled_both_ways_is_taken_into_a_page_resized_since() {
    // Whichever of the common states the base is made of, the other side's cell is not what it changed of that.
    for [first, second] in [[1, 2], [2, 1]] {
        let bus = memory();
        let p = page(&bus, DType::U8, 2, None);
        let plan = bus.branch("plan", None).unwrap();
        let sides = [&bus, &plan];
        write(sides[first - 1], p, ASSIGN, 0, &[first as u8]);
        write(sides[second - 1], p, ASSIGN, 0, &[second as u8]);
        cross(&bus, &plan, [OnConflict::Ours; 2], "old");
        bus.resize(p, 3, &note()).unwrap();
        assert_eq!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err().code(), Code::Conflict);
        merge(&bus, &plan, OnConflict::Theirs);
        assert_eq!(bytes(&bus, p), [2, 0, 0]);
        replays(&bus);
    }
}

#[test]
fn pages_that_were_settled_both_ways_conflict_again() {
    use OnConflict::{Ours, Theirs};
    // Both made a page of one name; one dropped a page that the other wrote; one resized it.
    for case in 0..3 {
        for policies in [[Ours, Ours], [Theirs, Theirs], [Ours, Theirs], [Theirs, Ours]] {
            let bus = memory();
            let mark = bus
                .create_page("mark", Schema::array(DType::U8, vec![], false, None).unwrap(), 2, &note())
                .unwrap();
            let shared = (case > 0).then(|| page(&bus, DType::U8, 2, None));
            let plan = bus.branch("plan", None).unwrap();
            match (case, shared) {
                (1, Some(p)) => {
                    write(&bus, p, ASSIGN, 0, &[5]);
                    plan.drop_page(p, &note()).unwrap();
                }
                (_, Some(p)) => {
                    write(&bus, p, ASSIGN, 0, &[5]);
                    plan.resize(p, 3, &note()).unwrap();
                }
                _ => {
                    page(&bus, DType::U8, 2, None);
                    page(&plan, DType::U8, 3, None);
                }
            }
            // So that every merge takes something.
            write(&bus, mark, ASSIGN, 0, &[1]);
            write(&plan, mark, ASSIGN, 1, &[1]);
            cross(&bus, &plan, policies, "old");
            let digest = |bus: &Bus| bus.state().unwrap().digest().unwrap();
            let same = digest(&bus) == digest(&plan);
            if case < 2 {
                assert_eq!(same, policies[0] != policies[1], "case {case}, {policies:?}");
            }
            for (into, from) in [(&bus, &plan), (&plan, &bus)] {
                match into.merge(from, OnConflict::Raise, &note()) {
                    Ok(taken) => assert!(same && taken.is_none(), "case {case}, {policies:?}"),
                    Err(error) => assert!(!same && error.code() == Code::Conflict, "{error}"),
                }
            }
            if !same {
                let wanted = digest(&plan);
                merge(&bus, &plan, Theirs);
                assert_eq!(digest(&bus), wanted);
            }
            replays(&bus);
        }
    }
}

#[test]
fn what_a_merge_settled_is_written_by_it() {
    // One side keeps or takes a value against merges that it knows of from then on; another that had the older value
    // must neither add those merges to it nor lose its own.
    for policy in [OnConflict::Ours, OnConflict::Theirs] {
        let bus = memory();
        let add = Builtin::Add.id();
        let p = page(&bus, DType::U8, 1, Some(Builtin::Add));
        write(&bus, p, ASSIGN, 0, &[10]);
        let plan = bus.branch("plan", None).unwrap();
        write(&bus, p, ASSIGN, 0, &[5]);
        write(&plan, p, add, 0, &[3]);
        let third = bus.branch("third", None).unwrap();
        merge(&bus, &plan, policy);
        assert_eq!(bytes(&bus, p), [if policy == OnConflict::Ours { 5 } else { 13 }]);
        assert!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap().is_none(), "it is settled");
        write(&bus, p, add, 0, &[1]);
        write(&third, p, add, 0, &[2]);
        refused(&third, &bus, &[0]);
        refused(&bus, &third, &[0]);
    }
    // That both have the same value does not say that both added it.
    let bus = memory();
    let add = Builtin::Add.id();
    let p = page(&bus, DType::U8, 1, Some(Builtin::Add));
    write(&bus, p, ASSIGN, 0, &[10]);
    let plan = bus.branch("plan", None).unwrap();
    write(&bus, p, ASSIGN, 0, &[13]);
    write(&plan, p, add, 0, &[3]);
    let third = bus.branch("third", None).unwrap();
    merge(&bus, &plan, OnConflict::Raise);
    assert_eq!(bytes(&bus, p), [13]);
    write(&bus, p, add, 0, &[1]);
    write(&third, p, add, 0, &[2]);
    refused(&third, &bus, &[0]);
}

#[test]
fn a_merge_whose_common_states_were_pruned_is_refused() {
    let sim = Sim::new(1);
    let bus = model::world::open(&sim);
    let add = Builtin::Add.id();
    let p = page(&bus, DType::U8, 2, Some(Builtin::Add));
    let plan = bus.branch("plan", None).unwrap();
    for (bus, value) in [(&bus, 1), (&plan, 10)] {
        (0..2).for_each(|row| write(bus, p, add, row, &[value]));
    }
    cross(&bus, &plan, [OnConflict::Raise; 2], "old");
    bus.checkpoint(&mut |_| {}).unwrap();
    // Segments go as a whole.
    for n in 0..3000u32 {
        write(&bus, p, add, 1, &(n as u8).to_le_bytes());
    }
    bus.checkpoint(&mut |_| {}).unwrap();
    bus.prune(1, &mut |_| {}).unwrap();
    let before = bytes(&bus, p);
    match bus.merge(&plan, OnConflict::Raise, &note()) {
        Ok(taken) => assert!(taken.is_none(), "it has everything"),
        Err(error) => assert_eq!(error.code(), Code::HistoryPruned, "{error}"),
    }
    write(&plan, p, add, 0, &[3]);
    let error = bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err();
    assert_eq!(error.code(), Code::HistoryPruned, "{error}");
    assert_eq!(bytes(&bus, p), before);
}

#[test]
fn of_floats_the_other_sides_merges_are_applied_one_by_one() {
    for op in [Builtin::Add, Builtin::Mul] {
        let bus = memory();
        let p = page(&bus, DType::F64, 1, Some(op));
        write(&bus, p, ASSIGN, 0, &1e16f64.to_le_bytes());
        let plan = bus.branch("plan", None).unwrap();
        let (mine, theirs) = ([0.1f64, 3.0], [1.0f64, 1.0, 1.1, 7.7]);
        mine.iter().for_each(|x| write(&bus, p, op.id(), 0, &x.to_le_bytes()));
        theirs.iter().for_each(|x| write(&plan, p, op.id(), 0, &x.to_le_bytes()));
        merge(&bus, &plan, OnConflict::Raise);
        let wanted = mine.iter().chain(&theirs).fold(1e16f64, |sum, x| match op {
            Builtin::Add => sum + x,
            _ => sum * x,
        });
        assert_eq!(bytes(&bus, p), wanted.to_le_bytes(), "{}", op.name());
        merge(&plan, &bus, OnConflict::Raise);
        assert_eq!(bytes(&plan, p), bytes(&bus, p));
    }
}

#[test]
fn every_form_of_delta_is_applied_again() {
    let bus = memory();
    let schema = Schema::array(DType::U16, vec![3], false, Some(Builtin::Mul.id())).unwrap();
    let p = bus.create_page("p", schema.clone(), 50, &note()).unwrap();
    let mut chance = model::Chance(7);
    let mut plain = model::Page::new("p", schema, 50);
    let put = |bus: &Bus, plain: &mut model::Page, op: OperatorId, chance: &mut model::Chance| {
        let Some(delta) = model::delta(p, plain, chance) else { return };
        let delta = Delta { op, ..delta };
        plain.write(&delta);
        bus.write(delta, &note()).unwrap();
    };
    (0..20).for_each(|_| put(&bus, &mut plain, ASSIGN, &mut chance));
    for round in 0..40 {
        let plan = bus.branch(&format!("plan {round}"), None).unwrap();
        for _ in 0..3 {
            put(&bus, &mut plain, Builtin::Mul.id(), &mut chance);
            put(&plan, &mut plain, Builtin::Mul.id(), &mut chance);
        }
        bus.merge(&plan, OnConflict::Raise, &note()).unwrap();
        assert_eq!(bytes(&bus, p), plain.columns[0]);
    }
}

/// One step of a history: what a branch does, chosen by numbers.
#[derive(Debug, Clone)]
enum Step {
    Apply { branch: usize, cell: usize, value: u8 },
    Fork { branch: usize, back: usize },
    Merge { into: usize, from: usize },
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<usize>(), 0..CELLS, any::<u8>())
            .prop_map(|(branch, cell, value)| Step::Apply { branch, cell, value }),
        2 => (any::<usize>(), 0..4usize).prop_map(|(branch, back)| Step::Fork { branch, back }),
        4 => (any::<usize>(), any::<usize>()).prop_map(|(into, from)| Step::Merge { into, from }),
    ];
    prop::collection::vec(step, 1..most)
}

const CELLS: usize = 3;
const START: [u8; CELLS] = [0, 3, 128];

/// Which merges each cell has, by their number.
type Has = [BTreeSet<usize>; CELLS];

/// A branch, and what it had at each epoch.
struct Line {
    bus: Bus,
    history: Vec<(Epoch, Has)>,
}

impl Line {
    fn has(&self) -> &Has {
        &self.history.last().unwrap().1
    }

    fn becomes(&mut self, has: Has) {
        let epoch = self.bus.epoch().unwrap();
        self.history.push((epoch, has));
    }
}

/// The start of each cell and the merges it has, applied in any order.
fn value(op: Builtin, has: &Has, values: &[u8]) -> Vec<u8> {
    let applied = START.iter().zip(has).map(|(start, has)| {
        let mut cell = [*start];
        has.iter().for_each(|&n| op.apply(DType::U8, &mut cell, &values[n..=n]));
        cell[0]
    });
    applied.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: setting("PROPTEST_CASES", 64), ..ProptestConfig::default() })]

    /// Whatever branched off whatever and was merged in whatever order, a cell is its start and every merge that led
    /// to it, once.
    #[test]
    fn a_cell_has_each_merge_that_led_to_it_once(
        op in prop::sample::select(vec![Builtin::Add, Builtin::Mul, Builtin::Xor, Builtin::Min, Builtin::Or]),
        steps in steps(40),
    ) {
        let bus = memory();
        let p = page(&bus, DType::U8, CELLS as u64, Some(op));
        (0..CELLS).for_each(|row| write(&bus, p, ASSIGN, row as u64, &START[row..=row]));
        let mut values: Vec<u8> = Vec::new();
        let mut lines = vec![Line { history: vec![(bus.epoch().unwrap(), Has::default())], bus }];
        for step in steps {
            match step {
                Step::Apply { branch, cell, value } => {
                    let branch = branch % lines.len();
                    write(&lines[branch].bus, p, op.id(), cell as u64, &[value]);
                    let mut has = lines[branch].has().clone();
                    has[cell].insert(values.len());
                    values.push(value);
                    lines[branch].becomes(has);
                }
                Step::Fork { branch, back } if lines.len() < 6 => {
                    let (from, name) = (&lines[branch % lines.len()], format!("b{}", lines.len()));
                    let (epoch, has) = from.history[from.history.len().saturating_sub(1 + back)].clone();
                    let bus = from.bus.branch(&name, Some(epoch)).unwrap();
                    lines.push(Line { bus, history: vec![(epoch, has)] });
                }
                Step::Fork { .. } => {}
                Step::Merge { into, from } => {
                    let (into, from) = (into % lines.len(), from % lines.len());
                    // Where nothing was to be taken, nothing is known of it from then on either.
                    let Some(_) = lines[into].bus.merge(&lines[from].bus, OnConflict::Raise, &note()).unwrap()
                    else {
                        continue;
                    };
                    let mut has = lines[into].has().clone();
                    has.iter_mut().zip(lines[from].has()).for_each(|(all, more)| all.extend(more));
                    lines[into].becomes(has);
                }
            }
            for line in &lines {
                let wanted = value(op, line.has(), &values);
                prop_assert_eq!(bytes(&line.bus, p), wanted, "{} of {}", op.name(), line.bus.branch_name());
            }
        }
        replays(&lines[0].bus);
    }
}
