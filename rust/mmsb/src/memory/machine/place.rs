//! Where an arena's spans and pins lie: nameless memory, a folder in tmpfs, or a folder beside the bus; and the sweeping of
//! folders whose owner has died.
//!
//! Whoever uses a folder shares the lock on the file `lock` in it; the kernel lets go of it with the process. Whoever gets
//! that lock alone may remove the folder: the last one who leaves, or somebody who finds that all are dead.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::error::MemoryError;
use crate::memory::machine::forked::Own;
use crate::memory::machine::mapping;

/// Where the spans of an arena lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In nameless files in memory, which only this process and its children can reach.
    Memory,
    /// In a folder of its own, made in `dir`, which is in tmpfs (memory with names). See [`Place::tmpfs`].
    Tmpfs {
        /// The folder in which the arena's own is made.
        dir: PathBuf,
    },
    /// In a folder of its own, made in `dir`, which is on a disk. The kernel writes it back as it likes.
    Directory {
        /// The folder in which the arena's own is made; made if it is not there.
        dir: PathBuf,
    },
}

impl Place {
    /// The machine's tmpfs for shared memory: `/dev/shm`, or `$XDG_RUNTIME_DIR` where that is not to be had.
    pub fn tmpfs() -> Option<Place> {
        let shm = PathBuf::from("/dev/shm");
        if rustix::fs::access(&shm, rustix::fs::Access::WRITE_OK).is_ok() {
            return Some(Place::Tmpfs { dir: shm });
        }
        std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Place::Tmpfs { dir: dir.into() })
    }
}

/// The name of the file whose lock says that the folder is in use.
const LOCK: &str = "lock";
/// How the names of span files begin; a number follows.
const SPAN: &str = "span-";
/// The file of the pins.
const PINS: &str = "pins";
/// The file of the processes.
const SLOTS: &str = "slots";

pub(in crate::memory) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> MemoryError {
    let path = path.display().to_string();
    move |source| MemoryError::Io { action, path, source }
}

/// How this user's folders in a tmpfs begin; a random number follows.
fn prefix() -> String {
    format!("mmsb-{}-", rustix::process::geteuid().as_raw())
}

/// The arena's hold on its place: makes its files, and removes them when dropped. A folder made in tmpfs goes with all
/// that anybody has put in it.
#[derive(Debug)]
pub struct Home {
    folder: Mutex<Option<Folder>>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The folder above it, where that was made for it and goes when it is empty.
    above: Option<PathBuf>,
    lock: Own,
    /// A forked child that drops its copy must not remove what the parent still uses.
    process: u32,
}

impl Home {
    /// Takes a place for a new arena, after sweeping what dead arenas of this user have left there.
    pub fn open(place: &Place) -> Result<Home, MemoryError> {
        let folder = match place {
            Place::Memory => None,
            Place::Tmpfs { dir } => {
                sweep(dir);
                Some(Folder::fresh(dir)?)
            }
            Place::Directory { dir } => {
                DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("make", dir))?;
                sweep(dir);
                let mut folder = Folder::fresh(dir)?;
                folder.above = Some(dir.clone());
                Some(folder)
            }
        };
        Ok(Home { folder: Mutex::new(folder) })
    }

    /// Comes to the place of an arena that others use.
    pub fn attach(path: &Path) -> Result<Home, MemoryError> {
        Ok(Home { folder: Mutex::new(Some(Folder::shared(path)?)) })
    }

    /// Makes the file of span `number`, so many bytes long, of which none is allocated. What is there of that name is left over.
    pub fn new_span(&self, number: u16, bytes: u64) -> Result<File, MemoryError> {
        let name = span_name(number);
        if let Some(path) = self.path() {
            let _ = fs::remove_file(path.join(&name));
        }
        self.new_file(&name, bytes)
    }

    /// The file of span `number`, which another process has made, and how long it is.
    pub fn open_span(&self, number: u16) -> Result<(File, u64), MemoryError> {
        self.open_file(&span_name(number))
    }

    /// Makes the file of the arena's pins, likewise.
    pub fn new_pins(&self, bytes: u64) -> Result<File, MemoryError> {
        self.new_file(PINS, bytes)
    }

    /// The file of the arena's pins, as another process has made it.
    pub fn open_pins(&self) -> Result<(File, u64), MemoryError> {
        self.open_file(PINS)
    }

    /// The file of the arena's processes, where others can find it.
    pub fn slots(&self) -> Option<PathBuf> {
        self.path().map(|path| path.join(SLOTS))
    }

    fn new_file(&self, name: &str, bytes: u64) -> Result<File, MemoryError> {
        let folder = self.folder();
        let path = folder.as_ref().map_or_else(|| "a file in memory".into(), |of| of.path.join(name));
        let file = if folder.is_some() { new_file(&path) } else { mapping_file() };
        let file = file.map_err(io_error("make", &path))?;
        file.set_len(bytes).map_err(io_error("size", &path))?;
        Ok(file)
    }

    fn open_file(&self, name: &str) -> Result<(File, u64), MemoryError> {
        let path = self.path().unwrap_or_default().join(name);
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
        let bytes = file.metadata().map_err(io_error("look at", &path))?.len();
        Ok((file, bytes))
    }

    /// Allocates bytes to a file of the arena. Only then may they be touched: a full tmpfs is an error here, a killing
    /// signal there.
    pub fn allocate(&self, file: &File, from: u64, bytes: u64) -> Result<(), MemoryError> {
        mapping::allocate(file, from, bytes).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                MemoryError::OutOfSpace { place: self.describe(), asked: bytes }
            }
            _ => MemoryError::Io { action: "allocate to a file in", path: self.describe(), source },
        })
    }

    /// The arena's folder, if its place has one.
    pub fn path(&self) -> Option<PathBuf> {
        self.folder().as_ref().map(|folder| folder.path.clone())
    }

    /// Leaves the place to others: names go, the memory stays for as long as it is mapped, and more of it is nameless.
    pub fn leave(&self) {
        drop(self.folder().take());
    }

    fn folder(&self) -> MutexGuard<'_, Option<Folder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place in words, for messages.
    pub fn describe(&self) -> String {
        self.path().map_or_else(|| "memory".into(), |path| path.display().to_string())
    }
}

