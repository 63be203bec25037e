//! Making blocks of a record again: of everything, with what branches share shared, or of one page.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::disk::Disk;
use crate::memory::limbo::Limbo;
use crate::page::block::{self, head, head_mut, is_null, untag};
use crate::page::catalog::{self, Catalog, DefRef, RootRef, RootSlots};
use crate::page::checkpoint::chunks::{ChunkReader, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::record::{Cells, Column, Record, Run};
use crate::page::checkpoint::write::Known;
use crate::page::column::{Place, chunks_of};
use crate::page::draft::Draft;
use crate::page::graft::{Listed, graft};
use crate::page::schema::Schema;
use crate::page::stage::{Scratch, Stage, recycle};
use crate::page::state_error::StateError;
use crate::page::trie;
use crate::page::version::{self, ColumnMut, PageRef};

/// Blocks made of a whole record.
#[derive(Debug)]
pub struct Loaded {
    /// The root of each branch, null of a dropped one, in the order of the record.
    pub roots: Vec<Addr>,
    /// Where the blocks lie on disk.
    pub known: Known,
}

/// Makes the blocks of every branch. The stage of each has a seq that is 1 + its number in the record: lower than that of
/// any frame to come (each branch and the first page took a frame), and another one for each, so that none writes over
/// what an earlier one made.
pub fn load(
    arena: &Arena,
    catalog: &Catalog,
    disk: &Arc<dyn Disk>,
    record: &Record,
) -> Result<Loaded, CheckpointError> {
    let schemas = record.schemas.iter().map(|schema| catalog.intern(arena, schema));
    let mut loader = Loader {
        catalog,
        record,
        cells: CellLoader::new(disk, record, true),
        schemas: schemas.collect::<Result<_, _>>()?,
        defs: vec![Addr::default(); record.defs.len()],
        versions: vec![Addr::default(); record.versions.len()],
        roots: Vec::new(),
    };
    let mut retired = Vec::new();
    let mut failed = None;
    for number in 0..record.branches.len() {
        let mut stage = Stage::new(arena, number as u64 + 1, Scratch::default());
        match loader.branch(&mut stage, number) {
            Ok(root) => {
                stage.settle(&mut retired);
                loader.roots.push(root);
            }
            Err(error) => {
                stage.abort();
                failed = Some(error);
                break;
            }
        }
    }
    if let Some(error) = failed {
        let mut stage = Stage::new(arena, u64::MAX, Scratch::default());
        loader.roots.iter().filter(|root| !is_null(**root)).for_each(|&root| stage.release(root));
        stage.settle(&mut retired);
        recycle(&mut Limbo::default(), arena, &mut retired);
        return Err(error);
    }
    // What a stage made and grew out of; the arena is not pinned yet.
    recycle(&mut Limbo::default(), arena, &mut retired);
    for &root in loader.roots.iter().filter(|root| !is_null(**root)) {
        head_mut(arena, root).born = record.head.seq.0;
    }
    Ok(Loaded { roots: loader.roots, known: loader.cells.known })
}

/// Makes a page in a draft that has it not yet: a version of the record.
pub fn load_page(
    draft: &mut Draft<'_>,
    disk: &Arc<dyn Disk>,
    record: &Record,
    version: u32,
) -> Result<(), CheckpointError> {
    let told = &record.versions[version as usize];
    let def = &record.defs[told.def as usize];
    draft.set_epoch(told.epoch, record.head.position);
    draft.create(def.page, &def.name, record.schema(told), told.rows)?;
    let mut cells = CellLoader::new(disk, record, false);
    draft.fill(def.page, |stage, at, schema| cells.fill(stage, at, schema, &flat(record, version), None))
}

struct Loader<'r> {
    catalog: &'r Catalog,
    record: &'r Record,
    cells: CellLoader<'r>,
    schemas: Vec<Addr>,
    defs: Vec<Addr>,
    versions: Vec<Addr>,
    roots: Vec<Addr>,
}

