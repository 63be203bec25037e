//! Closing: with the last handle the bus is free for others to write, and what was handed out of it stays.

use std::borrow::Cow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{ArenaPlace, Mode, Note, Options};
use mmsb::bus::past::history::Filter;
use mmsb::bus::transaction::Isolation;
use mmsb::memory::disk::{Disk, Real};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::log::Durability;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const ROWS: u64 = 30_000;

fn fill(page: PageId, value: u64) -> Delta<'static> {
    let data = Data::Fill(Cow::Owned(value.to_le_bytes().to_vec()));
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select: Select::range(0, ROWS), data })
}

fn create(bus: &Bus, name: &str) -> PageId {
    let schema = Schema::array(DType::U64, vec![], false, None).unwrap();
    bus.create_page(name, schema, ROWS, &Note::default()).unwrap()
}

/// Whether somebody has the bus open for writing, in this process or another.
fn is_locked(path: &Path) -> bool {
    Real::new(path, false).lock().is_err()
}

fn first(bus: &Bus, page: PageId) -> u64 {
    let mut cell = [0; 8];
    bus.state().unwrap().read(page, 0, &Select::range(0, 1), &mut cell).unwrap();
    u64::from_le_bytes(cell)
}

#[test]
fn the_last_handle_lets_others_write_and_what_was_taken_stays() {
    for arena in [ArenaPlace::Shared, ArenaPlace::Directory] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let options = Options { arena, ..Options::default() };
        let bus = Bus::open(&path, &options).unwrap();
        let page = create(&bus, "a");
        bus.write(fill(page, 1), &Note::default()).unwrap();
        let state = bus.state().unwrap();
        let view = state.view(page, 0, None).unwrap();
        let digest = state.digest().unwrap();
        let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
        tx.write(fill(page, 2)).unwrap();
        let (again, reader) =
            (Bus::open(&path, &options), Bus::open(&path, &Options { mode: Mode::Read, ..options.clone() }));
        let (again, reader) = (again.unwrap(), reader.unwrap());
        bus.close();
        bus.close();
        assert!(is_locked(&path), "another handle is open");
        reader.close();
        again.write(fill(page, 3), &Note::default()).unwrap();
        again.close();
        assert!(!is_locked(&path));
        let closed = |code| assert_eq!(code, Code::Closed);
        closed(tx.commit().unwrap_err().code());
        closed(bus.state().unwrap_err().code());
        closed(again.write(fill(page, 4), &Note::default()).unwrap_err().code());
        closed(again.checkpoint(&mut |_| {}).unwrap_err().code());

        let new = Bus::open(&path, &options).unwrap();
        assert!(is_locked(&path));
        assert_eq!(first(&new, page), 3);
        new.write(fill(page, 5), &Note::default()).unwrap();
        assert!(view.bytes().as_chunks::<8>().0.iter().all(|cell| *cell == 1u64.to_le_bytes()));
        assert_eq!(state.digest().unwrap(), digest);
        // The old memory may go before the new.
        drop((view, state, bus, again, reader));
        assert_eq!(first(&new, page), 5);
        drop(new);
        assert!(!is_locked(&path));
        assert_eq!(first(&Bus::open(&path, &options).unwrap(), page), 5);
    }
}

#[test]
fn closing_a_branch_leaves_the_handle_it_came_from_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = create(&bus, "a");
    let plan = bus.branch("plan", None).unwrap();
    let (inner, same) = (plan.checkout("main").unwrap(), plan.clone());
    plan.close();
    assert!(plan.is_closed() && same.is_closed() && inner.is_closed() && !bus.is_closed());
    assert_eq!(inner.write(fill(page, 1), &Note::default()).unwrap_err().code(), Code::Closed);
    bus.write(fill(page, 2), &Note::default()).unwrap();
    // It is the last handle of all that goes, opened from another or not.
    let again = bus.checkout("plan").unwrap();
    drop((bus, plan, inner, same));
    again.write(fill(page, 3), &Note::default()).unwrap();
    assert!(is_locked(&path));
    drop(again);
    assert!(!is_locked(&path));

    let bus = Bus::open(&path, &Options::default()).unwrap();
    let (plan, main) = (bus.checkout("plan").unwrap(), bus.checkout("main").unwrap());
    bus.close();
    assert!(plan.is_closed() && main.is_closed() && !is_locked(&path));
    assert_eq!(plan.epoch().unwrap_err().code(), Code::Closed);
}

#[test]
fn what_is_asked_of_commits_is_each_handles_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let options = Options { budget: Some(1 << 30), ..Options::default() };
    let bus = Bus::open(&path, &options).unwrap();
    let page = create(&bus, "a");
    let disk = Options { durability: Durability::Disk, ..Options::default() };
    let safe = Bus::open(&path, &disk).unwrap();
    assert_eq!((bus.durability(), safe.durability()), (Durability::Process, Durability::Disk));
    assert_eq!(safe.branch("plan", None).unwrap().durability(), Durability::Disk);
    let survives = || {
        let mut newest = None;
        bus.log(&Filter::default(), |commit| {
            newest = Some(commit.durability);
            true
        })
        .unwrap();
        newest.unwrap()
    };
    bus.write(fill(page, 1), &Note::default()).unwrap();
    assert_eq!(survives(), Durability::Process);
    safe.write(fill(page, 2), &Note::default()).unwrap();
    assert_eq!(survives(), Durability::Disk);
    let mut tx = safe.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(fill(page, 3)).unwrap();
    tx.commit().unwrap();
    assert_eq!(survives(), Durability::Disk);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(fill(page, 4)).unwrap();
    tx.commit().unwrap();
    assert_eq!(survives(), Durability::Process);

    // What all handles share cannot be another for one of them.
    let refused = |options: &Options| {
        let error = Bus::open(&path, options).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    };
    refused(&Options { budget: Some(1 << 31), ..Options::default() });
    refused(&Options { arena: ArenaPlace::Directory, ..Options::default() });
    Bus::open(&path, &options).unwrap();
    drop(safe);
    bus.write(fill(page, 5), &Note::default()).unwrap();
}

