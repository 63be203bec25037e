//! Any bytes as what a commit said, in a frame whose checksums are right: opening replays it or refuses it by name.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mmsb::base::clock::SystemClock;
use mmsb::base::ids::{BranchId, Epoch, Seq};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Options;
use mmsb::memory::disk::Disk;
use mmsb::memory::disk::sim::Sim;
use mmsb::page::log::{Durability, FrameNotes, Kind, Log, LogConfig, NewFrame};

fuzz_target!(|bytes: &[u8]| {
    let disk: Arc<dyn Disk> = Arc::new(Sim::new(1));
    let mut log = Log::create(Arc::clone(&disk), LogConfig::default()).expect("an empty disk takes a log");
    let frame = NewFrame {
        seq: Seq(1),
        epoch: Epoch(1),
        branch: BranchId(0),
        durability: Durability::Process,
        kind: Kind::Commit,
        time: 1,
    };
    log.append(frame, &[bytes], FrameNotes::default()).expect("a short frame fits");
    log.close().expect("the disk is well");
    let options = Options { budget: Some(64 << 20), ..Options::default() };
    if let Ok(bus) = Bus::on_disk(disk, &options, Arc::new(SystemClock)) {
        let state = bus.state().expect("an open bus has a state");
        let _ = state.digest();
    }
});
