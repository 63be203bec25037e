//! What the versions of a snapshot may cost: kept, read from the log, or let go of.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmsb::base::ids::PageId;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options, PinPolicy};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use proptest::prelude::*;

/// 128 KiB each.
const ROWS: u64 = 16 << 10;
const BYTES: u64 = 8 * ROWS;
/// What may wait for a snapshot: eight versions of a page.
const LIMIT: u64 = 8 * BYTES;

fn open(policy: PinPolicy) -> Bus {
    let options =
        Options { pins: Some(policy), pin_limit: Some(LIMIT), budget: Some(64 << 20), ..Options::default() };
    Bus::memory(&options).unwrap()
}

fn create(bus: &Bus, name: &str) -> PageId {
    let schema = Schema::array(DType::U64, vec![], false, None).unwrap();
    bus.create_page(name, schema, ROWS, &Note::default()).unwrap()
}

fn write(bus: &Bus, page: PageId, number: u64) {
    let bytes: Vec<u8> = (0..ROWS).flat_map(|row| (row + number).to_le_bytes()).collect();
    let part = Part { column: 0, select: Select::range(0, ROWS), data: Data::Dense(Cow::Owned(bytes)) };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

/// Enough pages for a snapshot of them to cost more than it may, each written anew.
fn pages(bus: &Bus) -> Vec<PageId> {
    (0..12).map(|i| create(bus, &format!("page {i}"))).collect()
}

#[test]
fn one_that_costs_too_much_expires_and_its_views_stay() {
    let bus = open(PinPolicy::Expire);
    let pages = pages(&bus);
    pages.iter().for_each(|&page| write(&bus, page, 1));
    let snapshot = bus.snapshot().unwrap();
    let view = snapshot.state().unwrap().view(pages[0], 0, None).unwrap();
    let before = view.bytes().to_vec();
    for &page in &pages[..4] {
        write(&bus, page, 2);
    }
    assert_eq!(bus.stats().unwrap().let_go, 0, "it costs less than it may");
    assert!(snapshot.state().is_ok());
    assert!(bus.pins().unwrap().iter().any(|pin| pin.leased && pin.bytes > 3 * BYTES));
    for &page in &pages[4..] {
        write(&bus, page, 2);
    }
    assert_eq!(bus.stats().unwrap().let_go, 1);
    let error = snapshot.state().unwrap_err();
    assert_eq!(error.code(), Code::SnapshotExpired);
    assert!(error.to_string().contains(&LIMIT.to_string()), "{error}");
    // What the view shows is all that waits.
    assert!((BYTES..2 * BYTES).contains(&bus.stats().unwrap().held), "{}", bus.stats().unwrap().held);
    write(&bus, pages[0], 3);
    assert!(view.bytes() == before);
    assert!(bus.dear_pins().is_empty());
    drop((snapshot, view));
    write(&bus, pages[0], 4);
    assert_eq!(bus.stats().unwrap().held, 0);
    bus.audit().unwrap();
}

#[test]
fn one_that_is_spilled_is_read_from_the_log() {
    let bus = open(PinPolicy::Spill);
    let pages = pages(&bus);
    pages.iter().for_each(|&page| write(&bus, page, 1));
    let (snapshot, before) = (bus.snapshot().unwrap(), bus.state().unwrap().digest().unwrap());
    let past = bus.snapshot_at(mmsb::base::ids::Epoch(15)).unwrap();
    let long_ago = past.state().unwrap().digest().unwrap();
    for number in 2..5 {
        pages.iter().for_each(|&page| write(&bus, page, number));
    }
    assert_eq!(bus.stats().unwrap().let_go, 1);
    assert!(bus.stats().unwrap().held <= LIMIT);
    let state = snapshot.state().unwrap();
    assert_eq!((state.epoch(), snapshot.epoch()), (mmsb::base::ids::Epoch(24), state.epoch()));
    assert_eq!(state.digest().unwrap(), before, "the same bytes as before");
    let view = state.view(pages[3], 0, None).unwrap();
    assert!(view.bytes().chunks(8).eq((0..ROWS).map(|row| (row + 1).to_le_bytes())));
    assert_eq!(past.state().unwrap().digest().unwrap(), long_ago);
    // Nor does it hold anything of what is committed from then on.
    for number in 5..8 {
        pages.iter().for_each(|&page| write(&bus, page, number));
    }
    assert!(bus.stats().unwrap().held <= LIMIT);
    assert_eq!(snapshot.state().unwrap().digest().unwrap(), before);
}

#[test]
fn one_that_is_kept_is_told_of_once() {
    let bus = open(PinPolicy::Warn);
    let pages = pages(&bus);
    pages.iter().for_each(|&page| write(&bus, page, 9));
    let snapshot = bus.snapshot().unwrap();
    let before = snapshot.state().unwrap().digest().unwrap();
    assert!(!bus.has_dear_pins());
    for number in 0..3 {
        pages.iter().for_each(|&page| write(&bus, page, number));
    }
    let told = bus.dear_pins();
    assert_eq!(told.len(), 1);
    assert!(told[0].bytes > LIMIT && !told[0].leased && told[0].page == PageId(0));
    assert_eq!(told[0].process, u64::from(std::process::id()));
    assert_eq!(told[0].of, Some(("main".into(), snapshot.epoch())));
    for number in 3..6 {
        pages.iter().for_each(|&page| write(&bus, page, number));
    }
    assert!(bus.dear_pins().is_empty(), "once");
    assert_eq!((bus.stats().unwrap().let_go, snapshot.state().unwrap().digest().unwrap()), (0, before));
}

#[test]
fn memory_that_is_short_is_taken_from_snapshots_first() {
    for policy in [PinPolicy::Expire, PinPolicy::Warn] {
        let options = Options {
            pins: Some(policy),
            pin_limit: Some(1 << 40),
            budget: Some(16 << 20),
            ..Options::default()
        };
        let bus = Bus::memory(&options).unwrap();
        let page = create(&bus, "page");
        let mut held = Vec::new();
        let mut number = 0;
        let failed = loop {
            held.push(bus.snapshot().unwrap());
            let bytes: Vec<u8> = (0..ROWS).flat_map(|row| (row + number).to_le_bytes()).collect();
            let part =
                Part { column: 0, select: Select::range(0, ROWS), data: Data::Dense(Cow::Owned(bytes)) };
            match bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()) {
                Err(error) => break Some(error.code()),
                Ok(_) if number == 400 => break None,
                Ok(_) => number += 1,
            }
        };
        let expired = held.iter().filter(|snapshot| snapshot.state().is_err()).count();
        match policy {
            PinPolicy::Expire => assert!(failed.is_none() && expired > 200, "{failed:?}, {expired} expired"),
            _ => assert!(failed == Some(Code::MemoryBudget) && expired == 0, "{failed:?}, {expired} expired"),
        }
    }
}

