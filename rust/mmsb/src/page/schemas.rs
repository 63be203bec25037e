//! The schemas in use: one block each, shared by every page that has it, in a list that whoever opens the arena can follow.
//!
//! ```text
//! header, in which the schema's number is | the schema before it: address u64 | bytes u64 | the schema, encoded
//! ```
//! Each process keeps them decoded, by their numbers. None ever goes, and looking one up takes no lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::codec::{Reader, Writer};
use crate::base::sync::Ordering;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::memory::error::MemoryError;
use crate::page::block::{self, HEADER, Header, Kind, head, head_mut, words, words_mut};
use crate::page::catalog::DefRef;
use crate::page::schema::Schema;
use crate::page::stage::{alloc, free};
use crate::page::state_error::StateError;

/// Where the encoded schema begins.
const BYTES: usize = HEADER + 16;

/// The schemas of an arena, as this process knows them.
#[derive(Debug, Default)]
pub struct Schemas {
    /// By number.
    decoded: boxcar::Vec<Arc<Schema>>,
    known: Mutex<Known>,
}

/// What is known of the list.
#[derive(Debug, Default)]
struct Known {
    /// The blocks, by what their schemas are encoded as.
    by_bytes: HashMap<Vec<u8>, Addr>,
    /// The one added last.
    newest: Addr,
}

impl Schemas {
    /// The schema that a definition holds.
    #[inline]
    pub fn of(&self, def: DefRef<'_>) -> &Arc<Schema> {
        let number = head(def.arena, def.schema_at()).extra() as usize;
        match self.decoded.get(number) {
            Some(schema) => schema,
            None => self.learn(def.arena, number),
        }
    }

