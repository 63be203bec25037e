//! Every bug that the proofs of the bus found, so that none comes back; and what a digest must and must not tell apart.

use std::borrow::Cow;
use std::sync::Arc;

use mmsb::algebra::operator::Builtin;
use mmsb::base::clock::ManualClock;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::memory::disk::Sim;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;

fn array(dtype: DType, op: Option<OperatorId>) -> Schema {
    Schema::array(dtype, vec![], false, op).unwrap()
}

fn assign(page: PageId, from: u64, bytes: &[u8]) -> Delta<'static> {
    let data = Data::Dense(Cow::Owned(bytes.to_vec()));
    let select = Select::range(from, from + bytes.len() as u64);
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select, data })
}

fn bytes_of(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

fn memory() -> Bus {
    Bus::memory(&Options::default()).unwrap()
}

fn write(bus: &Bus, page: PageId, from: u64, bytes: &[u8]) {
    bus.write(assign(page, from, bytes), &Note::default()).unwrap();
}

fn page(bus: &Bus, name: &str, rows: u64, op: Option<OperatorId>) -> PageId {
    bus.create_page(name, array(DType::U8, op), rows, &Note::default()).unwrap()
}

#[test]
fn the_state_of_an_empty_bus_can_be_held() {
    let bus = memory();
    let empty = bus.state().unwrap();
    let digest = empty.digest().unwrap();
    for n in 0..50 {
        page(&bus, &n.to_string(), 5000, None);
    }
    assert_eq!((empty.epoch(), empty.len(), empty.digest().unwrap()), (Epoch(0), 0, digest));
    assert_eq!(bus.at(Epoch(0)).unwrap().digest().unwrap(), digest);
}

#[test]
fn frames_from_before_the_bus_was_opened_are_no_conflict() {
    let disk = Arc::new(Sim::new(1));
    let open = || Bus::on_disk(disk.clone(), &Options::default(), Arc::new(ManualClock::new(1))).unwrap();
    let bus = open();
    let a = page(&bus, "a", 100, None);
    write(&bus, a, 0, b"xyz");
    drop(bus);
    let bus = open();
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(assign(a, 0, b"q")).unwrap();
    write(&bus, a, 50, b"elsewhere");
    tx.commit().unwrap().unwrap();
    assert_eq!(&bytes_of(&bus, a)[..3], b"qyz");
}

#[test]
fn rows_that_both_sides_added_are_merged() {
    let bus = memory();
    let a = page(&bus, "a", 10, None);
    let plan = bus.branch("plan", None).unwrap();
    for (side, at, byte) in [(&bus, 12, b"m"), (&plan, 15, b"p")] {
        side.resize(a, 20, &Note::default()).unwrap();
        write(side, a, at, byte);
    }
    bus.merge(&plan, OnConflict::Raise, &Note::default()).unwrap().unwrap();
    assert_eq!((bytes_of(&bus, a)[12], bytes_of(&bus, a)[15]), (b'm', b'p'));
    write(&bus, a, 19, b"1");
    write(&plan, a, 19, b"2");
    assert_eq!(bus.merge(&plan, OnConflict::Raise, &Note::default()).unwrap_err().code(), Code::Conflict);
}

#[test]
fn a_name_may_go_to_another_page_in_a_merge() {
    let bus = memory();
    let old = page(&bus, "a", 10, None);
    let plan = bus.branch("plan", None).unwrap();
    plan.drop_page(old, &Note::default()).unwrap();
    let new = page(&plan, "a", 5, None);
    bus.merge(&plan, OnConflict::Raise, &Note::default()).unwrap().unwrap();
    assert_eq!((bus.state().unwrap().find("a"), bus.state().unwrap().len()), (Some(new), 1));
}

#[test]
fn two_branches_of_a_dropped_one_merge() {
    let disk = Arc::new(Sim::new(1));
    let open = || Bus::on_disk(disk.clone(), &Options::default(), Arc::new(ManualClock::new(1))).unwrap();
    let bus = open();
    let gone = bus.branch("gone", None).unwrap();
    let a = page(&gone, "a", 10_000, None);
    let (left, right) = (gone.branch("left", None).unwrap(), gone.branch("right", None).unwrap());
    gone.drop_branch().unwrap();
    write(&left, a, 0, b"l");
    write(&right, a, 9999, b"r");
    left.merge(&right, OnConflict::Raise, &Note::default()).unwrap().unwrap();
    assert_eq!((bytes_of(&left, a)[0], bytes_of(&left, a)[9999]), (b'l', b'r'));
    write(&right, a, 5000, b"R");
    drop((left, right, gone, bus));
    let bus = open();
    let (left, right) = (bus.checkout("left").unwrap(), bus.checkout("right").unwrap());
    right.merge(&left, OnConflict::Raise, &Note::default()).unwrap().unwrap();
    assert_eq!((bytes_of(&right, a)[0], bytes_of(&right, a)[5000]), (b'l', b'R'));
}

/// What was merged into a branch before it was forked is known to the fork, and what came by a third branch as well: else
/// sums would be added twice.
#[test]
fn nothing_is_merged_twice() {
    let disk = Arc::new(Sim::new(1));
    let open = || Bus::on_disk(disk.clone(), &Options::default(), Arc::new(ManualClock::new(1))).unwrap();
    let bus = open();
    let add = |bus: &Bus, page, n: u8| {
        let data = Data::Fill(Cow::Owned(vec![n]));
        let part = Part { column: 0, select: Select::range(0, 1), data };
        bus.write(Delta::single(page, Builtin::Add.id(), part), &Note::default()).unwrap();
    };
    let merge = |to: &Bus, from: &Bus| to.merge(from, OnConflict::Raise, &Note::default()).unwrap();
    let a = page(&bus, "a", 4, Some(Builtin::Add.id()));
    let one = bus.branch("one", None).unwrap();
    add(&bus, a, 1);
    add(&one, a, 10);
    merge(&one, &bus);
    let two = one.branch("two", None).unwrap();
    let old = one.branch("old", Some(one.epoch().unwrap())).unwrap();
    add(&bus, a, 2);
    add(&two, a, 20);
    for reopened in [false, true] {
        let fork = bus.branch(if reopened { "after" } else { "before" }, None).unwrap();
        merge(&fork, &two);
        assert_eq!(bytes_of(&fork, a)[0], 33, "reopened: {reopened}");
        assert!(merge(&fork, &old).is_none());
    }
    merge(&two, &bus);
    assert_eq!(bytes_of(&two, a)[0], 33);
    let third = bus.branch("third", None).unwrap();
    merge(&third, &two);
    add(&bus, a, 100);
    drop((one, two, old, bus, third));
    let bus = open();
    let third = bus.checkout("third").unwrap();
    merge(&bus, &third);
    assert_eq!(bytes_of(&bus, a)[0], 133);
    assert!(merge(&third, &bus).is_some());
    assert_eq!(bytes_of(&third, a)[0], 133);
}

/// Two locks of one kind at once: with itself, or the other way round on another thread, it waited for ever.
#[test]
fn a_branch_merged_with_itself_has_nothing_to_take() {
    let bus = memory();
    page(&bus, "a", 4, None);
    assert!(bus.merge(&bus, OnConflict::Raise, &Note::default()).unwrap().is_none());
}

#[test]
fn a_merge_by_operator_does_not_depend_on_the_cells_beside() {
    for beside in [1, 2] {
        let bus = memory();
        let add = Builtin::Add.id();
        let a = page(&bus, "a", 4, Some(add));
        let plan = bus.branch("plan", None).unwrap();
        for (bus, cells) in [(&bus, [5, 1]), (&plan, [5, beside])] {
            bus.write(Delta { op: add, ..assign(a, 0, &cells) }, &Note::default()).unwrap();
        }
        bus.merge(&plan, OnConflict::Raise, &Note::default()).unwrap().unwrap();
        assert_eq!(bytes_of(&bus, a)[..2], [10, 1 + beside]);
    }
}

/// A small state of every kind of column, made of the same contents in one way or another.
fn small(detour: bool) -> Bus {
    let bus = memory();
    let note = Note::default();
    let table = Schema::new(
        Kind::Table,
        vec![
            Column::new("x", DType::F64, vec![2]).unwrap(),
            Column::new("s", DType::Bytes(3), vec![]).unwrap(),
        ],
        None,
    );
    let a = page(&bus, "a", if detour { 70_000 } else { 9000 }, None);
    let t = bus.create_page("t", table.unwrap(), 3, &note).unwrap();
    if detour {
        write(&bus, a, 8999, &[7; 50_000]);
        bus.resize(a, 8999, &note).unwrap();
        bus.resize(a, 9000, &note).unwrap();
        bus.drop_page(t, &note).unwrap();
        bus.revert(Epoch(2), &note).unwrap();
        bus.resize(a, 9000, &note).unwrap();
    }
    write(&bus, a, 5000, b"middle");
    let part =
        Part { column: 1, select: Select::indices(vec![2, 0]), data: Data::Dense(Cow::Borrowed(b"abcxyz")) };
    bus.write(Delta::single(t, OperatorId::ASSIGN, part), &note).unwrap();
    bus
}

#[test]
fn a_digest_tells_contents_and_nothing_else() {
    let (one, other) = (small(false), small(true));
    let digest = |bus: &Bus| bus.state().unwrap().digest().unwrap();
    assert_ne!(one.epoch().unwrap(), other.epoch().unwrap());
    assert_eq!(digest(&one), digest(&other));
    let before = digest(&one);
    let a = one.state().unwrap().find("a").unwrap();
    write(&one, a, 8999, &[1]);
    assert_ne!(digest(&one), before);
    write(&one, a, 8999, &[0]);
    assert_eq!(digest(&one), before);
    one.resize(a, 9001, &Note::default()).unwrap();
    assert_ne!(digest(&one), before, "a row more, of zeros");
}

#[test]
fn a_digest_is_the_same_on_every_machine_and_for_ever() {
    let digest = |bus: &Bus| bus.state().unwrap().digest().unwrap().to_string();
    assert_eq!(digest(&memory()), "a1d2e8e13065b004e9fe1caf331275780c46c666d360ac83701849b9d4afb46d");
    assert_eq!(digest(&small(false)), "b86cd23ed05df5ea71b118953d861369a3acdb06e2b9d3d7ea6babe924f32490");
}
