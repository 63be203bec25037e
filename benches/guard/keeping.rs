//! Branches, merges, checkpoints, replay.

use std::path::{Path, PathBuf};

use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::Note;

use crate::workload::{KIB, MIB, bus, delta, page, place, write_256};
use crate::{Operation, Step, operation};

/// Deltas that are replayed.
const DELTAS: u64 = 4000;

pub const OPERATIONS: &[Operation] = &[
    operation("branch: of 1 MiB: forked, 256 B written in it, dropped", 50, 1, |folder| branch(bus(folder))),
    operation("merge: a branch with 256 B of 1 MiB new", 20, 1, |folder| merge(bus(folder))),
    operation("checkpoint: 1 MiB with 256 B new", 5, 1, |folder| checkpoint(bus(folder))),
    operation("replay: 16 B in commits of 1000, each", 1, DELTAS, |folder| replay(folder, 1000)),
    operation("replay: commits of 16 B, each", 1, DELTAS, |folder| replay(folder, 1)),
];

fn branch(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    Box::new(move |n| {
        let branch = bus.branch("branch", None).unwrap();
        write_256(&branch, id, MIB, n);
        branch.drop_branch().unwrap();
    })
}

fn merge(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    let branch = bus.branch("branch", None).unwrap();
    Box::new(move |n| {
        write_256(&branch, id, MIB, n);
        bus.merge(&branch, OnConflict::default(), &Note::default()).unwrap();
    })
}

fn checkpoint(bus: Bus) -> Step {
    let id = page(&bus, "page", MIB);
    Box::new(move |n| {
        write_256(&bus, id, MIB, n);
        bus.checkpoint(&mut |_| {}).unwrap();
    })
}

fn replay(folder: &Path, batch: u64) -> Step {
    let (filled, folder) = (bus(folder), PathBuf::from(folder));
    let (id, data) = (page(&filled, "page", MIB), [9; 16]);
    for first in (0..DELTAS).step_by(batch as usize) {
        let deltas = (first..first + batch).map(|i| delta(id, place(i, KIB) * KIB, &data));
        filled.commit(&deltas.map(Change::Write).collect::<Vec<_>>(), &Note::default()).unwrap();
    }
    drop(filled);
    Box::new(move |_| drop(bus(&folder)))
}
