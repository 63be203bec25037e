//! Merges beside a commit that is in the log and waits for the disk: nobody sees it yet, and no merge may count on it.

use std::borrow::Cow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::slow_disk::Slow;
use mmsb::algebra::operator::Builtin;
use mmsb::base::clock::SystemClock;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::memory::disk::Sim;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const POLICIES: [OnConflict; 3] = [OnConflict::Raise, OnConflict::Ours, OnConflict::Theirs];

/// So long a sync is held while others look: longer than they need to go wrong.
const HELD: Duration = Duration::from_millis(200);

fn note() -> Note {
    Note::default()
}

/// Of a commit that waits for the disk.
fn durable() -> Note {
    Note { durability: Some(Durability::Disk), ..note() }
}

/// A bus whose commits do not wait unless they ask for it.
fn slow() -> (Bus, Slow) {
    let disk = Slow::new(&Sim::new(1), Duration::ZERO);
    let options = Options {
        durability: Durability::Memory,
        checkpoint_after: None,
        history_budget: None,
        ..Options::default()
    };
    (Bus::on_disk(Arc::new(disk.clone()), &options, Arc::new(SystemClock)).unwrap(), disk)
}

fn page(bus: &Bus, name: &str, op: Option<OperatorId>) -> PageId {
    bus.create_page(name, Schema::array(DType::U8, vec![], false, op).unwrap(), 4, &note()).unwrap()
}

fn put(bus: &Bus, page: PageId, op: OperatorId, row: u64, value: u8, note: &Note) {
    let data = Data::Dense(Cow::Owned(vec![value]));
    bus.write(Delta::single(page, op, Part { column: 0, select: Select::range(row, row + 1), data }), note)
        .unwrap();
}

