//! The superblock, file `bus`: what the bus is, and from where the log counts. See `docs/bytes.md`, "Superblock".

use crate::base::codec::{CodecError, Reader, Writer};
use crate::base::crc::crc32c;
use crate::memory::disk::{Disk, DiskError, DiskFile, Open};
use crate::page::log::error::LogError;
use std::sync::Arc;

pub(crate) const NAME: &str = "bus";
/// The superblock while it is made.
pub(crate) const NEW_NAME: &str = "bus.new";
const MAGIC: [u8; 8] = *b"mmsb\r\n\x1a\0";
const SLOT: usize = 4096;
/// The format known here.
pub const FORMAT: u32 = 1;
/// Frames and checkpoints may hold rules of pages.
pub const RULES: u64 = 1;
/// Features known here that are needed to read.
pub const READ_FEATURES: u64 = RULES;
/// Features known here that are needed to write.
pub const WRITE_FEATURES: u64 = 0;
/// Longest name of a checkpoint, in bytes.
const MAX_NAME: usize = 255;

/// The newest complete checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointNote {
    /// Name of its root record, at most 255 bytes.
    pub name: String,
    /// It holds the state after the frame with this seq.
    pub seq: u64,
}

/// What the superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Features needed to read.
    pub read_features: u64,
    /// Features needed to write.
    pub write_features: u64,
    /// Features that may be ignored.
    pub other_features: u64,
    /// Unique id of the bus.
    pub uuid: [u8; 16],
    /// One more at every change.
    pub generation: u64,
    /// Position of the log up to which everything is durable.
    pub synced: u64,
    /// Position of the oldest frame kept.
    pub log_start: u64,
    /// Header CRC of the frame before that; 0 if there is none.
    pub log_start_crc: u32,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointNote>,
}

enum Slot {
    Valid(Superblock),
    Unknown { found: u32, features: u64, generation: u64 },
    Damaged,
    Foreign,
}

impl Superblock {
    /// The superblock of a new bus.
    pub(crate) fn new(disk: &dyn Disk) -> Self {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&disk.random().to_le_bytes());
        uuid[8..].copy_from_slice(&disk.random().to_le_bytes());
        Self {
            read_features: 0,
            write_features: 0,
            other_features: 0,
            uuid,
            generation: 1,
            synced: 0,
            log_start: 0,
            log_start_crc: 0,
            checkpoint: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(SLOT);
        out.raw(&MAGIC);
        out.u32(FORMAT);
        out.u32(0);
        for word in [self.read_features, self.write_features, self.other_features] {
            out.u64(word);
        }
        out.raw(&self.uuid);
        for word in [self.generation, self.synced, self.log_start] {
            out.u64(word);
        }
        out.u32(self.log_start_crc);
        let (name, seq) = self.checkpoint.as_ref().map_or(("", 0), |note| (note.name.as_str(), note.seq));
        out.u16(name.len() as u16);
        out.u16(0);
        out.u64(seq);
        out.raw(name.as_bytes());
        let mut bytes = out.into_vec();
        bytes.resize(SLOT - 4, 0);
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(slot: &[u8]) -> Result<Slot, CodecError> {
        let mut input = Reader::new(slot);
        if input.raw(8)? != MAGIC {
            return Ok(Slot::Foreign);
        }
        let mut end = Reader::new(&slot[SLOT - 4..]);
        if end.u32()? != crc32c(&slot[..SLOT - 4]) {
            return Ok(Slot::Damaged);
        }
        let found = input.u32()?;
        input.u32()?;
        let (read_features, write_features) = (input.u64()?, input.u64()?);
        let other_features = input.u64()?;
        let mut uuid = [0; 16];
        uuid.copy_from_slice(input.raw(16)?);
        let generation = input.u64()?;
        if found != FORMAT || read_features & !READ_FEATURES != 0 {
            return Ok(Slot::Unknown { found, features: read_features, generation });
        }
        let (synced, log_start, log_start_crc) = (input.u64()?, input.u64()?, input.u32()?);
        let length = usize::from(input.u16()?).min(MAX_NAME);
        input.u16()?;
        let seq = input.u64()?;
        let Ok(name) = std::str::from_utf8(input.raw(length)?) else { return Ok(Slot::Damaged) };
        let checkpoint = (!name.is_empty()).then(|| CheckpointNote { name: name.to_owned(), seq });
        Ok(Slot::Valid(Self {
            read_features,
            write_features,
            other_features,
            uuid,
            generation,
            synced,
            log_start,
            log_start_crc,
            checkpoint,
        }))
    }
}

/// The superblock and its file.
#[derive(Debug)]
pub(crate) struct SuperblockFile {
    file: Arc<dyn DiskFile>,
    now: Superblock,
    /// Slot that holds `now`.
    slot: u64,
    /// Whether the other one is damaged.
    hurt: bool,
}

impl SuperblockFile {
    /// Makes the file, whole or not at all. From then on the directory is a bus.
    pub fn create(disk: &dyn Disk, now: Superblock) -> Result<Self, DiskError> {
        if disk.exists(NEW_NAME) {
            disk.remove(NEW_NAME)?;
        }
        let file = disk.open(NEW_NAME, Open::Create)?;
        file.write_at(&now.encode().repeat(2), 0)?;
        file.sync_data()?;
        disk.rename(NEW_NAME, NAME)?;
        disk.sync_dir("")?;
        Ok(Self { file, now, slot: 0, hurt: false })
    }

