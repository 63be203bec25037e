//! The root record of a checkpoint: what it says, and its bytes. See `docs/bytes.md`, "Root record".

use std::collections::BTreeMap;

use crate::base::codec::{Reader, Writer};
use crate::base::crc::crc32c;
use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::page::checkpoint::chunks::{HEADER as ALIGN, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::merged::Merged;
use crate::page::schema::Schema;

const MAGIC: [u8; 8] = *b"mmsbroo\x01";
/// The newest format known here: pages may have rules. What has none is written as format 1.
const FORMAT: u32 = 2;
/// Bytes before the body.
pub(crate) const HEADER: usize = 64;

/// What stands before a record's body: enough to know whether it is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// It holds the state after the frame with this seq.
    pub seq: Seq,
    /// Where in the log replay goes on.
    pub position: u64,
    /// Header CRC of the frame before that; 0 if there is none.
    pub before: u32,
    /// Bytes of a chunk.
    pub chunk: u32,
    /// Its format.
    pub(super) format: u32,
    /// Bytes of the body.
    length: u64,
    crc: u32,
}

/// Everything at one seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where in the log it stands.
    pub head: Head,
    /// The chunk files it refers to, with the bytes it needs of each.
    pub files: BTreeMap<u64, u64>,
    /// Schemas of pages.
    pub schemas: Vec<Schema>,
    /// Unchanging parts of pages.
    pub defs: Vec<Def>,
    /// Versions of pages.
    pub versions: Vec<Version>,
    /// Every branch there ever was, by id.
    pub branches: Vec<Branch>,
}

/// The unchanging part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Def {
    /// Its id.
    pub page: PageId,
    /// Its name.
    pub name: String,
    /// Which schema it has.
    pub schema: u32,
    /// What it follows from; empty where from nothing.
    pub rule: Vec<u8>,
}

/// One version of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Which page it is of.
    pub def: u32,
    /// The epoch that made it.
    pub epoch: Epoch,
    /// Its rows.
    pub rows: u64,
    /// Its marks.
    pub marks: u8,
    /// The earlier version of the same page with as many rows that its chunks are told against.
    pub base: Option<u32>,
    /// Its cells.
    pub cells: Cells,
}

/// Where the cells of a version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cells {
    /// All columns in one image.
    Packed(Image),
    /// Each column by itself.
    Split(Vec<Column>),
}

/// Where the cells of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Nowhere: zeros.
    Zeros,
    /// In one image.
    Whole(Image),
    /// In chunks, ascending.
    Chunks(Vec<Run>),
}

/// Chunks side by side in the column and in the chunk file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first chunk.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Number of the chunk file; 0 where they are zeros.
    pub file: u64,
    /// The first byte there.
    pub at: u64,
    /// The CRC of each; none where they are zeros.
    pub crcs: Vec<u32>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its id.
    pub id: BranchId,
    /// Its name.
    pub name: String,
    /// The branch and the epoch it comes from.
    pub origin: Option<(BranchId, Epoch)>,
    /// The highest page counter given out.
    pub counter: u32,
    /// What was merged into it last: of each branch the epoch, and the frame that did it.
    pub merged: Vec<(BranchId, Epoch, Seq)>,
    /// Its state; none once it was dropped.
    pub root: Option<Root>,
}

impl Branch {
    /// What had come in by merges.
    pub fn came_in(&self) -> Merged {
        self.merged.iter().map(|&(from, epoch, seq)| (from, (epoch, seq))).collect()
    }
}

/// The state of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its epoch.
    pub epoch: Epoch,
    /// Where its last frame starts.
    pub position: u64,
    /// The highest page counter of its pages.
    pub counter: u32,
    /// The entry of the earlier branch that its pages are told against.
    pub base: Option<u32>,
    /// Pages of that branch which it has not.
    pub gone: Vec<PageId>,
    /// Versions that it has, of pages which that branch has otherwise or not at all.
    pub pages: Vec<u32>,
}

impl Head {
    /// Of a record that stands here in the log.
    pub fn new(seq: Seq, position: u64, before: u32, chunk: u32) -> Self {
        Head { seq, position, before, chunk, format: 1, length: 0, crc: 0 }
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut out = Writer::with_capacity(HEADER);
        out.raw(&MAGIC);
        out.u32(self.format);
        out.u32(self.chunk);
        out.u64(self.seq.0);
        out.u64(self.position);
        out.u64(self.length);
        out.u32(self.before);
        out.u32(self.crc);
        let mut bytes = [0; HEADER];
        bytes[..out.len()].copy_from_slice(out.as_slice());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a file named `file`.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |what: &str| CheckpointError::damaged(file, what);
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("it is too short"))?;
        let mut from = Reader::new(header);
        if from.raw(8)? != MAGIC {
            return Err(damaged("it does not start as a root record"));
        }
        if header[60..] != crc32c(&header[..60]).to_le_bytes() {
            return Err(damaged("its header is not what was written"));
        }
        let found = from.u32()?;
        if found > FORMAT {
            return Err(CheckpointError::Unsupported { file: file.into(), found, known: FORMAT });
        }
        let (chunk, seq, position, length) = (from.u32()?, Seq(from.u64()?), from.u64()?, from.u64()?);
        Ok(Head { seq, position, before: from.u32()?, chunk, format: found, length, crc: from.u32()? })
    }
}

