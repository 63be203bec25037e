//! The cells of a record's versions: read from chunk files, checked, and put into blocks.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::page::block::{self, head};
use crate::page::checkpoint::chunks::{ChunkReader, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::known::Notes;
use crate::page::checkpoint::record::{Cells, Column, Record, Run};
use crate::page::column::{Place, chunks_of};
use crate::page::graft::{Listed, graft};
use crate::page::schema::Schema;
use crate::page::stage::Stage;
use crate::page::version::{self, ColumnMut, PageRef};

/// A version's cells, told against no other version.
pub(super) fn flat(record: &Record, number: u32) -> Cells {
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

/// Reads the cells of versions of one page in.
pub(super) struct CellLoader<'r> {
    reader: &'r mut ChunkReader,
    chunk: u64,
    record: &'r Record,
    /// Chunks by where they lie on disk, with their births: each comes into memory once.
    placed: HashMap<(u64, u64), (Addr, u64)>,
    /// Where what was read in lies on disk.
    pub known: Notes,
}

/// Images that go side by side into memory.
struct Piece<'r> {
    first: u64,
    file: u64,
    at: u64,
    crcs: &'r [u32],
}

impl<'r> CellLoader<'r> {
    pub fn new(reader: &'r mut ChunkReader, record: &'r Record) -> Self {
        let chunk = record.head.chunk.into();
        CellLoader { reader, chunk, record, placed: HashMap::new(), known: Notes::default() }
    }

    fn note(&mut self, stage: &Stage<'_>, at: Addr, image: Image) {
        self.known.note(at, stage.seq(), image);
    }

    /// Fills a version of zeros, which is one of the record's. What another version told it against, `base`, has its cells
    /// already, if there is one; without, the version is told by itself.
    pub fn fill(
        &mut self,
        stage: &mut Stage<'_>,
        at: Addr,
        number: u32,
        base: Option<PageRef<'_>>,
    ) -> Result<(), CheckpointError> {
        let (arena, record) = (stage.arena(), self.record);
        let told = &record.versions[number as usize];
        let schema = record.schema(told);
        // Trees of chunks of another size are of no use to others.
        let base = base.filter(|_| self.chunk as usize == CHUNK);
        let flat = if base.is_none() { flat(record, number) } else { told.cells.clone() };
        let cells = &flat;
        let page = PageRef::new(arena, at);
        match cells {
            Cells::Packed(image) => {
                let layout = schema.packed_layout(page.rows());
                let bytes = self.small(*image, layout.bytes)?;
                for (i, column) in schema.columns().iter().enumerate() {
                    let (from, n) = (layout.offsets[i] as usize, (page.rows() * column.row_bytes()) as usize);
                    put(stage, at, schema, i, 0, &bytes[from..from + n])?;
                }
                let header = head(arena, at);
                if header.kind == block::Kind::Packed {
                    // The version was there before its cells are read in: it has a seq of its own.
                    self.known.note(at, header.born, *image);
                }
            }
            Cells::Split(columns) => {
                for (i, column) in columns.iter().enumerate() {
                    match column {
                        Column::Zeros => {}
                        Column::Whole(image) => {
                            let bytes = self.small(*image, page.column_so_far(schema, i).bytes)?;
                            put(stage, at, schema, i, 0, &bytes)?;
                            if let Place::Block(block, _) = page.column_so_far(schema, i).place
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
        let column = PageRef::new(stage.arena(), at).column_so_far(schema, i);
        let below = match base.map(|base| base.column_so_far(schema, i).place) {
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
                    self.placed.insert((piece.file, at), (to, stage.seq()));
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
        let length = PageRef::new(stage.arena(), at).column_so_far(schema, i).bytes;
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

/// Writes bytes of a column of a version that is being made.
pub(super) fn put(
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