impl Loader<'_> {
    /// The root of a branch; null of a dropped one.
    fn branch(&mut self, stage: &mut Stage<'_>, number: usize) -> Result<Addr, CheckpointError> {
        let (record, arena) = (self.record, stage.arena());
        let branch = &record.branches[number];
        let Some(told) = &branch.root else { return Ok(Addr::default()) };
        let at = match told.base {
            Some(base) => catalog::fork_root(stage, self.roots[base as usize], branch.id)?,
            None => catalog::empty_root(stage, branch.id, told.epoch)?,
        };
        let root = RootRef::new(arena, at);
        let (mut directory, mut names, mut pages) = (root.directory(), root.names(), root.len());
        // Names first go, then come: one may have passed from one page to another.
        for &id in &told.gone {
            let page = root.page(id).ok_or(StateError::NoPage(id))?;
            names = trie::remove(stage, names, name_key(PageRef::new(arena, page).def()))?;
            directory = trie::remove(stage, directory, id.0)?;
            pages -= 1;
        }
        for &version in &told.pages {
            let def = record.versions[version as usize].def as usize;
            match root.page(record.defs[def].page).map(|page| PageRef::new(arena, page).def()) {
                Some(old) if old.at != self.defs[def] => {
                    names = trie::remove(stage, names, name_key(old))?;
                }
                Some(_) => {}
                None => pages += 1,
            }
        }
        for &version in &told.pages {
            names = self.name(stage, names, version)?;
            let page = self.version(stage, version)?;
            directory = trie::put(stage, directory, page)?;
        }
        let (epoch, position, counter) = (told.epoch, told.position, told.counter);
        catalog::write_root(arena, at, RootSlots { epoch, position, pages, directory, names, counter });
        Ok(at)
    }

    /// The names with that of a version's page.
    fn name(&mut self, stage: &mut Stage<'_>, names: Addr, version: u32) -> Result<Addr, CheckpointError> {
        let number = self.record.versions[version as usize].def as usize;
        let told = &self.record.defs[number];
        let known = self.defs[number];
        if is_null(known) {
            let schema = self.schemas[told.schema as usize];
            let def = self.catalog.define(stage, names, told.page, &told.name, schema)?;
            // The count that `define` adds for a version: each version takes its own.
            head(stage.arena(), def).release();
            self.defs[number] = def;
            return Ok(trie::put(stage, names, def)?);
        }
        match trie::get(stage.arena(), names, head(stage.arena(), known).key) {
            Some(there) if untag(there) == known => Ok(names),
            Some(_) => Err(StateError::NameCollision(told.name.clone()).into()),
            None => {
                stage.retain(known);
                Ok(trie::put(stage, names, known)?)
            }
        }
    }

    /// A version, for one parent more.
    fn version(&mut self, stage: &mut Stage<'_>, number: u32) -> Result<Addr, CheckpointError> {
        let known = self.versions[number as usize];
        if !is_null(known) {
            stage.retain(known);
            return Ok(known);
        }
        let record = self.record;
        let told = &record.versions[number as usize];
        let (def, schema) = (self.defs[told.def as usize], record.schema(told));
        stage.retain(def);
        let id = record.defs[told.def as usize].page;
        let at = version::create(stage, id, def, schema, told.rows, told.epoch)?;
        let base = told.base.map(|base| self.versions[base as usize]);
        match base {
            Some(base) if is_null(base) => {
                return Err(CheckpointError::damaged("", "a version is told against one that no branch has"));
            }
            // Trees of chunks of another size are of no use here.
            _ if record.head.chunk as usize != CHUNK => {
                self.cells.fill(stage, at, schema, &flat(record, number), None)?;
            }
            base => {
                let base = base.map(|base| PageRef::new(stage.arena(), base));
                self.cells.fill(stage, at, schema, &told.cells, base)?;
            }
        }
        self.versions[number as usize] = at;
        Ok(at)
    }
}

fn name_key(def: DefRef<'_>) -> u64 {
    head(def.arena, def.at).key
}

/// A version's cells, told against no other version.
fn flat(record: &Record, number: u32) -> Cells {
    let told = &record.versions[number as usize];
    let (Cells::Split(columns), Some(_)) = (&told.cells, told.base) else { return told.cells.clone() };
    let columns = columns.iter().enumerate().map(|(i, column)| match column {
        Column::Chunks(_) => Column::Chunks(flat_runs(record, number, i)),
        column => column.clone(),
    });
    Cells::Split(columns.collect())
}

