//! Branches, 1 to 100,000, each with 64 B of its own in a page of 64 KiB.

use mmsb::bus::options::Note;
use mmsb_benches::{KIB, delta, full, place, quiet};

use crate::measure::{Point, Scale, resident, used};

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.decades(3_000, 100_000)
}

pub fn run(point: &Point) {
    let (note, bus, bytes) = (Note::default(), quiet(point.dir()).unwrap(), 64 * KIB);
    let id = full(&bus, "page", bytes).unwrap();
    let write = |on: &mmsb::bus::handle::Bus, n: u64| {
        on.write(delta(id, place(n, bytes / 64) * 64, &[n as u8; 64]), &note).unwrap();
    };
    let fork = |name: String, n: u64| {
        let branch = bus.branch(&name, None).unwrap();
        write(&branch, n);
        branch
    };
    let (before, empty) = (resident(), used(&bus));
    (0..point.x).for_each(|n| drop(fork(n.to_string(), n)));
    point.bytes("memory resident for one", (resident() - before) / point.x as f64);
    point.bytes("memory in use for one", (used(&bus) - empty) / point.x as f64);
    point.time("commit of 64 B on main", |n| write(&bus, n));
    let name = |n: u64| place(n, point.x).to_string();
    point.time("commit of 64 B on a branch", |n| write(&bus.checkout(&name(n)).unwrap(), n));
    point.time("snapshot opened and closed", |_| drop(bus.state().unwrap()));
    // Dropped each time, so that there are no more.
    point.after("dropped, with its 64 B", |n| fork(format!("new {n}"), n), |branch| branch.drop_branch());
    point.time("forked, 64 B written, dropped", |n| {
        fork(format!("other {n}"), n).drop_branch().unwrap();
    });
    point.time("all listed", |_| bus.branches().unwrap().len());
    drop(bus);
    point.after("opened again", |_| (), |()| quiet(point.dir()).unwrap());
}
