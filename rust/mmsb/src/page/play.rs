//! Replay of a frame's body into a draft. Deltas are written as they are read; small assignments wait for their memory.
//!
//! A store to memory that is in no cache holds up all stores after it. So where a small delta goes is looked up, the memory
//! asked for, and the bytes put there some deltas later, in the order they came in.

use std::borrow::Cow;

use crate::base::codec::Reader;
use crate::base::ids::PageId;
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::block;
use crate::page::body::{self, Record};
use crate::page::column::FAN;
use crate::page::delta::{Data, Delta, Part};
use crate::page::draft::{Draft, Own};
use crate::page::select::{Rows, Select};
use crate::page::state_error::StateError;
use crate::page::tree;
use crate::page::version::{self, ColumnMut, SMALL_COLUMN};

/// Assignments that wait at most: about as many lines as a core fetches at a time.
const WAITING: usize = 16;

/// Bytes of a body below which none waits: there is not enough of them to be worth it.
const LONG: usize = 512;
/// Bytes of one that waits: more make a copy long enough to go on while memory comes.
const SMALL: usize = 1024;

/// Bytes for a place in a fresh chunk.
#[derive(Clone, Copy, Default)]
struct Small<'b> {
    chunk: Addr,
    offset: usize,
    bytes: &'b [u8],
}

impl Small<'_> {
    fn put(&self, arena: &Arena) {
        let to = block::bytes_mut(arena, self.chunk, self.offset, self.bytes.len());
        to.copy_from_slice(self.bytes);
    }
}

/// Assignments that wait for their memory, the last of them before `next`.
#[derive(Default)]
struct Waiting<'b> {
    all: [Small<'b>; WAITING],
    next: usize,
    count: usize,
}

impl<'b> Waiting<'b> {
    fn push(&mut self, arena: &Arena, small: Small<'b>) {
        block::prefetch(arena, small.chunk, small.offset, small.bytes.len());
        let oldest = std::mem::replace(&mut self.all[self.next], small);
        if self.count == WAITING {
            oldest.put(arena);
        } else {
            self.count += 1;
        }
        self.next = (self.next + 1) % WAITING;
    }

    fn put_all(&mut self, arena: &Arena) {
        for i in (1..=std::mem::take(&mut self.count)).rev() {
            self.all[(self.next + WAITING - i) % WAITING].put(arena);
        }
    }
}

impl<'a> Draft<'a> {
    /// Does what the body of a frame says to pages, and shows `note` all of it but the deltas.
    pub fn play(&mut self, body: &[u8], note: impl FnMut(&Record<'_>)) -> Result<(), StateError> {
        self.play_of(body, |_| true, note)
    }

    /// As [`Draft::play`], to one page alone. Of deltas of others it notices less.
    pub fn play_page(&mut self, body: &[u8], page: PageId) -> Result<(), StateError> {
        self.play_of(body, |about| about == page, |_| {})
    }

    /// As [`Draft::play`], to the pages that are wanted.
    fn play_of(
        &mut self,
        body: &[u8],
        wanted: impl Fn(PageId) -> bool,
        mut note: impl FnMut(&Record<'_>),
    ) -> Result<(), StateError> {
        let (mut from, arena) = (Reader::new(body), self.stage.arena());
        let mut waiting = (body.len() >= LONG).then(Waiting::default);
        let put_all = |waiting: &mut Option<Waiting<'_>>| {
            if let Some(waiting) = waiting {
                waiting.put_all(arena);
            }
        };
        while !from.is_empty() {
            match body::next_but_delta(&mut from)? {
                Some(record) if record.page().is_none_or(&wanted) => {
                    put_all(&mut waiting);
                    note(&record);
                    self.apply(&record)?;
                }
                Some(_) => {}
                None => Delta::decode_parts(
                    &mut from,
                    |page, op| match wanted(page) {
                        true => Ok(Some((self.own(page, op)?, (&mut *self, &mut waiting)))),
                        false => Ok(None),
                    },
                    |(own, (draft, waiting)), part| draft.play_part(*own, part, waiting),
                )?,
            }
        }
        put_all(&mut waiting);
        Ok(())
    }

    /// Writes a part, or has it wait. Inlined by force, like what reads the part.
    #[inline(always)]
    fn play_part<'b>(
        &mut self,
        own: Own<'a>,
        part: &Part<'b>,
        waiting: &mut Option<Waiting<'b>>,
    ) -> Result<(), StateError> {
        let arena = self.stage.arena();
        match (self.small(own, part)?, waiting) {
            (Some(small), Some(waiting)) => waiting.push(arena, small),
            (Some(small), None) => small.put(arena),
            (None, waiting) => {
                if let Some(waiting) = waiting {
                    waiting.put_all(arena);
                }
                self.write_part(own, part, &part.data)?;
            }
        }
        Ok(())
    }

    /// A part as bytes for one place, where it is nothing else: a plain range assigned inside a chunk.
    #[inline(always)]
    fn small<'b>(&mut self, own: Own<'a>, part: &Part<'b>) -> Result<Option<Small<'b>>, StateError> {
        let Select::Rows { rows: Rows::Range { start, stop, step: 1 }, inner: None } = part.select else {
            return Ok(None);
        };
        let Data::Dense(Cow::Borrowed(bytes)) = part.data else { return Ok(None) };
        if !own.op.is_assign() || bytes.is_empty() || bytes.len() > SMALL {
            return Ok(None);
        }
        let (column, rows) = (own.schema.column(part.column)?, own.page.rows());
        let width = column.row_bytes();
        // Whoever writes it otherwise says what is wrong with it.
        let fits = start < stop && stop <= rows && (stop - start) * width == bytes.len() as u64;
        if !fits || rows * width <= SMALL_COLUMN {
            return Ok(None);
        }
        let from = start * width;
        let (index, offset) = (from / CHUNK as u64, (from % CHUNK as u64) as usize);
        if offset + bytes.len() > CHUNK {
            return Ok(None);
        }
        let chunk = self.fresh_chunk(own, part.column, index)?;
        Ok(chunk.map(|chunk| Small { chunk, offset, bytes }))
    }

    /// Where a chunk of a column may be written; `None` where the column has none.
    fn fresh_chunk(&mut self, own: Own<'a>, column: u16, index: u64) -> Result<Option<Addr>, StateError> {
        let key = (own.page.id().0, column, index / FAN);
        if let Some(leaf) = self.stage.leaf(key)
            && let Some(chunk) = tree::fresh_chunk(&self.stage, leaf, index)
        {
            return Ok(Some(chunk));
        }
        let (at, i) = (own.page.at, usize::from(column));
        let ColumnMut::Tree(mut writer) = version::column_mut(&mut self.stage, at, own.schema, i)? else {
            return Ok(None);
        };
        let chunk = writer.chunk_at(index)?;
        let (root, leaf) = (writer.root(), writer.leaf());
        version::set_tree(self.stage.arena(), at, i, root);
        self.stage.note_leaf(key, leaf);
        Ok(Some(chunk))
    }
}
