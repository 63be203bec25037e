//! Cells that are on disk still: a version of a checkpoint is made without them, and they are read in, checked and put
//! into memory when somebody wants them for the first time. See `docs/decisions/0006-lazy-opening.md`.
//!
//! Every version of a page that the checkpoint has is read in at once, whatever branch it is of, so that what they share
//! is shared again. A version is copied or let go only after that, so those that are unread are all alive, and nobody
//! else counts the parents of what is read in until it is there as a whole.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::ids::PageId;
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::disk::{Disk, DiskFile, Lock, Open};
use crate::page::block::{Kind, for_children, head, head_mut, is_null, untag};
use crate::page::checkpoint::cells::{CellLoader, flat, put};
use crate::page::checkpoint::chunks::{self, ChunkReader};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::known::Notes;
use crate::page::checkpoint::record::{Cells, Record};
use crate::page::checkpoint::store::{self, Store};
use crate::page::schema::Schema;
use crate::page::stage::{LOADED, Scratch, Stage};
use crate::page::version::{self, PageRef};

/// The versions of a checkpoint whose cells are on disk still. Empty where nothing was opened from a checkpoint.
#[derive(Debug, Default)]
pub struct Lazy {
    /// What there was to read in, until that is everything.
    unread: Mutex<Option<Arc<Unread>>>,
    /// Pages that are not read in.
    left: AtomicUsize,
    /// Where what was read in lies on disk; given away when that is everything.
    known: Mutex<Option<Notes>>,
    pub(super) rescue: OnceLock<Box<dyn Rescue>>,
    /// Whether another process reads in.
    elsewhere: bool,
    /// Held by whoever makes a version that a process which is gone was to read in.
    pub(super) making: Mutex<()>,
}

