//! Following a log that another process writes: taking in the frames it has added since.

use crate::base::ids::Seq;
use crate::page::log::error::LogError;
use crate::page::log::frame::{FrameHead, Notes};
use crate::page::log::scan::Window;
use crate::page::log::segment::{Opened, Segment};
use crate::page::log::shared::{Shared, lock};
use crate::page::log::survey::Survey;
use crate::page::log::tail::Tail;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Bytes read at once: who asks often finds little.
const AHEAD: usize = 64 << 10;

/// How a log is followed.
pub(crate) struct Follow {
    /// The newest frame there is to be had.
    newest: Box<dyn Fn() -> Seq + Send + Sync>,
    describe: fn(&FrameHead, &[u8]) -> Notes,
    /// The newest frame that was taken in, and its header's CRC, for whoever takes in more.
    last: Mutex<u32>,
    seq: AtomicU64,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl Follow {
    /// From the frame `last` on, whose header has this CRC.
    pub fn new(
        newest: impl Fn() -> Seq + Send + Sync + 'static,
        describe: fn(&FrameHead, &[u8]) -> Notes,
        last: Option<&FrameHead>,
        crc: u32,
    ) -> Self {
        let seq = AtomicU64::new(last.map_or(0, |last| last.seq.0));
        Follow { newest: Box::new(newest), describe, last: Mutex::new(crc), seq }
    }

    fn is_behind(&self) -> bool {
        self.seq.load(Ordering::Acquire) < (self.newest)().0
    }
}

impl Shared {
    /// Takes in what another process has added, where this log follows one. What cannot be read now is not there for whoever
    /// asks for it, and is looked for again the next time.
    pub fn catch_up(&self) {
        if let Some(follow) = self.follow.get()
            && follow.is_behind()
        {
            let mut crc = lock(&follow.last);
            let _ = self.take_in(follow, &mut crc);
        }
    }

    fn take_in(&self, follow: &Follow, crc: &mut u32) -> Result<(), LogError> {
        while follow.is_behind() {
            let segments = self.segments();
            let Some(segment) = segments.last() else { return Ok(()) };
            self.frames_of(segment, follow, crc)?;
            if !follow.is_behind() {
                return Ok(());
            }
            let at = self.head();
            let Some(next) = Survey::new(&*self.disk)?.successor(segment.header.number, at, *crc) else {
                return Ok(());
            };
            segment.seal(at);
            self.forget_opened(segment.header.number);
            // The tail first: whoever finds a segment that has no footer yet finds its tail.
            *self.tail() = Tail::new(&next.header);
            self.change_segments(|segments| segments.push(Arc::new(Segment::open(next.header, None))));
        }
        Ok(())
    }

    /// Takes in the frames that a segment has behind those that are known.
    fn frames_of(&self, segment: &Segment, follow: &Follow, crc: &mut u32) -> Result<(), LogError> {
        let Some(opened) = Opened::open(&*self.disk, segment.header.number, false)? else { return Ok(()) };
        let (mut window, limit) = (Window::new(AHEAD), opened.limit()?);
        while follow.is_behind() {
            let at = self.head();
            let seen = window.holds(at);
            let Some((head, body)) =
                window.frame(&opened, at, limit)?.filter(|(head, _)| head.before == *crc)
            else {
                // It may have been written since what is behind the last one was read.
                if !seen {
                    return Ok(());
                }
                window.clear();
                continue;
            };
            self.tail().push(&head, (follow.describe)(&head, body).borrow());
            *crc = head.crc;
            self.head.store(head.end(), Ordering::Release);
            follow.seq.store(head.seq.0, Ordering::Release);
        }
        Ok(())
    }
}
