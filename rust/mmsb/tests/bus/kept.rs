//! What is kept is told apart from what is gone: by time, on a disk that lost a bit, and where opening failed.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mmsb::base::clock::{Clock, ManualClock};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{ArenaPlace, Mode, Note, Options};
use mmsb::bus::upkeep::verify::verify;
use mmsb::memory::disk::{Disk, Real, Sim};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const ROWS: u64 = 1000;

fn create(bus: &Bus) -> PageId {
    let schema = Schema::array(DType::U64, vec![], false, None).unwrap();
    bus.create_page("a", schema, ROWS, &Note::default()).unwrap()
}

fn write(bus: &Bus, page: PageId, number: u64) {
    let bytes: Vec<u8> = (0..ROWS).flat_map(|row| (row * row * number).to_le_bytes()).collect();
    let part = Part { column: 0, select: Select::range(0, ROWS), data: Data::Dense(Cow::Owned(bytes)) };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

/// Commits of an hour each; between them is half past.
const HOUR: u64 = 3_600_000_000_000;

#[test]
fn a_time_before_what_is_kept_is_pruned_and_not_nothing() {
    let clock = Arc::new(ManualClock::new(HOUR));
    let bus = Bus::on_disk(Arc::new(Sim::new(1)), &Options::default(), Arc::clone(&clock) as Arc<dyn Clock>);
    let bus = bus.unwrap();
    let page = create(&bus);
    for hour in 2..=6 {
        clock.set(hour * HOUR);
        write(&bus, page, hour);
    }
    let at = |hour: u64| bus.at_time(hour * HOUR + HOUR / 2).map(|state| state.epoch().0);
    assert_eq!((at(0).unwrap(), at(1).unwrap(), at(4).unwrap(), at(9).unwrap()), (0, 1, 4, 6));
    clock.set(7 * HOUR);
    let plan = bus.branch("plan", None).unwrap();
    clock.set(8 * HOUR);
    bus.squash(&mut |_| {}).unwrap();
    assert_eq!(at(9).unwrap(), 6, "no commit is kept, but the state is");
    for hour in 0..7 {
        let error = at(hour).unwrap_err();
        assert_eq!(error.code(), Code::HistoryPruned, "{hour}: {error}");
        assert!(error.to_string().contains("epoch 6"), "{error}");
    }
    clock.set(10 * HOUR);
    write(&bus, page, 10);
    clock.set(11 * HOUR);
    write(&bus, page, 11);
    assert_eq!((at(9).unwrap(), at(10).unwrap(), at(11).unwrap()), (6, 7, 8));
    assert_eq!(at(5).unwrap_err().code(), Code::HistoryPruned);
    assert_eq!(plan.at_time(9 * HOUR).unwrap().epoch(), Epoch(6));
    assert_eq!(plan.at_time(3 * HOUR).unwrap_err().code(), Code::HistoryPruned);
}

/// A bus with a page and twenty commits; whether they were synced before it was closed, or where the process stays.
fn small(path: &Path, durability: Durability) {
    let bus = Bus::open(path, &Options { durability, ..Options::default() }).unwrap();
    let page = create(&bus);
    (0..20).for_each(|number| write(&bus, page, number));
    // What outlives the bus does not hinder it.
    let state = bus.state().unwrap();
    bus.close();
    assert_eq!(state.epoch(), Epoch(21));
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of the bus with one bit of its log turned round.
fn flipped(path: &Path, to: &Path, at: usize) {
    copied(path, to);
    let log = to.join("log/0000000001.seg");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[at] ^= 1;
    std::fs::write(log, bytes).unwrap();
}

fn refused(path: &Path) {
    for mode in [Mode::Read, Mode::Append] {
        let error = Bus::open(path, &Options { mode, ..Options::default() }).unwrap_err();
        assert_eq!(error.code(), Code::CorruptLog, "{error}");
    }
    let report = verify(path, &mut |_| {}).unwrap();
    assert!(!report.ok && report.damage.is_some(), "{report:?}");
}

#[test]
fn a_bit_lost_after_closing_is_found_wherever_it_was() {
    for durability in [Durability::Memory, Durability::Process, Durability::Disk] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        small(&path, durability);
        let written = std::fs::read(path.join("log/0000000001.seg")).unwrap();
        let end = written.iter().rposition(|&byte| byte != 0).unwrap();
        for (number, at) in (4096..end).step_by(end / 7).chain([end]).enumerate() {
            let to = dir.path().join(number.to_string());
            flipped(&path, &to, at);
            refused(&to);
        }
    }
}

#[test]
fn a_bit_lost_after_syncing_is_found_though_the_bus_was_not_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = create(&bus);
    (0..20).for_each(|number| write(&bus, page, number));
    bus.sync().unwrap();
    let written = std::fs::read(path.join("log/0000000001.seg")).unwrap();
    let end = written.iter().rposition(|&byte| byte != 0).unwrap();
    // As if the process had been killed now.
    flipped(&path, &dir.path().join("middle"), end / 2);
    flipped(&path, &dir.path().join("end"), end);
    refused(&dir.path().join("middle"));
    refused(&dir.path().join("end"));
    bus.sync().unwrap();
}

#[test]
fn a_budget_too_small_for_a_bus_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    for arena in [ArenaPlace::Shared, ArenaPlace::Directory] {
        for mode in [Mode::Append, Mode::Create] {
            for budget in [10, 100_000] {
                let options = Options { budget: Some(budget), mode, arena, ..Options::default() };
                match Bus::open(&path, &options) {
                    Ok(bus) => {
                        drop(bus);
                        std::fs::remove_dir_all(&path).unwrap();
                    }
                    Err(error) => {
                        assert_eq!(error.code(), Code::MemoryBudget, "{error}");
                        assert!(!path.exists(), "{budget}");
                    }
                }
            }
        }
    }
    std::fs::create_dir(&path).unwrap();
    let options = Options { budget: Some(10), ..Options::default() };
    assert_eq!(Bus::open(&path, &options).unwrap_err().code(), Code::MemoryBudget);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

/// A second process beside a writer whose log is checkpointed, compressed and let go of all the time: it opens the bus
/// and verifies it whenever it likes.
#[test]
fn others_open_and_verify_beside_a_busy_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let mut options = Options { checkpoint_after: Some(64 << 10), ..Options::default() };
    (options.log.first_segment, options.log.max_segment) = (16 << 10, 64 << 10);
    let bus = Bus::open(&path, &options).unwrap();
    let page = create(&bus);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                write(&bus, page, number);
                if number % 400 == 399 {
                    bus.prune(2, &mut |_| {}).unwrap();
                }
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let end = Instant::now() + Duration::from_secs(2);
        let looked = std::panic::catch_unwind(|| {
            while Instant::now() < end {
                let disk: Arc<dyn Disk> = Arc::new(Real::new(&path, true));
                let reading = Options { mode: Mode::Read, ..Options::default() };
                let other = Bus::on_disk(disk, &reading, Arc::new(ManualClock::new(1))).unwrap();
                other.state().unwrap().digest().unwrap();
                drop(other);
                let report = verify(&path, &mut |_| {}).unwrap();
                assert!(report.ok, "{report:?}");
            }
        });
        done.store(true, Ordering::Relaxed);
        looked.unwrap();
    });
}