/// Another way to the cells of a page, where an image is damaged.
pub trait Rescue: Debug + Send + Sync {
    /// Makes a page as a branch of the record, by its number there, had it, and shows it to `take`, if it can.
    fn page(&self, record: &Record, branch: usize, page: PageId, take: &mut dyn FnMut(PageRef<'_>));

    /// Makes what is to be at `at`, where the process is gone that was to read it in, and shows it to `take`.
    ///
    /// # Errors
    /// What keeps it from that, in words.
    fn version(&self, at: Addr, take: &mut dyn FnMut(PageRef<'_>, &Schema)) -> Result<(), String>;

    /// Has this alone among all processes.
    fn alone(&self) -> Option<Box<dyn Lock>>;
}

/// What a [`Lazy`] needs to know.
#[derive(Debug)]
pub(super) struct Unread {
    disk: Arc<dyn Disk>,
    record: Arc<Record>,
    files: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    /// Those that nobody is reading with.
    readers: Mutex<Vec<ChunkReader>>,
    pages: Vec<Page>,
    numbers: HashMap<PageId, u32>,
    /// The seq of the next stage.
    seq: AtomicU64,
}

/// A page of the record.
#[derive(Debug)]
struct Page {
    id: PageId,
    /// In the order of the record, in which none is told against a later one.
    versions: Vec<Version>,
    found: Mutex<Found>,
}

/// What was found of a page's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Found {
    /// Nobody has looked.
    #[default]
    Unread,
    /// They were damaged when somebody looked last, and there was no other way to them.
    Damaged,
    /// They are in memory.
    Read,
}

/// A version of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    /// Its number in the record.
    pub number: u32,
    /// That of the first branch that has it.
    pub branch: usize,
    /// Its block.
    pub at: Addr,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chunk files of a record, which are all there and as long as it says.
fn files(disk: &Arc<dyn Disk>, record: &Record) -> Result<HashMap<u64, Arc<dyn DiskFile>>, CheckpointError> {
    let mut ends: HashMap<u64, u64> = HashMap::new();
    record.images(|image, length| {
        if length > 0 {
            let end = ends.entry(image.file).or_default();
            *end = image.at.saturating_add(length).max(*end);
        }
    });
    let mut files = HashMap::new();
    for (number, end) in ends {
        let path = chunks::path(number);
        let file = disk.open(&path, Open::Read)?;
        if file.len()? < end {
            return Err(CheckpointError::damaged(&path, format!("it ends before byte {end}")));
        }
        files.insert(number, file);
    }
    Ok(files)
}

impl Unread {
    /// Nothing yet of a record, whose chunk files are all there and as long as it says. They are held open: another process
    /// that prunes the bus may remove them meanwhile.
    pub fn new(disk: &Arc<dyn Disk>, record: &Arc<Record>) -> Result<Self, CheckpointError> {
        Ok(Unread {
            disk: Arc::clone(disk),
            record: Arc::clone(record),
            files: Mutex::new(files(disk, record)?),
            readers: Mutex::default(),
            pages: Vec::new(),
            numbers: HashMap::new(),
            seq: AtomicU64::new(LOADED + record.branches.len() as u64),
        })
    }

    /// Notes a fresh version, one without cells.
    pub fn add(&mut self, arena: &Arena, id: PageId, version: Version) {
        let next = self.pages.len() as u32;
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.pages.push(Page { id, versions: Vec::new(), found: Mutex::default() });
        }
        self.pages[number as usize].versions.push(version);
        head_mut(arena, version.at).set_extra(number + 1);
    }

    /// Reads in a page, or gives back what was made of it. Tells where what was read in lies on disk.
    fn fill(
        &self,
        arena: &Arena,
        fill: impl FnOnce(&mut Stage<'_>, &mut CellLoader<'_>) -> Result<(), CheckpointError>,
    ) -> Result<Notes, CheckpointError> {
        // A block is never both at one place and of one seq anew: what is known of blocks is known by these.
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let mut stage = Stage::new(arena, seq, Scratch::default());
        let reader = lock(&self.readers).pop();
        let mut reader = reader.unwrap_or_else(|| ChunkReader::over(&self.disk, lock(&self.files).clone()));
        let mut cells = CellLoader::new(&mut reader, &self.record);
        if let Err(error) = fill(&mut stage, &mut cells) {
            stage.abort();
            return Err(error.in_file(&store::path(self.record.head.seq)));
        }
        let known = cells.known;
        lock(&self.readers).push(reader);
        let mut retired = Vec::new();
        stage.settle(&mut retired);
        assert!(retired.is_empty(), "what is read in takes nothing's place");
        Ok(known)
    }

    /// Reads in all versions of a page from their images.
    fn images(&self, arena: &Arena, page: &Page) -> Result<Notes, CheckpointError> {
        let mut made: HashMap<u32, Addr> = HashMap::new();
        self.fill(arena, |stage, cells| {
            for version in &page.versions {
                version::clear(arena, version.at);
                let base = self.record.versions[version.number as usize].base;
                let base = base.and_then(|base| made.get(&base)).map(|&at| PageRef::new(arena, at));
                cells.fill(stage, version.at, version.number, base)?;
                made.insert(version.number, version.at);
            }
            Ok(())
        })
    }

    /// Makes all versions of a page by another way, or says what damage keeps it from that.
    fn rescue(
        &self,
        arena: &Arena,
        page: &Page,
        rescue: &dyn Rescue,
        damage: CheckpointError,
    ) -> Result<Notes, CheckpointError> {
        self.fill(arena, |stage, _| {
            for version in &page.versions {
                version::clear(arena, version.at);
                let mut copied = None;
                rescue.page(&self.record, version.branch, page.id, &mut |from| {
                    copied = self.copy(stage, version, from).transpose();
                });
                match copied {
                    Some(copied) => copied?,
                    None => return Err(damage),
                }
            }
            Ok(())
        })
    }

    /// Copies the cells of a version that was made by another way; nothing where it is not the same one.
    fn copy(
        &self,
        stage: &mut Stage<'_>,
        version: &Version,
        from: PageRef<'_>,
    ) -> Result<Option<()>, CheckpointError> {
        let to = PageRef::new(stage.arena(), version.at);
        if (from.rows(), from.def().schema_at()) != (to.rows(), to.def().schema_at()) {
            return Ok(None);
        }
        let schema = self.record.schema(&self.record.versions[version.number as usize]);
        copy(stage, version.at, schema, from).map(Some)
    }
}

/// Copies the cells of a version that was made by another way.
pub(super) fn copy(
    stage: &mut Stage<'_>,
    at: Addr,
    schema: &Schema,
    from: PageRef<'_>,
) -> Result<(), CheckpointError> {
    for i in 0..schema.columns().len() {
        let (column, mut failed) = (from.column(schema, i), None);
        column.extents(|extent| {
            if failed.is_none() && !is_null(extent.at) {
                let bytes = column.slice(extent.at, extent.bytes as usize);
                failed = put(stage, at, schema, i, extent.start, bytes).err();
            }
        });
        failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

impl Lazy {
    /// For a process that comes to an arena which another one writes, and reads in what is on disk still.
    pub fn elsewhere() -> Self {
        Lazy { elsewhere: true, ..Lazy::default() }
    }

    /// Sets what there is to read in.
    pub(super) fn set(&self, mut unread: Unread) {
        // That was to find out what there is.
        unread.numbers = HashMap::new();
        self.left.store(unread.pages.len(), Ordering::Release);
        let none_before = lock(&self.known).replace(Notes::default()).is_none();
        assert!(none_before, "one checkpoint is opened, once");
        *lock(&self.unread) = (!unread.pages.is_empty()).then(|| Arc::new(unread));
    }

    /// What there is to read in; `None` where nothing is left.
    fn unread(&self) -> Option<Arc<Unread>> {
        lock(&self.unread).clone()
    }

    /// Sets another way, for damage that is found from now on.
    pub fn set_rescue(&self, rescue: Box<dyn Rescue>) {
        let _ = self.rescue.set(rescue);
    }

    /// Whether there may be pages that are not read in, here or by another process.
    #[inline]
    pub fn is_pending(&self, arena: &Arena) -> bool {
        self.left() > 0 || self.elsewhere && !arena.is_all_read_in()
    }

    /// Whether another process reads in.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// How many pages are not read in.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }

    /// How many pages were to be read in.
    pub fn pages(&self) -> usize {
        self.unread().map_or(0, |unread| unread.pages.len())
    }

    /// Sees to it that the cells of the version at `at` are in memory. Costs a load where they are.
    ///
    /// # Errors
    /// Damage that names the file, and want of memory. The version is unread then, and it can be tried again.
    #[inline]
    pub fn ready(&self, arena: &Arena, at: Addr) -> Result<(), CheckpointError> {
        match head(arena, at).unread() {
            // What another process has read in may lie in a span that came after the root was.
            None if self.elsewhere => Ok(arena.meet()?),
            None => Ok(()),
            Some(_) if self.elsewhere => {
                self.wait(arena, at)?;
                Ok(arena.meet()?)
            }
            Some(number) => self.read(arena, number as usize),
        }
    }

    /// Reads in the page of a number below [`Lazy::pages`], unless it is.
    #[cold]
    pub fn read(&self, arena: &Arena, number: usize) -> Result<(), CheckpointError> {
        let Some(unread) = self.unread() else { return Ok(()) };
        let page = &unread.pages[number];
        let mut found = lock(&page.found);
        if *found == Found::Read {
            return Ok(());
        }
        let done = match (unread.images(arena, page), self.rescue.get()) {
            (Err(damage), Some(rescue)) if damage.is_damage() => {
                unread.rescue(arena, page, &**rescue, damage)
            }
            (done, _) => done,
        };
        let read = done.inspect_err(|error| {
            if error.is_damage() {
                *found = Found::Damaged;
            }
        })?;
        if let Some(known) = &mut *lock(&self.known) {
            known.append(read);
        }
        page.versions.iter().for_each(|version| head(arena, version.at).set_read());
        *found = Found::Read;
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            arena.set_read_in();
            *lock(&self.unread) = None;
        }
        Ok(())
    }

    /// Reads in everything.
    pub fn all(&self, arena: &Arena) -> Result<(), CheckpointError> {
        if self.left() == 0 {
            return Ok(());
        }
        (0..self.pages()).try_for_each(|number| self.read(arena, number))
    }

    /// Reads in everything but pages that are damaged for good, which stay unread: a checkpoint refers to what there is of
    /// them. One that was found damaged is not looked at again, unless somebody wants it.
    pub fn all_whole(&self, arena: &Arena) -> Result<(), CheckpointError> {
        let Some(unread) = self.unread() else { return Ok(()) };
        // Chunks of another size are not told.
        if unread.record.head.chunk as usize != CHUNK {
            return self.all(arena);
        }
        let mut damaged = false;
        for (number, page) in unread.pages.iter().enumerate() {
            if *lock(&page.found) == Found::Damaged {
                damaged = true;
                continue;
            }
            match self.read(arena, number) {
                Err(error) if error.is_damage() => damaged = true,
                done => done?,
            }
        }
        // A record that refers to files that are not there could not be opened.
        if damaged { files(&unread.disk, &unread.record).map(|_| ()) } else { Ok(()) }
    }

    /// The cells of the version at `at` as the record tells them, against no other version; `None` where they are in
    /// memory.
    pub(super) fn cells(&self, arena: &Arena, at: Addr) -> Option<Cells> {
        let number = head(arena, at).unread()?;
        let unread = self.unread()?;
        let versions = &unread.pages[number as usize].versions;
        let version = versions.iter().find(|version| version.at == untag(at))?;
        Some(flat(&unread.record, version.number))
    }

    /// Tells the store where everything that was read in lies on disk, once [`Lazy::all`] or [`Lazy::all_whole`] did; the
    /// first time only, since checkpoints that are written later know better.
    pub fn tell(&self, store: &Store) {
        // Under the lock, so that nobody writes a checkpoint in between.
        let known = &mut *lock(&self.known);
        if let Some(known) = known.take() {
            store.set_known(known.into_known());
        }
    }

    /// Reads in the versions that go when a parent lets go of the root at `at`: those that nobody else has.
    pub fn ready_to_go(&self, arena: &Arena, at: Addr) -> Result<(), CheckpointError> {
        let mut stack = if self.is_pending(arena) { vec![at] } else { Vec::new() };
        while let Some(at) = stack.pop() {
            let header = head(arena, at);
            match header.kind {
                _ if header.count() > 1 => {}
                Kind::Packed | Kind::Split => self.ready(arena, at)?,
                Kind::Root | Kind::Trie => for_children(arena, at, |child, _, _| stack.push(child)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::ids::{Epoch, Seq};
    use crate::memory::arena::Options;
    use crate::memory::disk::Sim;
    use crate::memory::machine::place::Place;
    use crate::page::checkpoint::record::{Column, Def, Head, Version as Told};
    use crate::page::dtype::DType;
    use crate::page::schema::Schema;

    #[test]
    fn what_was_to_be_read_in_is_forgotten_when_it_was() {
        let arena = Arena::with(Place::Memory, Options { budget: 1 << 30, prefault: false }).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(Sim::new(1));
        let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
        let mut record = Record::new(Head::new(Seq(1), 0, 0, CHUNK as u32));
        record.schemas.push(schema.clone());
        for n in 0..3 {
            record.defs.push(Def { page: PageId(n), name: n.to_string(), schema: 0, rule: Vec::new() });
            let cells = Cells::Split(vec![Column::Zeros]);
            record.versions.push(Told {
                def: n as u32,
                epoch: Epoch(1),
                rows: 1 << 20,
                marks: 0,
                base: None,
                cells,
            });
        }
        let record = Arc::new(record);
        let mut unread = Unread::new(&disk, &record).unwrap();
        let mut stage = Stage::new(&arena, LOADED, Scratch::default());
        for number in 0..3 {
            let id = PageId(number.into());
            let at = version::create(&mut stage, id, Addr::default(), &schema, 1 << 20, Epoch(1)).unwrap();
            unread.add(&arena, id, Version { number, branch: 0, at });
        }
        stage.settle(&mut Vec::new());
        let lazy = Lazy::default();
        lazy.set(unread);
        for left in [2, 1, 0] {
            assert_eq!((lazy.pages(), Arc::strong_count(&record)), (3, 2));
            lazy.read(&arena, left).unwrap();
            assert_eq!(lazy.left(), left);
        }
        assert_eq!((lazy.pages(), Arc::strong_count(&record)), (0, 1));
        lazy.read(&arena, 0).unwrap();
        lazy.all_whole(&arena).unwrap();
    }
}
