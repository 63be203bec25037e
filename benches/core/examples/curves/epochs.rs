//! Epochs, 1 to 10,000,000, of 16 B each into one of 64 pages of 4 KiB; checkpoints are made as they are by default.

use std::time::{Duration, Instant};

use mmsb::base::ids::Epoch;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::page::select::Select;
use mmsb_benches::{KIB, bus, delta, full, place};

use crate::measure::{Point, Scale, resident, used};

const PAGES: u64 = 64;

pub fn xs(scale: &Scale) -> Vec<u64> {
    scale.decades(100_000, 10_000_000)
}

/// Waits until what is done in the background, checkpoints and compression, has caught up.
fn settle(bus: &Bus) {
    let now = || bus.stats().map(|stats| (stats.segment_bytes, stats.checkpoints)).unwrap();
    let (start, mut was, mut since) = (Instant::now(), now(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
        if now() != was {
            (was, since) = (now(), Instant::now());
        }
    }
}

pub fn run(point: &Point) {
    let (note, epochs) = (Note::default(), point.x);
    let bus = bus(point.dir()).unwrap();
    let ids: Vec<_> = (0..PAGES).map(|n| full(&bus, &n.to_string(), 4 * KIB).unwrap()).collect();
    let write = |n: u64| {
        let id = ids[place(n, PAGES) as usize];
        bus.write(delta(id, place(n, 256) * 16, &[n as u8; 16]), &note).unwrap();
    };
    let (before, empty, start) = (resident(), used(&bus), bus.stats().unwrap());
    (0..epochs).for_each(write);
    settle(&bus);
    let stats = bus.stats().unwrap();
    point.bytes("memory resident, beyond the pages", (resident() - before).max(4096.0));
    point.bytes("memory in use, beyond the pages", (used(&bus) - empty).max(4096.0));
    point.bytes("log of an epoch", (stats.log - start.log) as f64 / epochs as f64);
    let files = (stats.segment_bytes + stats.checkpoint_bytes) as f64;
    point.bytes("files for an epoch", files / epochs as f64);
    let first = 2 * PAGES;
    point.after(
        "`at` a random epoch, one page read",
        |n| Epoch(first + place(n + 7, epochs)),
        |epoch| {
            let mut cells = [0; 64];
            let state = bus.at(epoch).unwrap();
            state.read(ids[epoch.0 as usize % 64], 0, &Select::range(0, 64), &mut cells).unwrap();
            cells
        },
    );
    let now = bus.state().unwrap().epoch();
    point.time("`at` the present epoch", |_| drop(bus.at(now).unwrap()));
    point.time_at_most("commit of 16 B", epochs.max(1000), write);
    drop(bus);
    point.after("opened again", |_| (), |()| mmsb_benches::bus(point.dir()).unwrap());
}
