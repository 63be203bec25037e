//! One version of a page: its rows and columns, immutable once published.

use crate::base::ids::{Epoch, PageId};
use crate::base::limits::CHUNK;
use crate::memory::addr::Addr;
use crate::memory::arena::{Arena, SMALL_MAX};
use crate::page::block::{self, HEADER, Kind, PAYLOAD, head, head_mut, is_null, words, words_mut};
use crate::page::catalog::DefRef;
use crate::page::column::{ColumnRef, Place, chunks_of};
use crate::page::schema::Schema;
use crate::page::stage::Stage;
use crate::page::state_error::StateError;
use crate::page::tree::{self, TreeWriter};

/// Words before the children of a version: epoch and rows.
const FIXED: usize = block::first_child(Kind::Packed);
/// Byte offset of the first column's slot of a split version: behind the definition's.
const COLUMNS: usize = HEADER + 8 * (FIXED + 1);
const _: () = assert!(COLUMNS <= PAYLOAD);
/// The largest column, or packed page, that lies in one small block.
pub(super) const SMALL_COLUMN: u64 = (SMALL_MAX - PAYLOAD) as u64;

/// One version of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageRef<'a> {
    /// The arena it lies in.
    pub arena: &'a Arena,
    /// Its block.
    pub at: Addr,
}

impl<'a> PageRef<'a> {
    /// The version at `at`.
    #[inline]
    pub fn new(arena: &'a Arena, at: Addr) -> Self {
        PageRef { arena, at }
    }

    /// The page's id.
    #[inline]
    pub fn id(&self) -> PageId {
        PageId(head(self.arena, self.at).key)
    }

    /// The epoch that made this version.
    #[inline]
    pub fn version(&self) -> Epoch {
        Epoch(words(self.arena, self.at, HEADER, 1)[0])
    }

    /// The seq of the frame that made this version.
    #[inline]
    pub fn born(&self) -> u64 {
        head(self.arena, self.at).born
    }

    /// The marks that it has, see [`crate::page::draft::Draft::set_marks`]; 0 for none.
    #[inline]
    pub fn marks(&self) -> u8 {
        head(self.arena, self.at).shift
    }

    /// How many rows it has.
    #[inline]
    pub fn rows(&self) -> u64 {
        words(self.arena, self.at, HEADER, 2)[1]
    }

    /// Its definition.
    #[inline]
    pub fn def(&self) -> DefRef<'a> {
        DefRef { arena: self.arena, at: Addr(words(self.arena, self.at, HEADER, FIXED + 1)[FIXED]) }
    }

    /// Column `i` under the page's schema.
    ///
    /// # Panics
    /// When the cells are on disk still: whoever hands a version out to be read has had it read in.
    #[inline(always)]
    pub fn column(&self, schema: &Schema, i: usize) -> ColumnRef<'a> {
        self.check_read();
        self.column_so_far(schema, i)
    }

    /// Whether its columns lie behind its header, where they can be read.
    #[inline]
    pub fn is_packed(&self) -> bool {
        head(self.arena, self.at).kind == Kind::Packed && self.is_read()
    }

    /// The first bytes of the first column of a version of which [`PageRef::is_packed`] says that they are there.
    #[inline]
    pub(crate) fn first_cells(&self, bytes: usize) -> &'a [u8] {
        debug_assert!(self.is_packed() && bytes <= head(self.arena, self.at).bytes as usize - PAYLOAD);
        block::bytes(self.arena, self.at, PAYLOAD, bytes)
    }

    /// Whether its cells are in memory.
    #[inline]
    pub fn is_read(&self) -> bool {
        head(self.arena, self.at).unread().is_none()
    }

    #[inline]
    fn check_read(&self) {
        assert!(self.is_read(), "{} is read before it was read in", self.id());
    }

    /// Column `i` of a version that is being made.
    #[inline]
    pub(crate) fn column_so_far(&self, schema: &Schema, i: usize) -> ColumnRef<'a> {
        let bytes = self.rows() * schema.columns()[i].row_bytes();
        let place = if head(self.arena, self.at).kind == Kind::Packed {
            Place::Block(self.at, PAYLOAD + packed_bytes(schema, self.rows(), i) as usize)
        } else {
            split_place(Addr(words(self.arena, self.at, COLUMNS + 8 * i, 1)[0]), bytes)
        };
        ColumnRef { arena: self.arena, place, bytes }
    }
}

