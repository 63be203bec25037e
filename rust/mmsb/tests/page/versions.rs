//! Page versions on several branches against plain byte vectors: every root shows its own state for as long as it
//! lives, and the reference counts of all blocks are exactly the number of their parents.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mmsb::algebra::operator::builtin;
use mmsb::base::ids::{BranchId, Epoch, PageId};
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::Arena;
use mmsb::memory::machine::place::Place;
use mmsb::memory::pinning::limbo::Retired;
use mmsb::page::block;
use mmsb::page::catalog::{self, RootRef};
use mmsb::page::checkpoint::lazy::Lazy;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::draft::{Draft, Tables};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{OperatorId, Operators};
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::schemas::Schemas;
use mmsb::page::select::{Rows, Select};
use mmsb::page::stage::{Scratch, Stage};
use mmsb::page::version::PageRef;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
struct ModelPage {
    name: String,
    rows: u64,
    columns: Vec<Vec<u8>>,
}

type Model = BTreeMap<PageId, ModelPage>;

#[derive(Debug, Clone)]
enum Op {
    Create { rows: u64 },
    Drop { pick: usize },
    Resize { pick: usize, rows: u64 },
    Write { pick: usize, column: u16, from: u64, n: u64, step: u64, byte: u8 },
    Scatter { pick: usize, rows: Vec<u64>, byte: u8 },
    Fork,
    Release,
    Switch { pick: usize },
    Commit,
}

/// Rows that put a column behind the header, in a block, in a few chunks, in a tree of two levels.
fn rows_strategy() -> impl Strategy<Value = u64> {
    prop_oneof![0..20u64, 200..900u64, 2000..9000u64, 40_000..150_000u64]
}

fn op_strategy() -> impl Strategy<Value = Op> {
    let pick = || 0..8usize;
    prop_oneof![
        3 => rows_strategy().prop_map(|rows| Op::Create { rows }),
        1 => pick().prop_map(|pick| Op::Drop { pick }),
        3 => (pick(), rows_strategy()).prop_map(|(pick, rows)| Op::Resize { pick, rows }),
        8 => (pick(), 0..2u16, any::<u64>(), 1..60_000u64, 1..4u64, any::<u8>())
            .prop_map(|(pick, column, from, n, step, byte)| Op::Write { pick, column, from, n, step, byte }),
        4 => (pick(), prop::collection::vec(any::<u64>(), 1..9), any::<u8>())
            .prop_map(|(pick, rows, byte)| Op::Scatter { pick, rows, byte }),
        2 => Just(Op::Fork),
        1 => Just(Op::Release),
        2 => pick().prop_map(|pick| Op::Switch { pick }),
        5 => Just(Op::Commit),
    ]
}

fn schema() -> Schema {
    let columns =
        vec![Column::new("a", DType::F64, vec![]).unwrap(), Column::new("b", DType::U8, vec![3]).unwrap()];
    Schema::new(Kind::Table, columns, None).unwrap()
}

const WIDTHS: [u64; 2] = [8, 3];

struct World {
    arena: Arc<Arena>,
    schemas: Schemas,
    operators: Operators,
    lazy: Lazy,
    roots: Vec<(Addr, Model)>,
    /// Published roots whose memory nobody gives back: they must stay as they were.
    held: Vec<(Addr, Model)>,
    retired: Vec<Retired>,
    seq: u64,
    names: u64,
    branches: u32,
}

impl World {
    fn new() -> Self {
        let arena = Arena::new(Place::Memory, 2 << 30).unwrap();
        let mut stage = Stage::new(&arena, 1, Scratch::default());
        let root = catalog::empty_root(&mut stage, BranchId(0), Epoch(0)).unwrap();
        stage.settle(&mut Vec::new());
        World {
            arena,
            schemas: Schemas::default(),
            operators: builtin(),
            lazy: Lazy::default(),
            roots: vec![(root, Model::new())],
            held: Vec::new(),
            retired: Vec::new(),
            seq: 1,
            names: 0,
            branches: 0,
        }
    }