#[test]
fn what_is_given_back_before_it_is_let_go_of_is_nobody_elses() {
    let options = Options { pins: Some(PinPolicy::Expire), pin_limit: Some(BYTES), ..Options::default() };
    let bus = Bus::memory(&options).unwrap();
    let pages = pages(&bus);
    std::thread::scope(|scope| {
        let reading = || {
            let (mut read, mut expired) = (0u64, 0u64);
            for _ in 0..400 {
                let snapshot = bus.snapshot().unwrap();
                // Long enough for some commits.
                std::thread::sleep(Duration::from_micros(200));
                for &page in &pages {
                    match snapshot.state() {
                        Ok(state) => {
                            let view = state.view(page, 0, None).unwrap();
                            let first = u64::from_le_bytes(view.bytes()[..8].try_into().unwrap());
                            let rows =
                                view.bytes().chunks(8).map(|row| u64::from_le_bytes(row.try_into().unwrap()));
                            // A page that nobody wrote yet is all zeros.
                            let ramp = rows.zip(0..).all(|(cell, row)| cell == first + row);
                            assert!(ramp || first == 0 && view.bytes().iter().all(|&byte| byte == 0));
                            read += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.code(), Code::SnapshotExpired);
                            expired += 1;
                        }
                    }
                }
            }
            (read, expired)
        };
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(reading)).collect();
        let mut number = 1;
        while readers.iter().any(|reader| !reader.is_finished()) {
            pages.iter().for_each(|&page| write(&bus, page, number));
            number += 1;
        }
        for reader in readers {
            let (read, _) = reader.join().unwrap();
            assert!(read > 0);
        }
    });
    assert!(bus.stats().unwrap().let_go > 0);
    bus.audit().unwrap();
}

