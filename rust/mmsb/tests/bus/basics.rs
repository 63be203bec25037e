//! The bus from outside: open, write, read, go back, branch, merge, reopen.

use std::borrow::Cow;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::base::limits::CHUNK;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::past::history::Filter;
use mmsb::bus::transaction::Isolation;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

fn array(dtype: DType, inner: Vec<u64>) -> Schema {
    Schema::array(dtype, inner, false, None).unwrap()
}

fn assign(page: PageId, from: u64, to: u64, bytes: &[u8]) -> Delta<'static> {
    let data = Data::Dense(Cow::Owned(bytes.to_vec()));
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select: Select::range(from, to), data })
}

fn bytes_of(bus: &Bus, page: PageId) -> Vec<u8> {
    bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec()
}

fn note() -> Note {
    Note::default()
}

#[test]
fn what_was_written_is_read_and_stays_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("world");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 100_000, &note()).unwrap();
    let before = bus.state().unwrap();
    bus.write(assign(page, 10, 14, b"abcd"), &note()).unwrap();
    assert_eq!(&bytes_of(&bus, page)[9..15], b"\0abcd\0");
    assert!(before.view(page, 0, None).unwrap().bytes().iter().all(|&b| b == 0), "a state never changes");
    let (epoch, digest) = (bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap());
    drop((bus, before));
    let bus = Bus::open(&path, &Options { mode: Mode::ReadWrite, ..Options::default() }).unwrap();
    assert_eq!(bus.epoch().unwrap(), epoch);
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
    assert_eq!(&bytes_of(&bus, page)[9..15], b"\0abcd\0");
    bus.write(assign(page, 0, 1, b"x"), &note()).unwrap();
    let past = bus.at(epoch).unwrap();
    assert_eq!(past.digest().unwrap(), digest);
    assert_eq!(past.view(page, 0, None).unwrap().bytes()[0], 0);
}

#[test]
fn a_name_that_was_not_there_is_something_read() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 10, &note()).unwrap();
    for (isolation, refused) in [(Isolation::Serializable, true), (Isolation::Snapshot, false)] {
        let name = format!("{isolation:?}");
        let mut looked = bus.begin(isolation, note()).unwrap();
        assert_eq!(looked.find(&name).unwrap(), None);
        looked.write(assign(page, 0, 1, b"x")).unwrap();
        bus.create_page(&name, array(DType::U8, vec![]), 1, &note()).unwrap();
        assert_eq!(looked.commit().is_err_and(|error| error.code() == Code::Conflict), refused, "{name}");
    }
}

#[test]
fn a_transaction_is_one_epoch_or_nothing() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::I32, vec![3]), 1000, &note()).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    let epoch = bus.epoch().unwrap();
    let mut tx = bus.begin(Isolation::Snapshot, note()).unwrap();
    tx.write(assign(page, 5, 6, &[1; 12])).unwrap();
    let other = tx.create_page("b", array(DType::F64, vec![]), 7).unwrap();
    let mut out = [0; 12];
    tx.read(page, 0, &Select::range(5, 6), &mut out).unwrap();
    assert_eq!(out, [1; 12], "it reads its own writes");
    assert!(tx.write(assign(page, 999, 1001, &[0; 24])).is_err());
    drop(tx);
    assert_eq!((bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap()), (epoch, digest));
    let mut tx = bus.begin(Isolation::Snapshot, note()).unwrap();
    tx.write(assign(page, 5, 6, &[1; 12])).unwrap();
    let third = tx.create_page("b", array(DType::F64, vec![]), 7).unwrap();
    assert_ne!(third, other, "ids are never reused");
    let made = tx.commit().unwrap().unwrap();
    assert_eq!(made.epoch, Epoch(epoch.0 + 1));
    assert_eq!(bus.state().unwrap().len(), 2);
}

#[test]
fn the_first_committer_of_a_cell_wins() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 100, &note()).unwrap();
    let begin = || bus.begin(Isolation::Snapshot, note()).unwrap();
    let (mut first, mut second, mut third) = (begin(), begin(), begin());
    first.write(assign(page, 0, 2, b"ab")).unwrap();
    second.write(assign(page, 1, 3, b"cd")).unwrap();
    third.write(assign(page, 5, 6, b"z")).unwrap();
    first.commit().unwrap();
    let error = second.commit().unwrap_err();
    assert!(
        matches!(&error, Error::Conflict(clashes) if clashes[0].rows == [1] && clashes[0].page == "a"),
        "{error}"
    );
    third.commit().unwrap();
    assert_eq!(&bytes_of(&bus, page)[..6], b"ab\0\0\0z");
    let mut reader = bus.begin(Isolation::Serializable, note()).unwrap();
    let mut out = [0; 1];
    reader.read(page, 0, &Select::range(9, 10), &mut out).unwrap();
    reader.write(assign(page, 50, 51, b"q")).unwrap();
    bus.write(assign(page, 9, 10, b"!"), &note()).unwrap();
    assert_eq!(reader.commit().unwrap_err().code(), Code::Conflict);
}