    /// Runs a batch of operations as one commit of one branch.
    fn commit(&mut self, branch: usize, ops: &[Op]) {
        self.seq += 1;
        let branch = branch % self.roots.len();
        let (root, mut model) = self.roots[branch].clone();
        let stage = Stage::new(&self.arena, self.seq, Scratch::default());
        let tables = Tables { schemas: &self.schemas, operators: &self.operators, lazy: &self.lazy };
        let mut draft = Draft::new(stage, tables, root, Epoch(self.seq), 0).unwrap();
        for op in ops {
            apply(&mut draft, &mut model, op, &mut self.names);
        }
        let (new, stage) = draft.finish();
        stage.settle(&mut self.retired);
        if self.held.len() < 3 {
            self.held.push((root, self.roots[branch].1.clone()));
        }
        self.roots[branch] = (new, model);
    }

    fn fork(&mut self, branch: usize) {
        self.seq += 1;
        self.branches += 1;
        let (root, model) = self.roots[branch % self.roots.len()].clone();
        let mut stage = Stage::new(&self.arena, self.seq, Scratch::default());
        let fork = catalog::fork_root(&mut stage, root, BranchId(self.branches)).unwrap();
        stage.settle(&mut self.retired);
        self.roots.push((fork, model));
    }

    fn release(&mut self, branch: usize) {
        self.seq += 1;
        let (root, model) = self.roots.remove(branch % self.roots.len());
        let mut stage = Stage::new(&self.arena, self.seq, Scratch::default());
        stage.release(root);
        stage.settle(&mut self.retired);
        self.held.push((root, model));
    }

    fn check(&self, root: Addr, model: &Model) {
        let root = RootRef::new(&self.arena, root);
        assert_eq!(root.len(), model.len() as u64);
        let ids: Vec<PageId> = root.pages().map(|at| PageRef::new(&self.arena, at).id()).collect();
        assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
        for (&id, page) in model {
            assert_eq!(root.find(&page.name), Some(id));
            let version = PageRef::new(&self.arena, root.page(id).unwrap());
            assert_eq!(version.rows(), page.rows);
            for (i, bytes) in page.columns.iter().enumerate() {
                let mut out = vec![0xAA; bytes.len()];
                version.column(&schema(), i).copy_to(&mut out);
                assert!(out == *bytes, "column {i} of {id}");
            }
        }
    }

    /// Counts every block's parents from the living roots down.
    fn audit(&self) {
        let mut parents: HashMap<(Addr, bool), u32> = HashMap::new();
        let mut stack: Vec<Addr> = self.roots.iter().map(|(root, _)| *root).collect();
        stack.iter().for_each(|&root| *parents.entry((root, false)).or_default() += 1);
        while let Some(at) = stack.pop() {
            block::for_children(&self.arena, at, |child, is_chunk, _| {
                let count = parents.entry((child, is_chunk)).or_default();
                *count += 1;
                if *count == 1 && !is_chunk {
                    stack.push(child);
                }
            });
        }
        for (&(at, is_chunk), &count) in &parents {
            let has = if is_chunk {
                self.arena.chunk_rc(at).load(Ordering::Relaxed)
            } else {
                block::head(&self.arena, at).count()
            };
            assert_eq!(has, count, "{at:?} chunk {is_chunk}");
        }
        let mut gone: Vec<Addr> = self.retired.iter().map(|block| block.addr).collect();
        gone.sort_unstable_by_key(|at| at.0);
        let all = gone.len();
        gone.dedup();
        assert_eq!(gone.len(), all, "nothing is retired twice");
        for at in gone {
            assert!(
                !parents.contains_key(&(at, false)) && !parents.contains_key(&(at, true)),
                "{at:?} lives on"
            );
        }
    }
}

fn pick_page(model: &Model, pick: usize) -> Option<PageId> {
    (!model.is_empty()).then(|| *model.keys().nth(pick % model.len()).unwrap())
}