    /// Reads it: the newer of the valid slots.
    pub fn open(disk: &dyn Disk, read_only: bool) -> Result<Self, LogError> {
        let file = match disk.open(NAME, if read_only { Open::Read } else { Open::Write }) {
            Err(DiskError::NotFound { .. }) => return Err(LogError::NotABus { reason: "no file named bus" }),
            file => file?,
        };
        Self::read(file, read_only)
    }

    /// What the file says by now: another process may have written it.
    pub fn reload(&mut self) -> Result<(), LogError> {
        *self = Self::read(Arc::clone(&self.file), false)?;
        Ok(())
    }

    fn read(file: Arc<dyn DiskFile>, read_only: bool) -> Result<Self, LogError> {
        let mut newest: Option<(u64, Slot, u64)> = None;
        let (mut damaged, mut valid, mut bytes) = (false, 0, vec![0; SLOT]);
        for index in 0..2 {
            let read = file.read_full_at(&mut bytes, index * SLOT as u64)?;
            let slot =
                if read < SLOT { Slot::Damaged } else { Superblock::decode(&bytes).unwrap_or(Slot::Damaged) };
            let generation = match &slot {
                Slot::Valid(superblock) => superblock.generation,
                Slot::Unknown { generation, .. } => *generation,
                Slot::Damaged => {
                    damaged |= bytes.starts_with(&MAGIC);
                    continue;
                }
                Slot::Foreign => continue,
            };
            valid += 1;
            if newest.as_ref().is_none_or(|(newest, ..)| generation > *newest) {
                newest = Some((generation, slot, index));
            }
        }
        match newest {
            Some((_, Slot::Valid(now), _)) if !read_only && now.write_features & !WRITE_FEATURES != 0 => {
                Err(LogError::UnsupportedFormat {
                    found: FORMAT,
                    supported: FORMAT,
                    features: now.write_features,
                    known: WRITE_FEATURES,
                })
            }
            Some((_, Slot::Valid(now), slot)) => Ok(Self { file, now, slot, hurt: valid < 2 }),
            Some((_, Slot::Unknown { found, features, .. }, _)) => {
                Err(LogError::UnsupportedFormat { found, supported: FORMAT, features, known: READ_FEATURES })
            }
            _ if damaged => Err(LogError::CorruptSuperblock),
            _ => Err(LogError::NotABus { reason: "the file named bus does not start as one" }),
        }
    }

    /// What it says.
    pub const fn now(&self) -> &Superblock {
        &self.now
    }

    /// The file and the first byte of the slot that is damaged, if one is while the other is whole.
    pub fn hurt(&self) -> Option<(String, u64)> {
        self.hurt.then(|| (NAME.to_owned(), (1 - self.slot) * SLOT as u64))
    }

    /// Writes a damaged slot anew, durably.
    pub fn restore(&mut self) -> Result<(), DiskError> {
        if self.hurt { self.write(|_| {}) } else { Ok(()) }
    }

