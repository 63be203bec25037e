//! Telling a state as a record, and writing the images that no earlier checkpoint has.

use std::collections::HashMap;

use crate::base::ids::{BranchId, Epoch, Seq};
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::disk::DiskError;
use crate::page::block::{self, head, is_null};
use crate::page::catalog::RootRef;
use crate::page::checkpoint::chunks::{ChunkWriter, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::known::{Known, Notes};
use crate::page::checkpoint::record::{Branch, Cells, Column, Def, Head, Record, Root, Run, Version};
use crate::page::column::{ColumnRef, Place};
use crate::page::draft::Tables;
use crate::page::schema::{self, Schema};
use crate::page::trie;
use crate::page::version::PageRef;

/// A branch as the writer has it.
#[derive(Debug, Clone)]
pub struct BranchState {
    /// Its id.
    pub id: BranchId,
    /// Its name.
    pub name: String,
    /// The branch and the epoch it comes from.
    pub origin: Option<(BranchId, Epoch)>,
    /// The highest page counter given out.
    pub counter: u32,
    /// What was merged into it last.
    pub merged: Vec<(BranchId, Epoch, Seq)>,
    /// Its root, which the caller keeps pinned; none once it was dropped.
    pub root: Option<Addr>,
}

/// What a checkpoint is made of: everything at one seq.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The last frame.
    pub seq: Seq,
    /// Where the next one will start.
    pub position: u64,
    /// Header CRC of the last one.
    pub before: u32,
    /// Every branch, by id.
    pub branches: Vec<BranchState>,
}

/// What a walk over a state made.
pub(crate) struct Told {
    pub record: Record,
    pub known: Notes,
    /// Bytes of images that were there already.
    pub reused: u64,
}

/// Tells the state; images that `known` does not place go to `out`.
pub(crate) fn tell(
    arena: &Arena,
    tables: Tables<'_>,
    cut: &Cut,
    known: &Known,
    out: &mut ChunkWriter<'_>,
) -> Result<Told, CheckpointError> {
    let head = Head::new(cut.seq, cut.position, cut.before, CHUNK as u32);
    let mut teller = Teller {
        arena,
        tables,
        old: known,
        out,
        told: Told { record: Record::new(head), known: Notes::default(), reused: 0 },
        schemas: HashMap::new(),
        shared: (cut.branches.iter().filter(|branch| branch.root.is_some()).count() > 1)
            .then(Shared::default),
    };
    let mut roots: HashMap<BranchId, (u32, Addr)> = HashMap::new();
    let origins: HashMap<BranchId, BranchId> =
        cut.branches.iter().filter_map(|b| Some((b.id, b.origin?.0))).collect();
    for (number, branch) in cut.branches.iter().enumerate() {
        let mut above = origins.get(&branch.id);
        // Told against its nearest living ancestor: what they share is not told again.
        while let Some(id) = above.filter(|id| !roots.contains_key(id)) {
            above = origins.get(id);
        }
        let base = above.and_then(|id| roots.get(id)).copied();
        let root = branch.root.map(|at| teller.root(at, base)).transpose()?;
        if let Some(at) = branch.root {
            roots.insert(branch.id, (number as u32, at));
        }
        teller.told.record.branches.push(Branch {
            id: branch.id,
            name: branch.name.clone(),
            origin: branch.origin,
            counter: branch.counter,
            merged: branch.merged.clone(),
            root,
        });
    }
    let mut told = teller.told;
    told.record.count_files();
    Ok(told)
}

/// Bytes of the images of a version that is told against no other.
fn bytes_of(cells: &Cells, schema: &Schema, rows: u64) -> u64 {
    let Cells::Split(columns) = cells else { return schema.packed_layout(rows).bytes };
    let of = |(column, described): (&Column, &schema::Column)| match column {
        Column::Zeros => 0,
        Column::Whole(_) => rows * described.row_bytes(),
        Column::Chunks(runs) => runs.iter().map(|run| (run.crcs.len() * CHUNK) as u64).sum(),
    };
    columns.iter().zip(schema.columns()).map(of).sum()
}

struct Teller<'a, 'o, 'w> {
    arena: &'a Arena,
    tables: Tables<'a>,
    old: &'a Known,
    out: &'o mut ChunkWriter<'w>,
    told: Told,
    schemas: HashMap<Addr, u32>,
    /// Nothing of one branch alone is met twice.
    shared: Option<Shared>,
}

/// What may be met again in another branch.
#[derive(Default)]
struct Shared {
    defs: HashMap<Addr, u32>,
    versions: HashMap<Addr, u32>,
    images: HashMap<(Addr, u64), Image>,
}

