//! Blocks, chunks, frames of the log, and deltas applied to plain memory.

use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use mmsb::algebra::operator::{Builtin, builtin};
use mmsb::base::codec::{Reader, Writer};
use mmsb::base::ids::{BranchId, Epoch, PageId, Seq};
use mmsb::memory::arena::{Arena, Options};
use mmsb::memory::disk::Real;
use mmsb::memory::machine::place::Place;
use mmsb::page::delta::{Data, Delta, Part, read};
use mmsb::page::dtype::DType;
use mmsb::page::log::{Durability, FrameNotes, Kind, Log, NewFrame};
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Column;
use mmsb::page::select::Select;

use crate::workload::{ALONE, MIB, place};
use crate::{Operation, Step, operation};

/// Cells of a delta that is applied.
const CELLS: u64 = 1024;
/// Cells there are.
const ALL: u64 = 1 << 16;

pub const OPERATIONS: &[Operation] = &[
    operation("memory: block of 256 B allocated and freed", 1000, 1, |_| block(256)),
    operation("memory: chunk allocated and freed", 1000, 1, |_| chunk()),
    operation("log: 200 B appended", 1000, 1, append),
    operation("apply: range of 1024 cells, each", 20, CELLS, |_| apply(range(), None)),
    operation("apply: list of 1024 cells, each", 20, CELLS, |_| apply(list(), None)),
    operation("apply: every second cell of 2048, each", 20, CELLS, |_| apply(strided(), None)),
    operation("apply: add to a range of 1024 cells, each", 20, CELLS, |_| {
        apply(range(), Some(&Builtin::Add))
    }),
    operation("apply: min in a range of 1024 cells, each", 20, CELLS, |_| {
        apply(range(), Some(&Builtin::Min))
    }),
    operation("apply: add to a list of 1024 cells, each", 20, CELLS, |_| apply(list(), Some(&Builtin::Add))),
    operation("apply: 1024 cells of a list read, each", 20, CELLS, |_| gather()),
    operation("encode: range of 16 B", 1000, 1, |_| encode(Select::range(40, 44), 4)),
    operation("encode: mask of 1024 cells, each", 20, CELLS, |_| encode(mask(), CELLS)),
    operation("decode: range of 16 B", 1000, 1, |_| decode(Select::range(40, 44), 4)),
    operation("decode: mask of 1024 cells, each", 20, CELLS, |_| decode(mask(), CELLS)),
];

fn arena() -> Arc<Arena> {
    Arena::with(Place::Memory, Options { budget: 64 * MIB, prefault: false }).unwrap()
}

#[allow(unsafe_code)]
fn block(bytes: usize) -> Step {
    let arena = arena();
    Box::new(move |_| {
        let at = arena.alloc(black_box(bytes)).unwrap();
        // SAFETY: allocated just now with as many bytes, and known to nobody else.
        unsafe { arena.free(at, bytes) };
    })
}

#[allow(unsafe_code)]
fn chunk() -> Step {
    let arena = arena();
    Box::new(move |_| {
        let at = arena.alloc_chunks(black_box(1)).unwrap();
        // SAFETY: allocated just now, and known to nobody else.
        unsafe { arena.free_chunk(at) };
    })
}

fn append(folder: &Path) -> Step {
    let mut log = Log::create(Arc::new(Real::new(folder, false)), ALONE).unwrap();
    let body = [7; 200];
    Box::new(move |n| {
        let frame = NewFrame {
            seq: Seq(n + 1),
            epoch: Epoch(n + 1),
            branch: BranchId(0),
            durability: Durability::Process,
            kind: Kind::Commit,
            time: n,
        };
        log.append(frame, &[&body], FrameNotes::default()).unwrap();
    })
}

fn range() -> Select {
    Select::range(100, 100 + CELLS)
}

fn strided() -> Select {
    let rows = mmsb::page::select::Rows::Range { start: 100, stop: 100 + 2 * CELLS, step: 2 };
    Select::Rows { rows, inner: None }
}

fn list() -> Select {
    Select::indices((0..CELLS).map(|i| place(i, ALL)).collect())
}

/// Two of three cells: what is shortest as a mask.
fn mask() -> Select {
    Select::indices((0..).filter(|index| index % 7 % 3 != 1).take(CELLS as usize).collect())
}

fn part(select: Select, cells: u64) -> Part<'static> {
    let data = (0..cells).flat_map(|cell| (cell as f32).to_le_bytes()).collect();
    Part { column: 0, select, data: Data::Dense(Cow::Owned(data)) }
}

fn column() -> Column {
    Column::new("cells", DType::F32, vec![]).unwrap()
}

fn apply(select: Select, op: Option<&'static dyn Merge>) -> Step {
    let (column, part, mut memory) = (column(), part(select, CELLS), vec![0; 4 * ALL as usize]);
    Box::new(move |_| black_box(&part).apply(&column, op, black_box(memory.as_mut_slice())))
}

fn gather() -> Step {
    let (column, memory, mut out) = (column(), vec![1; 4 * ALL as usize], vec![0; 4 * CELLS as usize]);
    let select = list();
    Box::new(move |_| read(black_box(&select), &column, memory.as_slice(), black_box(&mut out)))
}

fn of(select: Select, cells: u64) -> Delta<'static> {
    let op = builtin().named("add").map_or(OperatorId::ASSIGN, Merge::id);
    Delta::single(PageId(5), op, part(select, cells))
}

fn encode(select: Select, cells: u64) -> Step {
    let (delta, mut out) = (of(select, cells), Writer::with_capacity(1 << 16));
    Box::new(move |_| {
        out.clear();
        black_box(&delta).encode(&mut out);
        black_box(out.as_slice());
    })
}

fn decode(select: Select, cells: u64) -> Step {
    let mut out = Writer::new();
    of(select, cells).encode(&mut out);
    Box::new(move |_| drop(black_box(Delta::decode(&mut Reader::new(black_box(out.as_slice()))).unwrap())))
}
