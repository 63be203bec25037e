//! Compaction: whatever is written while copies wait, pages have the bytes they would have without, every count in memory
//! is true, and nothing leaks; and a page that is viewed and written again and again gets views of few mappings back.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::model::setting;
use mmsb::base::ids::{Epoch, PageId};
use mmsb::base::limits::{CHUNK, COMPACT_AT_ONCE};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::bus::view::View;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use proptest::prelude::*;

fn bus() -> Bus {
    Bus::memory(&Options { checkpoint_after: None, history_budget: None, ..Options::default() }).unwrap()
}

fn bus_within(budget: u64) -> Bus {
    let history = Options { checkpoint_after: None, history_budget: None, ..Options::default() };
    Bus::memory(&Options { budget: Some(budget), ..history }).unwrap()
}

fn array(bus: &Bus, chunks: u64) -> PageId {
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    bus.create_page("a", schema, chunks * CHUNK as u64, &Note::default()).unwrap()
}

fn fill(bus: &Bus, page: PageId, column: u16, from: u64, to: u64, byte: u8) {
    let data = Data::Fill(Cow::Owned(vec![byte]));
    let part = Part { column, select: Select::range(from, to), data };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

/// Writes a byte to every chunk in an order that puts no two neighbours side by side.
fn scatter(bus: &Bus, page: PageId, chunks: u64, byte: u8) {
    for step in 0..7 {
        for chunk in (step..chunks).step_by(7) {
            fill(bus, page, 0, chunk * CHUNK as u64, chunk * CHUNK as u64 + 1, byte);
        }
    }
}

fn view(bus: &Bus, page: PageId, reuse: Option<View>) -> View {
    bus.state().unwrap().view(page, 0, reuse).unwrap()
}

#[test]
fn a_page_viewed_and_written_again_and_again_gets_its_views_back() {
    const CHUNKS: u64 = 1024;
    let (bus, started) = (bus(), Instant::now());
    let page = array(&bus, CHUNKS);
    scatter(&bus, page, CHUNKS, 1);
    let (mut last, mut byte) = (view(&bus, page, None), 1u8);
    assert_eq!(last.kind(), "gathered");
    while last.kind() == "gathered" {
        assert!(started.elapsed() < Duration::from_secs(60), "nobody compacts the page");
        byte = byte.wrapping_add(1);
        fill(&bus, page, 0, 5, 6, byte);
        last = view(&bus, page, Some(last));
    }
    let mut wanted = vec![0; CHUNKS as usize * CHUNK];
    wanted.iter_mut().step_by(CHUNK).for_each(|first| *first = 1);
    wanted[5] = byte;
    assert!(last.bytes() == wanted);
    assert!(bus.stats().unwrap().compacted >= CHUNKS - 1);
    bus.audit().unwrap();
}

#[test]
fn a_commit_takes_a_bounded_part_of_the_copies() {
    const CHUNKS: u64 = 3 * COMPACT_AT_ONCE as u64;
    let bus = bus();
    let page = array(&bus, CHUNKS);
    scatter(&bus, page, CHUNKS, 1);
    assert!(bus.compact(page).unwrap());
    let taken = |byte| {
        fill(&bus, page, 0, 0, 1, byte);
        bus.stats().unwrap().compacted
    };
    let most = COMPACT_AT_ONCE as u64;
    assert_eq!([taken(2), taken(3), taken(4), taken(5)], [most, 2 * most, 3 * most - 1, 3 * most - 1]);
    bus.audit().unwrap();
}

#[test]
fn copies_nobody_takes_are_given_back_before_memory_is_refused() {
    const CHUNKS: u64 = 512;
    let bus = bus_within(24 << 20);
    let page = array(&bus, CHUNKS);
    scatter(&bus, page, CHUNKS, 1);
    assert!(bus.compact(page).unwrap());
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let other = bus.create_page("b", schema, 17 << 20, &Note::default()).unwrap();
    (0..17 << 4).for_each(|i| fill(&bus, other, 0, i << 16, (i + 1) << 16, 7));
    fill(&bus, page, 0, 0, 1, 2);
    assert_eq!(bus.stats().unwrap().compacted, 0, "they had to go");
    bus.audit().unwrap();
}

#[test]
fn a_page_that_goes_takes_its_copies_along() {
    let bus = bus();
    let page = array(&bus, 3000);
    let empty = bus.stats().unwrap().arena.used_chunks;
    scatter(&bus, page, 3000, 1);
    assert!(bus.compact(page).unwrap());
    bus.drop_page(page, &Note::default()).unwrap();
    let used = bus.stats().unwrap().arena.used_chunks - empty;
    assert!(used < 100 * CHUNK as u64, "{used} bytes are still used");
}

#[test]
fn the_past_and_branches_have_the_memory_of_copies() {
    let bus = bus_within(32 << 20);
    let page = array(&bus, 1500);
    scatter(&bus, page, 1500, 1);
    let before = Epoch(bus.epoch().unwrap().0 - 1);
    assert!(bus.compact(page).unwrap());
    assert_eq!(bus.at(before).unwrap().view(page, 0, None).unwrap().bytes()[0], 1);
    assert!(bus.compact(page).unwrap());
    bus.branch("b", Some(before)).unwrap();
    bus.audit().unwrap();
}

#[test]
fn a_past_page_that_could_not_be_rebuilt_leaves_nothing() {
    let bus = bus_within(20 << 20);
    let page = array(&bus, 1500);
    scatter(&bus, page, 1500, 1);
    let past = bus.at(Epoch(bus.epoch().unwrap().0 - 1)).unwrap();
    for byte in 0..3 {
        assert_eq!(past.view(page, 0, None).unwrap_err().code(), Code::MemoryBudget);
        fill(&bus, page, 0, 0, 1, byte);
    }
}

#[test]
fn a_large_write_takes_memory_in_pieces_where_there_is_no_more_in_a_row() {
    const CHUNKS: u64 = 4096;
    let bus = bus_within(112 << 20);
    let page = array(&bus, CHUNKS);
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let other = bus.create_page("b", schema, CHUNKS * CHUNK as u64, &Note::default()).unwrap();
    fill(&bus, other, 0, 0, CHUNKS * CHUNK as u64, 1);
    let mut random = 1u64;
    for _ in 0..100_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 33) % CHUNKS * CHUNK as u64;
        fill(&bus, page, 0, at, at + 1, random as u8);
    }
    for (byte, mib) in (2u8..).zip([1, 4, 8, 16, 32]) {
        fill(&bus, other, 0, 0, mib << 20, byte);
    }
    bus.audit().unwrap();
}