impl Teller<'_, '_, '_> {
    /// The state of a branch, against that of another one.
    fn root(&mut self, at: Addr, base: Option<(u32, Addr)>) -> Result<Root, CheckpointError> {
        let root = RootRef::new(self.arena, at);
        let against = base.map_or(Addr::default(), |(_, at)| RootRef::new(self.arena, at).directory());
        let (mut gone, mut pages, mut failed) = (Vec::new(), Vec::new(), None);
        trie::diff(self.arena, against, root.directory(), &mut |old, new| match (old, new) {
            _ if failed.is_some() => {}
            (Some(old), None) => gone.push(PageRef::new(self.arena, old).id()),
            (old, Some(new)) => match self.version(new, old) {
                Ok(version) => pages.push(version),
                Err(error) => failed = Some(error),
            },
            (None, None) => {}
        });
        failed.map_or(Ok(()), Err)?;
        Ok(Root {
            epoch: root.epoch(),
            position: root.position(),
            counter: root.counter(),
            base: base.map(|(number, _)| number),
            gone,
            pages,
        })
    }

    fn version(&mut self, at: Addr, old: Option<Addr>) -> Result<u32, CheckpointError> {
        if let Some(number) = self.told_before(at) {
            return Ok(number);
        }
        let page = PageRef::new(self.arena, at);
        let schema = self.tables.schemas.of(page.def());
        let def = self.def(page, schema);
        if let Some(cells) = self.tables.lazy.cells(self.arena, at) {
            self.told.reused += bytes_of(&cells, schema, page.rows());
            return Ok(self.push(
                at,
                Version {
                    def,
                    epoch: page.version(),
                    rows: page.rows(),
                    marks: page.marks(),
                    base: None,
                    cells,
                },
            ));
        }
        let cells = page.packed(schema);
        let in_memory = |old: &PageRef<'_>| head(self.arena, old.at).unread().is_none();
        let base = old.map(|old| PageRef::new(self.arena, old)).filter(in_memory).filter(|old| {
            let same = old.def().schema_at() == page.def().schema_at() && old.rows() == page.rows();
            same && cells.is_none() && old.packed(schema).is_none() && self.told_before(old.at).is_some()
        });
        let cells = match cells {
            Some(bytes) => Cells::Packed(self.image(at, page.born(), bytes)?),
            None => {
                let mut columns = Vec::new();
                for i in 0..schema.columns().len() {
                    columns
                        .push(self.column(page.column(schema, i), base.map(|base| base.column(schema, i)))?);
                }
                Cells::Split(columns)
            }
        };
        let base = base.and_then(|base| self.told_before(base.at));
        let (epoch, rows) = (page.version(), page.rows());
        Ok(self.push(at, Version { def, epoch, rows, marks: page.marks(), base, cells }))
    }

    fn push(&mut self, at: Addr, version: Version) -> u32 {
        let number = self.told.record.versions.len() as u32;
        self.told.record.versions.push(version);
        if let Some(shared) = &mut self.shared {
            shared.versions.insert(at, number);
        }
        number
    }

    /// The number of a version that another branch has too.
    fn told_before(&self, at: Addr) -> Option<u32> {
        self.shared.as_ref()?.versions.get(&at).copied()
    }

    fn def(&mut self, page: PageRef<'_>, schema: &Schema) -> u32 {
        let (record, about) = (&mut self.told.record, page.def());
        if let Some(&number) = self.shared.as_ref().and_then(|shared| shared.defs.get(&about.at)) {
            return number;
        }
        let schema = *self.schemas.entry(about.schema_at()).or_insert_with(|| {
            record.schemas.push(schema.clone());
            record.schemas.len() as u32 - 1
        });
        let number = record.defs.len() as u32;
        record.defs.push(Def {
            page: about.id(),
            name: about.name().into(),
            schema,
            rule: about.rule().into(),
        });
        if let Some(shared) = &mut self.shared {
            shared.defs.insert(about.at, number);
        }
        number
    }

    fn column(
        &mut self,
        column: ColumnRef<'_>,
        base: Option<ColumnRef<'_>>,
    ) -> Result<Column, CheckpointError> {
        match column.place {
            Place::Block(at, _) | Place::Tree(at) if is_null(at) && base.is_none() => Ok(Column::Zeros),
            Place::Block(at, _) if is_null(at) => Ok(Column::Zeros),
            Place::Block(at, offset) => {
                let born = head(self.arena, at).born;
                let bytes = block::bytes(self.arena, at, offset, column.bytes as usize);
                Ok(Column::Whole(self.image(at, born, bytes)?))
            }
            Place::Tree(_) => {
                let mut chunks = Vec::new();
                match base {
                    Some(base) => column.changed_chunks(&base, &mut |i, at, born| chunks.push((i, at, born))),
                    None => column.chunks(|byte, at, born| chunks.push((byte / CHUNK as u64, at, born))),
                }
                Ok(Column::Chunks(self.runs(&chunks)?))
            }
        }
    }

    fn runs(&mut self, chunks: &[(u64, Addr, u64)]) -> Result<Vec<Run>, CheckpointError> {
        let mut runs: Vec<Run> = Vec::new();
        for &(first, at, born) in chunks {
            let image = if is_null(at) {
                Image::default()
            } else {
                self.image(at, born, block::bytes(self.arena, at, 0, CHUNK))?
            };
            let zeros = image.file == 0;
            match runs.last_mut() {
                Some(run)
                    if run.first + run.count == first
                        && run.file == image.file
                        && (zeros || run.at + run.count * CHUNK as u64 == image.at) =>
                {
                    run.count += 1;
                    run.crcs.extend((!zeros).then_some(image.crc));
                }
                _ => {
                    let crcs = if zeros { Vec::new() } else { vec![image.crc] };
                    runs.push(Run { first, count: 1, file: image.file, at: image.at, crcs });
                }
            }
        }
        Ok(runs)
    }

    /// Where a block's bytes lie on disk, or do from now on.
    fn image(&mut self, at: Addr, born: u64, bytes: &[u8]) -> Result<Image, DiskError> {
        if let Some(&image) = self.shared.as_ref().and_then(|shared| shared.images.get(&(at, born))) {
            return Ok(image);
        }
        let image = match self.old.get(at, born) {
            Some(image) => {
                self.told.reused += bytes.len() as u64;
                image
            }
            None => self.out.append(bytes)?,
        };
        if let Some(shared) = &mut self.shared {
            shared.images.insert((at, born), image);
        }
        self.told.known.note(at, born, image);
        Ok(image)
    }
}