fn flat_runs(record: &Record, number: u32, column: usize) -> Vec<Run> {
    let mut chunks: BTreeMap<u64, (u64, u64, u32)> = BTreeMap::new();
    let mut next = Some(number);
    // The newest version says last what a chunk is, so it is asked first.
    while let Some(number) = next {
        let told = &record.versions[number as usize];
        if let Cells::Split(columns) = &told.cells
            && let Column::Chunks(runs) = &columns[column]
        {
            for run in runs {
                for i in 0..run.count {
                    let at = run.at + i * u64::from(record.head.chunk);
                    let crc = run.crcs.get(i as usize).copied().unwrap_or(0);
                    chunks.entry(run.first + i).or_insert((run.file, at, crc));
                }
            }
        }
        next = told.base;
    }
    let mut runs: Vec<Run> = Vec::new();
    for (first, (file, at, crc)) in chunks.into_iter().filter(|(_, (file, ..))| *file != 0) {
        match runs.last_mut() {
            Some(run)
                if run.first + run.count == first
                    && run.file == file
                    && run.at + run.count * u64::from(record.head.chunk) == at =>
            {
                run.count += 1;
                run.crcs.push(crc);
            }
            _ => runs.push(Run { first, count: 1, file, at, crcs: vec![crc] }),
        }
    }
    runs
}

/// Reads the cells of versions.
struct CellLoader<'r> {
    reader: ChunkReader,
    chunk: u64,
    record: &'r Record,
    /// Chunks by where they lie on disk, with their births: each comes into memory once.
    placed: HashMap<(u64, u64), (Addr, u64)>,
    known: Known,
    /// Whether chunks read are noted for those who share them, and for the next checkpoint.
    notes: bool,
}

/// Images that go side by side into memory.
struct Piece<'r> {
    first: u64,
    file: u64,
    at: u64,
    crcs: &'r [u32],
}

impl<'r> CellLoader<'r> {
    fn new(disk: &Arc<dyn Disk>, record: &'r Record, notes: bool) -> Self {
        CellLoader {
            reader: ChunkReader::new(disk),
            chunk: record.head.chunk.into(),
            record,
            placed: HashMap::new(),
            known: Known::new(),
            notes,
        }
    }

    fn note(&mut self, stage: &Stage<'_>, at: Addr, image: Image) {
        if self.notes {
            self.known.insert((at, stage.seq()), image);
        }
    }