impl<'a> PageRef<'a> {
    /// The bytes of all columns, where they lie behind the version's header: as [`Schema::packed_layout`] says.
    ///
    /// # Panics
    /// As [`PageRef::column`].
    #[inline]
    pub fn packed(&self, schema: &Schema) -> Option<&'a [u8]> {
        self.check_read();
        let bytes = packed_bytes(schema, self.rows(), schema.columns().len()) as usize;
        let packed = head(self.arena, self.at).kind == Kind::Packed;
        packed.then(|| block::bytes(self.arena, self.at, PAYLOAD, bytes))
    }
}

/// Where a column of a split version lies, from what its slot holds.
#[inline]
fn split_place(slot: Addr, bytes: u64) -> Place {
    if bytes <= SMALL_COLUMN { Place::Block(slot, PAYLOAD) } else { Place::Tree(slot) }
}

/// Bytes that the first `n` columns of `rows` rows take behind a header, each from a cache line on.
#[inline]
fn packed_bytes(schema: &Schema, rows: u64, n: usize) -> u64 {
    schema.columns()[..n].iter().map(|column| (rows * column.row_bytes()).next_multiple_of(64)).sum()
}

/// Whether a page of `rows` rows has its columns behind its header.
fn is_packed(schema: &Schema, rows: u64) -> bool {
    packed_bytes(schema, rows, schema.columns().len()) <= SMALL_COLUMN
}

/// A new version with `rows` rows of zeros, made by `epoch`. Takes over one count of the definition.
pub fn create(
    stage: &mut Stage<'_>,
    id: PageId,
    def: Addr,
    schema: &Schema,
    rows: u64,
    epoch: Epoch,
) -> Result<Addr, StateError> {
    let arena = stage.arena();
    let columns = schema.columns().len();
    let at = if is_packed(schema, rows) {
        let payload = packed_bytes(schema, rows, columns) as usize;
        let at = stage.node(Kind::Packed, PAYLOAD + payload, id.0)?;
        head_mut(arena, at).slots = 1;
        block::bytes_mut(arena, at, PAYLOAD, payload).fill(0);
        at
    } else {
        let at = stage.node(Kind::Split, COLUMNS + 8 * columns, id.0)?;
        head_mut(arena, at).slots = 1 + columns as u16;
        words_mut(arena, at, COLUMNS, columns).fill(0);
        at
    };
    words_mut(arena, at, HEADER, FIXED + 1).copy_from_slice(&[epoch.0, rows, def.0]);
    Ok(at)
}

/// Takes the columns of a version that is being made away again.
pub(crate) fn clear(arena: &Arena, at: Addr) {
    let header = head(arena, at);
    match header.kind {
        Kind::Split => words_mut(arena, at, COLUMNS, usize::from(header.slots) - 1).fill(0),
        _ => block::bytes_mut(arena, at, PAYLOAD, header.bytes as usize - PAYLOAD).fill(0),
    }
}

/// Gives the fresh version marks.
pub fn set_marks(arena: &Arena, at: Addr, marks: u8) {
    head_mut(arena, at).shift = marks;
}

/// Gives the fresh version another definition; counts are the caller's business.
pub fn set_def(arena: &Arena, at: Addr, def: Addr) {
    words_mut(arena, at, HEADER, FIXED + 1)[FIXED] = def.0;
}

/// Notes that `epoch` made the fresh version.
#[inline]
pub fn set_version(arena: &Arena, at: Addr, epoch: Epoch) {
    words_mut(arena, at, HEADER, 1)[0] = epoch.0;
}

/// Writes bytes of a fresh version's columns, which lie behind its header, from byte `offset` of its block on.
#[inline]
pub fn overwrite(arena: &Arena, at: Addr, offset: usize, bytes: &[u8]) {
    let header = head(arena, at);
    let room = header.bytes as usize;
    assert!(
        header.kind == Kind::Packed && offset >= PAYLOAD && offset + bytes.len() <= room,
        "{offset} of {room}"
    );
    block::bytes_mut(arena, at, offset, bytes.len()).copy_from_slice(bytes);
}

