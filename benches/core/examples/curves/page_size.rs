//! Page size, 64 B to 1 GiB: what depends on the change must not depend on the page.

use std::cell::RefCell;

use mmsb::bus::options::Note;
use mmsb_benches::{delta, full, place, quiet};

use crate::measure::{Point, Scale, resident, used};

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.powers(64, 4, 16 << 20, 1 << 30)
}

pub fn run(point: &Point) {
    let bus = quiet(point.dir()).unwrap();
    let (note, bytes, (before, empty)) = (Note::default(), point.x, (resident(), used(&bus)));
    let id = full(&bus, "page", bytes).unwrap();
    point.bytes("memory in use for the page", used(&bus) - empty);
    point.bytes("memory resident for the page", resident() - before);
    let write = |n: u64| {
        bus.write(delta(id, place(n, bytes / 64) * 64, &[n as u8; 64]), &note).unwrap();
    };
    point.time("snapshot opened and closed", |_| drop(bus.state().unwrap()));
    let state = bus.state().unwrap();
    point.time("view, unchanged", |_| drop(state.view(id, 0, None).unwrap()));
    drop(state);
    let view = RefCell::new(None);
    point.after(
        "view after a commit of 64 B",
        |n| {
            write(n);
            view.borrow_mut().take()
        },
        |old| {
            *view.borrow_mut() = Some(bus.state().unwrap().view(id, 0, old).unwrap());
        },
    );
    drop(view);
    point.time("commit of 64 B", write);
    // Of one that is kept beside its successor: what is copied, and the path to it.
    let (was, mut kept) = (used(&bus), vec![]);
    let small = bus.stats().unwrap().arena.used_small as f64;
    for n in 0..256 {
        kept.push(bus.state().unwrap());
        write(n);
    }
    let small = bus.stats().unwrap().arena.used_small as f64 - small;
    // What small blocks take is in chunks as well.
    point.bytes("memory that one more kept commit takes", ((used(&bus) - was) / 256.0).max(small / 256.0));
    let log = bus.stats().unwrap().appended;
    write(1);
    point.bytes("log of a commit of 64 B", (bus.stats().unwrap().appended - log) as f64);
}
