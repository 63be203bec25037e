//! What checkpoints cost and save, printed: `cargo test --release --test bus -- checkpoint_figures --ignored --nocapture`.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use mmsb::base::ids::PageId;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

fn options() -> Options {
    Options { checkpoint_after: None, ..Options::default() }
}

fn write(bus: &Bus, page: PageId, from: u64, bytes: &[u8]) {
    let select = Select::range(from, from + bytes.len() as u64);
    let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

fn rate(bytes: u64, took: Duration) -> String {
    format!("{:.0} MB/s", bytes as f64 / 1e6 / took.as_secs_f64())
}

#[test]
#[ignore = "prints figures"]
fn a_large_state() {
    const BYTES: u64 = 512 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &options()).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let page = bus.create_page("a", schema, BYTES, &Note::default()).unwrap();
    let piece: Vec<u8> = (0..16 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    (0..BYTES).step_by(piece.len()).for_each(|from| write(&bus, page, from, &piece));
    let start = Instant::now();
    let made = bus.checkpoint(&mut |_| {}).unwrap();
    let took = start.elapsed();
    println!("checkpoint of {} MB: {took:?}, {}", made.bytes >> 20, rate(made.bytes, took));
    (0..1000).for_each(|i| write(&bus, page, i * 500_000, &[1; 16]));
    let start = Instant::now();
    let made = bus.checkpoint(&mut |_| {}).unwrap();
    println!("the next one, 1000 chunks later: {:?}, {} KB written", start.elapsed(), made.bytes >> 10);
    drop(bus);
    let start = Instant::now();
    let bus = Bus::open(&path, &options()).unwrap();
    let took = start.elapsed();
    println!("opening it: {took:?}, {}", rate(BYTES, took));
    bus.state().unwrap().view(page, 0, None).unwrap();
    println!("reading the page: {:?} more", start.elapsed() - took);
    drop(bus);
}

#[test]
#[ignore = "prints figures"]
fn opening_many_pages() {
    const PAGES: u64 = 1024;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &options()).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let piece: Vec<u8> = (0..256 << 10).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bytes = piece.len() as u64;
    for i in 0..PAGES {
        let name = format!("page {i}");
        let page = bus.create_page(&name, schema.clone(), bytes, &Note::default()).unwrap();
        write(&bus, page, 0, &piece);
    }
    let made = bus.checkpoint(&mut |_| {}).unwrap();
    println!("{PAGES} pages of 256 KiB, a checkpoint of {} MB", made.bytes >> 20);
    drop(bus);
    for mode in [Mode::ReadWrite, Mode::Read, Mode::ReadWrite, Mode::Read] {
        let start = Instant::now();
        let bus = Bus::open(&path, &Options { mode, ..options() }).unwrap();
        let opened = start.elapsed();
        let state = bus.state().unwrap();
        let ids = state.ids();
        state.view(ids[700], 0, None).unwrap();
        let one = start.elapsed() - opened;
        ids.iter().for_each(|&id| drop(state.view(id, 0, None).unwrap()));
        let all = start.elapsed() - opened;
        println!("opening ({mode:?}): {opened:?}, then one page: {one:?}, all of them: {all:?}");
    }
}

#[test]
#[ignore = "prints figures"]
fn a_long_log() {
    const DELTAS: u64 = 1_000_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &options()).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    let page = bus.create_page("a", schema, 1 << 20, &Note::default()).unwrap();
    let start = Instant::now();
    (0..DELTAS).for_each(|i| write(&bus, page, i * 7919 % ((1 << 20) - 16), &[i as u8; 16]));
    println!("{DELTAS} commits of 16 B: {:?}, {} MB of log", start.elapsed(), bus.stats().unwrap().log >> 20);
    drop(bus);
    let start = Instant::now();
    let bus = Bus::open(&path, &options()).unwrap();
    let took = start.elapsed();
    let (bytes, deltas) = (bus.stats().unwrap().log, DELTAS as f64 / took.as_secs_f64() / 1e6);
    println!("opening without a checkpoint: {took:?}, {deltas:.2} M deltas/s, {}", rate(bytes, took));
    bus.checkpoint(&mut |_| {}).unwrap();
    drop(bus);
    let start = Instant::now();
    drop(Bus::open(&path, &options()).unwrap());
    println!("opening with one: {:?}", start.elapsed());
}
