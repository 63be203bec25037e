//! What a merge takes and refuses, and what a diff of resized pages tells.

use std::borrow::Cow;

use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::{Isolation, Transaction};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

fn note() -> Note {
    Note::default()
}

fn memory() -> Bus {
    Bus::memory(&Options::default()).unwrap()
}

fn page(bus: &Bus, name: &str, rows: u64, op: Option<OperatorId>) -> PageId {
    let schema = Schema::array(DType::U8, vec![], false, op).unwrap();
    bus.create_page(name, schema, rows, &note()).unwrap()
}

fn with(op: OperatorId, page: PageId, row: u64, value: u8) -> Delta<'static> {
    let data = Data::Dense(Cow::Owned(vec![value]));
    Delta::single(page, op, Part { column: 0, select: Select::range(row, row + 1), data })
}

fn put(bus: &Bus, page: PageId, row: u64, value: u8) {
    bus.write(with(OperatorId::ASSIGN, page, row, value), &note()).unwrap();
}

fn bytes(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

#[test]
fn of_two_pages_of_one_name_the_policy_keeps_one() {
    for policy in [OnConflict::Ours, OnConflict::Theirs] {
        let bus = memory();
        let plan = bus.branch("plan", None).unwrap();
        let (mine, theirs) = (page(&bus, "p", 2, None), page(&plan, "p", 3, None));
        put(&plan, theirs, 2, 7);
        assert_eq!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err().code(), Code::Conflict);
        let taken = bus.merge(&plan, policy, &note()).unwrap().is_some();
        let state = bus.state().unwrap();
        assert_eq!((taken, state.len()), (policy == OnConflict::Theirs, 1));
        assert_eq!(state.find("p"), Some(if taken { theirs } else { mine }));
        // And once more, when the other side has written its page since.
        put(&plan, theirs, 0, 9);
        bus.merge(&plan, policy, &note()).unwrap();
        let state = bus.state().unwrap();
        assert_eq!(state.find("p"), Some(if taken { theirs } else { mine }));
        if taken {
            assert_eq!(bytes(&bus, theirs), [9, 0, 7]);
        }
        assert_eq!(bus.replay_digest(true).unwrap()[0].digest, state.digest().unwrap());
    }
}

#[test]
fn only_cells_that_both_sides_merged_by_the_pages_operator_are_merged_by_it() {
    let bus = memory();
    let (add, mul) = (Builtin::Add.id(), Builtin::Mul.id());
    let p = page(&bus, "p", 6, Some(add));
    for row in 0..6 {
        put(&bus, p, row, 10);
    }
    let plan = bus.branch("plan", None).unwrap();
    let refused = |rows: &[u64]| match bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err() {
        Error::Conflict(clashes) => assert_eq!((clashes.len(), &clashes[0].rows[..]), (1, rows)),
        error => panic!("{error}"),
    };
    let merge = |bus: &Bus, op, row, value| {
        bus.write(with(op, p, row, value), &note()).unwrap();
    };
    // Both add to row 0, both assign row 1, one adds to row 2 what the other multiplies, one adds to row 3.
    merge(&bus, add, 0, 1);
    merge(&plan, add, 0, 2);
    put(&bus, p, 1, 6);
    put(&plan, p, 1, 5);
    merge(&bus, add, 2, 1);
    merge(&plan, mul, 2, 2);
    merge(&plan, add, 3, 7);
    refused(&[1, 2]);
    bus.merge(&plan, OnConflict::Theirs, &note()).unwrap().unwrap();
    assert_eq!(bytes(&bus, p), [13, 5, 20, 17, 10, 10]);
    // What was merged before is in nobody's way; this side's assignment still is, which the other knows nothing of.
    for row in [0, 1, 3] {
        merge(&plan, add, row, if row == 1 { 2 } else { 1 });
        merge(&bus, add, row, 1);
    }
    let third = bus.branch("third", None).unwrap();
    merge(&third, add, 4, 1);
    put(&third, p, 5, 50);
    bus.merge(&third, OnConflict::Raise, &note()).unwrap().unwrap();
    merge(&plan, add, 4, 2);
    refused(&[1]);
    plan.merge(&bus, OnConflict::Theirs, &note()).unwrap().unwrap();
    bus.merge(&plan, OnConflict::Raise, &note()).unwrap().unwrap();
    assert_eq!(bytes(&bus, p), [15, 6, 20, 19, 13, 50]);
    assert_eq!(bytes(&plan, p), bytes(&bus, p));
    // What came from a third branch is what that branch did.
    merge(&plan, add, 5, 1);
    put(&third, p, 5, 60);
    bus.merge(&third, OnConflict::Raise, &note()).unwrap().unwrap();
    refused(&[5]);
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
}

