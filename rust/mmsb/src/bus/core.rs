//! What the handles of one bus share: its memory, its log, its branches, its one writer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::ids::{BranchId, Epoch, PageId};
use crate::base::limits::CLOSE_WAIT;
use crate::base::wait::aside;
use crate::bus::error::Error;
use crate::bus::functions::{Declared, Functions};
use crate::bus::line::Line;
use crate::bus::lines::Lines;
use crate::bus::on_read::Remembered;
use crate::bus::options::{ArenaPlace, place_name};
use crate::bus::past::replay::GENESIS;
use crate::bus::turn::Turn;
use crate::bus::upkeep::background::Background;
use crate::bus::upkeep::follower::Follower;
use crate::bus::upkeep::rescue::FromLog;
use crate::bus::watch::Watch;
use crate::bus::writer::Writer;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::machine::discovery;
use crate::memory::pinning::guard::{KeepsArena, PinGuard};
use crate::memory::pinning::limbo::Dear;
use crate::page::catalog::RootRef;
use crate::page::checkpoint::lazy::Lazy;
use crate::page::checkpoint::store::Store;
use crate::page::digest::DigestCache;
use crate::page::draft::Tables;
use crate::page::log::{LogReader, Syncer};
use crate::page::operator::Operators;
use crate::page::schemas::Schemas;
use crate::page::version::PageRef;
use crate::propagation::program::Program;
use crate::propagation::threads::Threads;

/// Something that is held only to be let go with the bus.
pub(crate) trait Held: std::fmt::Debug + Send + Sync {}
impl<T: std::fmt::Debug + Send + Sync> Held for T {}

/// What the handles of one bus share.
#[derive(Debug)]
pub(crate) struct Core {
    /// Itself, for whoever goes on with it on another thread.
    pub me: Weak<Core>,
    pub arena: Arc<Arena>,
    pub schemas: Schemas,
    pub operators: Operators,
    pub lazy: Lazy,
    functions: RwLock<Functions>,
    functioning: AtomicBool,
    /// The page whose function is running; 0 where none is.
    pub running: AtomicU64,
    pub digests: DigestCache,
    pub(super) lines: RwLock<Lines>,
    /// Whether other processes can commit as well, and this one sees what they do.
    pub follows: bool,
    /// Whether this one and others commit in turn.
    pub takes_turns: bool,
    writer: Mutex<Writer>,
    pub syncer: Arc<Syncer>,
    pub log: LogReader,
    pub watch: Watch,
    pub checkpoints: Arc<Store>,
    pub background: Background,
    pub threads: Threads,
    /// What pages held that are made when somebody reads them.
    pub remembered: Remembered,
    pub clock: Arc<dyn Clock>,
    pub path: Option<PathBuf>,
    pub arena_place: ArenaPlace,
    pub read_only: bool,
    pub follower: Follower,
    /// Pins that cost more than they may, of which nobody was told yet, and whether there are any.
    pub dear: Mutex<Vec<Dear>>,
    pub has_dear: AtomicBool,
    /// How many snapshots this process let go of.
    pub let_go: AtomicU64,
    /// Seqs that private stages count down from the top, so that none is ever a frame's.
    private: AtomicU64,
    /// The roots of the branches it was opened with: seq, branch and epoch.
    pub opened: Vec<(u64, BranchId, Epoch)>,
    /// Held as long as anybody looks at the bus: what goes with it.
    pub _held: Vec<Box<dyn Held>>,
}

/// What `Core::new` is made of.
pub(crate) struct Parts {
    pub arena: Arc<Arena>,
    pub schemas: Schemas,
    pub operators: Operators,
    pub lazy: Lazy,
    pub lines: Lines,
    pub writer: Writer,
    pub checkpoints: Arc<Store>,
    pub background: Background,
    pub threads: Threads,
    pub clock: Arc<dyn Clock>,
    pub path: Option<PathBuf>,
    pub arena_place: ArenaPlace,
    pub read_only: bool,
    pub follows: bool,
    pub held: Vec<Box<dyn Held>>,
}

impl KeepsArena for Arc<Core> {
    fn arena(&self) -> &Arena {
        &self.arena
    }
}

