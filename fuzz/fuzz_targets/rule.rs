//! Any bytes as a rule: no panic, what is read is written back as it was, and whatever it says of pages that are there is
//! declared and kept up, or refused and nothing is changed. A replay of what came of it is what is there.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mmsb::base::ids::PageId;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::rule::Rule;

const ROWS: u64 = 6;

/// Tables with a column of each kind of cell that some rule takes.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let columns = [
        ("a", DType::I64, vec![]),
        ("b", DType::F64, vec![]),
        ("c", DType::Bool, vec![]),
        ("d", DType::U8, vec![3]),
        ("e", DType::I32, vec![2]),
    ];
    let columns = columns.map(|(name, dtype, inner)| Column::new(name, dtype, inner).expect("a column"));
    Schema::new(Kind::Table, columns.into(), None).expect("a schema")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(rule) = Rule::decode(bytes) else { return };
    let encoded = rule.encode();
    assert_eq!(Rule::decode(&encoded).as_ref(), Ok(&rule));
    let options = Options { budget: Some(64 << 20), ..Options::default() };
    let bus = Bus::memory(&options).expect("a bus");
    let note = Note::default();
    let create = |name: &str| bus.create_page(name, SCHEMA.clone(), ROWS, &note).expect("a page");
    let pages: Vec<PageId> = ["p", "q", "r"].into_iter().map(create).collect();
    let digest = || bus.state().expect("a state").digest().expect("a digest");
    let before = digest();
    let derived = Derived { rule, shape: None, program: None };
    if bus.derive("made", derived, &note).is_err() {
        assert_eq!(digest(), before, "what is refused changes nothing");
    }
    for (step, page) in (1..).zip(pages.iter().cycle().take(6)) {
        let (before, row) = (digest(), step as u64 % ROWS);
        let select = Select::range(row, row + 1);
        let wrote = match step % 3 {
            0 => bus.assign(*page, 0, select, &[step % 4 - 1], &note),
            1 => bus.assign(*page, 1, select, &[step as f64], &note),
            _ => bus.assign(*page, 0, select, &[step], &note),
        };
        if wrote.is_err() {
            assert_eq!(digest(), before, "what is refused changes nothing");
        }
    }
    assert_eq!(bus.replay_digest(true).expect("a replay")[0].digest, digest());
});
