//! Verification and the doctor: nothing wrong is called right, nothing is changed unasked, and what is cut is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Epochs, Step, check_epochs, note, open, quiet, run};
use mmsb::base::clock::ManualClock;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Options;
use mmsb::bus::upkeep::doctor::doctor_disk;
use mmsb::bus::upkeep::verify::{Report, verify, verify_disk};
use mmsb::memory::disk::{Disk, Sim};
use mmsb::page::log::LogConfig;

fn made(epochs: &mut Epochs) -> Sim {
    let sim = Sim::new(3);
    let log = LogConfig { first_segment: 6144, max_segment: 8192, background: false };
    let options = Options { log, ..quiet() };
    let bus = Bus::on_disk(Arc::new(sim.clone()), &options, Arc::new(ManualClock::new(1_000))).unwrap();
    let steps = [
        Step::Create(0, 3000),
        Step::Write(0, 0, 0, 900),
        Step::Fork(0, 0),
        Step::Write(0, 0, 1000, 900),
        Step::Checkpoint,
        Step::Write(1, 0, 2000, 900),
        Step::Create(0, 9),
        Step::Checkpoint,
        Step::Write(0, 0, 100, 400),
        Step::Write(0, 0, 0, 900),
        Step::Write(1, 0, 0, 900),
        Step::Write(0, 0, 50, 20),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        run(&bus, step, 2 * number as u64).unwrap();
        note(&bus, epochs);
    }
    bus.sync().unwrap();
    sim
}

fn look(sim: &Sim) -> Report {
    verify_disk(Arc::new(sim.for_reading()), &mut |_| {}).unwrap()
}

fn contents(sim: &Sim) -> Vec<(String, Option<Vec<u8>>)> {
    sim.paths().into_iter().map(|path| (path.clone(), sim.contents(&path))).collect()
}

#[test]
fn a_whole_bus_is_in_order_and_stays_as_it_is() {
    let sim = made(&mut Epochs::new());
    let before = contents(&sim);
    let mut told = 0;
    let report = verify_disk(Arc::new(sim.for_reading()), &mut |bytes| told = told.max(bytes)).unwrap();
    assert!(report.ok, "{report:?}");
    assert!(report.checkpoints == 2 && report.segments > 2 && report.frames == 12, "{report:?}");
    assert!(report.bytes > 40_000 && told == report.bytes, "{report:?}, told {told}");
    let diagnosis =
        doctor_disk(Arc::new(sim.for_reading()), Some(Arc::new(sim.clone())), &mut |_| {}).unwrap();
    assert!(diagnosis.done.is_empty());
    assert_eq!(contents(&sim), before);
    let error = verify("/nowhere/at all", &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)));
}

#[test]
fn a_flipped_bit_is_found_wherever_it_counts() {
    let sim = made(&mut Epochs::new());
    let mut found = 0;
    for path in sim.paths() {
        let bits = sim.contents(&path).unwrap().len() as u64 * 8;
        for bit in (0..bits).step_by((bits / 14) as usize | 1) {
            let hurt = sim.kill();
            hurt.flip(&path, bit);
            let before = contents(&hurt);
            let report = look(&hurt);
            assert_eq!(contents(&hurt), before, "verification changes nothing");
            let checked = path.starts_with("ckpt/");
            // Padding between images is not looked at, and a header or a footer has a second copy.
            found += usize::from(checked && !report.ok);
            if report.ok {
                let bus = open(&hurt).unwrap_or_else(|error| panic!("bit {bit} of {path}: {error}"));
                assert_eq!(bus.branches().unwrap().len(), 2);
            }
        }
    }
    assert!(found > 30, "{found}");
}

