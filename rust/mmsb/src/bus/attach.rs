//! Coming to a bus that other processes have open, and opening one so that they can come.
//!
//! Who has a bus open shares the lock on its file `LOCK`. Who has it alone, and finds no memory that anybody uses, makes the
//! memory anew from what is on disk, says where it lies, and shares the lock from then on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::algebra::operator::builtin;
use crate::base::clock::SystemClock;
use crate::base::ids::Seq;
use crate::base::limits::{OPEN_LOOK, OPEN_TURN, OPEN_UNREACHED};
use crate::bus::core::{Core, Parts};
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::lines::Lines;
use crate::bus::open::{describe, main, settled};
use crate::bus::options::{Mode, Options};
use crate::bus::takeover;
use crate::bus::upkeep::background::Background;
use crate::bus::writer::Writer;
use crate::memory::arena::{self, Arena};
use crate::memory::disk::{Disk, DiskError, Lock, Real};
use crate::memory::machine::discovery;
use crate::memory::machine::host;
use crate::memory::pinning::limbo::Limbo;
use crate::page::checkpoint::lazy::Lazy;
use crate::page::checkpoint::store::{Store, Together as Checkpoints};
use crate::page::log::{Log, Together};
use crate::page::schemas::Schemas;

/// What the processes of an arena know of the log and of checkpoints together: words of its control area.
#[derive(Debug)]
struct OfArena(Arc<Arena>);

impl Together for OfArena {
    fn newest(&self) -> Seq {
        Seq(self.0.control().published.0.load(Ordering::Acquire))
    }

    fn next_number(&self) -> u64 {
        self.0.control().segments.0[1].fetch_add(1, Ordering::Relaxed)
    }

    fn active(&self) -> u64 {
        self.0.control().segments.0[0].load(Ordering::Acquire)
    }

    fn set_active(&self, number: u64) {
        self.0.control().segments.0[0].store(number, Ordering::Release);
    }

    fn me(&self) -> u64 {
        self.0.slot().into()
    }

    fn is_gone(&self, number: u64) -> bool {
        self.0.is_gone(number as u32)
    }
}

impl Checkpoints for OfArena {
    fn changes(&self) -> u64 {
        self.0.control().upkeep.0[1].load(Ordering::Acquire)
    }

    fn change(&self) {
        self.0.control().upkeep.0[1].fetch_add(1, Ordering::AcqRel);
    }
}

/// Has a log and the checkpoints follow what others do, where the memory is made for others to come.
pub(super) fn begin_to_share(arena: &Arc<Arena>, log: &Log, checkpoints: &Store) {
    checkpoints.share(OfArena(Arc::clone(arena)));
    let (active, next) = log.numbers();
    let [of_active, of_next] = &arena.control().segments.0;
    of_active.store(active, Ordering::Release);
    of_next.store(next, Ordering::Release);
    log.follow(OfArena(Arc::clone(arena)), describe);
}

/// Says where the memory of a bus lies that this process has made, where others can come to it.
fn say(core: &Core, path: &Path) -> Result<(), Error> {
    match core.arena.folder().filter(|_| core.follows) {
        Some(folder) => {
            core.arena.describe(true)?;
            discovery::announce(path, &folder)?;
            Ok(core.this_writer().log.share_lock()?)
        }
        None => {
            discovery::withdraw_any(path);
            Ok(())
        }
    }
}

/// The memory of a bus that others use, where it can be reached.
fn reach(path: &Path, options: &Options) -> Option<Arc<Arena>> {
    let folder = discovery::find(path)?;
    let budget = options.budget.unwrap_or_else(host::default_budget);
    Arena::attach(&folder, arena::Options { budget, prefault: true }).ok()
}

/// Opens a bus to write it: the memory that others use, or one that `make` makes.
pub(super) fn open_among_others(
    real: &Arc<Real>,
    path: &Path,
    options: &Options,
    make: impl FnOnce(Box<dyn Lock>) -> Result<Bus, Error>,
) -> Result<Bus, Error> {
    match come(real, path, options)? {
        Come::To(..) if options.mode == Mode::Create => Err(Error::Exists(path.display().to_string())),
        Come::To(arena, lock) => attach(Arc::clone(real) as Arc<dyn Disk>, path, options, (arena, lock)),
        Come::First(lock) => {
            let bus = make(lock)?;
            if options.alone || real.is_on_network() {
                // Others may be on machines that do not share this one's memory.
                discovery::withdraw_any(path);
                real.say_alone()?;
            } else {
                say(bus.core(), path)?;
            }
            Ok(bus)
        }
    }
}

