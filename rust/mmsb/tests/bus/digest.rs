//! The digest against its definition, worked out from plain bytes: whatever was hashed before and remembered, and however
//! pages lie in memory.

use std::borrow::Cow;

use crate::model::setting;
use mmsb::base::codec::Writer;
use mmsb::base::limits::CHUNK;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::state::State;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::digest::Digest;
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use proptest::prelude::*;

type Hash = [u8; 32];

fn tagged(domain: &str, parts: &[&[u8]]) -> Hash {
    *blake3::hash(&[&[domain.as_bytes()], parts].concat().concat()).as_bytes()
}

/// The digest of a subtree of zeros.
fn zeros(height: u8) -> Hash {
    match height {
        0 => tagged("mmsb zero leaf", &[]),
        _ => tagged("mmsb zero node", &[&[height], &zeros(height - 1)]),
    }
}

fn column(bytes: &[u8]) -> Hash {
    let leaf = |leaf: &[u8]| match leaf.iter().all(|&byte| byte == 0) {
        true => zeros(0),
        false => tagged("mmsb leaf", &[leaf]),
    };
    let mut level: Vec<Hash> = bytes.chunks(4096).map(leaf).collect();
    let mut height = 0;
    while level.len() != 1 || height == 0 {
        height += 1;
        let below = zeros(height - 1);
        let node = |children: &[Hash]| {
            let used = children.iter().rposition(|child| *child != below).map_or(0, |last| last + 1);
            match used {
                0 => zeros(height),
                _ => tagged("mmsb node", &[&[height, used as u8], children[..used].as_flattened()]),
            }
        };
        level = level.chunks(64).map(node).collect();
        if level.is_empty() {
            return zeros(1);
        }
    }
    level[0]
}

fn trie(pages: &[(u64, Hash)]) -> Hash {
    match pages {
        [] => tagged("mmsb no pages", &[]),
        [(_, hash)] => *hash,
        [(first, _), .., (last, _)] => {
            let shift = (63 - (first ^ last).leading_zeros()) / 6 * 6;
            let parts: Vec<Hash> = pages.chunk_by(|a, b| a.0 >> shift == b.0 >> shift).map(trie).collect();
            tagged("mmsb pages", &[&[shift as u8], parts.as_flattened()])
        }
    }
}

/// The digest of a state as it is defined.
fn defined(state: &State) -> Digest {
    let page = |id| {
        let info = state.info(id).unwrap();
        let mut about = Writer::new();
        about.u64(info.id.0);
        about.str(&info.name);
        info.schema.encode(&mut about);
        about.u64(info.rows);
        let columns = info.schema.columns().iter().enumerate().map(|(i, of)| {
            let mut bytes = vec![0; (info.rows * of.row_bytes()) as usize];
            state.read(id, i, &Select::range(0, info.rows), &mut bytes).unwrap();
            column(&bytes)
        });
        let columns: Vec<Hash> = columns.collect();
        (info.id.0, tagged("mmsb page", &[about.as_slice(), columns.as_flattened()]))
    };
    let pages: Vec<(u64, Hash)> = state.ids().into_iter().map(page).collect();
    Digest(tagged("mmsb state", &[&trie(&pages)]))
}

fn bus() -> Bus {
    Bus::memory(&Options { checkpoint_after: None, ..Options::default() }).unwrap()
}

fn bytes(bus: &Bus, name: &str, rows: u64) -> mmsb::base::ids::PageId {
    bus.create_page(name, Schema::array(DType::U8, vec![], false, None).unwrap(), rows, &Note::default())
        .unwrap()
}

