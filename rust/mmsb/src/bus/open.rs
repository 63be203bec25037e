//! Opening a bus: making it or taking it up where its log ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use crate::algebra::operator::builtin;
use crate::base::clock::{Clock, SystemClock};
use crate::base::ids::{BranchId, Epoch};
use crate::bus::attach::{self, begin_to_share};
use crate::bus::core::{Core, Held, Parts};
use crate::bus::error::{Error, check_directory, check_path};
use crate::bus::handle::Bus;
use crate::bus::lines::Lines;
use crate::bus::opened;
use crate::bus::options::{ArenaPlace, Mode, Options};
use crate::bus::past::begin::belongs;
use crate::bus::past::replay::{GENESIS, MAIN, Replay};
use crate::bus::upkeep::background::Background;
use crate::bus::writer::Writer;
use crate::memory::arena::{self, Arena};
use crate::memory::disk::{Disk, Lock, Real};
use crate::memory::machine::discovery;
use crate::memory::machine::host;
use crate::memory::machine::place::{Home, Place};
use crate::memory::pinning::guard::PinGuard;
use crate::memory::pinning::limbo::Limbo;
use crate::page::body::{self, Glance, Record};
use crate::page::catalog;
use crate::page::checkpoint::lazy::Lazy;
use crate::page::checkpoint::record::Head;
use crate::page::checkpoint::store::{DIR, Store};
use crate::page::draft::Tables;
use crate::page::log;
use crate::page::log::{FrameHead, LOOKS, Log, LogError, Notes, superblock};
use crate::page::operator::Operators;
use crate::page::schemas::Schemas;
use crate::page::stage::{Scratch, Stage};
use crate::page::state_error::StateError;

/// The folder of a bus in which its memory lies when it is not in tmpfs.
const ARENA_FOLDER: &str = "arena";

impl Bus {
    /// Opens the bus in a directory.
    ///
    /// # Errors
    /// See [`crate::bus::error::Code`]: among them `NotFound` and `Exists` by the mode, `Locked` where another process
    /// has it open for writing, `NotABus`, `UnsupportedFormat`, `CorruptLog`, `Permission`.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Bus, Error> {
        let path = path.as_ref();
        check_path(path)?;
        Bus::open_at(path, options).map_err(|error| error.at(path))
    }

    fn open_at(path: &Path, options: &Options) -> Result<Bus, Error> {
        let read_only = options.mode == Mode::Read;
        if read_only && (options.pins.is_some() || options.pin_limit.is_some()) {
            let why = "pins and pin_limit are said by processes that write the bus, not with mode 'r'";
            return Err(Error::Invalid(why.into()));
        }
        let real = Arc::new(Real::new(path, read_only));
        let makes = match options.mode {
            Mode::Create => !path.exists(),
            Mode::Append => !superblock::exists(&*real),
            Mode::Read | Mode::ReadWrite => false,
        };
        if makes {
            fits(options)?;
        }
        match options.mode {
            Mode::Create => real.make()?,
            Mode::Append if !path.exists() => real.create_dir("")?,
            _ => check_directory(path)?,
        }
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let slot = opened::slot(&path);
        let mut open = slot.as_ref().map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(core) = open.as_ref().and_then(|open| open.upgrade())
            && (read_only || !core.read_only)
        {
            if options.mode == Mode::Create {
                // Somebody else has made a bus in the new directory meanwhile.
                return Err(Error::Exists(path.display().to_string()));
            }
            match shared(&core, options) {
                // Its last handle was closed; somebody still looks at what it had.
                Err(Error::Closed(_)) => core.background.wait_until_closed(),
                done => return done,
            }
        }
        let place = match options.arena {
            ArenaPlace::Shared if !read_only => Place::tmpfs().unwrap_or(Place::Memory),
            ArenaPlace::Directory if !read_only => Place::Directory { dir: path.join(ARENA_FOLDER) },
            // A reader beside a writer has a copy of its own, which nobody else needs to find.
            _ => Place::Memory,
        };
        let make = |lock: Option<Box<dyn Lock>>| {
            let (place, path, clock) = (place.clone(), Some(path.clone()), Arc::new(SystemClock));
            let disk = Arc::clone(&real) as Arc<dyn Disk>;
            assemble((disk, lock), place, path, options, clock, Vec::new())
        };
        let bus = if read_only {
            match attach::to_read(&real, &path, options)? {
                Some(bus) => bus,
                None => return settled(&*real, |_| true, || make(None)),
            }
        } else if !superblock::exists(&*real) && !may_make(&*real, options)? {
            // It is no bus, and nothing is changed there.
            make(None)?
        } else {
            attach::open_among_others(&real, &path, options, |lock| make(Some(lock)))?
        };
        if let Some(open) = &mut open {
            **open = Arc::downgrade(bus.core());
        }
        Ok(bus)
    }

    /// A bus in memory only. Its log lies in tmpfs and goes with it.
    pub fn memory(options: &Options) -> Result<Bus, Error> {
        let place = Place::tmpfs().unwrap_or(Place::Tmpfs { dir: std::env::temp_dir() });
        let home = Home::open(&place)?;
        let folder = home.path().unwrap_or_default();
        let disk: Arc<dyn Disk> = Arc::new(Real::new(folder.join("log"), false));
        disk.create_dir("")?;
        assemble((disk, None), Place::Memory, None, options, Arc::new(SystemClock), vec![Box::new(home)])
    }

    /// Opens the bus on a disk of any kind: what tests with a simulated one do.
    pub fn on_disk(disk: Arc<dyn Disk>, options: &Options, clock: Arc<dyn Clock>) -> Result<Bus, Error> {
        let make = || {
            assemble((Arc::clone(&disk), None), Place::Memory, None, options, Arc::clone(&clock), Vec::new())
        };
        if disk.read_only() { settled(&*disk, |_| true, make) } else { make() }
    }
}

