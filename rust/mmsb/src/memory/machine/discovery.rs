//! Where other processes find the arena of a bus: a file in the directory of the bus that says in which folder it lies.
//!
//! ```text
//! mmsb arena 1
//! boot: the machine's boot, in which the arena was made
//! bus: device and number of the bus's directory, so that a copy of it leads nobody to another's arena
//! folder: where it lies
//! ```
//! The file says what was so when it was written. Whether the arena is there, and somebody writes it, is asked there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::memory::error::MemoryError;
use crate::memory::machine::host;
use crate::memory::machine::place::io_error;

/// The file, in the directory of a bus.
pub const NAME: &str = "ARENA";
/// What it is called until it is whole.
pub const NEW_NAME: &str = "ARENA.new";

const FIRST: &str = "mmsb arena 1";

/// What the file says of an arena.
fn text(bus: &Path, folder: &Path) -> io::Result<String> {
    let of = fs::metadata(bus)?;
    let (boot, folder) = (host::boot_id(), folder.display());
    Ok(format!("{FIRST}\nboot: {boot:032x}\nbus: {} {}\nfolder: {folder}\n", of.dev(), of.ino()))
}

/// Says in which folder the arena of a bus lies.
pub fn announce(bus: &Path, folder: &Path) -> Result<(), MemoryError> {
    let (new, path) = (bus.join(NEW_NAME), bus.join(NAME));
    let write = || {
        let text = text(bus, folder)?;
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, &path)
    };
    write().map_err(io_error("write", &path))
}

/// Takes that back, unless the file speaks of another arena by now.
pub fn withdraw(bus: &Path, folder: &Path) {
    if find(bus).is_some_and(|found| found == folder) {
        let _ = fs::remove_file(bus.join(NAME));
    }
}

/// Takes back whatever the file says: the arena of the bus cannot be found by others.
pub fn withdraw_any(bus: &Path) {
    let _ = fs::remove_file(bus.join(NAME));
}

/// In which folder the arena of a bus lies, where somebody has said so since the machine was started.
pub fn find(bus: &Path) -> Option<PathBuf> {
    let said = fs::read_to_string(bus.join(NAME)).ok()?;
    let folder = PathBuf::from(said.lines().find_map(|line| line.strip_prefix("folder: "))?);
    (text(bus, &folder).ok()? == said).then_some(folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_found_until_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (bus, folder) = (dir.path(), Path::new("/dev/shm/an arena: of mine"));
        assert_eq!(find(bus), None);
        announce(bus, Path::new("/another")).unwrap();
        announce(bus, folder).unwrap();
        assert_eq!(find(bus).as_deref(), Some(folder));
        withdraw(bus, Path::new("/another"));
        assert_eq!(find(bus).as_deref(), Some(folder));
        withdraw(bus, folder);
        assert_eq!((find(bus), fs::read_dir(bus).unwrap().count()), (None, 0));
    }

    #[test]
    fn a_copy_of_a_bus_leads_nowhere_and_neither_does_damage() {
        let dir = tempfile::tempdir().unwrap();
        let (bus, copy) = (dir.path().join("bus"), dir.path().join("copy"));
        [&bus, &copy].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
        announce(&bus, Path::new("/dev/shm/arena")).unwrap();
        let said = fs::read(bus.join(NAME)).unwrap();
        fs::write(copy.join(NAME), &said).unwrap();
        assert_eq!(find(&copy), None);
        for end in 0..said.len() {
            fs::write(bus.join(NAME), &said[..end]).unwrap();
            assert_eq!(find(&bus), None, "{end} bytes");
        }
        fs::write(bus.join(NAME), [0xff; 40]).unwrap();
        assert_eq!(find(&bus), None);
    }
}