    /// Makes what was read durable: the process that wrote it may have died before.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }

    /// Says something else, durably, in the older slot.
    pub fn write(&mut self, change: impl FnOnce(&mut Superblock)) -> Result<(), DiskError> {
        let mut next = self.now.clone();
        change(&mut next);
        next.generation += 1;
        let slot = 1 - self.slot;
        self.file.write_at(&next.encode(), slot * SLOT as u64)?;
        self.file.sync_data()?;
        (self.now, self.slot, self.hurt) = (next, slot, false);
        Ok(())
    }

    /// Says something else in both slots, so that nothing the older one said need be kept.
    pub fn write_both(&mut self, change: impl FnOnce(&mut Superblock)) -> Result<(), DiskError> {
        self.write(change)?;
        self.write(|_| {})
    }
}

/// Whether a directory has a superblock: whether it is a bus.
pub(crate) fn exists(disk: &dyn Disk) -> bool {
    disk.exists(NAME)
}

/// Refuses a name that does not fit.
pub(crate) const fn name_fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::disk::{Crash, Sim};

    fn note(seq: u64) -> Option<CheckpointNote> {
        Some(CheckpointNote { name: format!("c{seq}"), seq })
    }

    #[test]
    fn a_change_is_there_or_not() {
        let sim = Sim::new(1);
        let mut file = SuperblockFile::create(&sim, Superblock::new(&sim)).expect("created");
        file.write(|now| now.checkpoint = note(1)).expect("written");
        let ops = sim.ops();
        for stop in 0..3 {
            for seed in 0..40 {
                let sim = sim.kill();
                let mut file = SuperblockFile::open(&sim, false).expect("opened");
                sim.stop_at(stop);
                let done = file.write(|now| now.checkpoint = note(2)).is_ok();
                let after = SuperblockFile::open(&sim.crash(Crash::Random(seed)), true).expect("opened");
                let found = after.now().checkpoint.clone();
                assert!(found == note(2) || !done && found == note(1), "stop {stop} seed {seed}");
            }
        }
        assert_eq!(sim.ops(), ops, "copies were used");
    }

    #[test]
    fn what_is_no_bus_is_refused_by_name() {
        let sim = Sim::new(1);
        assert!(matches!(SuperblockFile::open(&sim, true), Err(LogError::NotABus { .. })));
        let file = sim.open(NAME, Open::Create).expect("created");
        file.write_at(&[7; 9000], 0).expect("written");
        assert!(matches!(SuperblockFile::open(&sim, true), Err(LogError::NotABus { .. })));
        let mut other = Superblock::new(&sim).encode();
        for version in [9, 0] {
            other[8] = version;
            let crc = crc32c(&other[..SLOT - 4]);
            other[SLOT - 4..].copy_from_slice(&crc.to_le_bytes());
            file.write_at(&other, 0).expect("written");
            let error = SuperblockFile::open(&sim, true).expect_err("another version");
            let named = matches!(
                error,
                LogError::UnsupportedFormat { found, supported: FORMAT, .. } if found == u32::from(version)
            );
            assert!(named, "{error}");
        }
        other[100] ^= 1;
        file.write_at(&other, 0).expect("written");
        assert!(matches!(SuperblockFile::open(&sim, true), Err(LogError::CorruptSuperblock)));
    }

    #[test]
    fn unknown_features_bar_what_needs_them() {
        let sim = Sim::new(1);
        let mut file = SuperblockFile::create(&sim, Superblock::new(&sim)).expect("created");
        file.write(|now| now.other_features = 1 << 63).expect("written");
        SuperblockFile::open(&sim, false).expect("ignorable");
        file.write(|now| now.write_features = 2).expect("written");
        SuperblockFile::open(&sim, true).expect("readable");
        assert!(matches!(
            SuperblockFile::open(&sim, false),
            Err(LogError::UnsupportedFormat { features: 2, .. })
        ));
        file.write(|now| now.read_features = 4).expect("written");
        assert!(matches!(
            SuperblockFile::open(&sim, true),
            Err(LogError::UnsupportedFormat { features: 4, .. })
        ));
    }
}