#[test]
fn branches_differ_and_merge_by_cells() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 50_000, &note()).unwrap();
    bus.write(assign(page, 0, 3, b"abc"), &note()).unwrap();
    let at = bus.epoch().unwrap();
    bus.write(assign(page, 0, 1, b"A"), &note()).unwrap();
    let plan = bus.branch("plan", Some(at)).unwrap();
    assert_eq!(&bytes_of(&plan, page)[..3], b"abc");
    plan.write(assign(page, 40_000, 40_001, b"x"), &note()).unwrap();
    let made = plan.create_page("new", array(DType::F32, vec![]), 3, &note()).unwrap();
    bus.merge(&plan, OnConflict::Raise, &note()).unwrap().unwrap();
    assert_eq!((bytes_of(&bus, page)[0], bytes_of(&bus, page)[40_000]), (b'A', b'x'));
    assert_eq!(bus.state().unwrap().find("new"), Some(made));
    assert!(bus.merge(&plan, OnConflict::Raise, &note()).unwrap().is_none(), "nothing more to take");
    let live = bus.branch("live", None).unwrap();
    live.write(assign(page, 7, 8, b"1"), &note()).unwrap();
    bus.write(assign(page, 7, 8, b"2"), &note()).unwrap();
    let error = bus.merge(&live, OnConflict::Raise, &note()).unwrap_err();
    assert!(error.to_string().contains("page 'a', row 7"), "{error}");
    bus.merge(&live, OnConflict::Theirs, &note()).unwrap().unwrap();
    assert_eq!(bytes_of(&bus, page)[7], b'1');
    live.drop_branch().unwrap();
    assert_eq!(bus.branches().unwrap().len(), 2);
    bus.branch("live", None).unwrap();
}

#[test]
fn history_can_be_asked_and_brought_back() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 10, &note()).unwrap();
    let first = (bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap());
    let physics = Note { source: Some("physics".into()), intent: Some("{\"why\":1}".into()), ..note() };
    bus.write(assign(page, 0, 1, b"a"), &physics).unwrap();
    bus.drop_page(page, &note()).unwrap();
    let gone = bus.epoch().unwrap();
    let mut sources = Vec::new();
    bus.log(&Filter { source: Some("physics".into()), ..Filter::default() }, |commit| {
        sources.push((commit.epoch, commit.intent));
        true
    })
    .unwrap();
    assert_eq!(sources, [(Epoch(2), Some("{\"why\":1}".into()))]);
    bus.revert(first.0, &note()).unwrap().unwrap();
    assert_eq!(bus.state().unwrap().digest().unwrap(), first.1);
    assert_eq!(bus.state().unwrap().find("a"), Some(page), "under its own id");
    assert!(bus.at(gone).unwrap().find("a").is_none());
    let changes = bus.diff(&bus.at(gone).unwrap(), &bus.state().unwrap()).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(bus.at(Epoch(99)).unwrap_err().code(), Code::EpochNotFound);
}

#[test]
fn the_empty_bus_can_be_held_and_looked_at() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let empty = bus.state().unwrap();
    let tx = bus.begin(Isolation::Snapshot, note()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 10, &note()).unwrap();
    (0..100).for_each(|i| {
        bus.write(assign(page, 0, 1, &[i]), &note()).unwrap();
    });
    assert_eq!((empty.len(), empty.epoch(), tx.base_epoch()), (0, Epoch(0), Epoch(0)));
    assert!(bus.at(Epoch(0)).unwrap().is_empty());
    assert_eq!(bus.diff(&empty, &bus.state().unwrap()).unwrap().len(), 1);
}

#[test]
fn pins_say_who_holds_what_since_when_at_what_cost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("world");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = bus.create_page("a", array(DType::U8, vec![]), 100_000, &note()).unwrap();
    for i in 0..5 {
        bus.write(assign(page, 0, 1, &[i]), &note()).unwrap();
    }
    bus.close();
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let old = bus.state().unwrap();
    bus.write(assign(page, 0, 100_000, &[7; 100_000]), &note()).unwrap();
    let new = bus.state().unwrap();
    bus.write(assign(page, 0, 1, &[8]), &note()).unwrap();
    let view = new.view(page, 0, None).unwrap();
    let mut pins = bus.pins().unwrap();
    pins.sort_by_key(|pin| (pin.seq, pin.page));
    let of = |epoch| Some(("main".to_owned(), Epoch(epoch)));
    let what: Vec<_> = pins.iter().map(|pin| (pin.page, pin.of.clone())).collect();
    assert_eq!(what, [(PageId(0), of(6)), (PageId(0), of(7)), (page, of(7))]);
    assert!(pins.iter().all(|pin| pin.process == u64::from(std::process::id())));
    let times: Vec<_> = pins.iter().map(|pin| pin.time.unwrap()).collect();
    assert!(times.is_sorted());
    assert!(pins[0].bytes >= CHUNK as u64, "the chunk written to first waits for it");
    assert_eq!(pins.iter().map(|pin| pin.bytes).sum::<u64>(), bus.stats().unwrap().held);
    drop((old, new, view));
    assert!(bus.pins().unwrap().is_empty());
}