/// The writable bytes of one column of a fresh version.
#[derive(Debug)]
pub enum ColumnMut<'s, 'a> {
    /// In one piece.
    Whole(&'s mut [u8]),
    /// In chunks; hang [`TreeWriter::root`] back with [`set_tree`] when done.
    Tree(TreeWriter<'s, 'a>),
}

/// Column `i` of the fresh version `at`, for writing.
pub fn column_mut<'s, 'a>(
    stage: &'s mut Stage<'a>,
    at: Addr,
    schema: &Schema,
    i: usize,
) -> Result<ColumnMut<'s, 'a>, StateError> {
    let arena = stage.arena();
    let page = PageRef::new(arena, at);
    let bytes = page.rows() * schema.columns()[i].row_bytes();
    match page.column_so_far(schema, i).place {
        Place::Block(block, offset) if block == at => {
            Ok(ColumnMut::Whole(block::bytes_mut(arena, at, offset, bytes as usize)))
        }
        Place::Block(slot, _) => {
            let fresh = if is_null(slot) {
                let fresh = stage.node(Kind::Data, PAYLOAD + bytes as usize, page.id().0)?;
                block::bytes_mut(arena, fresh, PAYLOAD, bytes as usize).fill(0);
                fresh
            } else {
                stage.own(slot)?
            };
            words_mut(arena, at, COLUMNS + 8 * i, 1)[0] = fresh.0;
            Ok(ColumnMut::Whole(block::bytes_mut(arena, fresh, PAYLOAD, bytes as usize)))
        }
        Place::Tree(root) => Ok(ColumnMut::Tree(TreeWriter::new(stage, page.id().0, root, chunks_of(bytes)))),
    }
}

/// Hangs the tree of column `i` back into the fresh version.
pub fn set_tree(arena: &Arena, at: Addr, i: usize, root: Addr) {
    words_mut(arena, at, COLUMNS + 8 * i, 1)[0] = root.0;
}

/// The version `old` with `rows` rows, fresh: rows beyond are gone, new ones are zeros.
pub fn resize(
    stage: &mut Stage<'_>,
    old: Addr,
    schema: &Schema,
    rows: u64,
    epoch: Epoch,
) -> Result<Addr, StateError> {
    let arena = stage.arena();
    let before = PageRef::new(arena, old);
    let def = before.def().at;
    stage.retain(def);
    let new = create(stage, before.id(), def, schema, rows, epoch)?;
    set_marks(arena, new, before.marks());
    let shared: Vec<Option<Addr>> =
        (0..schema.columns().len()).map(|i| shared_tree(before, new, schema, i)).collect();
    shared.iter().flatten().for_each(|&root| stage.retain(root));
    for (i, shared) in shared.iter().enumerate() {
        if shared.is_none() {
            copy_column(stage, before.column(schema, i), new, schema, i)?;
        }
    }
    stage.release(old);
    for (i, root) in shared.iter().enumerate() {
        let Some(root) = *root else { continue };
        let width = schema.columns()[i].row_bytes();
        let (had, has) = (before.rows() * width, rows * width);
        let root = tree::resize(stage, root, chunks_of(had), chunks_of(has))?;
        set_tree(arena, new, i, root);
        if has < had && has % CHUNK as u64 != 0 && !is_null(root) {
            let mut writer = TreeWriter::new(stage, before.id().0, root, chunks_of(has));
            writer.chunk(has / CHUNK as u64)?[(has % CHUNK as u64) as usize..].fill(0);
            let root = writer.root();
            set_tree(arena, new, i, root);
        }
    }
    Ok(new)
}

/// The tree that column `i` of the old version can hand over to the new one.
fn shared_tree(old: PageRef<'_>, new: Addr, schema: &Schema, i: usize) -> Option<Addr> {
    match (old.column(schema, i).place, PageRef::new(old.arena, new).column(schema, i).place) {
        (Place::Tree(root), Place::Tree(_)) if !is_null(root) => Some(root),
        _ => None,
    }
}

/// Copies what fits of a column into the fresh version; one of the two is small.
fn copy_column(
    stage: &mut Stage<'_>,
    from: ColumnRef<'_>,
    to: Addr,
    schema: &Schema,
    i: usize,
) -> Result<(), StateError> {
    let arena = stage.arena();
    let room = PageRef::new(arena, to).rows() * schema.columns()[i].row_bytes();
    let n = from.bytes.min(room);
    if n == 0 || matches!(from.place, Place::Tree(root) if is_null(root)) {
        return Ok(());
    }
    match column_mut(stage, to, schema, i)? {
        ColumnMut::Whole(bytes) => {
            let mut done = 0;
            while done < n {
                let piece = from.piece(done);
                let k = piece.len().min((n - done) as usize);
                bytes[done as usize..done as usize + k].copy_from_slice(&piece[..k]);
                done += k as u64;
            }
        }
        ColumnMut::Tree(mut writer) => {
            let mut done = 0;
            while done < n {
                let chunk = writer.chunk(done / CHUNK as u64)?;
                let at = (done % CHUNK as u64) as usize;
                let piece = from.piece(done);
                let k = piece.len().min((n - done) as usize).min(CHUNK - at);
                chunk[at..at + k].copy_from_slice(&piece[..k]);
                done += k as u64;
            }
            let root = writer.root();
            set_tree(arena, to, i, root);
        }
    }
    Ok(())
}
