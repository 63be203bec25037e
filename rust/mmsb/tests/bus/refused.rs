//! What cannot be opened or written is refused by name, and leaves what is there as it was.

use std::path::Path;
use std::sync::{Arc, Barrier};

use mmsb::base::clock::ManualClock;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Note, Options};
use mmsb::bus::upkeep::doctor::doctor;
use mmsb::bus::upkeep::verify::verify;
use mmsb::memory::disk::{Disk, Sim};
use mmsb::page::dtype::DType;
use mmsb::page::schema::Schema;

#[test]
fn what_is_no_bus_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("letter.txt"), dir.path().join("folder"));
    std::fs::write(&file, "no bus").unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("letter.txt"), "no bus").unwrap();
    for path in [&file, &folder] {
        for mode in [Mode::Read, Mode::ReadWrite, Mode::Append] {
            let error = Bus::open(path, &Options { mode, ..Options::default() }).unwrap_err();
            assert_eq!(error.code(), Code::NotABus, "{mode:?}: {error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        let error = Bus::open(path, &Options { mode: Mode::Create, ..Options::default() }).unwrap_err();
        assert_eq!(error.code(), Code::Exists);
    }
    for error in [verify(&file, &mut |_| {}).unwrap_err(), doctor(&file, false, &mut |_| {}).unwrap_err()] {
        assert_eq!(error.code(), Code::NotABus, "{error}");
        assert!(error.to_string().contains("letter.txt"), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"no bus");
}

/// Two threads make one thing at a path that has nothing, again and again: one does, and the other is told so.
fn one_makes_it<T: Send>(make: impl Fn(&Path) -> Result<T, Error> + Sync) {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let (path, both) = (dir.path().join(format!("{round}")), Barrier::new(2));
        let once = || {
            both.wait();
            make(&path)
        };
        let mut done = std::thread::scope(|scope| {
            let threads = [scope.spawn(once), scope.spawn(once)];
            threads.map(|thread| thread.join().unwrap())
        });
        done.sort_by_key(Result::is_err);
        let [Ok(_), Err(error)] = &done else { panic!("round {round}: {:?}", done.map(|done| done.err())) };
        assert_eq!(error.code(), Code::Exists, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        drop(done);
        assert!(verify(&path, &mut |_| {}).unwrap().ok, "round {round}");
    }
}

#[test]
fn one_of_two_exports_to_a_path_makes_it_and_it_stays() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
    bus.create_page("a", schema, 10, &Note::default()).unwrap();
    one_makes_it(|path| bus.export(path, &mut |_| {}));
}

#[test]
fn one_of_two_that_create_a_bus_does() {
    one_makes_it(|path| Bus::open(path, &Options { mode: Mode::Create, ..Options::default() }));
}

#[test]
fn nothing_is_created_where_somebody_made_a_bus_meanwhile() {
    let disk: Arc<dyn Disk> = Arc::new(Sim::new(1));
    let open = |mode| {
        let clock = Arc::new(ManualClock::new(1_000));
        Bus::on_disk(Arc::clone(&disk), &Options { mode, ..Options::default() }, clock)
    };
    open(Mode::Append).unwrap().close();
    assert_eq!(open(Mode::Create).map(drop).unwrap_err().code(), Code::Exists);
    open(Mode::ReadWrite).unwrap();
}
