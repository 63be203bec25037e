//! Damage of a checkpoint that opening did not look at: never served, repaired from the log where that leads to the page,
//! and otherwise an error of that page alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{
    CHUNKS, Epochs, ROWS, Step, all_cells, cells, check_epochs, fill, made, note, open, quiet, row_bytes, run,
};
use mmsb::base::ids::Epoch;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::bus::upkeep::verify::verify_disk;
use mmsb::memory::disk::{Disk, Open, Sim};
use mmsb::page::digest::Digest;
use mmsb::page::select::Select;

/// A bus whose newest checkpoint has damage in an image of its third page.
fn hurt(whole_log: bool) -> (Sim, Vec<Vec<Vec<u8>>>, Digest) {
    let sim = Sim::new(1);
    let bus = made(&sim);
    if !whole_log {
        bus.squash(&mut |_| {}).unwrap();
    }
    let (id, mark) = (bus.state().unwrap().ids()[2], [1234.5678f64; 10]);
    bus.assign(id, 0, Select::range(2500, 2510), &mark, &Note::default()).unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    if !whole_log {
        bus.prune(1, &mut |_| {}).unwrap();
    }
    let (wanted, digest) = (all_cells(&bus), bus.state().unwrap().digest().unwrap());
    drop(bus);
    damage(&sim, &wanted[2][0][8 * 2500..8 * 2510]);
    (sim, wanted, digest)
}

/// A bit in each place of the images that has these bytes.
fn find(sim: &Sim, needle: &[u8]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for path in sim.paths().into_iter().filter(|path| path.ends_with(CHUNKS)) {
        let bytes = sim.contents(&path).unwrap();
        let at = (0..bytes.len() - needle.len()).filter(|&at| bytes[at..].starts_with(needle));
        found.extend(at.map(|at| (path.clone(), at as u64 * 8 + 3)));
    }
    found
}

/// Damages the images that have these bytes.
fn damage(sim: &Sim, needle: &[u8]) {
    for (path, bit) in find(sim, needle) {
        assert!(sim.flip(&path, bit));
    }
    assert!(!verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok, "something was hurt");
}

/// A bus of which several checkpoints share a damaged image of the third page, all of whose other pages changed between
/// them; and what it was at every epoch.
fn hurt_for_several(whole_log: bool) -> (Sim, Vec<Vec<Vec<u8>>>, Epochs) {
    let sim = Sim::new(1);
    let bus = made(&sim);
    let (id, mark) = (bus.state().unwrap().ids()[2], [1234.5678f64; 10]);
    bus.assign(id, 0, Select::range(2500, 2510), &mark, &Note::default()).unwrap();
    let mut epochs = Epochs::new();
    for round in 0..3 {
        for which in [0, 1, 3] {
            run(&bus, Step::Write(0, which, 0, 40_000), 400 + round).unwrap();
            note(&bus, &mut epochs);
        }
        if round == 0 && !whole_log {
            bus.squash(&mut |_| {}).unwrap();
        } else {
            let made = bus.checkpoint(&mut |_| {}).unwrap();
            assert!(round == 0 || made.reused >= row_bytes(ROWS[2]), "shared: {made:?}");
        }
    }
    let wanted = all_cells(&bus);
    assert_eq!(bus.stats().unwrap().checkpoints, 3);
    drop(bus);
    damage(&sim, &wanted[2][0][8 * 2500..8 * 2510]);
    (sim, wanted, epochs)
}

#[test]
fn damage_that_older_checkpoints_share_is_made_good_from_the_log() {
    let (sim, wanted, epochs) = hurt_for_several(true);
    let bus = open(&sim).unwrap();
    assert_eq!(bus.stats().unwrap().unread, 4);
    let state = bus.state().unwrap();
    for i in [2, 0, 1, 3] {
        assert_eq!(cells(&state, state.ids()[i]), wanted[i]);
    }
    bus.audit().unwrap();
    assert!(check_epochs(&bus, &epochs) > 9, "nor is the past served from what is damaged");
    bus.checkpoint(&mut |_| {}).unwrap();
    bus.prune(1, &mut |_| {}).unwrap();
    let digest = state.digest().unwrap();
    drop((state, bus));
    assert!(verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok, "the next one is whole");
    assert_eq!(open(&sim).unwrap().state().unwrap().digest().unwrap(), digest);
}

