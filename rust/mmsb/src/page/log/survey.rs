//! What files there are in `log/`, and which segment goes on where.

use crate::memory::disk::{Disk, DiskError};
use crate::page::log::error::LogError;
use crate::page::log::segment::{DIR, FileKind, HEADER, Opened, SegmentHeader, path};
use crate::page::log::superblock::NEW_NAME;
use std::collections::BTreeMap;

/// Whoever reads while somebody else writes looks again this often, before it believes that a file is missing or
/// damaged.
pub(crate) const LOOKS: usize = 8;

/// A file with a valid segment header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub header: SegmentHeader,
    pub packed: bool,
    /// Where a copy of its header is damaged, of which the other is whole.
    pub hurt: Option<u64>,
}

/// All files of the log.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// By start position, then by number.
    found: BTreeMap<(u64, u64), Found>,
    /// Paths of files that hold nothing.
    pub stray: Vec<String>,
    /// A number that no file has, nor any with a higher one.
    pub next: u64,
}

impl Survey {
    /// Lists the files and looks into them; once more where one was removed in between.
    pub fn new(disk: &dyn Disk) -> Result<Self, DiskError> {
        Self::beyond(disk, 0)
    }

    /// As [`Survey::new`], of segments with higher numbers: it takes no longer for all that are known already.
    pub fn beyond(disk: &dyn Disk, number: u64) -> Result<Self, DiskError> {
        let mut looks = 1;
        loop {
            match Self::look(disk, number) {
                Err(DiskError::NotFound { .. }) if looks < LOOKS => looks += 1,
                survey => return survey,
            }
        }
    }

    fn look(disk: &dyn Disk, known: u64) -> Result<Self, DiskError> {
        let mut survey = Self { next: 1, ..Self::default() };
        let mut by_number: BTreeMap<u64, Found> = BTreeMap::new();
        for name in disk.list(DIR)? {
            let (number, packed) = match FileKind::of(&name) {
                FileKind::Plain(number) => (number, false),
                FileKind::Packed(number) => (number, true),
                FileKind::Unfinished => {
                    survey.stray.push(format!("{DIR}/{name}"));
                    continue;
                }
                FileKind::Foreign => continue,
            };
            survey.next = survey.next.max(number.saturating_add(1));
            if number <= known {
                continue;
            }
            let Some(opened) = Opened::open(disk, number, packed)? else {
                survey.stray.push(path(number, packed));
                continue;
            };
            // A compressed file has its name only once it is complete, and then the plain one goes.
            let found = Found { header: opened.header, packed: opened.is_packed(), hurt: opened.hurt };
            match by_number.get(&number) {
                Some(twin) if twin.packed => survey.stray.push(path(number, false)),
                twin => {
                    if twin.is_some() {
                        survey.stray.push(path(number, false));
                    }
                    by_number.insert(number, found);
                }
            }
        }
        survey.found = by_number.into_values().map(|f| ((f.header.start, f.header.number), f)).collect();
        if disk.exists(NEW_NAME) {
            survey.stray.push(NEW_NAME.to_owned());
        }
        Ok(survey)
    }

    /// The segment that goes on at `at`, after segment `number`, where the header CRC of the frame before is `crc`.
    pub fn successor(&self, number: u64, at: u64, crc: u32) -> Option<Found> {
        self.found
            .range((at, number.saturating_add(1))..=(at, u64::MAX))
            .rev()
            .map(|(_, found)| *found)
            .find(|found| found.header.before == crc)
    }

    /// Whether a segment after `number` starts between two positions, exclusively.
    pub fn any_inside(&self, number: u64, from: u64, to: u64) -> bool {
        self.found.range((from + 1, 0)..(to, 0)).any(|(&(_, other), _)| other > number)
    }

    /// All segments with higher numbers.
    pub fn after(&self, number: u64) -> impl Iterator<Item = Found> {
        self.found.values().copied().filter(move |found| found.header.number > number)
    }

    /// All segments.
    pub fn all(&self) -> impl Iterator<Item = Found> {
        self.found.values().copied()
    }
}

/// Removes what an unfinished creation left: one segment without frames. Anything else is refused.
pub(crate) fn clear_unfinished(disk: &dyn Disk) -> Result<(), LogError> {
    for name in disk.list(DIR)? {
        if FileKind::of(&name) == FileKind::Foreign {
            continue;
        }
        if FileKind::of(&name) != FileKind::Plain(1) {
            return Err(LogError::NotABus { reason: "segments of a log, but no file named bus" });
        }
        if let Some(opened) = Opened::open(disk, 1, false)? {
            let mut word = [0; HEADER as usize];
            let read = opened.read(&mut word, opened.header.start)?;
            if word[..read].iter().any(|&byte| byte != 0) {
                return Err(LogError::NotABus { reason: "a log with frames, but no file named bus" });
            }
        }
        disk.remove(&path(1, false))?;
    }
    Ok(())
}
