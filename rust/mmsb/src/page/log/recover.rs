//! Finding where the log ends: the walk along its segments, and the proof that nothing durable is missing.

use crate::memory::disk::Disk;
use crate::page::log::error::LogError;
use crate::page::log::footer::Footer;
use crate::page::log::frame::{Describe, FrameHead};
use crate::page::log::scan::{READ_AHEAD, Remainder, Window, remainder};
use crate::page::log::segment::{Opened, Segment};
use crate::page::log::superblock::Superblock;
use crate::page::log::survey::{Found, Survey};
use crate::page::log::tail::Tail;
use std::sync::Arc;

/// A segment of the log, as the walk found it.
#[derive(Debug)]
pub(crate) struct Link {
    pub found: Found,
    /// Position behind its last frame.
    pub end: u64,
    /// Its index, if its frames were read.
    pub tail: Option<Tail>,
    /// The footer in its file, if it is one of exactly these frames.
    pub footer: Option<Arc<Footer>>,
}

/// The log, as the walk found it.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Oldest first; never empty.
    pub links: Vec<Link>,
    pub end: u64,
    /// Header CRC of the last frame.
    pub crc: u32,
    pub last: Option<FrameHead>,
    /// Frames read and verified.
    pub scanned: u64,
    /// What lies behind the end in the last segment.
    pub behind: Remainder,
    /// Bytes that cannot be reached any more.
    pub lost: u64,
}

/// Where the walk is.
struct Walk<'a> {
    disk: &'a dyn Disk,
    survey: &'a Survey,
    superblock: &'a Superblock,
    at: u64,
    crc: u32,
    scanned: u64,
}

fn corrupt(found: &Found, position: u64, what: &'static str) -> LogError {
    Segment::sealed(found.header, position, found.packed).corrupt(position, what)
}

/// Walks the log from the start that the superblock names to its end. Segments that are known durable and have a valid
/// footer are not read.
pub(crate) fn walk(
    disk: &dyn Disk,
    survey: &Survey,
    superblock: &Superblock,
    describe: Describe<'_>,
) -> Result<Chain, LogError> {
    let (at, crc) = (superblock.log_start, superblock.log_start_crc);
    let mut walk = Walk { disk, survey, superblock, at, crc, scanned: 0 };
    let Some(mut found) = survey.successor(0, at, crc) else {
        let what = "no segment starts where the log starts";
        return Err(LogError::CorruptLog { segment: 0, offset: 0, position: at, what });
    };
    let mut links: Vec<Link> = Vec::new();
    loop {
        let Some(opened) = Opened::open(disk, found.header.number, found.packed)? else {
            return Err(corrupt(&found, found.header.start, "the segment's header is damaged"));
        };
        found.packed = opened.is_packed();
        links.push(walk.segment(found, &opened, describe)?);
        match survey.successor(found.header.number, walk.at, walk.crc) {
            Some(next) => found = next,
            None => {
                let sealed = links.last().is_some_and(|link| link.footer.is_some());
                let (behind, lost) = walk.nothing_is_missing(&found, &opened, sealed)?;
                let last = last_head(disk, &links)?;
                let Walk { at: end, crc, scanned, .. } = walk;
                return Ok(Chain { links, end, crc, last, scanned, behind, lost });
            }
        }
    }
}

impl Walk<'_> {
    /// Goes through one segment, to where another one takes over or no valid frame follows.
    fn segment(&mut self, found: Found, opened: &Opened, describe: Describe<'_>) -> Result<Link, LogError> {
        let (number, start) = (found.header.number, found.header.start);
        let footer = opened.footer()?;
        if let Some(footer) = &footer {
            let durable = found.packed || footer.end <= self.superblock.synced;
            if durable && !self.survey.any_inside(number, start, footer.end) {
                (self.at, self.crc) = (footer.end, footer.last_crc);
                return Ok(Link { found, end: footer.end, tail: None, footer: Some(Arc::clone(footer)) });
            }
        }
        let limit = opened.limit()?;
        let (mut window, mut tail) = (Window::new(READ_AHEAD), Tail::new(&found.header));
        loop {
            let seen = window.holds(self.at);
            let Some((head, body)) = window.frame(opened, self.at, limit)? else {
                // Somebody may have written it since what is behind the last one was read.
                if !seen {
                    break;
                }
                window.clear();
                continue;
            };
            if head.before != self.crc {
                break;
            }
            tail.push(&head, describe(&head, body).borrow());
            (self.at, self.crc) = (head.end(), head.crc);
            self.scanned += 1;
            if self.survey.successor(number, self.at, self.crc).is_some() {
                break;
            }
        }
        let footer = footer.filter(|footer| footer.end == self.at && footer.last_crc == self.crc);
        Ok(Link { found, end: self.at, tail: Some(tail), footer })
    }

    /// The log ends here, in this segment: fails if anything durable lies behind. What does lie behind it here, and
    /// how many bytes of unfinished frames are lost in all (a footer is none).
    fn nothing_is_missing(
        &self,
        last: &Found,
        opened: &Opened,
        sealed: bool,
    ) -> Result<(Remainder, u64), LogError> {
        let what = "a frame that was durable is damaged or missing";
        let damaged = Err(corrupt(last, self.at, what));
        if self.superblock.synced > self.at {
            return damaged;
        }
        if last.packed {
            let whole = opened.limit()? == self.at;
            return if whole { Ok((Remainder::default(), 0)) } else { damaged };
        }
        let behind = remainder(opened, self.at)?;
        if behind.synced > self.at {
            return damaged;
        }
        let mut lost = if sealed { 0 } else { behind.dirty_to.saturating_sub(self.at) };
        for later in self.survey.after(last.header.number) {
            // Only what is durable is compressed.
            if later.packed {
                return damaged;
            }
            let Some(opened) = Opened::open(self.disk, later.header.number, false)? else { continue };
            if opened.is_packed() {
                return damaged;
            }
            let behind = remainder(&opened, later.header.start)?;
            if behind.synced > self.at {
                return damaged;
            }
            lost += behind.dirty_to.saturating_sub(later.header.start);
        }
        Ok((behind, lost))
    }
}

/// The last frame's header.
fn last_head(disk: &dyn Disk, links: &[Link]) -> Result<Option<FrameHead>, LogError> {
    for link in links.iter().rev() {
        match (&link.tail, &link.footer) {
            (Some(tail), _) if tail.is_empty() => {}
            (Some(tail), _) => return Ok(tail.last().copied()),
            (None, Some(footer)) => {
                let header = link.found.header;
                let opened = Opened::open(disk, header.number, link.found.packed)?;
                let damaged = || corrupt(&link.found, footer.last, "the last frame's header is damaged");
                let opened = opened.ok_or_else(damaged)?;
                let head = Window::new(0).head(&opened, footer.last, footer.end)?.ok_or_else(damaged)?;
                return if head.crc == footer.last_crc { Ok(Some(head)) } else { Err(damaged()) };
            }
            (None, None) => {}
        }
    }
    Ok(None)
}
