//! Writing into an array while commits are made from it: what they take is anybody's guess, but the log and the pages
//! have the same. And what a commit costs.
//!
//! `MMSB_ROUNDS` sets how many times as many commits are made.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Instant;

use crate::model::setting;
use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::{Inner, Rows, Select};

/// Rows of the pages: a column of 12 bytes each takes 3 MB.
const ROWS: u64 = 250_000;

fn page(bus: &Bus, name: &str) -> PageId {
    let columns =
        vec![Column::new("a", DType::U8, vec![]).unwrap(), Column::new("b", DType::I32, vec![3]).unwrap()];
    let schema = Schema::new(Kind::Table, columns, None).unwrap();
    bus.create_page(name, schema, ROWS, &Note::default()).unwrap()
}

/// Tells the others that it is over, also when it panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Parts of all kinds and sizes with data from the buffer; `n` picks them.
fn parts(buffer: &[u8], n: u64) -> Vec<Part<'_>> {
    let part = |column, select: Select, bytes: usize| {
        let data = Data::Dense(Cow::Borrowed(&buffer[..bytes]));
        Part { column, select, data }
    };
    let small = Select::range(n % 1000, n % 1000 + 20);
    let list = Select::indices((0..500).map(|i| (i * 379 + n) % ROWS).collect());
    let middle = Inner(vec![mmsb::page::select::Axis { start: 1, stop: 2, step: 1 }]);
    let boxed = Select::Rows { rows: Rows::Range { start: n, stop: n + 300, step: 3 }, inner: Some(middle) };
    match n % 6 {
        0 => vec![part(0, small.clone(), 20), part(1, small, 240)],
        1 => vec![part(0, list.clone(), 500), part(1, list, 6000)],
        2 => vec![part(1, boxed, 400), part(0, Select::range(n, n + 100_000), 100_000)],
        3 => vec![part(1, Select::range(0, ROWS), 12 * ROWS as usize)],
        4 => vec![
            part(1, Select::range(n, n + 9000), 108_000),
            part(0, Select::range(7, 70_000), 69_993),
            part(1, Select::range(n + 3, n + 5), 24),
        ],
        _ => {
            let data = Data::Fill(Cow::Borrowed(&buffer[..12]));
            vec![Part { column: 1, select: Select::range(5, 150_000), data }]
        }
    }
}

#[test]
fn the_log_has_what_the_pages_have_whoever_writes_into_the_buffer() {
    let bus = Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap();
    let pages = [page(&bus, "p"), page(&bus, "q")];
    let buffer: Vec<AtomicU8> = (0..12 * ROWS).map(|_| AtomicU8::new(0)).collect();
    // SAFETY: as a foreign array would be: only bytes, whose values nobody relies on.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), buffer.len()) };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (buffer, over) = (&buffer, &over);
        for stride in [1, 4099] {
            scope.spawn(move || {
                let mut value = 0u8;
                while !over.load(Ordering::Relaxed) {
                    value = value.wrapping_add(1);
                    // The head of the buffer is in every commit.
                    buffer[..600].iter().for_each(|byte| byte.store(value, Ordering::Relaxed));
                    buffer.iter().step_by(stride).for_each(|byte| byte.store(value, Ordering::Relaxed));
                }
            });
        }
        let _done = Done(over);
        let add = Builtin::Add.id();
        for round in 0..u64::from(setting("MMSB_ROUNDS", 1)) * 12 {
            for n in 0..10 {
                let n = round * 10 + n;
                let op = if n % 7 == 5 { add } else { OperatorId::ASSIGN };
                let write = |page| Change::Write(Delta { page, op, parts: parts(bytes, n) });
                match n % 4 {
                    0 => bus.commit(&[write(pages[0]), write(pages[1])], &Note::default()).map(|_| ()),
                    1 => bus.commit(&[write(pages[0]), write(pages[0])], &Note::default()).map(|_| ()),
                    2 => bus.update(pages[1], 1, bytes, &Note::default()).map(|_| ()),
                    _ => bus.commit(&[write(pages[1])], &Note::default()).map(|_| ()),
                }
                .unwrap();
            }
            if round % 4 == 3 {
                let replayed = bus.replay_digest(true).unwrap();
                let now = bus.state().unwrap().digest().unwrap();
                assert_eq!(replayed[0].digest, now, "the log tells another state after round {round}");
            }
        }
    });
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let schema = || Schema::array(DType::U8, vec![], false, None).unwrap();
    let small = bus.create_page("small", schema(), 1 << 20, &Note::default()).unwrap();
    let large = bus.create_page("large", schema(), 64 << 20, &Note::default()).unwrap();
    let bytes: Vec<u8> = (0..64u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let write = |page, from: u64, n: u64| {
        let data = Data::Dense(Cow::Borrowed(&bytes[..n as usize]));
        let part = Part { column: 0, select: Select::range(from, from + n), data };
        bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
    };
    for n in [256u64, 4096, 60 << 10, 64 << 10, 256 << 10] {
        let times = if n < 8192 { 20_000 } else { 300 };
        let mut best = f64::MAX;
        for _ in 0..7 {
            let start = Instant::now();
            (0..times).for_each(|i| write(small, i * 8192 % (512 << 10), n));
            best = best.min(start.elapsed().as_nanos() as f64 / times as f64);
        }
        println!("commit of {n} B: {best:.0} ns");
    }
    let mut took: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            write(large, 0, 64 << 20);
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("commit of 64 MiB: best {:.1} ms, median {:.1} ms", took[0], took[4]);
}
