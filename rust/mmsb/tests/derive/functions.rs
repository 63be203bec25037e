//! Which function makes a page: by branch and rule, from the commit on that declares it.

use std::sync::Arc;

use crate::common::{Sum, cells, delta, derived, memory, ran, source, sum, write};
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::propagation::trace::Outcome;

#[test]
fn a_branch_has_its_own_functions() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let branch = bus.branch("what-if", None).unwrap();
    let nested = branch.branch("nested", None).unwrap();
    branch.rewire(b, derived(&[a], &Sum::plus(50)), &Note::default()).unwrap();
    bus.rewire(b, derived(&[a], &Sum::plus(7)), &Note::default()).unwrap();
    for bus in [&bus, &branch, &nested] {
        write(bus, a, 0, 1).unwrap();
    }
    assert_eq!([cells(&bus, b)[0], cells(&branch, b)[0], cells(&nested, b)[0]], [8, 51, 1]);
    // What a merge brings in is made by the branch's function, where the branch's rule comes in.
    let d = source(&branch, "d");
    let (c, _) = sum(&branch, "c", &[d, b]);
    branch.rewire(b, derived(&[a, d], &Sum::plus(1000)), &Note::default()).unwrap();
    bus.merge(&branch, OnConflict::Theirs, &Note::default()).unwrap();
    write(&bus, d, 0, 5).unwrap();
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (1006, 1011));
    assert_eq!(cells(&branch, b)[0], 1001);
    nested.drop_branch().unwrap();
    write(&bus, a, 0, 2).unwrap();
    assert_eq!(cells(&bus, b)[0], 1007);
}

#[test]
fn a_past_state_brings_back_the_function_of_its_rule() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    let (b, first) = sum(&bus, "b", &[a]);
    let epoch = write(&bus, a, 0, 1).unwrap();
    let second = Sum::plus(100);
    bus.rewire(b, derived(&[d], &second), &Note::default()).unwrap();
    assert_eq!(cells(&bus, b)[0], 100);
    let runs = (first.runs(), second.runs());
    bus.revert(epoch, &Note::default()).unwrap();
    assert_eq!((first.runs(), second.runs()), runs, "what was is brought back, not made");
    write(&bus, a, 0, 3).unwrap();
    assert_eq!((cells(&bus, b)[0], first.runs(), second.runs()), (3, runs.0 + 1, runs.1));
    // A page that went comes back with its function.
    let epoch = bus.epoch().unwrap();
    bus.drop_page(b, &Note::default()).unwrap();
    write(&bus, a, 0, 4).unwrap();
    bus.revert(epoch, &Note::default()).unwrap();
    write(&bus, a, 0, 5).unwrap();
    assert_eq!(cells(&bus, b)[0], 5);
    bus.audit().unwrap();
}

#[test]
fn a_function_is_in_effect_from_its_commit_on() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.rewire(b, derived(&[a], &Sum::plus(50))).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[0], 50);
    write(&bus, a, 0, 1).unwrap();
    assert_eq!(cells(&bus, b)[0], 1, "the one before");
    tx.commit().unwrap();
    assert_eq!(cells(&bus, b)[0], 51);
    // Two that are given up leave what was, whichever goes first.
    let mut first = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    let mut second = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    first.rewire(b, derived(&[a], &Sum::plus(60))).unwrap();
    second.rewire(b, derived(&[a], &Sum::plus(70))).unwrap();
    drop(first);
    drop(second);
    write(&bus, a, 0, 2).unwrap();
    assert_eq!(cells(&bus, b)[0], 52);
}

#[test]
fn what_propagation_wrote_meanwhile_is_no_conflict() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    let (b, _) = sum(&bus, "b", &[a]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.rewire(b, derived(&[d], &Sum::plus(9))).unwrap();
    write(&bus, a, 0, 1).unwrap();
    tx.commit().unwrap();
    assert_eq!(cells(&bus, b), [9; 4]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.drop_page(b).unwrap();
    write(&bus, d, 0, 1).unwrap();
    tx.commit().unwrap();
    assert!(bus.state().unwrap().find("b").is_none());
    // Another rule meanwhile is one, and so is what was read.
    let (b, _) = sum(&bus, "b", &[a]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.rewire(b, derived(&[d], &Sum::plus(9))).unwrap();
    bus.release(b, &Note::default()).unwrap();
    assert_eq!(tx.commit().unwrap_err().code(), Code::Conflict);
    let (c, _) = sum(&bus, "c", &[a]);
    let mut tx = bus.begin(Isolation::Serializable, Note::default()).unwrap();
    tx.view(c, 0).unwrap();
    tx.write(delta(d, 1, 1)).unwrap();
    write(&bus, a, 3, 9).unwrap();
    assert_eq!(tx.commit().unwrap_err().code(), Code::Conflict);
}

#[test]
fn what_ran_is_known_after_a_revert_and_a_refused_rule() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, program) = sum(&bus, "b", &[a]);
    let epoch = write(&bus, a, 0, 1).unwrap();
    bus.rewire(b, derived(&[b], &program), &Note::default()).unwrap_err();
    assert_eq!(ran(&bus, epoch), [(b, Outcome::Changed)]);
    bus.revert(epoch, &Note::default()).unwrap();
    let later = write(&bus, a, 0, 2).unwrap();
    assert_eq!((ran(&bus, epoch).len(), ran(&bus, later).len()), (1, 1));
    assert_eq!(bus.last_step(b).unwrap().map(|(epoch, _)| epoch), Some(later));
}

