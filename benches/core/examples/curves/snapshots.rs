//! Snapshots held, 1 to 100,000: an old reader must not make anything dearer for others.

use std::time::{Duration, Instant};

use mmsb::bus::options::Note;
use mmsb_benches::{KIB, delta, full, place, quiet};

use crate::measure::{Point, Scale, resident, used};

/// How long one point may take to be set up.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.decades(10_000, 100_000)
}

pub fn run(point: &Point) {
    let (note, bus) = (Note::default(), quiet(point.dir()).unwrap());
    let id = full(&bus, "page", KIB).unwrap();
    let write = |n: u64| {
        bus.write(delta(id, place(n, 16) * 64, &[n as u8; 64]), &note).unwrap();
    };
    (0..1000).for_each(write);
    let (before, empty) = (resident(), used(&bus));
    // Of one epoch all: there is nothing to keep for them but one page.
    let same: Vec<_> = (0..point.x).map(|_| bus.state().unwrap()).collect();
    point.time("commit, all held are of one epoch", write);
    point.time("snapshot opened and closed, all held are of one epoch", |_| drop(bus.state().unwrap()));
    drop(same);
    (0..4).for_each(write);
    let (start, mut held) = (Instant::now(), vec![]);
    while (held.len() as u64) < point.x {
        held.push(bus.state().unwrap());
        write(held.len() as u64);
        // Where each commit looks at all that is held, this would take hours: the line ends here.
        if start.elapsed() > PATIENCE {
            return;
        }
    }
    point.bytes("memory resident for one held", (resident() - before) / point.x as f64);
    point.bytes("memory in use for one held", (used(&bus) - empty) / point.x as f64);
    point.time("commit, each held is of another epoch", write);
    point.time("snapshot opened and closed, each held is of another epoch", |_| {
        drop(bus.state().unwrap());
    });
    point.time("commit while a snapshot comes and goes", |n| {
        drop(bus.state().unwrap());
        write(n)
    });
    let start = Instant::now();
    drop(held);
    write(0);
    point.tell("all let go, for one", "ns", vec![start.elapsed().as_secs_f64() * 1e9 / point.x as f64]);
    write(1);
    write(2);
    point.bytes("memory that stays when all have gone", (used(&bus) - empty).max(1.0));
}
