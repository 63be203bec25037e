//! Snapshots, views, past states, differences, digests.

use std::hint::black_box;

use mmsb::base::ids::Epoch;
use mmsb::bus::handle::Bus;

use crate::workload::{KIB, MIB, bus, page, write_256};
use crate::{Operation, Step, operation};

pub const OPERATIONS: &[Operation] = &[
    operation("snapshot: opened and closed", 1000, 1, |folder| snapshot(bus(folder))),
    operation("view: 4 KiB", 1000, 1, |folder| view(bus(folder))),
    operation("view: 4 KiB, after 256 B committed, both", 300, 1, |folder| {
        view_changed(bus(folder), 4 * KIB)
    }),
    operation("view: 1 MiB, after 256 B committed, both", 100, 1, |folder| view_changed(bus(folder), MIB)),
    operation("digest: 1 MiB, after 256 B committed, both", 30, 1, |folder| digest(bus(folder))),
    operation("diff: 1 MiB, after 256 B committed, both", 100, 1, |folder| diff(bus(folder))),
    operation("past: the state of 100 commits ago, each", 3, 100, |folder| past(bus(folder))),
];

fn snapshot(bus: Bus) -> Step {
    page(&bus, "page", 4 * KIB);
    Box::new(move |_| drop(black_box(bus.state().unwrap())))
}

fn view(bus: Bus) -> Step {
    let id = page(&bus, "page", 4 * KIB);
    let state = bus.state().unwrap();
    Box::new(move |_| drop(black_box(state.view(id, 0, None).unwrap())))
}

fn view_changed(bus: Bus, bytes: u64) -> Step {
    let id = page(&bus, "page", bytes);
    let mut view = None;
    Box::new(move |n| {
        write_256(&bus, id, bytes, n);
        view = Some(bus.state().unwrap().view(id, 0, view.take()).unwrap());
    })
}

fn digest(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    Box::new(move |n| {
        write_256(&bus, id, MIB, n);
        black_box(bus.state().unwrap().digest().unwrap());
    })
}

fn diff(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    let mut before = bus.state().unwrap();
    Box::new(move |n| {
        write_256(&bus, id, MIB, n);
        let after = bus.state().unwrap();
        black_box(bus.diff(&before, &after).unwrap());
        before = after;
    })
}

fn past(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    (0..1000).for_each(|n| write_256(&bus, id, MIB, n));
    let now = bus.epoch().unwrap();
    Box::new(move |_| drop(black_box(bus.at(Epoch(now.0 - 100)).unwrap())))
}