#[test]
fn functions_go_when_another_takes_their_place_and_when_the_bus_is_closed() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, first) = sum(&bus, "b", &[a]);
    write(&bus, a, 0, 1).unwrap();
    let second = Sum::plus(1);
    bus.rewire(b, derived(&[a], &second), &Note::default()).unwrap();
    assert_eq!(Arc::strong_count(&first), 1);
    write(&bus, a, 0, 2).unwrap();
    bus.close();
    assert_eq!(Arc::strong_count(&second), 1);
}

/// A branch that was there before this process knew any function takes that of the branch it is from.
#[test]
fn branches_that_were_opened_take_the_functions_of_their_origin() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, ..Options::default() };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    bus.branch("other", None).unwrap();
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let other = bus.checkout("other").unwrap();
    let epoch = write(&other, a, 0, 1).unwrap();
    assert_eq!(ran(&other, epoch), [(b, Outcome::Behind)]);
    bus.rewire(b, derived(&[a], &Sum::plus(5)), &Note::default()).unwrap();
    write(&other, a, 0, 2).unwrap();
    assert_eq!(cells(&other, b)[0], 7);
    // From then on it is the branch's own.
    bus.rewire(b, derived(&[a], &Sum::plus(500)), &Note::default()).unwrap();
    write(&other, a, 0, 3).unwrap();
    assert_eq!(cells(&other, b)[0], 8);
}

/// A branch that is forked off one that takes functions from its origin has those and its parent's own, and from then on no
/// others.
#[test]
fn forks_of_branches_that_were_opened_have_all_their_functions() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, ..Options::default() };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let a = source(&bus, "a");
    let ((b, _), (c, _)) = (sum(&bus, "b", &[a]), sum(&bus, "c", &[a]));
    bus.branch("other", None).unwrap();
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let other = bus.checkout("other").unwrap();
    bus.rewire(b, derived(&[a], &Sum::plus(5)), &Note::default()).unwrap();
    other.rewire(c, derived(&[a], &Sum::plus(70)), &Note::default()).unwrap();
    let fork = other.branch("fork", None).unwrap();
    let epoch = write(&fork, a, 0, 1).unwrap();
    assert_eq!(ran(&fork, epoch), [(b, Outcome::Changed), (c, Outcome::Changed)]);
    assert_eq!((cells(&fork, b)[0], cells(&fork, c)[0]), (6, 71));
    bus.rewire(c, derived(&[a], &Sum::plus(900)), &Note::default()).unwrap();
    write(&fork, a, 0, 2).unwrap();
    assert_eq!((cells(&fork, b)[0], cells(&fork, c)[0]), (7, 72));
}

/// Both sides settle a page that follows from others, each in its own way, and merge again.
#[test]
fn crossed_merges_of_rules_do_not_write_what_follows() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    let (b, _) = sum(&bus, "b", &[a]);
    let branch = bus.branch("other", None).unwrap();
    bus.rewire(b, derived(&[a, d], &Sum::plus(0)), &Note::default()).unwrap();
    branch.rewire(b, derived(&[d], &Sum::plus(0)), &Note::default()).unwrap();
    let (main, other) =
        (bus.branch("main-before", None).unwrap(), branch.branch("other-before", None).unwrap());
    bus.merge(&other, OnConflict::Ours, &Note::default()).unwrap();
    branch.merge(&main, OnConflict::Ours, &Note::default()).unwrap();
    assert_eq!(bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap_err().code(), Code::Conflict);
    bus.merge(&branch, OnConflict::Theirs, &Note::default()).unwrap();
    write(&bus, d, 0, 3).unwrap();
    write(&bus, a, 0, 40).unwrap();
    assert_eq!(cells(&bus, b)[0], 3);
    bus.audit().unwrap();
}