pub(super) fn main(core: &Arc<Core>, options: &Options) -> Result<Bus, Error> {
    let line = core.line(MAIN).ok_or_else(|| Error::NoBranch(MAIN.into()))?;
    Bus::new(Arc::clone(core), line, options)
}

/// A handle on a bus that this process has open; an error where it is asked to be another than it is.
fn shared(core: &Arc<Core>, options: &Options) -> Result<Bus, Error> {
    let bus = main(core, options)?;
    let invalid = |what: String| {
        let place = core.place();
        Err(Error::Invalid(format!("the bus {place} is open in this process already, {what}")))
    };
    match options.budget {
        Some(budget) if budget != core.arena.budget() => {
            let has = core.arena.budget();
            return invalid(format!("with a budget of {has} bytes, not {budget}"));
        }
        _ => {}
    }
    match options.threads {
        Some(threads) if threads != core.threads.count() => {
            let has = core.threads.count();
            return invalid(format!("with {has} threads, not {threads}"));
        }
        _ => {}
    }
    if options.mode != Mode::Read
        && options.arena == ArenaPlace::Directory
        && core.arena_place != options.arena
    {
        return invalid("with its memory in shared memory, not in its directory".into());
    }
    core.set_pins(options, false);
    Ok(bus)
}

fn assemble(
    (disk, lock): (Arc<dyn Disk>, Option<Box<dyn Lock>>),
    place: Place,
    path: Option<PathBuf>,
    options: &Options,
    clock: Arc<dyn Clock>,
    held: Vec<Box<dyn Held>>,
) -> Result<Bus, Error> {
    let read_only = options.mode == Mode::Read;
    let log = open_log(&disk, lock, options)?;
    let checkpoints = Arc::new(Store::open(&disk)?);
    let budget = options.budget.unwrap_or_else(host::default_budget);
    let Begun { memory, lines, seq, limbo, from } = start(&place, budget, &log, &checkpoints)?;
    let Memory { arena, schemas, operators, lazy } = memory;
    let background = match &path {
        _ if read_only => Background::new(None, false, 0, false),
        // Its log is never replayed: checkpoints serve to let history go.
        None => Background::new(options.history_budget, true, log.start_position(), false),
        Some(_) => Background::new(options.checkpoint_after, false, from, lazy.left() > 0),
    };
    let follows = arena.is_shared();
    if follows {
        begin_to_share(&arena, &log, &checkpoints);
    }
    let writer = Writer::new(&arena, log, seq, limbo);
    let core = Core::new(Parts {
        arena,
        schemas,
        operators,
        lazy,
        lines,
        writer,
        checkpoints,
        background,
        threads: options.threads(),
        clock,
        path,
        arena_place: options.arena,
        read_only,
        follows,
        held,
    });
    core.set_published(seq);
    if core.lazy.left() == 0 {
        core.arena.set_read_in();
    }
    core.set_pins(options, true);
    main(&core, options)
}

impl Bus {
    /// The bus as a process has it that nobody else commits to meanwhile: this handle, or, where another process writes, a
    /// copy of what that has committed by now.
    pub(crate) fn own_copy(&self) -> Result<Bus, Error> {
        let core = self.core();
        let Some(path) = core.path.clone().filter(|_| core.follows && core.read_only) else {
            return Ok(self.clone());
        };
        let options = Options { mode: Mode::Read, budget: Some(core.arena.budget()), ..Options::default() };
        let disk: Arc<dyn Disk> = Arc::new(Real::new(&path, true));
        let make = || {
            let (path, clock) = (Some(path.clone()), Arc::new(SystemClock));
            assemble((Arc::clone(&disk), None), Place::Memory, path, &options, clock, Vec::new())
        };
        settled(&*disk, |_| true, make)
    }
}

/// Calls `look`, which only reads, until it is `well`, or until nobody who writes the bus has let go of files or added
/// some meanwhile.
pub(crate) fn settled<T>(
    disk: &dyn Disk,
    well: impl Fn(&T) -> bool,
    mut look: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let files = || Ok::<_, Error>([disk.list(log::DIR)?, disk.list(DIR)?]);
    let mut looks = 1;
    loop {
        let before = files()?;
        let found = look();
        if found.as_ref().is_ok_and(&well) || looks == LOOKS || files()? == before {
            return found;
        }
        looks += 1;
    }
}

