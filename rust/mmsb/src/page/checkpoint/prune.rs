//! Letting old checkpoints go, and moving what the kept ones still need out of mostly dead chunk files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::base::ids::Seq;
use crate::base::limits::CHUNK_FILE_LIVE;
use crate::memory::disk::{DiskError, Open};
use crate::page::checkpoint::chunks::{self, ChunkReader, ChunkWriter, Image};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::record::{Cells, Column, Record, Run};
use crate::page::checkpoint::store::{DIR, Store, list, path, put};

/// What pruning checkpoints did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Checkpoints removed.
    pub checkpoints: u64,
    /// Bytes of files removed, less those written anew.
    pub bytes: i64,
}

/// Where images went: from file and byte.
type Moves = HashMap<(u64, u64), Image>;

impl Store {
    /// Reads every image of a checkpoint and checks it, but for those in `seen`, which it joins; `progress` is told the
    /// bytes read so far.
    pub fn check(
        &self,
        record: &Record,
        seen: &mut HashSet<(u64, u64)>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, CheckpointError> {
        let mut reader = ChunkReader::new(self.disk());
        let (mut bytes, mut read, mut failed) = (Vec::new(), 0, None);
        record.images(|image, length| {
            let place = (image.file, image.at);
            if failed.is_none() && !seen.contains(&place) {
                bytes.resize(length as usize, 0);
                failed = reader.read(image, &mut bytes).err();
                read += length;
                progress(read);
                if failed.is_none() {
                    seen.insert(place);
                }
            }
        });
        failed.map_or(Ok(read), Err)
    }

    /// Removes the checkpoints before `first`, and the chunk files that none of the others refers to; what they need of
    /// mostly dead files is moved to a new one. A crash anywhere leaves the kept checkpoints whole.
    pub fn prune(&self, first: Seq) -> Result<Pruned, CheckpointError> {
        let _alone = self.alone()?;
        let disk = &**self.disk();
        let before = self.chunk_bytes()?;
        let mut pruned = Pruned::default();
        for seq in list(disk)?.into_iter().filter(|seq| *seq < first) {
            let file = path(seq);
            pruned.bytes += disk.open(&file, Open::Read)?.len()? as i64;
            disk.remove(&file)?;
            // At once: whatever fails from here on, nobody is sent to what is gone.
            self.forget(seq);
            pruned.checkpoints += 1;
        }
        disk.sync_dir(DIR)?;
        // The disk may be full: room is made before any is taken.
        self.sweep()?;
        let mut kept = Vec::new();
        for head in self.heads().into_iter().filter(|head| head.seq >= first) {
            kept.push(self.record(head.seq)?);
        }
        let known = self.known();
        let moves = self.compact(&kept)?;
        let known = known.moved(|image| moves.get(&(image.file, image.at)).copied().unwrap_or(image));
        self.set_heads(kept.iter().map(|record| record.head).collect(), known);
        self.sweep()?;
        disk.sync_dir(DIR)?;
        pruned.bytes += before as i64 - self.chunk_bytes()? as i64;
        Ok(pruned)
    }

    /// Bytes of all chunk files.
    pub fn chunk_bytes(&self) -> Result<u64, CheckpointError> {
        let mut bytes = 0;
        for name in self.disk().list(DIR)? {
            if chunks::number_of(&name).is_some() {
                match self.disk().open(&format!("{DIR}/{name}"), Open::Read) {
                    Ok(file) => bytes += file.len()?,
                    // Somebody prunes meanwhile.
                    Err(DiskError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(bytes)
    }

    /// Moves what is needed of mostly dead files to a new one, and tells the records that refer to it anew. Where that
    /// fails, the new file goes, unless a record refers to it already.
    fn compact(&self, kept: &[Arc<Record>]) -> Result<Moves, CheckpointError> {
        let number = self.next_number();
        self.move_to(number, kept).inspect_err(|_| {
            let refers = |record: &Arc<Record>| {
                // One that cannot be read may.
                self.record(record.head.seq).map_or(true, |record| record.files.contains_key(&number))
            };
            if !kept.iter().any(refers) {
                // What cannot be removed now is swept later.
                let _ = self.disk().remove(&chunks::path(number));
            }
        })
    }

    fn move_to(&self, number: u64, kept: &[Arc<Record>]) -> Result<Moves, CheckpointError> {
        let disk = &**self.disk();
        let mut live: BTreeMap<u64, BTreeMap<u64, (u32, u64)>> = BTreeMap::new();
        for record in kept {
            record.images(|image, length| {
                if length > 0 {
                    live.entry(image.file).or_default().insert(image.at, (image.crc, length));
                }
            });
        }
        let mut moves = Moves::new();
        let mut silent = |_| {};
        let mut out = ChunkWriter::new(disk, number, &mut silent);
        let mut reader = ChunkReader::new(self.disk());
        for (&file, images) in &live {
            let needed: u64 = images.values().map(|(_, length)| length).sum();
            let size = disk.open(&chunks::path(file), Open::Read)?.len()?;
            if needed >= size / 100 * CHUNK_FILE_LIVE {
                continue;
            }
            for (&at, &(crc, length)) in images {
                let mut bytes = vec![0; length as usize];
                reader.read(Image { file, at, crc }, &mut bytes)?;
                moves.insert((file, at), out.append(&bytes)?);
            }
        }
        out.finish()?;
        if moves.is_empty() {
            return Ok(moves);
        }
        disk.sync_dir(DIR)?;
        for record in kept {
            if let Some(moved) = moved(record, &moves) {
                put(disk, &moved).inspect_err(|_| self.doubt(record.head.seq))?;
                self.remember(&Arc::new(moved));
            }
        }
        Ok(moves)
    }
}

/// The record with its images where they are now; `None` if none was moved.
fn moved(record: &Record, moves: &Moves) -> Option<Record> {
    let mut record = record.clone();
    let mut changed = false;
    let chunk = u64::from(record.head.chunk);
    let mut change = |image: &mut Image| {
        if let Some(now) = moves.get(&(image.file, image.at)) {
            (*image, changed) = (*now, true);
        }
    };
    for version in &mut record.versions {
        match &mut version.cells {
            Cells::Packed(image) => change(image),
            Cells::Split(columns) => {
                for column in columns {
                    match column {
                        Column::Zeros => {}
                        Column::Whole(image) => change(image),
                        Column::Chunks(runs) => *runs = moved_runs(runs, chunk, &mut change),
                    }
                }
            }
        }
    }
    record.count_files();
    changed.then_some(record)
}

fn moved_runs(runs: &[Run], chunk: u64, change: &mut impl FnMut(&mut Image)) -> Vec<Run> {
    let mut moved: Vec<Run> = Vec::new();
    for run in runs {
        if run.file == 0 {
            moved.push(run.clone());
            continue;
        }
        for (i, &crc) in run.crcs.iter().enumerate() {
            let first = run.first + i as u64;
            let mut image = Image { file: run.file, at: run.at + i as u64 * chunk, crc };
            change(&mut image);
            match moved.last_mut() {
                Some(last)
                    if last.first + last.count == first
                        && last.file == image.file
                        && last.at + last.count * chunk == image.at =>
                {
                    last.count += 1;
                    last.crcs.push(crc);
                }
                _ => moved.push(Run { first, count: 1, file: image.file, at: image.at, crcs: vec![crc] }),
            }
        }
    }
    moved
}