#[test]
fn what_branches_share_is_left_to_them() {
    let bus = bus();
    let page = array(&bus, 1000);
    scatter(&bus, page, 1000, 1);
    let fork = bus.branch("fork", None).unwrap();
    assert!(!fork.compact(page).unwrap());
    fill(&fork, page, 0, 0, 1, 2);
    assert!(!fork.compact(page).unwrap(), "all but one chunk is shared");
    fork.drop_branch().unwrap();
    assert!(bus.compact(page).unwrap());
}

#[test]
fn sparse_and_small_pages_are_left_alone() {
    let bus = bus();
    let page = array(&bus, 512);
    for chunk in (0..512).step_by(2) {
        fill(&bus, page, 0, chunk * CHUNK as u64, chunk * CHUNK as u64 + 1, 1);
    }
    assert!(!bus.compact(page).unwrap(), "no two chunks are neighbours");
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let small = bus.create_page("s", schema, 10, &Note::default()).unwrap();
    assert!(!bus.compact(small).unwrap());
}

#[derive(Debug, Clone)]
enum Step {
    /// Bytes of a column from a row on.
    Write(u16, u64, u64, u8),
    Resize(u64),
    Compact,
    /// The main branch's work goes on in a branch, or back there.
    Switch,
    Drop,
}

const ROWS: u64 = 40 * CHUNK as u64;

