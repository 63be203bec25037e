//! Versions of pages with given cells, in an arena of their own: what kernels are tested on.

use std::sync::Arc;

use mmsb::base::ids::{Epoch, PageId};
use mmsb::base::limits::CHUNK;
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::{Arena, Options};
use mmsb::memory::machine::place::Place;
use mmsb::page::schema::Schema;
use mmsb::page::stage::{Scratch, Stage};
use mmsb::page::version::{self, ColumnMut, PageRef};

/// Makes versions; none of them goes.
pub struct Pages {
    arena: Arc<Arena>,
    seq: u64,
}

impl Pages {
    pub fn new() -> Self {
        let arena = Arena::with(Place::Memory, Options { budget: 8 << 30, prefault: false }).unwrap();
        Self { arena, seq: 0 }
    }

    /// A version with these bytes in its columns; chunks of zeros are not there.
    pub fn page(&mut self, schema: &Schema, rows: u64, columns: &[Vec<u8>]) -> Addr {
        self.seq += 1;
        let mut stage = Stage::new(&self.arena, self.seq, Scratch::default());
        let epoch = Epoch(self.seq);
        let at = version::create(&mut stage, PageId(1), Addr::default(), schema, rows, epoch).unwrap();
        for (i, bytes) in columns.iter().enumerate() {
            let root = match version::column_mut(&mut stage, at, schema, i).unwrap() {
                ColumnMut::Whole(to) => {
                    to.copy_from_slice(bytes);
                    continue;
                }
                ColumnMut::Tree(mut writer) => {
                    for (chunk, bytes) in bytes.chunks(CHUNK).enumerate() {
                        if bytes.iter().any(|byte| *byte != 0) {
                            writer.chunk(chunk as u64).unwrap()[..bytes.len()].copy_from_slice(bytes);
                        }
                    }
                    writer.root()
                }
            };
            version::set_tree(&self.arena, at, i, root);
        }
        stage.settle(&mut Vec::new());
        at
    }

    pub fn get(&self, at: Addr) -> PageRef<'_> {
        PageRef::new(&self.arena, at)
    }
}