#[test]
fn factors_are_merged_but_not_with_what_was_assigned() {
    let bus = memory();
    let mul = Builtin::Mul.id();
    let p = page(&bus, "p", 2, Some(mul));
    put(&bus, p, 0, 2);
    put(&bus, p, 1, 2);
    let plan = bus.branch("plan", None).unwrap();
    for (bus, value) in [(&bus, 3), (&plan, 5)] {
        bus.write(with(mul, p, 0, value), &note()).unwrap();
        bus.write(with(mul, p, 1, value), &note()).unwrap();
    }
    bus.merge(&plan, OnConflict::Raise, &note()).unwrap().unwrap();
    assert_eq!(bytes(&bus, p), [30, 30]);
    put(&bus, p, 0, 7);
    plan.write(with(mul, p, 0, 2), &note()).unwrap();
    assert_eq!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err().code(), Code::Conflict);
    bus.merge(&plan, OnConflict::Ours, &note()).unwrap();
    assert_eq!(bytes(&bus, p), [7, 30]);
    assert_eq!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap(), None, "it is settled");
    // What the other does not know of still is in the way of its factors.
    plan.write(with(mul, p, 0, 3), &note()).unwrap();
    assert_eq!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap_err().code(), Code::Conflict);
}

#[test]
fn rows_that_only_one_state_has_are_in_the_diff_unless_they_are_zeros() {
    let bus = memory();
    let p = page(&bus, "p", 2, None);
    let before = bus.state().unwrap();
    bus.resize(p, 90_000, &note()).unwrap();
    for (row, value) in [(0, 1), (3, 9), (4, 9), (80_000, 9)] {
        put(&bus, p, row, value);
    }
    let after = bus.state().unwrap();
    for (a, b, rows) in [(&before, &after, (2, 90_000)), (&after, &before, (90_000, 2))] {
        let found = bus.diff(a, b).unwrap();
        assert_eq!((found.len(), found[0].rows), (1, rows));
        assert_eq!(found[0].columns.len(), 1);
        assert_eq!(found[0].columns[0].runs, [(0, 1), (3, 2), (80_000, 1)]);
    }
    let digest = |epoch| bus.at(epoch).unwrap().digest().unwrap();
    for epoch in [before.epoch(), after.epoch(), Epoch(0), after.epoch()] {
        bus.revert(epoch, &note()).unwrap();
        assert_eq!(bus.state().unwrap().digest().unwrap(), digest(epoch));
    }
}

#[test]
fn a_page_that_has_so_many_rows_is_not_resized() {
    let bus = memory();
    let p = page(&bus, "p", 4, None);
    assert_eq!(bus.resize(p, 4, &note()).unwrap(), None);
    assert_eq!(bus.epoch().unwrap(), Epoch(1));
    assert_eq!(bus.resize(p, 5, &note()).unwrap().unwrap().epoch, Epoch(2));
    bus.close();
    assert_eq!(bus.resize(p, 5, &note()).unwrap_err().code(), Code::Closed);
}

/// What a transaction asks about a page.
type Asks = fn(&mut Transaction, PageId);

#[test]
fn a_serializable_transaction_depends_on_the_rows_and_versions_it_asked_for() {
    let bus = memory();
    let (p, q) = (page(&bus, "p", 4, None), page(&bus, "q", 4, None));
    let run = |isolation, asks: Asks, meanwhile: &dyn Fn()| {
        let mut tx = bus.begin(isolation, note()).unwrap();
        asks(&mut tx, p);
        tx.write(with(OperatorId::ASSIGN, q, 0, 1)).unwrap();
        meanwhile();
        tx.commit().map(|_| ()).map_err(|error| error.code())
    };
    let resize = || {
        let rows = bus.state().unwrap().info(p).unwrap().rows;
        bus.resize(p, rows + 1, &note()).unwrap().unwrap();
    };
    let write = || put(&bus, p, 0, 1);
    let rows: Asks = |tx, p| assert!(tx.info(p).unwrap().rows >= 4);
    let version: Asks = |tx, p| assert!(tx.version(p).unwrap().1 >= 4);
    for asks in [rows, version] {
        assert_eq!(run(Isolation::Snapshot, asks, &resize), Ok(()));
        assert_eq!(run(Isolation::Serializable, asks, &resize), Err(Code::Conflict));
    }
    assert_eq!(run(Isolation::Serializable, rows, &write), Ok(()));
    assert_eq!(run(Isolation::Serializable, version, &write), Err(Code::Conflict));
}
