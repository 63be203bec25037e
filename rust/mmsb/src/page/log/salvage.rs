//! Cutting a damaged log where its owner asks for it: nothing here is ever done by itself.

use crate::memory::disk::{Disk, DiskError};
use crate::page::log::error::LogError;
use crate::page::log::frame::{Describe, FrameHead, frame_bytes};
use crate::page::log::recover::walk;
use crate::page::log::roll::make_segment;
use crate::page::log::scan::{READ_AHEAD, Window};
use crate::page::log::segment::{HEADER, Opened, SegmentHeader};
use crate::page::log::superblock::SuperblockFile;
use crate::page::log::survey::{Found, Survey};

/// What is done with each frame on the way.
type Visit<'a> = dyn FnMut(FrameHead, &[u8]) -> Result<(), DiskError> + 'a;

/// What a cut left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the log ends now.
    pub end: u64,
    /// Frames that were written anew.
    pub frames: u64,
}

/// Lets the log end at its first damage. What lies behind is removed at the next open. The caller holds the lock.
pub fn cut(disk: &dyn Disk, describe: Describe<'_>) -> Result<Salvaged, LogError> {
    let mut superblock = SuperblockFile::open(disk, false)?;
    let survey = Survey::new(disk)?;
    let now = superblock.now();
    let (damaged, lost) = match walk(disk, &survey, now, describe) {
        Err(LogError::CorruptLog { segment, offset, position, what }) => {
            (segment, LogError::CorruptLog { segment, offset, position, what })
        }
        Err(error) => return Err(error),
        // The damage is in a sealed segment, which opening does not read.
        Ok(chain) => {
            let mut damaged = 0;
            for link in &chain.links {
                if first_bad(disk, &survey, link.found, link.found.header.start, link.found.header.before)?
                    < link.end
                {
                    damaged = link.found.header.number;
                    break;
                }
            }
            let what = "nothing is damaged";
            (damaged, LogError::CorruptLog { segment: 0, offset: 0, position: chain.end, what })
        }
    };
    let found = survey.all().find(|found| found.header.number == damaged).ok_or(lost)?;
    let salvaged = copy(disk, &survey, found, found.header.start, found.header.before)?;
    superblock.write_both(|now| now.synced = salvaged.end)?;
    Ok(salvaged)
}

/// Lets the log start at this position, where a checkpoint stands, behind a frame with this header CRC, and end at the
/// first damage behind it. The caller holds the lock.
pub fn restart(disk: &dyn Disk, position: u64, before: u32) -> Result<Salvaged, LogError> {
    let mut superblock = SuperblockFile::open(disk, false)?;
    let survey = Survey::new(disk)?;
    let holds = |found: &Found| found.header.start <= position;
    // Of several segments that hold the position, the last one with a frame there counts.
    let mut best = None;
    for found in survey.all().filter(holds) {
        let copied = first_bad(disk, &survey, found, position, before)?;
        if best.is_none_or(|(end, _)| copied >= end) {
            best = Some((copied, found));
        }
    }
    let Some((_, found)) = best else {
        let what = "no segment holds the position";
        return Err(LogError::CorruptLog { segment: 0, offset: 0, position, what });
    };
    let salvaged = copy(disk, &survey, found, position, before)?;
    superblock.write_both(|now| {
        (now.log_start, now.log_start_crc, now.synced) = (position, before, salvaged.end);
    })?;
    Ok(salvaged)
}

/// Goes along the frames from a position of a segment on, and through those that follow it; where they end.
fn along(
    disk: &dyn Disk,
    survey: &Survey,
    mut found: Found,
    mut at: u64,
    mut crc: u32,
    visit: &mut Visit<'_>,
) -> Result<u64, LogError> {
    while let Some(opened) = Opened::open(disk, found.header.number, found.packed)? {
        let (limit, mut window) = (opened.limit()?, Window::new(READ_AHEAD));
        while let Some((head, body)) = window.frame(&opened, at, limit)? {
            if head.before != crc {
                break;
            }
            visit(head, body)?;
            (at, crc) = (head.end(), head.crc);
        }
        match survey.successor(found.header.number, at, crc) {
            Some(next) => found = next,
            None => break,
        }
    }
    Ok(at)
}

/// Where the frames from a position of a segment on end.
fn first_bad(disk: &dyn Disk, survey: &Survey, found: Found, at: u64, crc: u32) -> Result<u64, LogError> {
    along(disk, survey, found, at, crc, &mut |_, _| Ok(()))
}

/// Writes the frames from a position of a segment on into a new one, durably.
fn copy(disk: &dyn Disk, survey: &Survey, found: Found, at: u64, crc: u32) -> Result<Salvaged, LogError> {
    let end = first_bad(disk, survey, found, at, crc)?;
    let header = SegmentHeader { number: survey.next, start: at, salt: disk.random(), before: crc };
    let file = make_segment(disk, header.number, HEADER + (end - at))?;
    let (mut before, mut frames) = (crc, 0);
    along(disk, survey, found, at, crc, &mut |mut head, body| {
        // Another salt makes another header, whose CRC the next one holds.
        head.before = before;
        let mut bytes = head.encode(header.salt).to_vec();
        bytes.extend_from_slice(body);
        bytes.resize(frame_bytes(head.length) as usize, 0);
        (before, frames) = (head.crc, frames + 1);
        file.write_at(&bytes, HEADER + (head.position - at))
    })?;
    file.append(0, &[&header.encode()])?;
    file.sync_data()?;
    Ok(Salvaged { end, frames })
}