impl Record {
    /// A record of nothing, to be filled.
    pub fn new(head: Head) -> Self {
        let files = BTreeMap::new();
        let (schemas, defs, versions, branches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Record { head, files, schemas, defs, versions, branches }
    }

    /// The schema of a version.
    pub fn schema(&self, version: &Version) -> &Schema {
        &self.schemas[self.defs[version.def as usize].schema as usize]
    }

    /// The entry of a branch.
    pub fn branch(&self, id: BranchId) -> Option<(usize, &Branch)> {
        let at = self.branches.binary_search_by_key(&id, |branch| branch.id).ok()?;
        Some((at, &self.branches[at]))
    }

    /// The versions of a branch's pages, by page.
    pub fn pages(&self, branch: usize) -> BTreeMap<PageId, u32> {
        let mut chain = Vec::new();
        let mut at = Some(branch);
        while let Some(root) = at.and_then(|at| self.branches[at].root.as_ref()) {
            chain.push(root);
            at = root.base.map(|base| base as usize);
        }
        let mut pages = BTreeMap::new();
        for root in chain.into_iter().rev() {
            root.gone.iter().for_each(|page| {
                pages.remove(page);
            });
            for &version in &root.pages {
                let def = self.versions[version as usize].def;
                pages.insert(self.defs[def as usize].page, version);
            }
        }
        pages
    }

    /// Calls `visit` with every image and its bytes; of runs, with each chunk.
    pub fn images(&self, mut visit: impl FnMut(Image, u64)) {
        for version in &self.versions {
            let schema = self.schema(version);
            match &version.cells {
                Cells::Packed(image) => visit(*image, schema.packed_layout(version.rows).bytes),
                Cells::Split(columns) => {
                    for (column, about) in columns.iter().zip(schema.columns()) {
                        match column {
                            Column::Zeros => {}
                            Column::Whole(image) => visit(*image, version.rows * about.row_bytes()),
                            Column::Chunks(runs) => {
                                runs.iter().for_each(|run| run.images(self.head.chunk, &mut visit));
                            }
                        }
                    }
                }
            }
        }
    }

    /// Notes which chunk files it refers to, and how many bytes of each.
    pub fn count_files(&mut self) {
        let mut files = BTreeMap::new();
        self.images(|image, bytes| {
            if bytes > 0 {
                *files.entry(image.file).or_insert(0) += bytes.next_multiple_of(ALIGN as u64);
            }
        });
        self.files = files;
    }

    /// Its bytes, and those of the header with them.
    pub fn encode(&self) -> Vec<u8> {
        let format = if self.defs.iter().any(|def| !def.rule.is_empty()) { FORMAT } else { 1 };
        let mut out = Writer::with_capacity(4096);
        out.raw(&[0; HEADER]);
        out.varint(self.files.len() as u64);
        for (&number, &bytes) in &self.files {
            out.varint(number);
            out.varint(bytes);
        }
        out.varint(self.schemas.len() as u64);
        self.schemas.iter().for_each(|schema| schema.encode(&mut out));
        out.varint(self.defs.len() as u64);
        for def in &self.defs {
            out.varint(def.page.0);
            out.str(&def.name);
            out.varint(def.schema.into());
            if format > 1 {
                out.bytes(&def.rule);
            }
        }
        out.varint(self.versions.len() as u64);
        self.versions.iter().for_each(|version| version.encode(&mut out, format));
        out.varint(self.branches.len() as u64);
        self.branches.iter().for_each(|branch| branch.encode(&mut out));
        let mut bytes = out.into_vec();
        let (length, crc) = ((bytes.len() - HEADER) as u64, crc32c(&bytes[HEADER..]));
        let head = Head { format, length, crc, ..self.head };
        bytes[..HEADER].copy_from_slice(&head.encode());
        bytes
    }

    /// Reads a whole file named `file`.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let head = Head::decode(file, bytes)?;
        let body = &bytes[HEADER..];
        if body.len() as u64 != head.length || crc32c(body) != head.crc {
            return Err(CheckpointError::damaged(file, "its body is not what was written"));
        }
        super::tables::decode(head, body).map_err(|error| error.in_file(file))
    }
}

impl Run {
    fn images(&self, chunk: u32, visit: &mut impl FnMut(Image, u64)) {
        let chunk = u64::from(chunk);
        for (i, &crc) in self.crcs.iter().enumerate() {
            visit(Image { file: self.file, at: self.at + i as u64 * chunk, crc }, chunk);
        }
    }
}
