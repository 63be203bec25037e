//! Cells that another process reads in, and those that it left unread when it went: each is made by whoever wants it then.

use std::hash::{BuildHasher, RandomState};
use std::thread::sleep;
use std::time::Instant;

use crate::base::limits::{READ_IN_LOOK, READ_IN_WAIT};
use crate::base::wait::aside;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::block::{head, untag};
use crate::page::checkpoint::error::CheckpointError;
use crate::page::checkpoint::lazy::{Lazy, copy, lock};
use crate::page::stage::{LOADED, Scratch, Stage};
use crate::page::version;

impl Lazy {
    /// Waits until the process that made the memory has read in the version at `at`, which it does unasked; where that is gone,
    /// makes it by another way.
    #[cold]
    pub(super) fn wait(&self, arena: &Arena, at: Addr) -> Result<(), CheckpointError> {
        let seconds = READ_IN_WAIT.as_secs();
        aside(|| {
            let end = Instant::now() + READ_IN_WAIT;
            while head(arena, at).unread().is_some() {
                if !arena.is_read_in() {
                    return self.make(arena, at);
                }
                if Instant::now() >= end {
                    return Err(CheckpointError::Elsewhere { page: head(arena, at).key, seconds });
                }
                sleep(READ_IN_LOOK);
            }
            Ok(())
        })
    }

    /// Makes the version at `at` by another way, unless another process does so.
    fn make(&self, arena: &Arena, at: Addr) -> Result<(), CheckpointError> {
        let at = untag(at);
        let gone = || CheckpointError::Elsewhere { page: head(arena, at).key, seconds: 0 };
        let rescue = self.rescue.get().ok_or_else(gone)?;
        let _one = lock(&self.making);
        let _alone = rescue.alone().ok_or_else(gone)?;
        if head(arena, at).unread().is_none() {
            return Ok(());
        }
        // No block is ever at one place and of one seq anew.
        let seq = LOADED | RandomState::new().hash_one(at.0) >> 2;
        let (mut stage, mut copied) = (Stage::new(arena, seq, Scratch::default()), None);
        version::clear(arena, at);
        let made = rescue.version(at, &mut |from, schema| {
            copied = Some(copy(&mut stage, at, schema, from));
        });
        match (made, copied) {
            (Ok(()), Some(Ok(()))) => {}
            (_, Some(Err(error))) => {
                stage.abort();
                return Err(error);
            }
            _ => {
                stage.abort();
                return Err(gone());
            }
        }
        let mut retired = Vec::new();
        stage.settle(&mut retired);
        assert!(retired.is_empty(), "what is read in takes nothing's place");
        head(arena, at).set_read();
        Ok(())
    }
}