/// A chain of handles, each opened from the one before, goes without going as deep as it is long.
#[test]
fn handles_opened_from_one_another_go_one_by_one() {
    let mut bus = Bus::memory(&Options::default()).unwrap();
    let first = bus.clone();
    for _ in 0..20_000 {
        bus = bus.checkout("main").unwrap();
    }
    drop(bus);
    assert!(!first.is_closed());
}

#[test]
fn a_past_state_is_read_from_the_files_for_as_long_as_they_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let pages = [create(&bus, "a"), create(&bus, "b")];
    for value in 1..5 {
        for page in pages {
            bus.write(fill(page, value), &Note::default()).unwrap();
        }
    }
    let past = bus.at(Epoch(4)).unwrap();
    bus.close();
    let cell = |value: u64| value.to_le_bytes();
    let other = Bus::open(&path, &Options::default()).unwrap();
    other.write(fill(pages[0], 9), &Note::default()).unwrap();
    assert_eq!(past.view(pages[0], 0, None).unwrap().bytes()[..8], cell(1));
    other.squash(&mut |_| {}).unwrap();
    other.close();
    std::fs::remove_dir_all(path.join("log")).unwrap();
    std::fs::create_dir(path.join("log")).unwrap();
    // What was open for reading still can be; what was rebuilt stays.
    assert_eq!(past.view(pages[0], 0, None).unwrap().bytes()[..8], cell(1));
}

#[test]
fn history_that_went_after_closing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = create(&bus, "a");
    for value in 1..6 {
        bus.write(fill(page, value), &Note::default()).unwrap();
    }
    let past = bus.at(Epoch(3)).unwrap();
    bus.close();
    // Files that are open for reading stay so when they are removed; emptied they are as good as gone.
    for file in std::fs::read_dir(path.join("log")).unwrap() {
        std::fs::write(file.unwrap().path(), []).unwrap();
    }
    let error = past.view(page, 0, None).unwrap_err();
    assert_eq!(error.code(), Code::HistoryPruned, "{error}");
    assert!(error.to_string().contains("was closed"), "{error}");
}

#[test]
fn closing_gives_back_the_segment_made_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = create(&bus, "a");
    let segments = || std::fs::read_dir(path.join("log")).unwrap().count();
    let data = vec![7; ROWS as usize * 8];
    for _ in 0..4 {
        let part =
            Part { column: 0, select: Select::range(0, ROWS), data: Data::Dense(Cow::Borrowed(&data)) };
        bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
    }
    let end = Instant::now() + Duration::from_secs(20);
    while segments() < 2 && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(segments(), 2, "a segment is made ahead");
    let view = bus.state().unwrap().view(page, 0, None).unwrap();
    bus.close();
    assert_eq!(segments(), 1);
    assert_eq!(view.bytes(), data);
}

/// Whoever opens a bus that somebody else in the process is closing waits, and gets it.
#[test]
fn threads_open_and_close_as_they_like() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let page = create(&Bus::open(&path, &Options::default()).unwrap(), "a");
    const ROUNDS: u64 = 25;
    thread::scope(|scope| {
        for number in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..ROUNDS {
                    let bus = Bus::open(path, &Options::default()).unwrap();
                    let one = Delta { op: Builtin::Add.id(), ..fill(page, 1) };
                    bus.write(one, &Note::default()).unwrap();
                    held.push(bus.state().unwrap().view(page, 0, None).unwrap());
                    held.truncate(3);
                    if (round + number) % 3 == 0 {
                        bus.close();
                    }
                }
            });
        }
    });
    assert!(!is_locked(&path));
    let bus = Bus::open(&path, &Options::default()).unwrap();
    assert_eq!(first(&bus, page), 4 * ROUNDS);
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
}

/// A checkpoint that somebody is at is finished before others may write.
#[test]
fn closing_in_the_middle_of_a_checkpoint_waits_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = create(&bus, "a");
    bus.write(fill(page, 1), &Note::default()).unwrap();
    let mut told = 0;
    let made = bus.checkpoint(&mut |_| {
        // From the middle of it.
        bus.close();
        assert!(is_locked(&path));
        told += 1;
    });
    assert!(told > 0);
    made.unwrap();
    assert!(!is_locked(&path));
    assert_eq!(bus.state().unwrap_err().code(), Code::Closed);
    let bus = Bus::open(&path, &Options::default()).unwrap();
    assert_eq!(bus.stats().unwrap().checkpoints, 1);
    assert_eq!(first(&bus, page), 1);
}