fn apply(draft: &mut Draft<'_>, model: &mut Model, op: &Op, names: &mut u64) {
    match op {
        Op::Create { rows } => {
            let id = draft.new_id().unwrap();
            *names += 1;
            let name = format!("page {names}");
            draft.create(id, &name, &schema(), *rows).unwrap();
            let columns = WIDTHS.iter().map(|width| vec![0; (rows * width) as usize]).collect();
            model.insert(id, ModelPage { name, rows: *rows, columns });
        }
        Op::Drop { pick } => {
            let Some(id) = pick_page(model, *pick) else { return };
            draft.drop_page(id).unwrap();
            model.remove(&id);
        }
        Op::Resize { pick, rows } => {
            let Some(id) = pick_page(model, *pick) else { return };
            draft.resize(id, *rows).unwrap();
            let page = model.get_mut(&id).unwrap();
            page.rows = *rows;
            page.columns
                .iter_mut()
                .zip(WIDTHS)
                .for_each(|(column, width)| column.resize((rows * width) as usize, 0));
        }
        Op::Write { pick, column, from, n, step, byte } => {
            let Some(id) = pick_page(model, *pick) else { return };
            let page = model.get_mut(&id).unwrap();
            if page.rows == 0 {
                return;
            }
            let start = from % page.rows;
            let stop = page.rows.min(start + n);
            let rows = Rows::Range { start, stop, step: *step };
            let width = WIDTHS[usize::from(*column)];
            let bytes: Vec<u8> = (0..rows.count() * width).map(|i| byte.wrapping_add(i as u8)).collect();
            for (i, row) in (start..stop).step_by(*step as usize).enumerate() {
                let (to, from) = ((row * width) as usize, i * width as usize);
                let target = &mut page.columns[usize::from(*column)];
                target[to..to + width as usize].copy_from_slice(&bytes[from..from + width as usize]);
            }
            write(draft, id, *column, Select::Rows { rows, inner: None }, bytes);
        }
        Op::Scatter { pick, rows, byte } => {
            let Some(id) = pick_page(model, *pick) else { return };
            let page = model.get_mut(&id).unwrap();
            if page.rows == 0 {
                return;
            }
            let rows: Vec<u64> = rows.iter().map(|row| row % page.rows).collect();
            let bytes: Vec<u8> = (0..rows.len() as u8 * 3).map(|i| byte.wrapping_mul(i)).collect();
            for (row, value) in rows.iter().zip(bytes.chunks(3)) {
                page.columns[1][*row as usize * 3..][..3].copy_from_slice(value);
            }
            write(draft, id, 1, Select::indices(rows), bytes);
        }
        Op::Fork | Op::Release | Op::Switch { .. } | Op::Commit => {}
    }
}

fn write(draft: &mut Draft<'_>, page: PageId, column: u16, select: Select, bytes: Vec<u8>) {
    let part = Part { column, select, data: Data::Dense(Cow::Owned(bytes)) };
    draft.write(&Delta::single(page, OperatorId::ASSIGN, part)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn versions_are_byte_vectors_with_exact_counts(ops in prop::collection::vec(op_strategy(), 1..60)) {
        let mut world = World::new();
        let (mut branch, mut batch) = (0, Vec::new());
        for op in ops.into_iter().chain([Op::Commit]) {
            match op {
                Op::Fork => world.fork(branch),
                Op::Release if world.roots.len() > 1 => world.release(branch),
                Op::Switch { pick } => branch = pick,
                Op::Commit => {
                    world.commit(branch, &batch);
                    batch.clear();
                    world.audit();
                }
                op => batch.push(op),
            }
        }
        for (root, model) in world.roots.iter().chain(&world.held) {
            world.check(*root, model);
        }
    }
}

#[test]
fn an_aborted_stage_leaves_no_trace() {
    let mut world = World::new();
    world.commit(0, &[Op::Create { rows: 100_000 }, Op::Create { rows: 10 }]);
    let (root, model) = world.roots[0].clone();
    let mut before = None;
    for round in 0..50 {
        // The first rounds fill the allocator's classes; from then on nothing more is needed.
        if round == 25 {
            before = Some(world.arena.stats().used_chunks);
        }
        let stage = Stage::new(&world.arena, 99, Scratch::default());
        let tables = Tables { schemas: &world.schemas, operators: &world.operators, lazy: &world.lazy };
        let mut draft = Draft::new(stage, tables, root, Epoch(9), 0).unwrap();
        let mut scrap = model.clone();
        for op in [
            Op::Write { pick: 0, column: 0, from: 5, n: 50_000, step: 1, byte: 9 },
            Op::Drop { pick: 1 },
            Op::Resize { pick: 0, rows: 7 },
            Op::Create { rows: 5000 },
        ] {
            apply(&mut draft, &mut scrap, &op, &mut world.names);
        }
        draft.abort();
    }
    world.check(root, &model);
    world.audit();
    assert_eq!(Some(world.arena.stats().used_chunks), before);
}
