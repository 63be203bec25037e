//! Relations of a whole bus: right in every epoch, and only the rows that had to be; what they refuse, and their bytes.

use crate::relation_model::{FLAG, NAMES, Table, VALUE, World, schema, worlds};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::commit::Change;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::error::RuleError;
use mmsb::propagation::kernel::{Shape, Spec};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::filter::Filter;
use mmsb::propagation::relation::gather::Gather;
use mmsb::propagation::relation::join::Join;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::{Rule, What};
use proptest::prelude::*;

fn memory() -> Bus {
    Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap()
}

fn assign(page: PageId, column: u16, rows: Vec<u64>, bytes: Vec<u8>) -> Change<'static> {
    let part = Part { column, select: Select::indices(rows), data: Data::Dense(bytes.into()) };
    Change::Write(Delta::single(page, OperatorId::ASSIGN, part))
}

fn derive(bus: &Bus, what: What, inputs: &[PageId]) -> Result<PageId, mmsb::bus::error::Error> {
    let rule = Rule::new(inputs.iter().copied().map(Edge::data).collect(), what);
    bus.derive("made", Derived { rule, shape: None, program: None }, &Note::default())
}

/// All of a table into a page.
fn fill(bus: &Bus, page: PageId, table: &Table) {
    let rows: Vec<u64> = (0..table.rows).collect();
    let changes: Vec<Change<'_>> =
        (0..5).map(|i| assign(page, i, rows.clone(), table.columns[usize::from(i)].clone())).collect();
    if !rows.is_empty() {
        bus.commit(&changes, &Note::default()).unwrap();
    }
}

fn read(bus: &Bus, page: PageId) -> Table {
    let state = bus.state().unwrap();
    let info = state.info(page).unwrap();
    let mut table = Table::new((*info.schema).clone(), info.rows);
    for (i, to) in table.columns.iter_mut().enumerate() {
        state.read(page, i, &Select::range(0, info.rows), to).unwrap();
    }
    table
}

/// Cells in which two tables differ: no fewer than the rows that a step counts, once for each run of cells.
fn differing(a: &Table, b: &Table) -> u64 {
    let column = |i: usize| {
        let size = b.schema.columns()[i].dtype().size();
        let same = a.columns[i].chunks(size).zip(b.columns[i].chunks(size)).filter(|(a, b)| a == b).count();
        b.columns[i].len() / size - same
    };
    (0..a.columns.len()).map(|i| column(i) as u64).sum()
}

/// Changes some rows, in the world and in a list of changes of pages.
fn change(
    world: &mut World,
    pages: &[PageId],
    counts: [u64; 2],
    columns: u8,
    wrong: bool,
) -> Vec<Change<'static>> {
    let mut changes = Vec::new();
    for (table, &page) in pages.iter().enumerate() {
        let rows = world.tables[table].rows;
        let columns: Vec<usize> = (0..5).filter(|i| columns >> i & 1 == 1).collect();
        let count = if rows > 0 { counts[table] } else { 0 };
        let mut at: Vec<u64> = (0..count).map(|_| world.noise.hot(rows)).collect();
        at.sort_unstable();
        at.dedup();
        at.iter().for_each(|&row| world.fill(table, row, &columns, wrong));
        if !at.is_empty() {
            changes.extend(columns.iter().map(|&i| {
                let bytes = at.iter().flat_map(|row| world.tables[table].row(i, *row)).copied().collect();
                assign(page, i as u16, at.clone(), bytes)
            }));
        }
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_epoch_has_what_plain_loops_make(
        mut world in worlds(),
        steps in prop::collection::vec(
            (0u8..8, (0u64..9, 0u64..9), 1u8..32, prop::bool::weighted(0.2), 0u64..3000), 1..10,
        ),
    ) {
        let bus = memory();
        let names = ["a", "b"];
        let pages: Vec<PageId> = world.tables.iter().zip(names)
            .map(|(table, name)| bus.create_page(name, table.schema.clone(), table.rows, &Note::default()).unwrap())
            .collect();
        pages.iter().zip(&world.tables).for_each(|(page, table)| fill(&bus, *page, table));
        let pages = &pages[..world.inputs()];
        let made = derive(&bus, world.what.clone(), pages).unwrap();
        let mut now = world.made().unwrap();
        for (how, (a, b), columns, wrong, rows) in steps {
            let (before, epoch) = (world.tables.clone(), bus.epoch().unwrap());
            let resized = how == 0;
            let done = if resized {
                let table = rows as usize % pages.len();
                world.tables[table].resize(rows);
                bus.resize(pages[table], rows, &Note::default()).map(|_| ())
            } else {
                let changes = change(&mut world, pages, [a, b], columns, wrong);
                let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
                let mut done = Ok(());
                for change in changes {
                    let Change::Write(delta) = change else { unreachable!("all are writes") };
                    tx.write(delta).unwrap();
                    // Looking at it between runs the rule for what may come to nothing.
                    if how == 1 && done.is_ok() {
                        done = tx.view(made, 0).map(|_| ());
                    }
                }
                if how == 2 {
                    drop(tx);
                    world.tables = before.clone();
                    Ok(())
                } else {
                    tx.commit().map(|_| ())
                }
            };
            match world.made() {
                Some(wanted) => {
                    prop_assert!(done.is_ok(), "{:?}", done);
                    prop_assert!(read(&bus, made) == wanted, "{:?}", world.what);
                    let after = bus.epoch().unwrap();
                    let step = bus.trace(after).unwrap().into_iter().find(|step| step.page == made);
                    let rows_out = step.map_or(0, |step| u64::from(step.rows_out));
                    if !resized && epoch != after {
                        prop_assert!(rows_out <= differing(&now, &wanted), "more was made than had to be");
                    }
                    now = wanted;
                }
                None => {
                    prop_assert!(done.is_err());
                    world.tables = before;
                    prop_assert!(read(&bus, made) == now, "nothing of it happened");
                }
            }
        }
        bus.audit().unwrap();
        prop_assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
    }

    #[test]
    fn bytes_that_are_no_rule_never_panic(mut bytes: Vec<u8>, tag in 4u8..8) {
        let _ = Rule::decode(&bytes);
        bytes.splice(0..0, [0, tag]);
        if let Ok(rule) = Rule::decode(&bytes) {
            prop_assert_eq!(rule.encode(), bytes);
        }
    }
}

