//! Checkpoints that nobody asked for: made while commits go on, so that reading the past and opening stay short.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use mmsb::base::ids::{Epoch, PageId};
use mmsb::base::limits::CHECKPOINT_LEAST;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

const ROWS: u64 = 4096;

/// The page after `epoch` wrote it: the first epoch made it, the others fill it with their number.
fn bytes_after(epoch: u64) -> Vec<u8> {
    if epoch < 2 { vec![0; ROWS as usize] } else { vec![epoch as u8; ROWS as usize] }
}

fn page(bus: &Bus, rows: u64) -> PageId {
    bus.create_page("a", Schema::array(DType::U8, vec![], false, None).unwrap(), rows, &Note::default())
        .unwrap()
}

fn fill(bus: &Bus, page: PageId, rows: u64, value: u8) {
    let bytes = vec![value; rows as usize];
    let part = Part { column: 0, select: Select::range(0, rows), data: Data::Dense(Cow::Borrowed(&bytes)) };
    bus.write(Delta::single(page, OperatorId::ASSIGN, part), &Note::default()).unwrap();
}

fn write(bus: &Bus, page: PageId) {
    fill(bus, page, ROWS, (bus.epoch().unwrap().0 + 1) as u8);
}

/// Compressed segments of the log.
fn compressed(path: &Path) -> usize {
    let files = std::fs::read_dir(path.join("log")).unwrap().map(|file| file.unwrap().file_name());
    files.filter(|name| name.to_string_lossy().ends_with(".zseg")).count()
}

#[test]
fn a_busy_bus_is_never_far_from_a_checkpoint_and_its_old_log_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("busy");
    let bus = Bus::open(&path, &Options::default()).unwrap();
    let page = page(&bus, ROWS);
    let give_up = Instant::now() + Duration::from_secs(120);
    while bus.stats().unwrap().checkpoints < 3 || compressed(&path) < 2 {
        (0..64).for_each(|_| write(&bus, page));
        std::thread::sleep(Duration::from_millis(5));
        assert!(
            Instant::now() < give_up,
            "no third checkpoint, or nothing compressed: {:?}",
            bus.stats().unwrap()
        );
    }
    let (epoch, stats) = (bus.epoch().unwrap(), bus.stats().unwrap());
    assert!(stats.appended >= 3 * CHECKPOINT_LEAST, "made before they were worth it: {stats:?}");
    assert!(stats.tail < stats.appended - 2 * CHECKPOINT_LEAST, "{stats:?}");
    assert!(stats.checkpoint_bytes * 2 < stats.appended, "{stats:?}");
    for past in (1..=epoch.0).step_by(epoch.0 as usize / 30) {
        let state = bus.at(Epoch(past)).unwrap();
        assert_eq!(state.view(page, 0, None).unwrap().bytes(), bytes_after(past), "epoch {past}");
    }
}