/// How a process comes to write a bus.
enum Come {
    /// To the memory that others use.
    To(Arc<Arena>, Box<dyn Lock>),
    /// It has the bus alone, and makes the memory.
    First(Box<dyn Lock>),
}

/// Waits for what others do who open or leave the bus.
///
/// # Errors
/// `Locked` where somebody has it alone for longer than the handle waits, or uses memory that this process cannot reach.
fn come(real: &Real, path: &Path, options: &Options) -> Result<Come, Error> {
    let begun = Instant::now();
    loop {
        let by = match real.lock() {
            // Who shares what it had alone gives it up for a moment.
            Ok(lock) => {
                return match reach(path, options) {
                    Some(arena) => {
                        lock.share()?;
                        Ok(Come::To(arena, lock))
                    }
                    None => Ok(Come::First(lock)),
                };
            }
            Err(DiskError::Locked { by }) => by,
            Err(error) => return Err(error.into()),
        };
        let shared = real.lock_shared();
        if shared.is_none() && real.is_said_alone() {
            return Err(DiskError::Locked { by }.into());
        }
        let most = if shared.is_some() { OPEN_UNREACHED } else { options.busy_timeout };
        if let Some(lock) = shared
            && let Some(arena) = reach(path, options)
        {
            return Ok(Come::To(arena, lock));
        }
        if begun.elapsed() >= most.min(options.busy_timeout) {
            return Err(DiskError::Locked { by }.into());
        }
        std::thread::sleep(OPEN_LOOK);
    }
}

/// Comes to the bus that others have open, to read what they commit; `None` where nobody has, or its memory is not to be had
/// for this process.
pub(super) fn to_read(real: &Arc<Real>, path: &Path, options: &Options) -> Result<Option<Bus>, Error> {
    let Some(lock) = real.lock_shared() else { return Ok(None) };
    match reach(path, options) {
        Some(arena) => attach(Arc::clone(real) as Arc<dyn Disk>, path, options, (arena, lock)).map(Some),
        None => Ok(None),
    }
}

/// The bus in memory that others use.
fn attach(
    disk: Arc<dyn Disk>,
    path: &Path,
    options: &Options,
    (arena, lock): (Arc<Arena>, Box<dyn Lock>),
) -> Result<Bus, Error> {
    let read_only = options.mode == Mode::Read;
    let open = || Ok(Log::open_beside(Arc::clone(&disk), options.log, &describe)?);
    let (mut log, _) = settled(&*disk, |_| true, open)?;
    log.hold(lock);
    log.follow(OfArena(Arc::clone(&arena)), describe);
    let checkpoints = Arc::new(Store::open(&disk)?);
    checkpoints.share(OfArena(Arc::clone(&arena)));
    let newest = checkpoints.heads().last().map_or(log.start_position(), |head| head.position);
    let most = options.checkpoint_after.filter(|_| !read_only);
    let writer = Writer::new(&arena, log, 0, Limbo::default());
    let core = Core::new(Parts {
        schemas: Schemas::default(),
        operators: builtin(),
        lazy: Lazy::elsewhere(),
        lines: Lines::default(),
        writer,
        checkpoints,
        background: Background::new(most, false, newest, false),
        threads: options.threads(),
        clock: Arc::new(SystemClock),
        path: Some(path.to_path_buf()),
        arena_place: options.arena,
        read_only,
        follows: true,
        held: Vec::new(),
        arena,
    });
    core.arena.describe(!read_only)?;
    let bus = main(&core, options)?;
    // What others left is taken over early: what keeps this process from it is said to who commits.
    if read_only {
        takeover::take_over_to_read(&core)?;
    } else {
        let turn = core.writer_within(options.busy_timeout.min(OPEN_TURN));
        let _ = turn.map(|turn| turn.log.remove_spares(true));
    }
    core.set_pins(options, false);
    Ok(bus)
}