fn array(bus: &Bus, name: &str, cells: &[i64]) -> PageId {
    let schema = Schema::array(DType::I64, vec![], false, None).unwrap();
    let page = bus.create_page(name, schema, cells.len() as u64, &Note::default()).unwrap();
    bus.assign(page, 0, Select::range(0, cells.len() as u64), cells, &Note::default()).unwrap();
    page
}

fn put(bus: &Bus, page: PageId, row: u64, cell: i64) -> Result<Epoch, String> {
    let done = bus.assign(page, 0, Select::range(row, row + 1), &[cell], &Note::default());
    done.map(|committed| committed.epoch).map_err(|error| error.to_string())
}

#[test]
fn values_that_cannot_be_are_named_and_leave_everything() {
    let bus = memory();
    let (source, index) = (array(&bus, "source", &[5, 6, 7]), array(&bus, "index", &[2, -1, 0, 2]));
    let made = derive(&bus, What::Gather(Gather { index: 0 }), &[source, index]).unwrap();
    let cells = || bus.state().unwrap().cells::<i64>(made, 0).unwrap();
    assert_eq!(cells(), [7, 0, 5, 7]);
    let error = put(&bus, index, 1, 3).unwrap_err();
    assert_eq!(
        error,
        "page 'made': gather: the index of row 1 is 3, which is none of 0 to 2 (index -> made)"
    );
    let error = put(&bus, index, 3, -2).unwrap_err();
    assert!(error.contains("the index of row 3 is -2"), "{error}");
    let epoch = put(&bus, source, 2, 70).unwrap();
    assert_eq!((cells(), bus.trace(epoch).unwrap()[0].rows_out), (vec![70, 0, 5, 70], 2));

    let bus = memory();
    let (left, right) = (array(&bus, "left", &[4, 9, 4]), array(&bus, "right", &[9, 8, 4]));
    let made = derive(&bus, What::Join(Join { left_key: 0, right_key: 0 }), &[left, right]).unwrap();
    let matched = || read(&bus, made).columns[1].clone();
    assert_eq!(matched(), [1, 1, 1]);
    let error = put(&bus, right, 1, 4).unwrap_err();
    assert_eq!(error, "page 'made': join: the right rows 1 and 2 both have the key 4 (right -> made)");
    put(&bus, right, 2, 3).unwrap();
    assert_eq!(matched(), [0, 1, 0]);
}