    /// The schema's address; equal schemas have one, which lives as long as the arena.
    pub fn intern(&self, arena: &Arena, schema: &Schema) -> Result<Addr, StateError> {
        let mut encoded = Writer::new();
        schema.encode(&mut encoded);
        let (encoded, mut fresh) = (encoded.into_vec(), None);
        let mut known = self.known();
        loop {
            self.catch_up(arena, &mut known)?;
            if let Some(&at) = known.by_bytes.get(&encoded) {
                if let Some(superfluous) = fresh {
                    free(arena, superfluous, head(arena, superfluous).bytes);
                }
                return Ok(at);
            }
            // Not part of any stage: a schema outlives the commit that needed it first, even an undone one.
            let at = match fresh {
                Some(at) => at,
                None => *fresh.insert(write(arena, &encoded)?),
            };
            head_mut(arena, at).set_extra(self.decoded.count() as u32);
            words_mut(arena, at, HEADER, 1)[0] = known.newest.0;
            // Where another process was first, its schema may be this one.
            let newest = &arena.control().schemas.0;
            if newest.compare_exchange(known.newest.0, at.0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                fresh = None;
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schema of a number, which another process gave it.
    #[cold]
    fn learn(&self, arena: &Arena, number: usize) -> &Arc<Schema> {
        self.catch_up(arena, &mut self.known()).expect("the spans of all schemas can be mapped");
        &self.decoded[number]
    }

    /// Takes in the schemas that came to be since the last time.
    fn catch_up(&self, arena: &Arena, known: &mut Known) -> Result<(), MemoryError> {
        let (mut at, mut new) = (newest(arena)?, Vec::new());
        while at != known.newest {
            debug_assert!(!at.is_null(), "the schemas of one arena are known, and another is asked for");
            new.push(at);
            at = Addr(words(arena, at, HEADER, 1)[0]);
        }
        for at in new.into_iter().rev() {
            let length = words(arena, at, HEADER, 2)[1] as usize;
            let encoded = block::bytes(arena, at, BYTES, length);
            let schema = Schema::decode(&mut Reader::new(encoded)).expect("it was encoded by `intern`");
            self.decoded.push(Arc::new(schema));
            known.by_bytes.insert(encoded.to_vec(), at);
            known.newest = at;
        }
        Ok(())
    }
}

/// The newest schema in the list.
fn newest(arena: &Arena) -> Result<Addr, MemoryError> {
    let newest = Addr(arena.control().schemas.0.load(Ordering::Acquire));
    // One that another process has added may lie in a span that this one has not met.
    arena.meet()?;
    Ok(newest)
}

/// Where the blocks of all schemas lie, and how many bytes each has.
pub fn blocks(arena: &Arena) -> Result<Vec<(Addr, usize)>, MemoryError> {
    let mut blocks = Vec::new();
    let mut at = newest(arena)?;
    while !at.is_null() {
        blocks.push((at, head(arena, at).bytes as usize));
        at = Addr(words(arena, at, HEADER, 1)[0]);
    }
    Ok(blocks)
}

/// Writes a schema's block, which is not in the list yet.
fn write(arena: &Arena, encoded: &[u8]) -> Result<Addr, MemoryError> {
    let bytes = BYTES + encoded.len();
    let at = alloc(arena, bytes)?;
    block::init(arena, at, Header::new(Kind::Schema, bytes, 0, 0));
    words_mut(arena, at, HEADER, 2)[1] = encoded.len() as u64;
    block::bytes_mut(arena, at, BYTES, encoded.len()).copy_from_slice(encoded);
    Ok(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::base::ids::{BranchId, Epoch, PageId};
    use crate::memory::arena::Options;
    use crate::memory::machine::place::Place;
    use crate::page::catalog::{define, empty_root};
    use crate::page::dtype::DType;
    use crate::page::schema::{Column, Kind as Of};
    use crate::page::stage::{Scratch, Stage};
    use std::collections::BTreeSet;

    fn array(shape: u64) -> Schema {
        Schema::array(DType::F32, vec![shape], false, None).unwrap()
    }

    /// A schema whose block is larger than a chunk.
    fn wide() -> Schema {
        let column = |i: usize| Column::new(format!("{i:0200}"), DType::U8, Vec::new());
        Schema::new(Of::Table, (0..200).map(|i| column(i).unwrap()).collect(), None).unwrap()
    }

    fn arena() -> Arc<Arena> {
        Arena::with(Place::Memory, Options { budget: 1 << 30, prefault: false }).unwrap()
    }

    #[test]
    fn equal_ones_have_one_block_in_every_process() {
        let (arena, mine, others) = (arena(), Schemas::default(), Schemas::default());
        let first = mine.intern(&arena, &array(3)).unwrap();
        assert_eq!(others.intern(&arena, &array(3)).unwrap(), first);
        let large = others.intern(&arena, &wide()).unwrap();
        assert_eq!((mine.intern(&arena, &wide()).unwrap(), mine.decoded.count()), (large, 2));
        let second = mine.intern(&arena, &array(4)).unwrap();
        assert_ne!(second, first);
        let late = Schemas::default();
        let again = [array(3), wide(), array(4)].map(|schema| late.intern(&arena, &schema).unwrap());
        assert_eq!(again, [first, large, second]);
    }

    #[test]
    fn one_that_another_process_made_is_found_by_its_number() {
        let (arena, mine, others) = (arena(), Schemas::default(), Schemas::default());
        let all: Vec<Schema> = (1..20).map(array).chain([wide()]).collect();
        let mut stage = Stage::new(&arena, 1, Scratch::default());
        empty_root(&mut stage, BranchId::MAIN, Epoch(0)).unwrap();
        let mut define = |(i, schema): (usize, &Schema)| {
            let at = others.intern(&arena, schema).unwrap();
            define(&mut stage, Addr::NULL, PageId(i as u64), "a page", at, &[]).unwrap()
        };
        let defs: Vec<Addr> = all.iter().enumerate().map(&mut define).collect();
        for (&at, schema) in defs.iter().zip(&all).rev() {
            assert_eq!(**mine.of(DefRef { arena: &arena, at }), *schema);
        }
    }

    #[test]
    fn those_who_add_at_once_agree() {
        let arena = arena();
        let of = |thread: u64| (0..60).map(move |i| array(1 + (i * (thread + 1)) % 90));
        let added: Vec<Vec<Addr>> = std::thread::scope(|scope| {
            let add = |thread| {
                let (arena, process) = (&arena, Schemas::default());
                move || of(thread).map(|schema| process.intern(arena, &schema).unwrap()).collect()
            };
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(add(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let late = Schemas::default();
        for (thread, added) in (0..).zip(&added) {
            let again: Vec<Addr> = of(thread).map(|schema| late.intern(&arena, &schema).unwrap()).collect();
            assert_eq!(again, *added);
        }
        let all: BTreeSet<Addr> = added.into_iter().flatten().collect();
        let numbers: BTreeSet<u32> = all.iter().map(|&at| head(&arena, at).extra()).collect();
        assert!(numbers.into_iter().eq(0..all.len() as u32), "each has a number, and none is left out");
        let bytes = all.iter().map(|&at| u64::from(head(&arena, at).bytes).next_multiple_of(64));
        assert_eq!(arena.stats().used_small, bytes.sum::<u64>(), "what was made in vain is given back");
    }
}