impl KeepsArena for &Core {
    fn arena(&self) -> &Arena {
        &self.arena
    }
}

impl Core {
    pub fn new(parts: Parts) -> Arc<Self> {
        let (syncer, log) = (parts.writer.log.syncer(), parts.writer.log.reader());
        let opened = parts.lines.living().filter_map(|line| {
            let root = RootRef::new(&parts.arena, line.head()?);
            Some((root.seq(), line.id, root.epoch()))
        });
        let (opened, watch) = (opened.collect(), Watch::new(&parts.arena));
        let core = Arc::new_cyclic(|me| Core {
            me: Weak::clone(me),
            opened,
            arena: parts.arena,
            schemas: parts.schemas,
            operators: parts.operators,
            lazy: parts.lazy,
            functions: RwLock::default(),
            functioning: AtomicBool::new(false),
            running: AtomicU64::new(0),
            digests: DigestCache::default(),
            lines: RwLock::new(parts.lines),
            follows: parts.follows,
            takes_turns: parts.follows && !parts.read_only,
            writer: Mutex::new(parts.writer),
            syncer,
            log,
            watch,
            checkpoints: parts.checkpoints,
            background: parts.background,
            threads: parts.threads,
            remembered: Remembered::default(),
            clock: parts.clock,
            path: parts.path,
            arena_place: parts.arena_place,
            read_only: parts.read_only,
            follower: Follower::default(),
            dear: Mutex::default(),
            has_dear: AtomicBool::new(false),
            let_go: AtomicU64::new(0),
            private: AtomicU64::new(u64::MAX - 1),
            _held: parts.held,
        });
        core.lazy.set_rescue(Box::new(FromLog(Arc::downgrade(&core))));
        core
    }

    /// Changes which users' functions this process knows. What is let go of is returned: letting go of a function may run
    /// code of the user's, which no lock must wait for.
    pub fn functions<T>(&self, change: impl FnOnce(&mut Functions) -> T) -> T {
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let let_go = change(&mut functions);
        self.functioning.store(!functions.is_empty(), Ordering::Relaxed);
        let_go
    }

    /// A function of the user's may run from now on, before anybody knows it.
    pub fn may_run(&self) {
        self.functioning.store(true, Ordering::Relaxed);
    }

    /// The user's function that makes a page by a rule on a branch. A branch that was there before this process opened the
    /// bus takes that of the branch it was forked from.
    pub fn function(&self, mut branch: BranchId, page: PageId, rule: &[u8]) -> Option<Arc<dyn Program>> {
        if !self.has_functions() {
            return None;
        }
        loop {
            let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(program) = functions.find(branch, page, rule) {
                return Some(Arc::clone(program));
            }
            if functions.is_forked(branch) {
                return None;
            }
            drop(functions);
            branch = self.line_of(branch)?.origin?.parent;
        }
    }

    /// A branch is forked off another: it begins with the functions that make pages there.
    pub fn fork_functions(&self, parent: BranchId, child: BranchId) {
        let mut origins = vec![parent];
        let mut newest = parent;
        while !self.functions.read().unwrap_or_else(PoisonError::into_inner).is_forked(newest)
            && let Some(origin) = self.line_of(newest).and_then(|line| line.origin)
        {
            newest = origin.parent;
            origins.push(newest);
        }
        self.functions(|functions| functions.fork(&origins, child));
    }

    /// As [`Core::function`], as a declaration.
    pub fn declared(&self, branch: BranchId, page: PageId, rule: &[u8]) -> Option<Declared> {
        let program = self.function(branch, page, rule)?;
        Some(Declared { page, rule: rule.to_vec(), program })
    }