#[cfg(target_os = "linux")]
fn mapping_file() -> io::Result<File> {
    mapping::memory_file("mmsb")
}

#[cfg(not(target_os = "linux"))]
fn mapping_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("{}{:016x}", prefix(), random()));
    let file = new_file(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A number that nobody can foresee.
pub(in crate::memory) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn span_name(number: u16) -> String {
    format!("{SPAN}{number}")
}

impl Folder {
    /// A new folder in `dir`.
    fn fresh(dir: &Path) -> Result<Folder, MemoryError> {
        loop {
            let path = dir.join(format!("{}{:016x}", prefix(), random()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                done => done.map_err(io_error("make", &path))?,
            }
            // Somebody who sweeps just now may have taken the folder for a dead one: then try another.
            match lock(&path.join(LOCK), true, File::try_lock_shared) {
                Ok(Some(lock)) => {
                    return Ok(Folder { path, above: None, lock, process: std::process::id() });
                }
                Ok(None) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_error("lock", &path)(e)),
            }
        }
    }

    /// The folder of an arena that others use.
    fn shared(path: &Path) -> Result<Folder, MemoryError> {
        match lock(&path.join(LOCK), false, File::try_lock_shared).map_err(io_error("lock", path))? {
            Some(lock) => {
                Ok(Folder { path: path.to_path_buf(), above: None, lock, process: std::process::id() })
            }
            None => Err(io_error("lock", path)(io::ErrorKind::WouldBlock.into())),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Of several who leave at once one is last: taking the lock alone gives one's share of it back first.
        if self.process != std::process::id() || self.lock.file().try_lock().is_err() {
            return;
        }
        let _ = remove_folder(&self.path);
        if let Some(above) = &self.above {
            let _ = fs::remove_dir(above);
        }
    }
}

/// Takes the lock in a folder, or `None` when somebody else has it.
fn lock(path: &Path, make: bool, take: fn(&File) -> Result<(), fs::TryLockError>) -> io::Result<Option<Own>> {
    loop {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(make).truncate(false).mode(0o600);
        let file = Own::new(options.open(path)?);
        match take(file.file()) {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
        // The last owner may have removed the file between the opening and the locking: then it says nothing.
        if file.file().metadata()?.nlink() > 0 {
            return Ok(Some(file));
        }
    }
}

/// Removes this user's arena folders in `dir` that no living process holds. What cannot be removed is left: the arena
/// being opened does not depend on it. Returns how many went.
pub fn sweep(dir: &Path) -> usize {
    let (prefix, user) = (prefix(), rustix::process::geteuid().as_raw());
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let ours = entries.flatten().filter(|entry| {
        // `DirEntry::metadata` does not follow links, so a planted one leads nowhere.
        entry.file_name().to_string_lossy().starts_with(&prefix)
            && entry.metadata().is_ok_and(|m| m.is_dir() && m.uid() == user)
    });
    ours.filter(|entry| sweep_folder(&entry.path())).count()
}

fn sweep_folder(folder: &Path) -> bool {
    // A folder just being made has no lock yet; its maker finds this one and tries another folder.
    let Ok(Some(_lock)) = lock(&folder.join(LOCK), true, File::try_lock) else { return false };
    remove_folder(folder).is_ok()
}

/// Removes a folder with all that is in it; the caller has its lock. It takes another name first, so that nobody who
/// knows the old one can make a lock in it while it goes.
fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut name = folder.as_os_str().to_os_string();
    name.push(".dead");
    fs::rename(folder, &name)?;
    fs::remove_dir_all(&name)
}
