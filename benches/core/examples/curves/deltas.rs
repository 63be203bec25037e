//! Delta size, 1 B to a whole page of 16 MiB.

use mmsb::bus::options::Note;
use mmsb::page::select::Select;
use mmsb_benches::{MIB, delta, full, place, quiet};

use crate::measure::{Point, Scale};

const PAGE: u64 = 16 * MIB;

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.powers(1, 4, MIB, PAGE)
}

pub fn run(point: &Point) {
    let bus = quiet(point.dir()).unwrap();
    let (note, bytes) = (Note::default(), point.x);
    let id = full(&bus, "page", PAGE).unwrap();
    let data = vec![3; bytes as usize];
    let mut write = |n: u64| bus.write(delta(id, place(n, PAGE / bytes) * bytes, &data), &note).unwrap();
    let log = bus.stats().unwrap().appended;
    write(0);
    point.bytes("log of one commit", (bus.stats().unwrap().appended - log) as f64);
    // No more than 2 GiB of log.
    point.time_at_most("commit", (2 << 30) / bytes, &mut write);
    let mut out = vec![0; bytes as usize];
    let state = bus.state().unwrap();
    point.time("as many bytes read", |n| {
        let from = place(n, PAGE / bytes) * bytes;
        state.read(id, 0, &Select::range(from, from + bytes), &mut out).unwrap();
    });
}
