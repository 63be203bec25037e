//! Pages that are made when somebody reads them: what they hold is what making them in every commit would have made, in
//! every state, and no commit makes it.

use std::sync::Arc;

use crate::common::{PRIME, ROWS, Sum, cells, delta, derived, memory, ran, schema, source, sum, write};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::filter::Filter;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::{Rule, What, When};
use proptest::prelude::*;

fn lazy(inputs: &[PageId], program: &Arc<Sum>) -> Derived {
    let derived = derived(inputs, program);
    Derived { rule: derived.rule.when(When::Lazy), ..derived }
}

fn window(input: PageId, rows: u64) -> Derived {
    let what = What::Window(Window { column: 0, what: Reduction::Sum, rows });
    let rule = Rule::new(vec![Edge::data(input)], what).when(When::Lazy);
    Derived { rule, shape: None, program: None }
}

#[test]
fn nothing_is_made_before_somebody_reads_it_and_then_once() {
    let bus = memory();
    let a = source(&bus, "a");
    let program = Sum::plus(1);
    let b = bus.derive("b", lazy(&[a], &program), &Note::default()).unwrap();
    let c = bus.derive("c", window(b, 2), &Note::default()).unwrap();
    for i in 0..50 {
        let epoch = write(&bus, a, i % ROWS, i as i64).unwrap();
        assert_eq!(ran(&bus, epoch), []);
    }
    assert_eq!(program.runs(), 0);
    assert_eq!(cells(&bus, b), [49, 50, 47, 48]);
    assert_eq!(cells(&bus, c), [49, 99, 97, 95]);
    cells(&bus, b);
    assert_eq!(program.runs(), 1, "it is remembered while what it follows from stays");
    let version = bus.state().unwrap().version(c).unwrap();
    let other = source(&bus, "other");
    write(&bus, other, 0, 1).unwrap();
    cells(&bus, c);
    assert_eq!((program.runs(), bus.state().unwrap().version(c).unwrap()), (1, version));
    let epoch = write(&bus, a, 0, 7).unwrap();
    assert_eq!(bus.state().unwrap().version(c).unwrap().0, epoch);
    // An older state is read as it was, also where it was never read before.
    let past = bus.at(Epoch(epoch.0 - 2)).unwrap();
    assert_eq!(past.cells::<i64>(c, 0).unwrap(), [49, 99, 97, 95]);
    assert_eq!(past.view(b, 0, None).unwrap().bytes()[..8], 49i64.to_le_bytes());
    assert_eq!(cells(&bus, c), [8, 58, 97, 95]);
    let digest = bus.state().unwrap().digest().unwrap();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
    bus.audit().unwrap();
}

#[test]
fn what_commits_make_makes_it_eager_and_back_is_refused() {
    let bus = memory();
    let a = source(&bus, "a");
    let (first, second) = (Sum::plus(1), Sum::plus(10));
    let b = bus.derive("b", lazy(&[a], &first), &Note::default()).unwrap();
    let c = bus.derive("c", lazy(&[b], &second), &Note::default()).unwrap();
    let (d, _) = sum(&bus, "d", &[c]);
    assert_eq!(cells(&bus, d)[0], 11);
    let epoch = write(&bus, a, 0, 5).unwrap();
    assert_eq!(ran(&bus, epoch).iter().map(|(page, _)| *page).collect::<Vec<_>>(), [b, c, d]);
    assert_eq!((cells(&bus, d)[0], bus.rule(b).unwrap().unwrap().when), (16, When::Eager));
    let error = bus.rewire(c, lazy(&[b], &second), &Note::default()).unwrap_err();
    assert!(
        error.to_string().contains("page 'c'") && error.to_string().contains("follows from it"),
        "{error}"
    );
    bus.drop_page(d, &Note::default()).unwrap();
    bus.rewire(c, lazy(&[b], &second), &Note::default()).unwrap();
    write(&bus, a, 0, 6).unwrap();
    assert_eq!(cells(&bus, c)[0], 17);
    // Its cells stay when it is let go.
    bus.release(c, &Note::default()).unwrap();
    write(&bus, a, 0, 7).unwrap();
    write(&bus, c, 1, 3).unwrap();
    assert_eq!(cells(&bus, c)[..2], [17, 3]);
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
}