#[test]
fn pages_that_do_not_fit_are_told_by_name() {
    let table = schema(DType::I64, DType::F64);
    let other = schema(DType::U64, DType::F64);
    let shapes = |schemas: &[&Schema]| -> Vec<String> {
        let shapes: Vec<Shape<'_>> = schemas.iter().map(|schema| Shape { schema, rows: 9 }).collect();
        let window = |column, what, rows| Window { column, what, rows };
        let specs: [&dyn Spec; 6] = [
            &Gather { index: VALUE },
            &Filter { column: VALUE },
            &window(4, Reduction::Sum, 3),
            &window(VALUE, Reduction::Any, 3),
            &window(VALUE, Reduction::Sum, 0),
            &Join { left_key: NAMES, right_key: NAMES },
        ];
        let says = |spec: &dyn Spec| {
            let wrong = spec.gives(&shapes).unwrap_err();
            assert_eq!(spec.kernel(&shapes).unwrap_err(), wrong);
            wrong.to_string()
        };
        specs.map(says).to_vec()
    };
    let one = shapes(&[&table]);
    assert_eq!(one[0], "gather has 1 inputs where it takes 2");
    assert_eq!(one[1], "filter: the column 'value' is float64, where bool is needed");
    assert_eq!(one[2], "window: the column 'text' is S5, where a type of numbers or bool for sum is needed");
    assert_eq!(one[3], "window: no window has the reduction any, but sum, min, max, mean, count");
    assert_eq!(one[4], "window: a window of 0 rows, where 1 is the least");
    let two = shapes(&[&table, &other]);
    assert_eq!(two[0], "gather: the index column 'value' is float64, where a type of integers is needed");
    assert_eq!(two[1], "filter has 2 inputs where it takes 1");
    assert_eq!(two[5], "join: the keys are int64 and uint64, of which neither has all values of the other");
    let rows = 1 << 33;
    let shape = Shape { schema: &table, rows };
    let wrong = Gather { index: NAMES }.gives(&[shape, shape]).unwrap_err().to_string();
    assert_eq!(wrong, "gather: the index has 8589934592 rows, where 4294967295 are possible");
}

#[test]
fn names_that_are_taken_get_a_suffix() {
    let column = |name: &str| Column::new(name, DType::Bool, vec![]).unwrap();
    let columns = ["row", "row_source", "flag"].map(column).to_vec();
    let table = Schema::new(Kind::Table, columns, None).unwrap();
    let gives = Filter { column: 2 }.gives(&[Shape { schema: &table, rows: 3 }]).unwrap();
    let names: Vec<&str> = gives.columns.iter().map(Column::name).collect();
    assert_eq!(names, ["row", "row_source", "row_source_source", "flag"]);
    assert_eq!((gives.kind, gives.rows), (Kind::Table, 0));
}

#[test]
fn a_filter_makes_from_the_first_row_that_moved() {
    let bus = memory();
    let mut table = Table::new(schema(DType::I64, DType::I64), 5000);
    (0..5000).for_each(|row| table.set(usize::from(FLAG), row, &[1]));
    let page = bus.create_page("a", table.schema.clone(), 5000, &Note::default()).unwrap();
    fill(&bus, page, &table);
    let made = derive(&bus, What::Filter(Filter { column: FLAG }), &[page]).unwrap();
    let rows_out = |changes: &[Change<'_>]| {
        let epoch = bus.commit(changes, &Note::default()).unwrap().epoch;
        bus.trace(epoch).unwrap()[0].rows_out
    };
    assert_eq!(rows_out(&[assign(page, VALUE, vec![4000], vec![7; 8])]), 1, "a value is one row");
    rows_out(&[assign(page, FLAG, vec![4990], vec![0])]);
    assert_eq!(bus.state().unwrap().info(made).unwrap().rows, 4999);
    // One goes and another comes: the rows from the one to the other say another source row, and so does no other.
    assert_eq!(rows_out(&[assign(page, FLAG, vec![4985, 4990], vec![0, 1])]), 5);
    assert_eq!(rows_out(&[assign(page, FLAG, vec![10], vec![2])]), 1, "two is as true as one");
}

#[test]
fn rules_come_back_from_bytes() {
    for what in [
        What::Gather(Gather { index: 300 }),
        What::Filter(Filter { column: 7 }),
        What::Window(Window { column: 2, what: Reduction::Count, rows: u64::MAX }),
        What::Join(Join { left_key: 1, right_key: 1000 }),
    ] {
        let rule = Rule::new(vec![Edge::data(PageId(1)), Edge::data(PageId(2))], what);
        let bytes = rule.encode();
        assert_eq!(Rule::decode(&bytes), Ok(rule));
        for end in 0..bytes.len() {
            assert!(matches!(Rule::decode(&bytes[..end]), Err(RuleError::Unreadable(_))));
        }
    }
    let says = |bytes: &[u8]| Rule::decode(bytes).unwrap_err().to_string();
    assert!(says(&[0, 6, 0, 5, 1]).contains("no reduction of windows has the code 5"));
    assert!(says(&[0, 6, 0, 0, 0]).contains("a window of no rows"));
    assert!(says(&[0, 4, 0x80, 0x80, 4]).contains("65536 is past 16 bits"));
}