    /// What a draft needs to know.
    pub fn tables(&self) -> Tables<'_> {
        Tables { schemas: &self.schemas, operators: &self.operators, lazy: &self.lazy }
    }

    /// Sees to it that the cells of a page's version are in memory.
    pub fn ready(&self, page: PageRef<'_>) -> Result<(), Error> {
        self.ready_or(page, || self.reclaim_unless_busy())
    }

    /// Gives back what was let go of since the last commit; a commit that is under way does it itself.
    pub fn reclaim_unless_busy(&self) {
        if let Ok(writer) = self.writer.try_lock() {
            Turn::of_this_process(self, writer).reclaim(self);
        }
    }

    /// As [`Core::ready`], for somebody who holds the writer.
    pub fn ready_for(&self, writer: &mut Writer, page: PageRef<'_>) -> Result<(), Error> {
        self.ready_or(page, || writer.reclaim(self))
    }

    /// Where there is no memory for the cells, tries it once more after `reclaim`: what was let go of since the last commit
    /// may be enough.
    fn ready_or(&self, page: PageRef<'_>, reclaim: impl FnOnce()) -> Result<(), Error> {
        match self.lazy.ready(&self.arena, page.at).map_err(Error::from) {
            Err(error) if error.code().is_shortage() => {
                reclaim();
                Ok(self.lazy.ready(&self.arena, page.at)?)
            }
            done => done,
        }
    }

    /// Sees to it that the cells of all pages are.
    pub fn ready_all(&self) -> Result<(), Error> {
        self.wait_for_all()?;
        self.lazy.all(&self.arena)?;
        self.lazy.tell(&self.checkpoints);
        Ok(())
    }

    /// As [`Core::ready_all`], but for pages that are damaged for good: a checkpoint refers to what there is of them.
    pub fn ready_whole(&self) -> Result<(), Error> {
        self.wait_for_all()?;
        self.lazy.all_whole(&self.arena)?;
        self.lazy.tell(&self.checkpoints);
        Ok(())
    }

    /// Waits until another process has read in the cells of all pages, where one does that.
    fn wait_for_all(&self) -> Result<(), Error> {
        if !self.lazy.is_elsewhere() || !self.lazy.is_pending(&self.arena) {
            return Ok(());
        }
        for line in self.living() {
            let (_pin, root) = self.pin(&line)?;
            let pages = RootRef::new(&self.arena, root).pages();
            pages.into_iter().try_for_each(|page| self.lazy.ready(&self.arena, page))?;
        }
        Ok(())
    }

    /// The one writer, however long that takes; an error where the bus is closed.
    pub fn writer(&self) -> Result<Turn<'_>, Error> {
        self.writer_within(Duration::MAX)
    }

    /// The one writer, waiting for it so long at most; an error where the bus is closed.
    pub fn writer_within(&self, timeout: Duration) -> Result<Turn<'_>, Error> {
        let writer = self.wait_for_writer(timeout)?;
        if writer.log.is_shut() {
            Err(Error::Closed(self.place()))
        } else {
            Turn::of_all(self, writer, timeout)
        }
    }

    /// What this process's writer keeps, whoever else writes.
    pub fn writer_here(&self, timeout: Duration) -> Result<Turn<'_>, Error> {
        let writer = self.wait_for_writer(timeout)?;
        if writer.log.is_shut() {
            return Err(Error::Closed(self.place()));
        }
        Ok(Turn::of_this_process(self, writer))
    }

    fn wait_for_writer(&self, timeout: Duration) -> Result<MutexGuard<'_, Writer>, Error> {
        if let Ok(writer) = self.writer.try_lock() {
            return Ok(writer);
        }
        // A commit holds the writer for microseconds; only a stalled disk makes anybody wait out the time, a function of the
        // user's, or another process.
        let waits = self.has_functions() || self.takes_turns && self.arena.is_among_others();
        if timeout >= Duration::from_secs(1) && !waits {
            return Ok(self.this_writer());
        }
        aside(|| self.wait_until(Instant::now().checked_add(timeout), timeout.as_secs_f64()))
    }

    fn wait_until(&self, end: Option<Instant>, seconds: f64) -> Result<MutexGuard<'_, Writer>, Error> {
        for tries in 0u32.. {
            match self.writer.try_lock() {
                Ok(writer) => return Ok(writer),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            // What takes longer than a commit takes is a function, a disk, or many commits.
            match tries {
                ..1000 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        let by = match PageId(self.running.load(Ordering::Relaxed)) {
            PageId(0) => "another thread is committing".into(),
            page => format!("the rule of {} is running", self.name_of(page)),
        };
        Err(Error::Busy { seconds, by })
    }

    /// A page by its name on whatever branch has it.
    fn name_of(&self, page: PageId) -> String {
        let name = |line: Arc<Line>| {
            let (_pin, root) = self.pin(&line).ok()?;
            let at = RootRef::new(&self.arena, root).page(page)?;
            Some(format!("page '{}'", PageRef::new(&self.arena, at).def().name()))
        };
        self.living().into_iter().find_map(name).unwrap_or_else(|| page.to_string())
    }

    /// Whether this process has a function of a user's that makes a page.
    pub fn has_functions(&self) -> bool {
        self.functioning.load(Ordering::Relaxed)
    }

    /// Whether somebody holds the writer.
    pub fn is_writing(&self) -> bool {
        matches!(self.writer.try_lock(), Err(std::sync::TryLockError::WouldBlock))
    }

    /// The one writer, for somebody whose commit is made and only has to be shown.
    pub fn writer_again(&self) -> Turn<'_> {
        Turn::of_this_process(self, self.this_writer())
    }

    /// The one writer of this process.
    pub fn this_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer
            .try_lock()
            .unwrap_or_else(|_| aside(|| self.writer.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Makes durable what was committed, where the bus has a path, and lets others write it. What is in memory stays, and
    /// what is in the log can be read for as long as it is there.
    pub fn close(&self) {
        let mut writer = self.writer_within(CLOSE_WAIT).unwrap_or_else(|_| self.writer_again());
        self.arena.leave_upkeep();
        self.arena.leave_reading_in();
        // The lock of the bus goes last: who has it alone then finds everything free.
        let folder = self.arena.folder();
        self.arena.leave_place();
        if let (Some(bus), Some(folder)) = (&self.path, folder.filter(|folder| !folder.exists())) {
            discovery::withdraw(bus, &folder);
        }
        writer.log.shut(self.path.is_some());
        // A function may hold whoever holds the bus.
        let flows = std::mem::take(&mut writer.flows);
        drop(writer);
        drop((flows, self.functions(std::mem::take)));
        self.remembered.close();
    }

    /// The published root of a line, pinned; an error where the branch was dropped.
    #[inline]
    pub fn pin(&self, line: &Line) -> Result<(PinGuard<&Self>, Addr), Error> {
        let mut root = None;
        let pin = PinGuard::new(self, || {
            // Asked under the pin: who drops a branch says so before its memory is given back. Its spans were added before it
            // was published.
            root = line.head().filter(|_| self.arena.has_met_all());
            root.map_or(GENESIS, |root| RootRef::new(&self.arena, root).seq())
        })?;
        match root {
            Some(root) => Ok((pin, root)),
            None => self.pin_failed(line),
        }
    }

    /// Why there was no root to pin; where that is over, pins it.
    #[cold]
    fn pin_failed(&self, line: &Line) -> Result<(PinGuard<&Self>, Addr), Error> {
        self.arena.meet()?;
        if line.head().is_some() { self.pin(line) } else { Err(Error::NoBranch(line.name.clone())) }
    }

    /// As [`Core::pin`], for longer than the caller holds the core.
    #[inline]
    pub fn pin_kept(self: &Arc<Self>, line: &Line) -> Result<(PinGuard<Arc<Self>>, Addr), Error> {
        let (mut pin, root) = self.pin(line)?;
        Ok((pin.hand_over(Arc::clone(self)), root))
    }

    /// Notes which frame is the newest that readers see.
    pub fn set_published(&self, seq: u64) {
        self.arena.control().published.0.store(seq, Ordering::Release);
    }

    /// The newest frame that readers see.
    pub fn published(&self) -> u64 {
        self.arena.control().published.0.load(Ordering::Acquire)
    }

    /// A seq for a stage that is never published.
    pub fn private_seq(&self) -> u64 {
        self.private.fetch_sub(1, Ordering::Relaxed)
    }

    /// Whether this process is the one that makes checkpoints unasked and compresses the log.
    pub fn sees_to_upkeep(&self) -> bool {
        !self.takes_turns || self.arena.sees_to_upkeep()
    }

    /// Where the bus is, for messages.
    pub fn place(&self) -> String {
        place_name(self.path.as_ref())
    }
}