#[test]
fn transactions_branches_merges_and_reverts_read_it_as_their_states_have_it() {
    let bus = memory();
    let a = source(&bus, "a");
    let b = bus.derive("b", lazy(&[a], &Sum::plus(1)), &Note::default()).unwrap();
    let first = write(&bus, a, 0, 1).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    let mut tx = bus.begin(Isolation::Serializable, Note::default()).unwrap();
    tx.write(delta(a, 1, 5)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[8..16], 6i64.to_le_bytes());
    assert_eq!(cells(&bus, b), [2, 1, 1, 1]);
    tx.write(delta(a, 1, 6)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[8..16], 7i64.to_le_bytes());
    assert_eq!(tx.write(delta(b, 0, 1)).unwrap_err().code(), Code::Follows);
    // What it follows from was read.
    write(&bus, a, 3, 1).unwrap();
    assert_eq!(tx.commit().unwrap_err().code(), Code::Conflict);
    let branch = bus.branch("other", None).unwrap();
    write(&branch, a, 2, 9).unwrap();
    write(&bus, a, 1, 1).unwrap();
    assert_eq!((cells(&branch, b), cells(&bus, b)), (vec![2, 1, 10, 2], vec![2, 2, 1, 2]));
    bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap();
    assert_eq!(cells(&bus, b), [2, 2, 10, 2]);
    let dropped = bus.drop_page(b, &Note::default()).unwrap().epoch;
    bus.revert(Epoch(dropped.0 - 1), &Note::default()).unwrap();
    assert_eq!(cells(&bus, b), [2, 2, 10, 2]);
    bus.revert(first, &Note::default()).unwrap();
    assert_eq!((cells(&bus, b), bus.state().unwrap().digest().unwrap()), (vec![2, 1, 1, 1], digest));
    bus.audit().unwrap();
}

#[test]
fn it_has_the_rows_that_what_it_follows_from_has_and_none_that_only_making_it_tells() {
    let bus = memory();
    let a = source(&bus, "a");
    let b = bus.derive("b", window(a, 2), &Note::default()).unwrap();
    let c = bus.derive("c", window(b, 2), &Note::default()).unwrap();
    bus.resize(a, 6, &Note::default()).unwrap();
    write(&bus, a, 5, 4).unwrap();
    assert_eq!(cells(&bus, c), [0, 0, 0, 0, 0, 4]);
    assert_eq!(bus.state().unwrap().info(c).unwrap().rows, 6);
    let columns = vec![Column::new("keep", DType::Bool, vec![]).unwrap()];
    let table = Schema::new(Kind::Table, columns, None).unwrap();
    let t = bus.create_page("t", table, 3, &Note::default()).unwrap();
    let rule = Rule::new(vec![Edge::data(t)], What::Filter(Filter { column: 0 })).when(When::Lazy);
    let error = bus.derive("f", Derived { rule, shape: None, program: None }, &Note::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "page 'f': a lazy page: how many rows a filter keeps is known once it is made"
    );
}

#[test]
fn an_unknown_function_and_one_that_fails_are_told_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, ..Options::default() };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let a = source(&bus, "a");
    let program = Sum::plus(0);
    let b = bus.derive("b", lazy(&[a], &program), &Note::default()).unwrap();
    let c = bus.derive("c", lazy(&[a, b], &Sum::plus(0)), &Note::default()).unwrap();
    program.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = |page| bus.state().unwrap().cells::<i64>(page, 0).unwrap_err().to_string();
    assert_eq!(error(b), "page 'b', rule 'sum': it was told to fail");
    assert_eq!(error(c), "page 'b', rule 'sum': it was told to fail (b -> c)");
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let error = bus.state().unwrap().cells::<i64>(b, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "page 'b': a user's function: this process does not know 'sum', which makes the page when it is read"
    );
    bus.rewire(b, lazy(&[a], &Sum::plus(2)), &Note::default()).unwrap();
    assert_eq!(cells(&bus, b), [2; 4]);
}

