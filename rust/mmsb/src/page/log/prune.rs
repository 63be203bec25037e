//! Letting go of old segments, and compressing those that are kept.

use crate::base::limits::LOG_BLOCK;
use crate::memory::disk::Open;
use crate::page::log::error::LogError;
use crate::page::log::packed::Packer;
use crate::page::log::segment::{DIR, Opened, Segment, path};
use crate::page::log::shared::{Shared, lock};
use crate::page::log::writer::Log;
use std::sync::Arc;

/// Compresses sealed segments, on any thread, while frames are appended.
#[derive(Clone, Debug)]
pub struct Compressor {
    shared: Arc<Shared>,
}

impl Log {
    /// Removes the segments whose frames all end at or before `position`, but never the one with the last frame. Where
    /// the log starts now. Crash safe: the superblock names the new start before anything goes.
    pub fn prune_before(&mut self, position: u64) -> Result<u64, LogError> {
        self.shared.may_write()?;
        let shared = &self.shared;
        let _one = lock(&shared.maintenance);
        let _all = shared.alone()?;
        let (segments, head) = (shared.segments(), shared.head());
        let goes = |segment: &Arc<Segment>| segment.end().is_some_and(|end| end <= position && end < head);
        let count = segments.iter().take_while(|segment| goes(segment)).count();
        let Some(first) = segments.get(count).filter(|_| count > 0) else { return Ok(self.start_position()) };
        let (start, before) = (first.header.start, first.header.before);
        // What is pruned must not come back as the end of a shorter log.
        shared.sync_through(start, None)?;
        let synced = shared.synced();
        shared.write_superblock(|file| {
            file.write_both(|now| {
                (now.log_start, now.log_start_crc) = (start, before);
                now.synced = now.synced.max(synced);
            })
        })?;
        shared.forget_before(start);
        for segment in &segments[..count] {
            for path in [path(segment.header.number, true), path(segment.header.number, false)] {
                // Another process may have compressed it.
                if shared.disk.exists(&path) {
                    shared.disk.remove(&path)?;
                }
            }
        }
        shared.disk.sync_dir(DIR)?;
        Ok(start)
    }

    /// Compresses all sealed segments that are not yet; how many. See [`Log::compressor`].
    pub fn compress_sealed(&self) -> Result<usize, LogError> {
        let compressor = self.compressor();
        let mut count = 0;
        while compressor.compress_one()? {
            count += 1;
        }
        Ok(count)
    }

    /// Compresses segments from another thread.
    #[must_use]
    pub fn compressor(&self) -> Compressor {
        Compressor { shared: Arc::clone(&self.shared) }
    }
}

impl Compressor {
    /// Compresses the oldest segment that is sealed, durable and not compressed; whether there was one. Readers do not
    /// notice.
    pub fn compress_one(&self) -> Result<bool, LogError> {
        let shared = &*self.shared;
        let _one = lock(&shared.maintenance);
        shared.may_write()?;
        let _all = shared.alone()?;
        let synced = shared.synced();
        let ready = |segment: &&Arc<Segment>| {
            !segment.packed && segment.end().is_some_and(|end| end <= synced && end > segment.header.start)
        };
        let Some(segment) = shared.segments().iter().find(ready).cloned() else { return Ok(false) };
        let number = segment.header.number;
        let end = shared.end_of(&segment);
        // Another process may have done it.
        if !shared.disk.exists(&path(number, true)) {
            self.write(&segment)?;
            shared.disk.rename(&unfinished(number), &path(number, true))?;
            shared.disk.sync_dir(DIR)?;
        }
        let packed = Arc::new(Segment::sealed(segment.header, end, true));
        shared.change_segments(|segments| {
            if let Some(place) = segments.iter_mut().find(|segment| segment.header.number == number) {
                *place = packed;
            }
        });
        shared.forget_opened(number);
        if shared.disk.exists(&path(number, false)) {
            shared.disk.remove(&path(number, false))?;
        }
        shared.disk.sync_dir(DIR)?;
        Ok(true)
    }

    /// Writes the compressed file under its unfinished name, durably, and reads it back.
    fn write(&self, segment: &Segment) -> Result<(), LogError> {
        let shared = &*self.shared;
        let (header, end) = (segment.header, shared.end_of(segment));
        let plain = shared.opened(segment)?;
        let footer =
            shared.footer(segment)?.ok_or_else(|| segment.corrupt(end, "the segment has no footer"))?;
        let name = unfinished(header.number);
        if shared.disk.exists(&name) {
            shared.disk.remove(&name)?;
        }
        let file = shared.disk.open(&name, Open::Create)?;
        let mut packer = Packer::new(&*file);
        let mut bytes = vec![0; LOG_BLOCK as usize];
        let mut at = header.start;
        let damaged = |at| segment.corrupt(at, "the frames do not read back as they were written");
        while at < end {
            let count = LOG_BLOCK.min(end - at) as usize;
            if !plain.read_exact(&mut bytes[..count], at)? {
                return Err(damaged(at));
            }
            packer.block(&bytes[..count])?;
            at += count as u64;
        }
        packer.finish(&header, end, footer.bytes())?;
        let written = Opened::packed(file, header.number)?.filter(|written| written.header == header);
        let written = written.ok_or_else(|| damaged(header.start))?;
        let mut again = bytes.clone();
        let mut at = header.start;
        while at < end {
            let count = LOG_BLOCK.min(end - at) as usize;
            let same = plain.read_exact(&mut bytes[..count], at)?
                && written.read_exact(&mut again[..count], at)?
                && bytes[..count] == again[..count];
            if !same {
                return Err(damaged(at));
            }
            at += count as u64;
        }
        match written.footer()? {
            Some(_) => Ok(()),
            None => Err(damaged(end)),
        }
    }
}

fn unfinished(number: u64) -> String {
    format!("{}.new", path(number, true))
}