fn bytes(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

fn merge(into: &Bus, from: &Bus, policy: OnConflict) -> Option<Epoch> {
    into.merge(from, policy, &note()).unwrap().map(|committed| committed.epoch)
}

/// Does `then` while the commit that `waiting` makes is in the log, and waits for the disk for a while.
fn beside(bus: &Bus, disk: &Slow, waiting: impl FnOnce() + Send, then: impl FnOnce()) {
    let commits = bus.stats().unwrap().commits;
    disk.hold();
    thread::scope(|scope| {
        let committing = scope.spawn(waiting);
        while bus.stats().unwrap().commits == commits && !committing.is_finished() {
            thread::yield_now();
        }
        scope.spawn(|| {
            thread::sleep(HELD);
            disk.release();
        });
        then();
    });
}

/// What the other side has merged and does not show yet is not taken for taken.
#[test]
fn what_their_waiting_merge_brings_is_taken_later() {
    for op in [OperatorId::ASSIGN, Builtin::Add.id()] {
        let (main, disk) = slow();
        let p = page(&main, "p", Some(op));
        let (x, t) = (main.branch("x", None).unwrap(), main.branch("t", None).unwrap());
        put(&x, p, op, 0, 5, &note());
        put(&t, p, op, 1, 1, &note());
        let waiting = || assert!(t.merge(&x, OnConflict::Raise, &durable()).unwrap().is_some());
        beside(&main, &disk, waiting, || {
            assert_eq!(bytes(&t, p), [0, 1, 0, 0]);
            assert!(merge(&main, &t, OnConflict::Raise).is_some());
        });
        assert_eq!(bytes(&t, p), [5, 1, 0, 0]);
        assert_eq!(bytes(&main, p), [0, 1, 0, 0]);
        assert!(merge(&main, &t, OnConflict::Raise).is_some());
        assert_eq!(bytes(&main, p), [5, 1, 0, 0]);
        assert_eq!(merge(&main, &x, OnConflict::Raise), None);
        assert_eq!(merge(&main, &t, OnConflict::Raise), None);
    }
}

/// What this side has merged and does not show yet is not taken for a base that it changed.
#[test]
fn what_our_waiting_merge_brings_is_no_conflict() {
    for policy in POLICIES {
        let (main, disk) = slow();
        let (add, assign) = (Builtin::Add.id(), OperatorId::ASSIGN);
        let (p, r) = (page(&main, "p", Some(add)), page(&main, "r", None));
        let (x, t) = (main.branch("x", None).unwrap(), main.branch("t", None).unwrap());
        let q = page(&x, "q", None);
        put(&x, p, add, 0, 5, &note());
        merge(&t, &x, OnConflict::Raise).unwrap();
        put(&t, p, add, 0, 1, &note());
        put(&t, q, assign, 0, 1, &note());
        put(&t, r, assign, 0, 1, &note());
        let waiting = || assert!(main.merge(&x, OnConflict::Raise, &durable()).unwrap().is_some());
        beside(&main, &disk, waiting, || assert!(merge(&main, &t, policy).is_some()));
        for page in [p, q, r] {
            assert_eq!(bytes(&main, page), bytes(&t, page), "{policy:?}");
        }
        assert_eq!(bytes(&main, p), [6, 0, 0, 0]);
        for other in [&x, &t] {
            assert_eq!(merge(&main, other, OnConflict::Raise), None);
        }
    }
}

/// What our waiting merge brings with a page that only it has, which the other side wrote since.
#[test]
fn a_page_that_our_waiting_merge_brings_is_not_left_as_it_was() {
    for policy in POLICIES {
        let (main, disk) = slow();
        let (x, t) = (main.branch("x", None).unwrap(), main.branch("t", None).unwrap());
        let q = page(&x, "q", None);
        merge(&t, &x, OnConflict::Raise).unwrap();
        put(&t, q, OperatorId::ASSIGN, 0, 1, &note());
        let waiting = || assert!(main.merge(&x, OnConflict::Raise, &durable()).unwrap().is_some());
        beside(&main, &disk, waiting, || assert!(merge(&main, &t, policy).is_some(), "{policy:?}"));
        assert_eq!(bytes(&main, q), [1, 0, 0, 0]);
        assert_eq!(merge(&main, &t, OnConflict::Raise), None);
    }
}

/// A policy settles what a waiting commit wrote, when that can be seen; without one it is a conflict.
#[test]
fn a_merge_waits_for_the_commit_that_came_first() {
    for policy in POLICIES {
        let (main, disk) = slow();
        let p = page(&main, "p", None);
        let t = main.branch("t", None).unwrap();
        put(&t, p, OperatorId::ASSIGN, 0, 9, &note());
        let waiting = || put(&main, p, OperatorId::ASSIGN, 0, 3, &durable());
        beside(&main, &disk, waiting, || match main.merge(&t, policy, &note()) {
            Err(Error::Conflict(clashes)) if policy == OnConflict::Raise => {
                assert_eq!(clashes[0].what, "both sides wrote it");
            }
            merged => assert!(merged.unwrap().is_some()),
        });
        let cell = if policy == OnConflict::Theirs { 9 } else { 3 };
        assert_eq!(bytes(&main, p), [cell, 0, 0, 0]);
        let again = main.merge(&t, OnConflict::Raise, &note()).map_err(|error| error.code());
        assert_eq!(again, if policy == OnConflict::Raise { Err(Code::Conflict) } else { Ok(None) });
    }
}

/// A branch forked off, and a checkpoint taken, while a merge waits for the disk have both its cells and what it merged.
#[test]
fn a_fork_and_a_checkpoint_have_all_of_a_waiting_merge() {
    let (main, disk) = slow();
    let add = Builtin::Add.id();
    let p = page(&main, "p", Some(add));
    let x = main.branch("x", None).unwrap();
    put(&x, p, add, 0, 5, &note());
    let waiting = || assert!(main.merge(&x, OnConflict::Raise, &durable()).unwrap().is_some());
    beside(&main, &disk, waiting, || {
        let fork = main.branch("fork", None).unwrap();
        assert_eq!((bytes(&fork, p), merge(&fork, &x, OnConflict::Raise)), (vec![5, 0, 0, 0], None));
    });
    put(&x, p, add, 0, 1, &note());
    let waiting = || assert!(main.merge(&x, OnConflict::Raise, &durable()).unwrap().is_some());
    beside(&main, &disk, waiting, || drop(main.checkpoint(&mut |_| {}).unwrap()));
    drop((x, main));
    let main = Bus::on_disk(Arc::new(disk), &Options::default(), Arc::new(SystemClock)).unwrap();
    let x = main.checkout("x").unwrap();
    assert_eq!((bytes(&main, p), merge(&main, &x, OnConflict::Raise)), (vec![6, 0, 0, 0], None));
}

/// Merges that race with merges of the branch they merge take each change once.
#[test]
fn every_change_is_merged_once_beside_merges() {
    const CHANGES: u64 = 500;
    let (main, disk) = slow();
    disk.release();
    let add = Builtin::Add.id();
    let schema = Schema::array(DType::U64, vec![], false, Some(add)).unwrap();
    let p = main.create_page("p", schema, 2, &note()).unwrap();
    let (x, t) = (main.branch("x", None).unwrap(), main.branch("t", None).unwrap());
    let one = |bus: &Bus, row| {
        let data = Data::Dense(Cow::Owned(1u64.to_le_bytes().to_vec()));
        let part = Part { column: 0, select: Select::range(row, row + 1), data };
        bus.write(Delta::single(p, add, part), &note()).unwrap();
    };
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for i in 0..CHANGES {
                one(&x, 0);
                one(&t, 1);
                let note = if i % 8 == 0 { durable() } else { note() };
                t.merge(&x, OnConflict::Raise, &note).unwrap();
            }
        });
        while !changing.is_finished() {
            merge(&main, &t, OnConflict::Raise);
            merge(&main, &x, OnConflict::Raise);
        }
    });
    merge(&main, &t, OnConflict::Raise);
    let cells: Vec<u64> =
        bytes(&main, p).chunks_exact(8).map(|cell| u64::from_le_bytes(cell.try_into().unwrap())).collect();
    assert_eq!(cells, [CHANGES; 2]);
}