fn step() -> impl Strategy<Value = Step> {
    let write = (0..2u16, 0..ROWS, 1..2 * CHUNK as u64, any::<u8>());
    prop_oneof![
        24 => write.prop_map(|(column, from, n, byte)| Step::Write(column, from, n, byte)),
        1 => (1..=ROWS).prop_map(Step::Resize),
        4 => Just(Step::Compact),
        2 => Just(Step::Switch),
        1 => Just(Step::Drop),
    ]
}

/// A page as two plain vectors; `None` once it was dropped.
type Plain = Option<[Vec<u8>; 2]>;

fn apply(bus: &Bus, page: PageId, plain: &mut Plain, step: &Step) {
    let Some(columns) = plain.as_mut() else { return };
    let rows = columns[0].len() as u64;
    match *step {
        Step::Write(column, from, n, byte) if from < rows => {
            let to = rows.min(from + n);
            fill(bus, page, column, from, to, byte);
            columns[usize::from(column)][from as usize..to as usize].fill(byte);
        }
        Step::Resize(rows) => {
            bus.resize(page, rows, &Note::default()).unwrap();
            columns.iter_mut().for_each(|column| column.resize(rows as usize, 0));
        }
        Step::Compact => {
            bus.compact(page).unwrap();
        }
        Step::Drop => {
            bus.drop_page(page, &Note::default()).unwrap();
            *plain = None;
        }
        Step::Write(..) | Step::Switch => {}
    }
}

/// Reads without a view: those would set the background to work.
fn check(state: &State, page: PageId, plain: &Plain) {
    match plain {
        Some(columns) => {
            for (i, bytes) in columns.iter().enumerate() {
                let mut read = vec![0; bytes.len()];
                state.read(page, i, &Select::range(0, bytes.len() as u64), &mut read).unwrap();
                assert!(read == *bytes, "column {i} at epoch {}", state.epoch().0);
            }
        }
        None => assert!(state.info(page).is_err()),
    }
}

/// Makes a page and a branch, does the steps on both, compares, and lets both go; the bytes of chunks in use then.
fn live_and_die(main: &Bus, steps: &[Step]) -> u64 {
    let columns = ["x", "y"].map(|name| Column::new(name, DType::U8, vec![]).unwrap());
    let schema = Schema::new(Kind::Table, columns.into(), None).unwrap();
    let page = main.create_page("t", schema, ROWS, &Note::default()).unwrap();
    let mut scattered = Some([vec![0; ROWS as usize], vec![0; ROWS as usize]]);
    // Scattered from the start, so that there is something to do.
    for chunk in (0..40).map(|i| i * 7 % 40) {
        apply(main, page, &mut scattered, &Step::Write(0, chunk * CHUNK as u64, 1, 1));
    }
    let (alone, both) = steps.split_at(steps.len() / 2);
    alone.iter().for_each(|step| apply(main, page, &mut scattered, step));
    let fork = main.branch("fork", None).unwrap();
    let mut plain = [scattered.clone(), scattered];
    let buses = [main, &fork];
    let (mut on, mut held) = (0, Vec::new());
    for (i, step) in both.iter().enumerate() {
        if matches!(step, Step::Switch) {
            on = 1 - on;
        }
        apply(buses[on], page, &mut plain[on], step);
        if i % 16 == 0
            && let Some(columns) = &plain[on]
        {
            held.push((buses[on].state().unwrap(), Some(columns.clone())));
        }
    }
    for (bus, plain) in buses.iter().zip(&plain) {
        check(&bus.state().unwrap(), page, plain);
    }
    held.iter().for_each(|(state, columns)| check(state, page, columns));
    drop(held);
    main.audit().unwrap();
    fork.drop_branch().unwrap();
    if plain[0].is_some() {
        main.drop_page(page, &Note::default()).unwrap();
    }
    main.stats().unwrap().arena.used_chunks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: setting("PROPTEST_CASES", 48), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_page_is_the_same_with_and_without_compaction(steps in prop::collection::vec(step(), 1..160)) {
        let main = bus();
        // The first time, memory is cut into small blocks.
        let first = live_and_die(&main, &steps);
        let second = live_and_die(&main, &steps);
        prop_assert!(second <= first, "{second} bytes are used, {first} were before");
    }
}
