//! Edges that carry no cells, of every kind: they mark a page and run nothing, and are as lasting as what is in pages.

use crate::common::{cells, memory, ran, source, write};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::graph::edge::{Edge, EdgeKind};
use mmsb::propagation::reduction::spec::Reduction;
use mmsb::propagation::relation::window::Window;
use mmsb::propagation::rule::{Rule, What};
use mmsb::propagation::trace::Outcome;

const KINDS: [EdgeKind; 3] = [EdgeKind::Control, EdgeKind::Device, EdgeKind::Compiler];

/// What a page says that follows from the cells of one, and from another by an edge of a kind.
fn of(cells: PageId, other: PageId, kind: EdgeKind) -> Derived {
    let what = What::Window(Window { column: 0, what: Reduction::Sum, rows: 1 });
    let edges = vec![Edge::data(cells), Edge { page: other, kind }];
    Derived { rule: Rule::new(edges, what), shape: None, program: None }
}

/// A bus in which a page follows from `a`, and from `b` by an edge of each kind; those pages.
fn with_all(bus: &Bus) -> (PageId, PageId, Vec<PageId>) {
    let (a, b) = (source(bus, "a"), source(bus, "b"));
    let derive = |kind: EdgeKind| bus.derive(kind.name(), of(a, b, kind), &Note::default()).unwrap();
    let pages = KINDS.map(derive).to_vec();
    (a, b, pages)
}

fn all(pages: &[PageId], outcome: Outcome) -> Vec<(PageId, Outcome)> {
    pages.iter().map(|page| (*page, outcome)).collect()
}

#[test]
fn a_change_marks_and_runs_nothing_and_only_control_makes_stale() {
    let bus = memory();
    let (a, b, pages) = with_all(&bus);
    let stale = |bus: &Bus| -> Vec<bool> {
        let state = bus.state().unwrap();
        pages.iter().map(|page| state.is_behind(*page).unwrap()).collect()
    };
    assert_eq!(stale(&bus), [false; 3]);
    let epoch = write(&bus, b, 0, 1).unwrap();
    assert_eq!(ran(&bus, epoch), all(&pages, Outcome::Marked));
    assert_eq!(stale(&bus), [true, false, false]);
    let same = write(&bus, b, 0, 1).unwrap();
    assert_eq!(ran(&bus, same), [], "what is there is no change");
    let epoch = write(&bus, a, 0, 5).unwrap();
    assert_eq!(ran(&bus, epoch), all(&pages, Outcome::Changed));
    assert_eq!(stale(&bus), [false; 3]);
    for page in &pages {
        assert_eq!(cells(&bus, *page), [5, 0, 0, 0]);
    }
    bus.audit().unwrap();
}

#[test]
fn the_log_checkpoints_and_branches_keep_kinds_and_marks() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, history_budget: None, ..Options::default() };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let (a, b, pages) = with_all(&bus);
    let unmarked = bus.epoch().unwrap();
    write(&bus, b, 0, 1).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    // A mark is part of the state: without marks, the same cells are another.
    let other = bus.branch("other", Some(unmarked)).unwrap();
    let marked = write(&other, b, 0, 1).unwrap();
    assert_eq!(ran(&other, marked), all(&pages, Outcome::Marked));
    assert_eq!(other.state().unwrap().digest().unwrap(), digest);
    let again = |bus: &Bus| {
        for (page, kind) in pages.iter().zip(KINDS) {
            let rule = bus.state().unwrap().follows(*page).unwrap().unwrap();
            assert_eq!(rule.edges, of(a, b, kind).rule.edges);
        }
        assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
        assert!(bus.replay_digest(true).unwrap().iter().all(|branch| branch.digest == digest));
    };
    again(&bus);
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    again(&bus);
    bus.checkpoint(&mut |_| ()).unwrap();
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    again(&bus);
    // Marks do not conflict, and go where the change that made them goes.
    let other = bus.branch("third", None).unwrap();
    write(&other, b, 1, 7).unwrap();
    bus.merge(&other, OnConflict::Raise, &Note::default()).unwrap();
    assert_eq!(cells(&bus, b), [1, 7, 0, 0]);
    assert!(bus.state().unwrap().is_behind(pages[0]).unwrap());
    let epoch = write(&bus, a, 0, 5).unwrap();
    assert_eq!(ran(&bus, epoch), all(&pages, Outcome::Changed));
    bus.revert(Epoch(unmarked.0), &Note::default()).unwrap();
    assert!(!bus.state().unwrap().is_behind(pages[0]).unwrap());
    bus.audit().unwrap();
}

#[test]
fn an_edge_of_any_kind_closes_a_cycle_and_keeps_its_page() {
    let bus = memory();
    let (a, b, pages) = with_all(&bus);
    for (page, kind) in pages.iter().zip(KINDS) {
        let path = match bus.rewire(*page, of(a, *page, kind), &Note::default()).unwrap_err() {
            Error::Cycle(path) => path,
            other => panic!("{other}"),
        };
        assert_eq!(path, [kind.name(); 2]);
        assert!(matches!(bus.drop_page(b, &Note::default()), Err(Error::HasFollowers { .. })));
    }
}