fn fill(bus: &Bus, page: mmsb::base::ids::PageId, column: u16, from: u64, to: u64, byte: u8) {
    let data = Data::Fill(Cow::Owned(vec![byte]));
    let part = Part { column, select: Select::range(from, to), data };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

fn check(bus: &Bus) {
    let state = bus.state().unwrap();
    assert_eq!(state.digest().unwrap(), defined(&state), "of epoch {}", state.epoch().0);
}

#[test]
fn every_height_of_a_column_has_the_digest_that_is_defined() {
    let bus = bus();
    check(&bus);
    // Around a leaf, a chunk, and full nodes of 64 leaves, 64 chunks, 64 times 64 leaves and as many chunks.
    for (i, chunks) in [0, 1, 2, 32, 64, 65, 2048, 4096, 4097].into_iter().enumerate() {
        for (j, more) in [0, 1, 4095, 4096].into_iter().enumerate() {
            let rows = chunks * CHUNK as u64 + more;
            let page = bytes(&bus, &format!("{i} {j}"), rows);
            if rows > 0 {
                fill(&bus, page, 0, rows / 2, rows / 2 + 1, 1);
                fill(&bus, page, 0, rows - 1, rows, 2);
            }
        }
    }
    check(&bus);
    let state = bus.state().unwrap();
    for id in state.ids() {
        // A row more or less moves no chunk, but ends a leaf elsewhere.
        let rows = state.info(id).unwrap().rows;
        bus.resize(id, rows + 1, &Note::default()).unwrap();
    }
    check(&bus);
    for id in state.ids() {
        bus.resize(id, state.info(id).unwrap().rows / 2, &Note::default()).unwrap();
    }
    check(&bus);
}

#[test]
fn only_what_changed_is_hashed_again() {
    let bus = bus();
    let ids: Vec<_> = (0..300).map(|i| bytes(&bus, &i.to_string(), 5000 * CHUNK as u64)).collect();
    (0..5000).for_each(|chunk| fill(&bus, ids[7], 0, chunk * CHUNK as u64, chunk * CHUNK as u64 + 1, 1));
    let hashed = || {
        let before = bus.stats().unwrap().hashed;
        bus.state().unwrap().digest().unwrap();
        bus.stats().unwrap().hashed - before
    };
    assert!(hashed() > 5000 + 300);
    assert_eq!(hashed(), 0, "nothing changed");
    fill(&bus, ids[7], 0, 1000, 1001, 9);
    // A chunk, the three nodes over it, the page, two nodes of the directory; and two nodes at the column's end, which are
    // not remembered because they are not full.
    assert_eq!(hashed(), 1 + 3 + 1 + 2 + 2);
}

#[derive(Debug, Clone)]
enum Step {
    Create(u64),
    Write(usize, u16, u64, u64, u8),
    Resize(usize, u64),
    Drop(usize),
    Compact(usize),
    Check,
}

const ROWS: u64 = 150 * CHUNK as u64;

fn step() -> impl Strategy<Value = Step> {
    let write = (0..4usize, 0..2u16, 0..ROWS, 1..3 * CHUNK as u64, 0..3u8);
    prop_oneof![
        1 => (0..ROWS).prop_map(Step::Create),
        12 => write.prop_map(|(page, column, from, n, byte)| Step::Write(page, column, from, n, byte)),
        2 => (0..4usize, 0..ROWS).prop_map(|(page, rows)| Step::Resize(page, rows)),
        1 => (0..4usize).prop_map(Step::Drop),
        1 => (0..4usize).prop_map(Step::Compact),
        2 => Just(Step::Check),
    ]
}

fn apply(bus: &Bus, step: &Step, name: usize) {
    let state = bus.state().unwrap();
    let (ids, note) = (state.ids(), Note::default());
    let of = |page: usize| ids[page % ids.len()];
    match *step {
        Step::Create(rows) => {
            let columns = ["x", "y"].map(|name| Column::new(name, DType::U8, vec![]).unwrap());
            let schema = Schema::new(Kind::Table, columns.into(), None).unwrap();
            bus.create_page(&name.to_string(), schema, rows, &note).unwrap();
        }
        Step::Check => check(bus),
        _ if ids.is_empty() => {}
        Step::Write(page, column, from, n, byte) => {
            let rows = state.info(of(page)).unwrap().rows;
            if from < rows {
                fill(bus, of(page), column, from, rows.min(from + n), byte);
            }
        }
        Step::Resize(page, rows) => drop(bus.resize(of(page), rows, &note).unwrap()),
        Step::Drop(page) => drop(bus.drop_page(of(page), &note).unwrap()),
        Step::Compact(page) => drop(bus.compact(of(page)).unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: setting("PROPTEST_CASES", 24), failure_persistence: None, ..ProptestConfig::default()
    })]
    #[test]
    fn a_digest_is_what_it_is_defined_to_be(steps in prop::collection::vec(step(), 1..60)) {
        let bus = bus();
        apply(&bus, &Step::Create(ROWS), 0);
        for (i, step) in steps.iter().enumerate() {
            apply(&bus, step, i + 1);
        }
        check(&bus);
        // Pages of a past state are rebuilt, and its digest is made of the list of them.
        let past = bus.at(mmsb::base::ids::Epoch(bus.state().unwrap().epoch().0 / 2)).unwrap();
        prop_assert_eq!(past.digest().unwrap(), defined(&past));
    }
}