#[test]
fn damage_that_every_checkpoint_shares_leaves_the_past_of_other_pages() {
    let (sim, wanted, _) = hurt_for_several(false);
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    let ids = state.ids();
    for _ in 0..2 {
        assert_eq!(state.view(ids[2], 0, None).unwrap_err().code(), Code::CorruptLog);
        for i in [0, 1, 3] {
            assert_eq!(cells(&state, ids[i]), wanted[i]);
        }
    }
    let past = bus.at(Epoch(bus.epoch().unwrap().0 - 3)).unwrap();
    assert_ne!(cells(&past, ids[3]), wanted[3]);
    bus.audit().unwrap();
}

#[test]
fn damage_is_an_error_of_its_page_alone() {
    let (sim, wanted, _) = hurt(false);
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    let ids = state.ids();
    for _ in 0..2 {
        let error = state.view(ids[2], 0, None).unwrap_err();
        assert_eq!(error.code(), Code::CorruptLog);
        assert!(error.to_string().contains("ckpt/0"), "{error}");
        for i in [0, 1, 3] {
            assert_eq!(cells(&state, ids[i]), wanted[i]);
        }
    }
    assert_eq!(run(&bus, Step::Write(0, 2, 0, 5), 500).unwrap_err().code(), Code::CorruptLog);
    assert_eq!(run(&bus, Step::Drop(0, 2), 500).unwrap_err().code(), Code::CorruptLog);
    run(&bus, Step::Write(0, 3, 0, 5), 500).unwrap();
    bus.audit().unwrap();
    let used = || (bus.stats().unwrap().arena.used_small, bus.stats().unwrap().arena.used_chunks);
    let before = used();
    (0..50).for_each(|_| assert!(state.view(ids[2], 0, None).is_err()));
    assert_eq!(used(), before, "nothing is kept of what failed");
    // The tail has nothing of the page, so the bus opens again to the same.
    drop((state, bus));
    assert_eq!(open(&sim).unwrap().stats().unwrap().unread, 3);
}

/// Checkpoints go on, and refer to what there is of the page: where its bytes come back, so does the page.
#[test]
fn damage_for_good_keeps_no_checkpoint_from_being_made() {
    for which in 0..4 {
        let sim = Sim::new(1);
        let bus = made(&sim);
        let (id, mark) = (bus.state().unwrap().ids()[which], [1234.5678f64; 10]);
        bus.assign(id, 0, Select::range(5, 15), &mark, &Note::default()).unwrap();
        bus.squash(&mut |_| {}).unwrap();
        let cells_of = all_cells(&bus);
        drop(bus);
        let found = find(&sim, &cells_of[which][0][8 * 5..8 * 15]);
        assert!(!found.is_empty());
        let turn = |sim: &Sim| found.iter().for_each(|(path, bit)| assert!(sim.flip(path, *bit)));
        turn(&sim);
        let bus = open(&sim).unwrap();
        let plan = bus.branch("plan", None).unwrap();
        let other = (which + 1) % 4;
        let refused = |bus: &Bus| {
            let state = bus.state().unwrap();
            let error = state.view(state.ids()[which], 0, None).unwrap_err();
            assert_eq!(error.code(), Code::CorruptLog);
            assert!(error.to_string().contains(".chunks"), "{error}");
        };
        run(&bus, Step::Write(0, other, 0, 5), 500).unwrap();
        bus.checkpoint(&mut |_| {}).unwrap();
        run(&bus, Step::Write(0, other, 0, 5), 502).unwrap();
        run(&bus, Step::Write(1, other, 0, 5), 504).unwrap();
        let made = bus.checkpoint(&mut |_| {}).unwrap();
        assert!(made.reused >= row_bytes(ROWS[3]) / 2, "what was read in is not written again: {made:?}");
        refused(&bus);
        refused(&plan);
        for error in
            [bus.prune(1, &mut |_| {}).unwrap_err(), bus.export_to(&elsewhere(), &mut |_| {}).unwrap_err()]
        {
            assert_eq!(error.code(), Code::CorruptLog, "what refers to it stays, and nothing else comes to");
        }
        bus.audit().unwrap();
        drop((plan, bus));
        assert!(!verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok, "it is still said");
        let bus = open(&sim).unwrap();
        assert!(bus.stats().unwrap().tail < 100, "opened from the newest one");
        let state = bus.state().unwrap();
        for i in (0..4).filter(|i| ![which, other].contains(i)) {
            assert_eq!(cells(&state, state.ids()[i]), cells_of[i]);
        }
        refused(&bus);
        refused(&bus.checkout("plan").unwrap());
        // And once more from there.
        bus.checkpoint(&mut |_| {}).unwrap();
        drop((state, bus));
        turn(&sim);
        assert!(verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok);
        let bus = open(&sim).unwrap();
        for bus in [&bus, &bus.checkout("plan").unwrap()] {
            let state = bus.state().unwrap();
            assert_eq!(cells(&state, state.ids()[which]), cells_of[which]);
        }
        bus.prune(1, &mut |_| {}).unwrap();
        bus.audit().unwrap();
    }
}