/// Fails where there would not be memory enough for a bus without pages: asked before anything of one is made.
fn fits(options: &Options) -> Result<(), Error> {
    let budget = options.budget.unwrap_or_else(host::default_budget);
    let arena = Arena::with(Place::Memory, arena::Options { budget, prefault: false })?;
    let mut stage = Stage::new(&arena, GENESIS, Scratch::default());
    catalog::empty_root(&mut stage, BranchId::MAIN, Epoch(0))?;
    stage.settle(&mut Vec::new());
    PinGuard::new(Arc::clone(&arena), || GENESIS)?;
    Ok(())
}

/// What a state is made of.
struct Memory {
    arena: Arc<Arena>,
    schemas: Schemas,
    operators: Operators,
    lazy: Lazy,
}

impl Memory {
    fn new(place: &Place, budget: u64) -> Result<Self, Error> {
        let arena = Arena::new(place.clone(), budget)?;
        Ok(Memory { arena, schemas: Schemas::default(), operators: builtin(), lazy: Lazy::default() })
    }

    fn tables(&self) -> Tables<'_> {
        Tables { schemas: &self.schemas, operators: &self.operators, lazy: &self.lazy }
    }
}

/// The state where the log ends.
struct Begun {
    memory: Memory,
    lines: Lines,
    seq: u64,
    limbo: Limbo,
    /// What was replayed of the log begins here.
    from: u64,
}

/// Replays the log from the newest checkpoint that can be read, or from its start.
fn start(place: &Place, budget: u64, log: &Log, store: &Arc<Store>) -> Result<Begun, Error> {
    let mut damage = None;
    for head in store.heads().iter().rev() {
        if !belongs(&log.reader(), log.last_crc(), head)? {
            store.forget(head.seq);
            continue;
        }
        match go_on(Memory::new(place, budget)?, Some(head), log, store) {
            Err(error) if is_damage(&error) => {
                store.forget(head.seq);
                damage = Some(error);
            }
            begun => return begun,
        }
    }
    match (log.start_position(), damage) {
        (0, _) => go_on(Memory::new(place, budget)?, None, log, store),
        (_, Some(damage)) => Err(damage),
        (position, None) => {
            let what = "history was pruned up to here, and the checkpoint that holds it is missing";
            Err(LogError::CorruptLog { segment: 0, offset: 0, position, what }.into())
        }
    }
}

/// Replays the log from a checkpoint on, or from its start.
fn go_on(memory: Memory, head: Option<&Head>, log: &Log, store: &Arc<Store>) -> Result<Begun, Error> {
    let (reader, tables) = (log.reader(), memory.tables());
    let mut replay = match head {
        Some(head) => Replay::resume(&memory.arena, tables, reader, store, &store.record(head.seq)?)?,
        None => Replay::new(&memory.arena, tables, reader, Some(Arc::clone(store)))?,
    };
    let from = head.map_or(0, |head| head.position);
    replay.frames(from, u64::MAX)?;
    let (lines, seq, limbo) = replay.finish(&memory.arena)?;
    Ok(Begun { memory, lines, seq, limbo, from })
}

/// Whether an error is damage of a checkpoint: an older one, or the log itself, may do instead.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Checkpoint(error) => error.is_damage(),
        Error::State(StateError::Unread(error)) => error.is_damage(),
        _ => false,
    }
}

/// Opens the log, making it where there is none.
fn open_log(disk: &Arc<dyn Disk>, lock: Option<Box<dyn Lock>>, options: &Options) -> Result<Log, Error> {
    if may_make(&**disk, options)? {
        let log = match lock {
            Some(lock) => Log::create_locked(Arc::clone(disk), options.log, (0, 0), lock),
            None => Log::create(Arc::clone(disk), options.log),
        };
        return Ok(log?);
    }
    if options.mode == Mode::Create {
        return Err(LogError::Exists.into());
    }
    let opened = match lock {
        Some(lock) => Log::open_locked(Arc::clone(disk), options.log, lock, &describe),
        None => Log::open(Arc::clone(disk), options.log, &describe),
    };
    Ok(opened?.0)
}

/// Whether a bus may be made where there is none. Somebody else's directory is left alone; what an unfinished creation left is
/// not in the way.
fn may_make(disk: &dyn Disk, options: &Options) -> Result<bool, Error> {
    let unfinished = ["LOCK", superblock::NEW_NAME, discovery::NAME, discovery::NEW_NAME];
    Ok(matches!(options.mode, Mode::Append | Mode::Create)
        && disk.list("")?.iter().all(|name| unfinished.contains(&&**name))
        && disk.list(DIR)?.is_empty())
}

/// What the log's footers note of a frame.
pub(crate) fn describe(_head: &FrameHead, body: &[u8]) -> Notes {
    let mut notes = Notes::default();
    for record in body::glances(body).map_while(Result::ok) {
        let record = match record {
            Glance::Delta(page) => {
                notes.pages.push(page);
                continue;
            }
            Glance::Other(record) => record,
        };
        if let Record::Source(source) = &record {
            notes.source = Some((*source).into());
        }
        notes.catalog |= record.is_catalog();
        notes.pages.extend(record.page());
    }
    notes
}
