//! Commits.

use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::bus::transaction::Isolation;

use crate::workload::{KIB, MIB, bus, bus_in_memory, delta, page, place, write_256};
use crate::{Operation, Step, operation};

/// Deltas of a batch.
pub const BATCH: u64 = 1000;

pub const OPERATIONS: &[Operation] = &[
    operation("commit: 256 B of 4 KiB, bus in memory", 1000, 1, |_| commit(bus_in_memory(), 4 * KIB)),
    operation("commit: 256 B of 4 KiB", 1000, 1, |folder| commit(bus(folder), 4 * KIB)),
    operation("commit: 256 B of 1 MiB", 1000, 1, |folder| commit(bus(folder), MIB)),
    operation("commit: 1000 deltas of 16 B, each", 3, BATCH, |folder| batch(bus(folder), 16)),
    operation("commit: 1000 deltas of 128 B, each", 3, BATCH, |folder| batch(bus(folder), 128)),
    operation("commit: transaction of 256 B", 300, 1, |folder| transaction(bus(folder))),
    operation("update: 1 MiB given, 0.1 % of it new", 10, 1, |folder| update(bus(folder))),
];

fn commit(bus: Bus, bytes: u64) -> Step {
    let id = page(&bus, "page", bytes);
    Box::new(move |n| write_256(&bus, id, bytes, n))
}

fn batch(bus: Bus, bytes: usize) -> Step {
    let (id, data) = (page(&bus, "page", MIB), vec![7; bytes]);
    Box::new(move |_| {
        let deltas = (0..BATCH).map(|i| delta(id, place(i, KIB) * KIB, &data));
        bus.commit(&deltas.map(Change::Write).collect::<Vec<_>>(), &Note::default()).unwrap();
    })
}

fn transaction(bus: Bus) -> Step {
    let id = page(&bus, "page", 4 * KIB);
    Box::new(move |n| {
        let mut transaction = bus.begin(Isolation::default(), Note::default()).unwrap();
        transaction.write(delta(id, place(n, 16) * 256, &[n as u8; 256])).unwrap();
        transaction.commit().unwrap();
    })
}

fn update(bus: Bus) -> Step {
    let (id, mut given) = (page(&bus, "page", MIB), vec![1; MIB as usize]);
    Box::new(move |n| {
        for i in 0..4 {
            given[place(4 * n + i, 4 * KIB) as usize * 256..][..256].fill(n as u8);
        }
        bus.update(id, 0, &given, &Note::default()).unwrap();
    })
}