/// A bus in a directory whose first page is damaged for good: what is behind its back reads in the other three.
#[test]
fn the_background_goes_on_after_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let bus = Bus::open(&path, &quiet()).unwrap();
    fill(&bus);
    bus.squash(&mut |_| {}).unwrap();
    let first = all_cells(&bus)[0][0].clone();
    bus.close();
    drop(bus);
    let mut hurt = 0;
    for file in std::fs::read_dir(path.join("ckpt")).unwrap().map(|file| file.unwrap().path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(first.len()).position(|bytes| bytes == first) {
            (bytes[at], hurt) = (!bytes[at], hurt + 1);
            std::fs::write(&file, bytes).unwrap();
        }
    }
    assert_eq!(hurt, 1);
    let bus = Bus::open(&path, &quiet()).unwrap();
    let give_up = Instant::now() + Duration::from_secs(20);
    while bus.stats().unwrap().unread > 1 {
        assert!(Instant::now() < give_up, "{} pages are unread", bus.stats().unwrap().unread);
        std::thread::sleep(Duration::from_millis(1));
    }
    let state = bus.state().unwrap();
    assert_eq!(state.view(state.ids()[0], 0, None).unwrap_err().code(), Code::CorruptLog);
}

#[test]
fn damage_is_looked_at_again_by_who_wants_the_page_and_not_by_every_checkpoint() {
    let (sim, ..) = hurt(false);
    let bus = open(&sim).unwrap();
    let read = || (sim.read_of(CHUNKS), sim.read_of(".seg"));
    bus.checkpoint(&mut |_| {}).unwrap();
    let before = read();
    bus.checkpoint(&mut |_| {}).unwrap();
    assert_eq!(read(), before);
    let state = bus.state().unwrap();
    assert_eq!(state.view(state.ids()[2], 0, None).unwrap_err().code(), Code::CorruptLog);
    assert_ne!(read(), before);
}

fn elsewhere() -> Arc<dyn Disk> {
    Arc::new(Sim::new(2))
}

#[test]
fn a_damaged_page_is_made_of_the_log_where_that_leads_to_it() {
    let (sim, wanted, digest) = hurt(true);
    let bus = open(&sim).unwrap();
    let state = bus.state().unwrap();
    assert_eq!(cells(&state, state.ids()[2]), wanted[2]);
    assert_eq!(state.digest().unwrap(), digest);
    bus.audit().unwrap();
    run(&bus, Step::Write(0, 2, 0, 5), 500).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    bus.checkpoint(&mut |_| {}).unwrap();
    bus.prune(1, &mut |_| {}).unwrap();
    drop((state, bus));
    assert!(verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap().ok, "the next one is whole");
    assert_eq!(open(&sim).unwrap().state().unwrap().digest().unwrap(), digest);
}

#[test]
fn damage_that_the_tail_meets_sends_opening_to_the_log() {
    let (sim, ..) = hurt(true);
    let hurt = sim.kill();
    let bus = open(&hurt).unwrap();
    // The write needs the page, which is made of the log; after a restart the checkpoint is as damaged as before.
    run(&bus, Step::Write(0, 2, 0, 5), 500).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    drop(bus);
    let bus = open(&hurt).unwrap();
    assert_eq!(bus.stats().unwrap().unread, 0, "no checkpoint was of use");
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
    bus.audit().unwrap();
}

#[test]
fn a_chunk_file_that_is_missing_is_found_at_opening() {
    let sim = Sim::new(1);
    let bus = made(&sim);
    bus.checkpoint(&mut |_| {}).unwrap();
    let wanted = all_cells(&bus);
    drop(bus);
    let path = sim.paths().into_iter().find(|path| path.ends_with(CHUNKS)).unwrap();
    let cut = sim.kill();
    let long = sim.contents(&path).unwrap();
    cut.remove(&path).unwrap();
    let file = cut.open(&path, Open::Create).unwrap();
    file.write_at(&long[..long.len() - 40_000], 0).unwrap();
    sim.remove(&path).unwrap();
    for disk in [sim, cut] {
        let bus = open(&disk).unwrap();
        assert_eq!(
            (bus.stats().unwrap().unread, bus.stats().unwrap().checkpoints),
            (0, 0),
            "made of the log"
        );
        assert_eq!(all_cells(&bus), wanted);
    }
}