/// One copy of a superblock or of a segment's header is enough to go on: it is said all the same while the other one can
/// still be lost, and made good by whoever opens the bus to write.
#[test]
fn a_damaged_copy_is_found_while_the_other_is_whole_and_made_good() {
    let sim = made(&mut Epochs::new());
    let digest = open(&sim.kill()).unwrap().state().unwrap().digest().unwrap();
    let copies = |path: &String| match path.as_str() {
        "bus" => vec![(path.clone(), 0, 4096), (path.clone(), 4096, 4096)],
        path if path.ends_with(".seg") => vec![(path.into(), 0, 64), (path.into(), 2048, 64)],
        _ => Vec::new(),
    };
    let copies: Vec<(String, u64, u64)> = sim.paths().iter().flat_map(copies).collect();
    assert!(copies.len() >= 8, "{copies:?}");
    // Those of the superblock, and of every third segment.
    let some = |number: &usize| (number / 2).is_multiple_of(3);
    for (number, (path, at, length)) in copies.into_iter().enumerate().filter(|(number, _)| some(number)) {
        let byte = if number.is_multiple_of(3) { length - 1 } else { 9 };
        let hurt = sim.kill();
        assert!(hurt.flip(&path, (at + byte) * 8 + 1));
        let report = look(&hurt);
        assert!(!report.ok && report.damage.is_none(), "byte {byte} of {path} at {at}: {report:?}");
        let [finding] = &report.findings[..] else { panic!("{report:?}") };
        for words in [&path, &format!("byte {at} "), "other", "write"] {
            assert!(finding.contains(words), "{finding}");
        }
        if number.is_multiple_of(2) {
            let disk: Arc<dyn Disk> = Arc::new(hurt.clone());
            let done = doctor_disk(Arc::new(hurt.for_reading()), Some(disk), &mut |_| {}).unwrap().done;
            assert!(done.len() == 1 && done[0].contains(&path), "{done:?}");
        } else {
            assert_eq!(open(&hurt).unwrap().state().unwrap().digest().unwrap(), digest);
        }
        assert!(look(&hurt).ok, "{path} at {at}: {:?}", look(&hurt));
        assert!(hurt.flip(&path, (if path == "bus" { 4096 } else { 2048 } - at) * 8 + 1));
        assert_eq!(open(&hurt).unwrap().state().unwrap().digest().unwrap(), digest);
    }
}

#[test]
fn the_doctor_cuts_only_when_asked_and_says_what_goes() {
    let mut epochs = Epochs::new();
    let sim = made(&mut epochs);
    let segments: Vec<String> = sim.paths().into_iter().filter(|path| path.starts_with("log/")).collect();
    let (mut cut, mut kept) = (0, 0);
    for path in segments {
        let bits = sim.contents(&path).unwrap().len() as u64 * 8;
        for bit in (4096 * 8 + 100..bits).step_by(7_013) {
            let hurt = sim.kill();
            hurt.flip(&path, bit);
            let before = contents(&hurt);
            let diagnosis = doctor_disk(Arc::new(hurt.for_reading()), None, &mut |_| {}).unwrap();
            assert_eq!(contents(&hurt), before, "unasked, it changes nothing");
            let Some(position) = diagnosis.report.damage else { continue };
            let opened = open(&hurt).map(|bus| bus.state().unwrap().digest().unwrap());
            let disk: Arc<dyn Disk> = Arc::new(hurt.clone());
            let treated = doctor_disk(Arc::new(hurt.for_reading()), Some(disk), &mut |_| {}).unwrap();
            assert!(!treated.done.is_empty(), "damage at {position}");
            let bus = open(&hurt).unwrap_or_else(|error| panic!("bit {bit} of {path}: {error}"));
            match opened {
                Ok(digest) => {
                    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
                    kept += 1;
                }
                Err(error) => {
                    assert_eq!(error.code(), Code::CorruptLog);
                    check_epochs(&bus, &epochs);
                    cut += 1;
                }
            }
            run(&bus, Step::Create(0, 5), 1000).unwrap();
        }
    }
    assert!(cut > 0 && kept > 0, "cut {cut}, kept {kept}");
}

#[test]
fn a_bus_without_a_path_forgets_what_its_budget_does_not_hold() {
    let options = Options { history_budget: Some(1 << 20), ..quiet() };
    let bus = Bus::memory(&options).unwrap();
    run(&bus, Step::Create(0, 20_000), 0).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // What counts does not mind what is pruned under it.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && std::time::Instant::now() < end {
                bus.stats().unwrap();
            }
        });
        for number in (2..).step_by(2) {
            let now = bus.stats().unwrap();
            if now.checkpoints > 0 && now.log <= 3 << 20 {
                break;
            }
            assert!(std::time::Instant::now() < end, "{now:?}");
            run(&bus, Step::Write(0, 0, number, 10_000), number).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let first = mmsb::base::ids::Epoch(1);
    let before = bus.stats().unwrap();
    if before.log < before.appended {
        assert!(matches!(bus.at(first).unwrap_err(), Error::Pruned { .. }));
    }
    bus.state().unwrap().digest().unwrap();
}