    /// Fills a fresh version of zeros.
    fn fill(
        &mut self,
        stage: &mut Stage<'_>,
        at: Addr,
        schema: &Schema,
        cells: &Cells,
        base: Option<PageRef<'_>>,
    ) -> Result<(), CheckpointError> {
        let arena = stage.arena();
        let page = PageRef::new(arena, at);
        match cells {
            Cells::Packed(image) => {
                let layout = schema.packed_layout(page.rows());
                let bytes = self.small(*image, layout.bytes)?;
                for (i, column) in schema.columns().iter().enumerate() {
                    let (from, n) = (layout.offsets[i] as usize, (page.rows() * column.row_bytes()) as usize);
                    put(stage, at, schema, i, 0, &bytes[from..from + n])?;
                }
                if page.packed(schema).is_some() {
                    self.note(stage, at, *image);
                }
            }
            Cells::Split(columns) => {
                for (i, column) in columns.iter().enumerate() {
                    match column {
                        Column::Zeros => {}
                        Column::Whole(image) => {
                            let bytes = self.small(*image, page.column(schema, i).bytes)?;
                            put(stage, at, schema, i, 0, &bytes)?;
                            if let Place::Block(block, _) = page.column(schema, i).place
                                && block != at
                            {
                                self.note(stage, block, *image);
                            }
                        }
                        Column::Chunks(runs) => self.chunks(stage, at, schema, i, runs, base)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// An image that is at most as long as a chunk.
    fn small(&mut self, image: Image, length: u64) -> Result<Vec<u8>, CheckpointError> {
        if length > self.chunk {
            return Err(CheckpointError::damaged("", "an image is longer than a chunk"));
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read(image, &mut bytes)?;
        Ok(bytes)
    }

    fn chunks(
        &mut self,
        stage: &mut Stage<'_>,
        at: Addr,
        schema: &Schema,
        i: usize,
        runs: &[Run],
        base: Option<PageRef<'_>>,
    ) -> Result<(), CheckpointError> {
        let column = PageRef::new(stage.arena(), at).column(schema, i);
        let below = match base.map(|base| base.column(schema, i).place) {
            Some(Place::Tree(below)) => below,
            Some(Place::Block(..)) => {
                return Err(CheckpointError::damaged("", "chunks are told against a column without"));
            }
            None => Addr::default(),
        };
        if !matches!(column.place, Place::Tree(_)) || self.record.head.chunk as usize != CHUNK {
            return self.copy_chunks(stage, at, schema, i, runs);
        }
        let listed = self.list(stage, runs)?;
        let page = head(stage.arena(), at).key;
        let root = graft(stage, page, below, chunks_of(column.bytes), &listed)?;
        version::set_tree(stage.arena(), at, i, root);
        Ok(())
    }

    /// The chunks of the runs, in memory. Those that lie side by side in the column do so in the arena.
    fn list(&mut self, stage: &mut Stage<'_>, runs: &[Run]) -> Result<Vec<Listed>, CheckpointError> {
        let arena = stage.arena();
        let (mut listed, mut pieces): (Vec<Listed>, Vec<Piece<'_>>) = (Vec::new(), Vec::new());
        for run in runs {
            let mut joined = false;
            for i in 0..run.count {
                let at = run.at + i * self.chunk;
                if run.file == 0 {
                    listed.push((run.first + i, Addr::default(), 0));
                } else if let Some(&(chunk, born)) = self.placed.get(&(run.file, at)) {
                    arena.chunk_rc(chunk).fetch_add(1, Ordering::Relaxed);
                    listed.push((run.first + i, chunk, born));
                    joined = false;
                } else {
                    match pieces.last_mut().filter(|_| joined) {
                        Some(piece) => {
                            let from = (piece.first - run.first) as usize;
                            piece.crcs = &run.crcs[from..=i as usize];
                        }
                        None => {
                            let crcs = &run.crcs[i as usize..=i as usize];
                            pieces.push(Piece { first: run.first + i, file: run.file, at, crcs });
                        }
                    }
                    joined = true;
                }
            }
        }
        let ends = |piece: &Piece<'_>| piece.first + piece.crcs.len() as u64;
        for pieces in pieces.chunk_by(|a, b| ends(a) == b.first) {
            let count: usize = pieces.iter().map(|piece| piece.crcs.len()).sum();
            let mut to = stage.chunks(count)?;
            for piece in pieces {
                let n = piece.crcs.len() * CHUNK;
                self.reader.read_run(piece.file, piece.at, piece.crcs, block::bytes_mut(arena, to, 0, n))?;
                for (i, &crc) in piece.crcs.iter().enumerate() {
                    let at = piece.at + (i * CHUNK) as u64;
                    listed.push((piece.first + i as u64, to, stage.seq()));
                    if self.notes {
                        self.placed.insert((piece.file, at), (to, stage.seq()));
                    }
                    self.note(stage, to, Image { file: piece.file, at, crc });
                    to = Addr(to.0 + CHUNK as u64);
                }
            }
        }
        listed.sort_unstable_by_key(|(index, ..)| *index);
        Ok(listed)
    }

    /// Copies chunks of another size than memory's, or into a column that is not in chunks.
    fn copy_chunks(
        &mut self,
        stage: &mut Stage<'_>,
        at: Addr,
        schema: &Schema,
        i: usize,
        runs: &[Run],
    ) -> Result<(), CheckpointError> {
        let length = PageRef::new(stage.arena(), at).column(schema, i).bytes;
        let mut bytes = vec![0; self.chunk as usize];
        for run in runs.iter().filter(|run| run.file != 0) {
            for (k, &crc) in run.crcs.iter().enumerate() {
                let k = k as u64;
                self.reader.read(Image { file: run.file, at: run.at + k * self.chunk, crc }, &mut bytes)?;
                let from = (run.first + k) * self.chunk;
                let n = length.saturating_sub(from).min(self.chunk) as usize;
                put(stage, at, schema, i, from, &bytes[..n])?;
            }
        }
        Ok(())
    }
}

/// Writes bytes of a column of a fresh version.
fn put(
    stage: &mut Stage<'_>,
    at: Addr,
    schema: &Schema,
    i: usize,
    from: u64,
    bytes: &[u8],
) -> Result<(), CheckpointError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let arena = stage.arena();
    match version::column_mut(stage, at, schema, i)? {
        ColumnMut::Whole(to) => to[from as usize..from as usize + bytes.len()].copy_from_slice(bytes),
        ColumnMut::Tree(mut writer) => {
            let mut done = 0;
            while done < bytes.len() {
                let byte = from + done as u64;
                let chunk = writer.chunk(byte / CHUNK as u64)?;
                let start = (byte % CHUNK as u64) as usize;
                let n = (bytes.len() - done).min(CHUNK - start);
                chunk[start..start + n].copy_from_slice(&bytes[done..done + n]);
                done += n;
            }
            let root = writer.root();
            version::set_tree(arena, at, i, root);
        }
    }
    Ok(())
}