/// A long chain is walked, not recursed through.
#[test]
fn a_chain_of_thousands_is_read() {
    let bus = memory();
    let a = source(&bus, "a");
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    let mut last = a;
    for i in 0..3000 {
        last = tx.derive(&format!("p{i}"), window(last, 1)).unwrap();
    }
    tx.commit().unwrap();
    write(&bus, a, 2, 8).unwrap();
    assert_eq!(cells(&bus, last), [0, 0, 8, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever is eager, deferred or lazy: everything is what making it from nothing would give.
    #[test]
    fn when_it_is_made_does_not_matter(
        graph in prop::collection::vec((0usize..3, prop::collection::vec(any::<prop::sample::Index>(), 1..3)), 1..10),
        writes in prop::collection::vec((0usize..2, 0..ROWS, 0i64..3, any::<bool>()), 1..12),
    ) {
        let bus = memory();
        let mut pages = vec![source(&bus, "s0"), source(&bus, "s1")];
        let mut model: Vec<(Vec<usize>, i64)> = Vec::new();
        for (number, (when, inputs)) in graph.iter().enumerate() {
            let inputs: std::collections::BTreeSet<usize> = inputs.iter().map(|at| at.index(pages.len())).collect();
            let ids: Vec<PageId> = inputs.iter().map(|&at| pages[at]).collect();
            let of = derived(&ids, &Sum::plus(number as i64));
            let when = [When::Eager, When::Deferred, When::Lazy][*when];
            let of = Derived { rule: of.rule.when(when), shape: Some((schema(), ROWS)), ..of };
            pages.push(bus.derive(&format!("p{number}"), of, &Note::default()).unwrap());
            model.push((inputs.into_iter().collect(), number as i64));
        }
        let mut sources = vec![vec![0i64; ROWS as usize]; 2];
        for (at, row, value, look) in writes {
            write(&bus, pages[at], row, value).unwrap();
            sources[at][row as usize] = value;
            if look {
                // What is behind is what it was.
                bus.settle().unwrap();
                let mut all = sources.clone();
                for (inputs, plus) in &model {
                    let sum = |row: usize| inputs.iter().fold(*plus, |sum, &at| (sum + all[at][row]) % PRIME);
                    all.push((0..ROWS as usize).map(sum).collect());
                }
                for (page, wanted) in pages.iter().zip(&all) {
                    prop_assert_eq!(&cells(&bus, *page), wanted);
                }
            }
        }
        bus.settle().unwrap();
        prop_assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
        bus.audit().unwrap();
    }
}

/// In the midst of a transaction that has written already, and that declares what it reads.
#[test]
fn a_transaction_lets_go_of_and_declares_what_it_reads() {
    let bus = memory();
    let a = source(&bus, "a");
    let b = bus.derive("b", lazy(&[a], &Sum::plus(1)), &Note::default()).unwrap();
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 0, 5)).unwrap();
    tx.release(b).unwrap();
    let c = tx.derive("c", lazy(&[a], &Sum::plus(10))).unwrap();
    assert_eq!(tx.view(c, 0).unwrap().bytes()[..8], 15i64.to_le_bytes());
    tx.commit().unwrap();
    assert_eq!((cells(&bus, b), cells(&bus, c)), (vec![6, 1, 1, 1], vec![15, 10, 10, 10]));
    // Another function under the same rule.
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.rewire(c, lazy(&[a], &Sum::plus(100))).unwrap();
    assert_eq!(tx.view(c, 0).unwrap().bytes()[..8], 105i64.to_le_bytes());
    drop(tx);
    assert_eq!(cells(&bus, c)[0], 15);
}
