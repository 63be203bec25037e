//! What cannot be opened or written is refused by name, and leaves what is there as it was.
#![allow(clippy::unwrap_used)]

use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Mode, Options};
use mmsb::bus::upkeep::doctor::doctor;
use mmsb::bus::upkeep::verify::verify;

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
    for error in [verify(&file, &mut |_| {}).unwrap_err(), doctor(&file, false).unwrap_err()] {
        assert_eq!(error.code(), Code::NotABus, "{error}");
        assert!(error.to_string().contains("letter.txt"), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"no bus");
}
