//! A progress callback may use the bus that it is told about; what would wait for its own call is refused.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{Step, run};
use mmsb::base::ids::Epoch;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Options;
use mmsb::bus::upkeep::verify::verify;

fn made(path: &Path) -> Bus {
    let bus = Bus::open(path, &Options::default()).unwrap();
    run(&bus, Step::Create(0, 3000), 0).unwrap();
    run(&bus, Step::Write(0, 0, 0, 3000), 0).unwrap();
    bus
}

/// Does the work, which must come to an end.
fn ends(what: &'static str, work: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = tell.send(());
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = told.recv_timeout(Duration::from_secs(20)) {
        panic!("{what} waits for ever");
    }
    thread.join().unwrap();
}

#[test]
fn another_checkpoint_from_the_middle_of_one_is_refused() {
    ends("a checkpoint in a checkpoint", || {
        let dir = tempfile::tempdir().unwrap();
        let bus = made(&dir.path().join("bus"));
        bus.checkpoint(&mut |_| {}).unwrap();
        run(&bus, Step::Write(0, 0, 0, 3000), 2).unwrap();
        let mut told = 0;
        let made = bus.checkpoint(&mut |_| {
            told += 1;
            for refused in [
                bus.checkpoint(&mut |_| {}).err(),
                bus.prune(1, &mut |_| {}).err(),
                bus.squash(&mut |_| {}).err(),
            ]
            .map(Option::unwrap)
            {
                assert_eq!(refused.code(), Code::Busy, "{refused}");
                assert!(refused.to_string().contains("progress"), "{refused}");
            }
        });
        assert!(told > 0);
        made.unwrap();
        assert_eq!(bus.stats().unwrap().checkpoints, 2, "nothing was pruned");
        bus.at(Epoch(1)).unwrap();
        // And afterwards it is as ever.
        bus.squash(&mut |_| {}).unwrap();
        assert_eq!(bus.stats().unwrap().checkpoints, 1);
    });
}

#[test]
fn everything_else_goes_from_the_middle_of_a_checkpoint() {
    ends("work in a checkpoint", || {
        let dir = tempfile::tempdir().unwrap();
        let bus = made(&dir.path().join("bus"));
        let mut told = 0;
        bus.checkpoint(&mut |_| {
            told += 1;
            run(&bus, Step::Write(0, 0, 0, 3000), told).unwrap();
            run(&bus, Step::Fork(0, 1), 10 + told).unwrap();
            bus.sync().unwrap();
            bus.state().unwrap().digest().unwrap();
            bus.export(dir.path().join(format!("copy {told}")), &mut |_| {}).unwrap();
            bus.replay_digest(true).unwrap();
            assert!(verify(dir.path().join("bus"), &mut |_| {}).unwrap().ok);
        })
        .unwrap();
        assert!(told > 0);
    });
}

#[test]
fn checkpoints_go_from_the_middle_of_an_export_and_a_verification() {
    ends("checkpoints in an export", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let bus = made(&path);
        let mut told = 0;
        bus.export(dir.path().join("copy"), &mut |_| {
            told += 1;
            run(&bus, Step::Write(0, 0, 0, 3000), told).unwrap();
            bus.checkpoint(&mut |_| {}).unwrap();
            bus.squash(&mut |_| {}).unwrap();
        })
        .unwrap();
        let exported = told;
        assert!(
            verify(&path, &mut |_| {
                told += 1;
                if told < 8 {
                    bus.checkpoint(&mut |_| {}).unwrap();
                }
            })
            .unwrap()
            .ok
        );
        assert!(told > exported && exported > 0);
        bus.close();
        assert!(verify(dir.path().join("copy"), &mut |_| {}).unwrap().ok);
    });
}

/// What makes it a bus comes last; here it cannot be written, since a folder has its name.
#[test]
fn an_export_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bus = made(&dir.path().join("bus"));
    let copy = dir.path().join("copy");
    let mut told = 0;
    let done = bus.export(&copy, &mut |_| {
        told += 1;
        std::fs::create_dir_all(copy.join("bus.new")).unwrap();
    });
    assert!(done.is_err() && told > 0, "{done:?}");
    assert!(!copy.exists());
    bus.export(&copy, &mut |_| {}).unwrap();
    assert_eq!(bus.export(&copy, &mut |_| {}).unwrap_err().code(), Code::Exists);
    assert!(copy.exists(), "what was there stays");
}
