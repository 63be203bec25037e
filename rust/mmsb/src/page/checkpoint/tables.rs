//! The tables of a root record, entry by entry. See `docs/bytes.md`, "Root record".

use crate::base::codec::{Reader, Writer};
use crate::base::ids::{BranchId, Epoch, PageId, Seq};
use crate::page::checkpoint::chunks::{HEADER as ALIGN, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::record::{Branch, Cells, Column, Def, Head, Record, Root, Run, Version};
use crate::page::schema::{self, Schema};

const PACKED: u8 = 0;
const SPLIT: u8 = 1;
const ZEROS: u8 = 0;
const WHOLE: u8 = 1;
const CHUNKS: u8 = 2;
const HAS_ORIGIN: u8 = 1;
const DROPPED: u8 = 2;

fn strange(what: &str) -> CheckpointError {
    CheckpointError::damaged("", what)
}

/// A count of entries that take at least a byte each, so that no list is longer than what is left.
fn count(from: &mut Reader<'_>) -> Result<usize, CheckpointError> {
    let count = from.varint()?;
    if count > from.left() as u64 {
        Err(strange("a list is longer than the record"))
    } else {
        Ok(count as usize)
    }
}

/// The number of an entry of a table with `entries` entries.
fn entry(number: u64, entries: usize, what: &str) -> Result<u32, CheckpointError> {
    if number < entries as u64 { Ok(number as u32) } else { Err(strange(what)) }
}

/// 0, or 1 + the number of an entry.
fn maybe(from: &mut Reader<'_>, entries: usize, what: &str) -> Result<Option<u32>, CheckpointError> {
    from.varint()?.checked_sub(1).map(|number| entry(number, entries, what)).transpose()
}

fn small(from: &mut Reader<'_>, what: &str) -> Result<u32, CheckpointError> {
    u32::try_from(from.varint()?).map_err(|_| strange(what))
}

fn branch_id(from: &mut Reader<'_>) -> Result<BranchId, CheckpointError> {
    small(from, "a branch id is out of range").map(BranchId)
}

/// Reads the tables behind a head.
pub(super) fn decode(head: Head, body: &[u8]) -> Result<Record, CheckpointError> {
    let (mut from, mut record) = (Reader::new(body), Record::new(head));
    let chunk = head.chunk as usize;
    if !chunk.is_power_of_two() || chunk < ALIGN {
        return Err(strange("its chunks have an odd size"));
    }
    for _ in 0..count(&mut from)? {
        record.files.insert(from.varint()?, from.varint()?);
    }
    for _ in 0..count(&mut from)? {
        record.schemas.push(Schema::decode(&mut from)?);
    }
    for _ in 0..count(&mut from)? {
        let page = PageId(from.varint()?);
        let name = from.str()?.to_owned();
        schema::check_name(&name)?;
        let schema = entry(from.varint()?, record.schemas.len(), "a page has no schema")?;
        let rule = if head.format > 1 { from.bytes()?.to_vec() } else { Vec::new() };
        record.defs.push(Def { page, name, schema, rule });
    }
    for _ in 0..count(&mut from)? {
        let version = Version::decode(&mut from, &record)?;
        record.versions.push(version);
    }
    for _ in 0..count(&mut from)? {
        let branch = Branch::decode(&mut from, &record)?;
        if record.branches.last().is_some_and(|last| last.id >= branch.id) {
            return Err(strange("its branches are out of order"));
        }
        record.branches.push(branch);
    }
    if from.is_empty() { Ok(record) } else { Err(strange("something follows its tables")) }
}

fn encode_image(image: &Image, out: &mut Writer) {
    out.varint(image.file);
    out.varint(image.at / ALIGN as u64);
    out.u32(image.crc);
}

fn decode_at(from: &mut Reader<'_>) -> Result<u64, CheckpointError> {
    from.varint()?.checked_mul(ALIGN as u64).ok_or_else(|| strange("an image lies past any file's end"))
}

fn decode_image(from: &mut Reader<'_>) -> Result<Image, CheckpointError> {
    Ok(Image { file: from.varint()?, at: decode_at(from)?, crc: from.u32()? })
}

impl Version {
    pub(super) fn encode(&self, out: &mut Writer, format: u32) {
        out.varint(self.def.into());
        out.varint(self.epoch.0);
        out.varint(self.rows);
        if format > 1 {
            out.u8(self.marks);
        }
        out.varint(self.base.map_or(0, |base| 1 + u64::from(base)));
        match &self.cells {
            Cells::Packed(image) => {
                out.u8(PACKED);
                encode_image(image, out);
            }
            Cells::Split(columns) => {
                out.u8(SPLIT);
                columns.iter().for_each(|column| column.encode(out));
            }
        }
    }

    fn decode(from: &mut Reader<'_>, record: &Record) -> Result<Self, CheckpointError> {
        let def = entry(from.varint()?, record.defs.len(), "a version is of no page")?;
        let (epoch, rows) = (Epoch(from.varint()?), from.varint()?);
        let marks = if record.head.format > 1 { from.u8()? } else { 0 };
        let base = maybe(from, record.versions.len(), "a version is told against none")?;
        let about = &record.defs[def as usize];
        let schema = &record.schemas[about.schema as usize];
        schema.page_bytes(rows)?;
        if let Some(base) = base.map(|base| &record.versions[base as usize]) {
            let same = record.defs[base.def as usize].page == about.page
                && record.defs[base.def as usize].schema == about.schema;
            if !same || base.rows != rows || matches!(base.cells, Cells::Packed(_)) {
                return Err(strange("a version is told against one that it cannot be told against"));
            }
        }
        let cells = match from.u8()? {
            PACKED if base.is_none() => Cells::Packed(decode_image(from)?),
            SPLIT => {
                let columns = schema.columns().iter().map(|column| {
                    Column::decode(from, (rows * column.row_bytes()).div_ceil(record.head.chunk.into()))
                });
                Cells::Split(columns.collect::<Result<_, _>>()?)
            }
            _ => return Err(strange("a version's cells are in no known form")),
        };
        Ok(Version { def, epoch, rows, marks, base, cells })
    }
}

impl Column {
    fn encode(&self, out: &mut Writer) {
        match self {
            Column::Zeros => out.u8(ZEROS),
            Column::Whole(image) => {
                out.u8(WHOLE);
                encode_image(image, out);
            }
            Column::Chunks(runs) => {
                out.u8(CHUNKS);
                out.varint(runs.len() as u64);
                let mut end = 0;
                for run in runs {
                    out.varint(run.first - end);
                    out.varint(run.count);
                    out.varint(run.file);
                    if run.file != 0 {
                        out.varint(run.at / ALIGN as u64);
                        run.crcs.iter().for_each(|&crc| out.u32(crc));
                    }
                    end = run.first + run.count;
                }
            }
        }
    }

    /// A column of so many chunks.
    fn decode(from: &mut Reader<'_>, chunks: u64) -> Result<Self, CheckpointError> {
        match from.u8()? {
            ZEROS => Ok(Column::Zeros),
            WHOLE => decode_image(from).map(Column::Whole),
            CHUNKS => {
                let (mut runs, mut end) = (Vec::new(), 0u64);
                for _ in 0..count(from)? {
                    let run = Run::decode(from, end)?;
                    end = run.first + run.count;
                    if end > chunks || run.count == 0 {
                        return Err(strange("a run lies outside its column"));
                    }
                    runs.push(run);
                }
                Ok(Column::Chunks(runs))
            }
            _ => Err(strange("a column is in no known form")),
        }
    }
}

impl Run {
    /// A run somewhere behind chunk `end`.
    fn decode(from: &mut Reader<'_>, end: u64) -> Result<Self, CheckpointError> {
        let far = || strange("a run lies outside its column");
        let first = end.checked_add(from.varint()?).ok_or_else(far)?;
        let count = from.varint()?;
        first.checked_add(count).ok_or_else(far)?;
        let file = from.varint()?;
        if file == 0 {
            return Ok(Run { first, count, file, at: 0, crcs: Vec::new() });
        }
        let at = decode_at(from)?;
        if count > from.left() as u64 / 4 {
            return Err(far());
        }
        let crcs = (0..count).map(|_| from.u32()).collect::<Result<_, _>>()?;
        Ok(Run { first, count, file, at, crcs })
    }
}

impl Branch {
    pub(super) fn encode(&self, out: &mut Writer) {
        out.varint(self.id.0.into());
        out.str(&self.name);
        let origin = if self.origin.is_some() { HAS_ORIGIN } else { 0 };
        out.u8(origin | if self.root.is_none() { DROPPED } else { 0 });
        if let Some((parent, epoch)) = self.origin {
            out.varint(parent.0.into());
            out.varint(epoch.0);
        }
        out.varint(self.counter.into());
        out.varint(self.merged.len() as u64);
        for (branch, epoch, seq) in &self.merged {
            out.varint(branch.0.into());
            out.varint(epoch.0);
            out.varint(seq.0);
        }
        let Some(root) = &self.root else { return };
        out.varint(root.epoch.0);
        out.varint(root.position);
        out.varint(root.counter.into());
        out.varint(root.base.map_or(0, |base| 1 + u64::from(base)));
        out.varint(root.gone.len() as u64);
        root.gone.iter().for_each(|page| out.varint(page.0));
        out.varint(root.pages.len() as u64);
        root.pages.iter().for_each(|&version| out.varint(version.into()));
    }

    fn decode(from: &mut Reader<'_>, record: &Record) -> Result<Self, CheckpointError> {
        let id = branch_id(from)?;
        let name = from.str()?.to_owned();
        let flags = from.u8()?;
        let origin =
            if flags & HAS_ORIGIN != 0 { Some((branch_id(from)?, Epoch(from.varint()?))) } else { None };
        if origin.is_some_and(|(parent, _)| parent >= id) {
            return Err(strange("a branch comes from a later one"));
        }
        let counter = small(from, "a page counter is out of range")?;
        let mut merged = Vec::new();
        for _ in 0..count(from)? {
            merged.push((branch_id(from)?, Epoch(from.varint()?), Seq(from.varint()?)));
        }
        let root = if flags & DROPPED == 0 { Some(Root::decode(from, record)?) } else { None };
        Ok(Branch { id, name, origin, counter, merged, root })
    }
}

impl Root {
    fn decode(from: &mut Reader<'_>, record: &Record) -> Result<Self, CheckpointError> {
        let (epoch, position) = (Epoch(from.varint()?), from.varint()?);
        let counter = small(from, "a page counter is out of range")?;
        let base = maybe(from, record.branches.len(), "a branch is told against none")?;
        if base.is_some_and(|base| record.branches[base as usize].root.is_none()) {
            return Err(strange("a branch is told against a dropped one"));
        }
        let gone = (0..count(from)?).map(|_| from.varint().map(PageId)).collect::<Result<_, _>>()?;
        let mut pages = Vec::new();
        for _ in 0..count(from)? {
            pages.push(entry(
                from.varint()?,
                record.versions.len(),
                "a branch has a version that is not there",
            )?);
        }
        Ok(Root { epoch, position, counter, base, gone, pages })
    }
}
