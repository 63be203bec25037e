//! Many clients that wait for the disk share its syncs, and nobody is left waiting.

use std::borrow::Cow;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::slow_disk::Slow;
use mmsb::base::clock::SystemClock;
use mmsb::base::ids::PageId;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::memory::disk::{Crash, Fault, Sim};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const CLIENTS: u64 = 16;

fn open(disk: Slow) -> (Bus, PageId) {
    let options = Options { durability: Durability::Disk, checkpoint_after: None, ..Options::default() };
    let bus = Bus::on_disk(Arc::new(disk), &options, Arc::new(SystemClock)).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let page = bus.create_page("page", schema, CLIENTS, &Note::default()).unwrap();
    (bus, page)
}

fn put(bus: &Bus, page: PageId, row: u64, value: u8) -> Result<(), Code> {
    let data = Data::Dense(Cow::Owned(vec![value]));
    let part = Part { column: 0, select: Select::range(row, row + 1), data };
    let wrote = bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default());
    wrote.map(|_| ()).map_err(|error| error.code())
}

fn bytes(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

/// Waits for what somebody else does at once, unless something is wrong.
fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_comes_during_a_sync_shares_the_next() {
    let disk = Slow::new(&Sim::new(1), Duration::ZERO);
    let (bus, page) = open(disk.clone());
    let (before, commits) = (disk.syncs(), bus.stats().unwrap().commits);
    disk.hold();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (bus, disk) = (&bus, &disk);
            scope.spawn(move || {
                if client > 0 {
                    until(|| disk.syncs() > before);
                }
                put(bus, page, client, 1).unwrap();
                assert_eq!(bytes(bus, page)[client as usize], 1, "told before it can be seen");
            });
        }
        until(|| bus.stats().unwrap().commits == commits + CLIENTS);
        assert_eq!(bytes(&bus, page), [0; CLIENTS as usize], "seen before it is durable");
        disk.release();
    });
    assert_eq!(disk.syncs() - before, 2);
}

#[test]
fn clients_that_come_again_and_again_share_syncs() {
    const EACH: u64 = 20;
    let sim = Sim::new(1);
    let disk = Slow::new(&sim, Duration::from_millis(4));
    let (bus, page) = open(disk.clone());
    let (before, all) = (disk.syncs(), Barrier::new(CLIENTS as usize));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (bus, all) = (&bus, &all);
            scope.spawn(move || {
                all.wait();
                (1..=EACH).for_each(|value| put(bus, page, client, value as u8).unwrap());
            });
        }
    });
    let syncs = disk.syncs() - before;
    println!("{} commits, {syncs} syncs", CLIENTS * EACH);
    assert!(syncs <= 2 * EACH + 8, "{syncs} syncs for {EACH} commits of each client");
    drop(bus);
    let (bus, page) = {
        let disk = Slow::new(&sim.crash(Crash::KeepNone), Duration::ZERO);
        let bus = Bus::on_disk(Arc::new(disk), &Options::default(), Arc::new(SystemClock)).unwrap();
        let page = bus.state().unwrap().find("page").unwrap();
        (bus, page)
    };
    assert_eq!(bytes(&bus, page), [EACH as u8; CLIENTS as usize]);
}

/// Closing holds what showing a commit needs, and waits for the sync that somebody else is about to show.
#[test]
fn closing_beside_clients_that_wait_ends() {
    let disk = Slow::new(&Sim::new(1), Duration::ZERO);
    let (bus, page) = open(disk.clone());
    let commits = bus.stats().unwrap().commits;
    disk.hold();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let bus = &bus;
                scope.spawn(move || put(bus, page, client, 1))
            })
            .collect();
        until(|| bus.stats().unwrap().commits == commits + CLIENTS);
        let closing = scope.spawn(|| bus.close());
        thread::sleep(Duration::from_millis(20));
        disk.release();
        closing.join().unwrap();
        for client in clients {
            client.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_failed_sync_is_told_to_all_who_wait_for_it() {
    let sim = Sim::new(1);
    let disk = Slow::new(&sim, Duration::ZERO);
    let (bus, page) = open(disk.clone());
    let (before, commits) = (disk.syncs(), bus.stats().unwrap().commits);
    disk.hold();
    let told: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (bus, disk) = (&bus, &disk);
                scope.spawn(move || {
                    if client > 0 {
                        until(|| disk.syncs() > before);
                    }
                    put(bus, page, client, 1)
                })
            })
            .collect();
        until(|| bus.stats().unwrap().commits == commits + CLIENTS);
        sim.fail(sim.ops(), Fault::Io, true);
        disk.release();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(told[0], Ok(()), "its sync was over before the disk failed");
    assert!(told[1..].iter().all(|told| *told == Err(Code::CommitUnknown)), "{told:?}");
}
