//! Changes of one page that become one before they touch it, and what comes of them.

use std::sync::Arc;

use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::PageId;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;
use proptest::prelude::*;

fn part(select: Select, cells: &[i64], fills: bool) -> Part<'static> {
    let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
    Part { column: 0, select, data: if fills { Data::Fill(bytes.into()) } else { Data::Dense(bytes.into()) } }
}

fn composed(dtype: DType, op: Option<Builtin>, parts: Vec<Part<'static>>) -> Vec<Part<'static>> {
    let schema = Schema::array(dtype, vec![], false, None).unwrap();
    let mut delta =
        Delta { page: PageId(1), op: op.map_or_else(Default::default, |op| op.id()), parts: vec![] };
    let operator = op.as_ref().map(|op| op as &dyn Merge);
    parts.into_iter().for_each(|part| delta.add(part, &schema, operator));
    delta.parts
}

#[test]
fn merges_of_the_same_cells_become_one_where_that_is_exact() {
    let row = |row, cell| part(Select::range(row, row + 1), &[cell], false);
    let add = Some(Builtin::Add);
    let parts = || vec![row(0, 1), row(1, 10), row(0, 2), row(0, 3), row(1, 20)];
    assert_eq!(composed(DType::I64, add, parts()), [row(0, 6), row(1, 30)]);
    // Sums of floats are rounded: each is added by itself.
    assert_eq!(composed(DType::F64, add, parts()), parts());
    let cells = Select::Cells(Arc::new(vec![4, 4, 7]));
    let listed = |cells: &Select, data: [i64; 3]| part(cells.clone(), &data, false);
    let two = vec![listed(&cells, [1, 2, 3]), listed(&cells, [10, 20, 30])];
    assert_eq!(composed(DType::I64, add, two), [listed(&cells, [11, 22, 33])]);
    let fills = vec![part(Select::range(0, 4), &[2], true), part(Select::range(0, 4), &[5], true)];
    assert_eq!(composed(DType::I64, Some(Builtin::Max), fills), [part(Select::range(0, 4), &[5], true)]);
    let unlike = || vec![part(Select::range(0, 1), &[2], true), part(Select::range(0, 1), &[5], false)];
    assert_eq!(composed(DType::I64, add, unlike()), unlike());
}

#[test]
fn assignments_take_the_place_of_the_newest_only() {
    let row = |row, cell| part(Select::range(row, row + 1), &[cell], false);
    assert_eq!(composed(DType::I64, None, vec![row(0, 1), row(0, 2)]), [row(0, 2)]);
    let all = part(Select::range(0, 2), &[7], true);
    let parts = || vec![row(0, 1), all.clone(), row(0, 3)];
    assert_eq!(composed(DType::I64, None, parts()), parts());
}

/// A thousand merges of one cell in a transaction are one in the log.
#[test]
fn the_log_has_what_they_come_to() {
    let bus = Bus::memory(&Options::default()).unwrap();
    let schema = Schema::array(DType::I64, vec![], false, Some(Builtin::Add.id())).unwrap();
    let page = bus.create_page("a", schema, 4, &Note::default()).unwrap();
    let row = |row| part(Select::range(row, row + 1), &[1], false);
    let bytes = |many: usize| {
        let before = bus.stats().unwrap().appended;
        let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
        for _ in 0..many {
            tx.write(Delta::single(page, Builtin::Add.id(), row(1))).unwrap();
            tx.write(Delta::single(page, Builtin::Add.id(), row(3))).unwrap();
        }
        tx.commit().unwrap();
        bus.stats().unwrap().appended - before
    };
    let one = bytes(1);
    assert!(bytes(1000) <= one + 16, "a number of two bytes is no longer than one of one");
    assert_eq!(bus.state().unwrap().cells::<i64>(page, 0).unwrap(), [0, 1001, 0, 1001]);
}

proptest! {
    /// A transaction comes to what its changes come to one by one, to the bit, floats too.
    #[test]
    fn a_transaction_comes_to_what_its_changes_come_to_one_by_one(
        changes in prop::collection::vec((0..4u64, 1..4u64, 0..4u8, -9..9i64, any::<bool>()), 0..60),
        is_float: bool,
    ) {
        let dtype = if is_float { DType::F64 } else { DType::I64 };
        let bus = || {
            let bus = Bus::memory(&Options::default()).unwrap();
            let schema = Schema::array(dtype, vec![], false, None).unwrap();
            let page = bus.create_page("a", schema, 8, &Note::default()).unwrap();
            (bus, page)
        };
        let ((one, page), (each, other)) = (bus(), bus());
        let delta = |page, (row, rows, op, value, fills): (u64, u64, u8, i64, bool)| {
            let op = [OperatorId::ASSIGN, Builtin::Add.id(), Builtin::Max.id(), Builtin::Mul.id()][usize::from(op)];
            let cells: Vec<i64> = (0..if fills { 1 } else { rows as i64 })
                .map(|i| if is_float { (0.1 * (value + i) as f64).to_bits() as i64 } else { value + i })
                .collect();
            Delta::single(page, op, part(Select::range(row, row + rows), &cells, fills))
        };
        let mut tx = one.begin(Isolation::Snapshot, Note::default()).unwrap();
        for change in &changes {
            tx.write(delta(page, *change)).unwrap();
            each.write(delta(other, *change), &Note::default()).unwrap();
        }
        tx.commit().unwrap();
        let bytes = |bus: &Bus, page| bus.state().unwrap().view(page, 0, None).unwrap().bytes().to_vec();
        prop_assert_eq!(bytes(&one, page), bytes(&each, other));
        prop_assert_eq!(one.replay_digest(true).unwrap()[0].digest, one.state().unwrap().digest().unwrap());
    }
}
