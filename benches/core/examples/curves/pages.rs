//! Pages of 1 KiB, 1 to 1,000,000: what concerns one page must not depend on how many others there are.

use mmsb::bus::options::Note;
use mmsb_benches::{KIB, delta, full, page, place, quiet};

use crate::measure::{Point, Scale, resident, used};

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.decades(30_000, 1_000_000)
}

pub fn run(point: &Point) {
    let (note, pages) = (Note::default(), point.x);
    let bus = quiet(point.dir()).unwrap();
    let (before, empty) = (resident(), used(&bus));
    let ids: Vec<_> = (0..pages).map(|n| full(&bus, &format!("page {n}"), KIB).unwrap()).collect();
    point.bytes("memory resident for a page", (resident() - before) / pages as f64);
    point.bytes("memory in use for a page", (used(&bus) - empty) / pages as f64);
    point.bytes("log for a page", bus.stats().unwrap().log as f64 / pages as f64);
    let at = |n: u64| ids[place(n, pages) as usize];
    point.time("commit of 64 B into one", |n| bus.write(delta(at(n), 64, &[n as u8; 64]), &note).unwrap());
    point.time("snapshot opened and closed", |_| drop(bus.state().unwrap()));
    let state = bus.state().unwrap();
    let names: Vec<_> = (0..1024).map(|n| format!("page {}", place(n, pages))).collect();
    point.time("found by name", |n| state.find(&names[n as usize % 1024]).unwrap());
    point.time("view of one", |n| drop(state.view(at(n), 0, None).unwrap()));
    point.time("view of one of 64 of them", |n| drop(state.view(at(n % 64), 0, None).unwrap()));
    point.time("all names listed", |_| state.names().len());
    drop(state);
    // Few, for each makes the bus larger.
    let new = |n: u64| page(&bus, &format!("new {n}"), KIB).unwrap();
    point.time_at_most("one more created", (pages / 4).clamp(64, 4096), new);
    drop(bus);
    point.after("opened again", |_| (), |()| quiet(point.dir()).unwrap());
}
