//! A bus of every format version, opened for ever. Made once by `make_fixture` (ignored) and committed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Epochs, Step, note, quiet, run};
use mmsb::base::ids::Epoch;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Options};
use mmsb::bus::upkeep::verify::verify;
use mmsb::page::log::LogConfig;

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// Small segments keep the fixture small.
fn options() -> Options {
    Options { log: LogConfig { first_segment: 6144, max_segment: 8192, background: false }, ..quiet() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Lines of `branch epoch digest`.
fn told(epochs: &Epochs) -> String {
    let mut text = String::new();
    for ((branch, epoch), digest) in epochs {
        writeln!(text, "{branch}\t{epoch}\t{digest}").unwrap();
    }
    text
}

#[test]
fn a_bus_of_the_first_version_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    copy(&folder("v1").join("bus"), &path);
    let report = verify(&path, &mut |_| {}).unwrap();
    assert!(report.ok && report.checkpoints == 2, "{report:?}");
    let bus = Bus::open(&path, &Options { mode: Mode::ReadWrite, ..options() }).unwrap();
    let digests = fs::read_to_string(folder("v1").join("digests.tsv")).unwrap();
    for line in digests.lines() {
        let [branch, epoch, digest] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let state = bus.checkout(branch).unwrap().at(Epoch(epoch.parse().unwrap())).unwrap();
        assert_eq!(state.digest().unwrap().to_string(), digest, "epoch {epoch} of {branch}");
    }
    assert!(digests.lines().count() > 10);
    run(&bus, Step::Create(0, 5), 1000).unwrap();
}

#[test]
#[ignore = "makes the fixture of the present version"]
fn make_fixture() {
    let path = folder("v1").join("bus");
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(folder("v1")).unwrap();
    let bus = Bus::open(&path, &options()).unwrap();
    let mut epochs = Epochs::new();
    let steps = [
        Step::Create(0, 1200),
        Step::Write(0, 0, 0, 900),
        Step::Create(0, 20),
        Step::Write(0, 1, 0, 20),
        Step::Checkpoint,
        Step::Fork(0, 1),
        Step::Write(0, 0, 200, 400),
        Step::Write(1, 0, 300, 9),
        Step::Checkpoint,
        Step::Resize(1, 0, 1500),
        Step::Merge(0),
        Step::Drop(1, 1),
        Step::Write(1, 0, 7, 2),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        run(&bus, step, number as u64).unwrap();
        note(&bus, &mut epochs);
    }
    bus.sync().unwrap();
    drop(bus);
    fs::remove_file(path.join("LOCK")).unwrap();
    fs::write(folder("v1").join("digests.tsv"), told(&epochs)).unwrap();
}