#[test]
fn all_of_one_epoch_are_let_go_of() {
    let bus = open(PinPolicy::Expire);
    let pages = pages(&bus);
    pages.iter().for_each(|&page| write(&bus, page, 1));
    let held: Vec<_> = (0..5).map(|_| bus.snapshot().unwrap()).collect();
    for &page in &pages {
        write(&bus, page, 2);
    }
    // What waited for the first one waits for the next one when that has gone, and so on.
    assert_eq!(bus.stats().unwrap().let_go, 5);
    assert!(held.iter().all(|snapshot| snapshot.state().is_err()));
    assert!(bus.stats().unwrap().held <= 5 * BYTES);
}

#[test]
fn what_waits_for_a_lease_when_another_pin_has_gone_is_seen() {
    let bus = open(PinPolicy::Expire);
    let pages = pages(&bus);
    pages.iter().for_each(|&page| write(&bus, page, 1));
    // The older one is what waits for both.
    let state = bus.state().unwrap();
    let other = create(&bus, "another");
    let snapshot = bus.snapshot().unwrap();
    write(&bus, other, 1);
    for &page in &pages {
        write(&bus, page, 2);
    }
    assert_eq!(bus.stats().unwrap().let_go, 0);
    assert!(snapshot.state().is_ok());
    drop(state);
    std::thread::sleep(Duration::from_millis(120));
    write(&bus, pages[0], 3);
    assert_eq!(bus.stats().unwrap().let_go, 1);
    assert_eq!(snapshot.state().unwrap_err().code(), Code::SnapshotExpired);
}

#[test]
fn a_snapshot_of_an_epoch_is_of_that_epoch_whoever_commits_meanwhile() {
    let bus = open(PinPolicy::Expire);
    let page = create(&bus, "page");
    let stop = AtomicBool::new(false);
    let goes_on = |_: &u64| !stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        // It ends also where the other one fails.
        scope.spawn(|| (0..100_000).take_while(&goes_on).for_each(|number| write(&bus, page, number)));
        for _ in 0..2000 {
            let epoch = bus.epoch().unwrap();
            assert_eq!(bus.snapshot_at(epoch).unwrap().epoch(), epoch);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the policy, each snapshot shows what it showed when it was taken, or nothing.
    #[test]
    fn a_snapshot_shows_what_it_was_or_nothing(
        policy in prop_oneof![Just(PinPolicy::Warn), Just(PinPolicy::Spill), Just(PinPolicy::Expire)],
        steps in prop::collection::vec((0usize..12, 0u8..8), 1..120),
    ) {
        let bus = open(policy);
        let pages = pages(&bus);
        let mut held = Vec::new();
        for (number, (page, what)) in steps.into_iter().enumerate() {
            match what {
                0 => held.push((bus.snapshot().unwrap(), bus.state().unwrap().digest().unwrap())),
                1 if !held.is_empty() => drop(held.swap_remove(page % held.len())),
                _ => write(&bus, pages[page], 1 + number as u64),
            }
        }
        for (snapshot, digest) in &held {
            match snapshot.state() {
                Ok(state) => prop_assert_eq!(state.digest().unwrap(), *digest),
                Err(error) => {
                    prop_assert_eq!(policy, PinPolicy::Expire);
                    prop_assert_eq!(error.code(), Code::SnapshotExpired);
                }
            }
        }
        drop(held);
        bus.audit().unwrap();
    }
}
