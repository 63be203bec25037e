//! Pages that follow from others by functions: what runs, in which order, and what is left when something goes wrong.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::{ROWS, Sum, cells, delta, derived, memory, ran, source, sum, write};
use mmsb::base::ids::Epoch;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::propagation::rule::Rule;
use mmsb::propagation::trace::Outcome;

#[test]
fn what_follows_is_right_in_the_same_epoch_and_runs_once() {
    let bus = memory();
    let (a, b) = (source(&bus, "a"), source(&bus, "b"));
    let (c, _) = sum(&bus, "c", &[a, b]);
    let (d, _) = sum(&bus, "d", &[c, a]);
    let before = bus.state().unwrap();
    let epoch = write(&bus, a, 1, 5).unwrap();
    assert_eq!((cells(&bus, c), cells(&bus, d)), (vec![0, 5, 0, 0], vec![0, 10, 0, 0]));
    assert_eq!(ran(&bus, epoch), [(c, Outcome::Changed), (d, Outcome::Changed)]);
    let steps = bus.trace(epoch).unwrap();
    assert_eq!((steps[0].cause, steps[0].rows_in, steps[0].rows_out, steps[0].level()), (a, 1, 1, 1));
    assert_eq!((steps[1].cause, steps[1].rows_in, steps[1].rows_out, steps[1].level()), (c, 2, 1, 2));
    assert_eq!(before.cells::<i64>(d, 0).unwrap(), [0; 4], "a state never changes");
    assert_eq!(bus.state().unwrap().version(d).unwrap().0, epoch);
    // Writing what is there runs nothing.
    let epoch = write(&bus, a, 1, 5).unwrap();
    assert_eq!(ran(&bus, epoch), []);
    // What comes out equal stops it.
    let commit = bus.commit(
        &[
            mmsb::bus::commit::Change::Write(delta(a, 0, 3)),
            mmsb::bus::commit::Change::Write(delta(b, 0, -3)),
        ],
        &Note::default(),
    );
    let epoch = commit.unwrap().epoch;
    assert_eq!(ran(&bus, epoch), [(c, Outcome::Equal), (d, Outcome::Changed)]);
    assert_eq!(cells(&bus, d), [3, 10, 0, 0]);
}

#[test]
fn a_commit_whose_rule_fails_leaves_everything_as_it_was() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let (c, fails) = sum(&bus, "c", &[b]);
    write(&bus, a, 0, 1).unwrap();
    let (epoch, digest) = (bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap());
    fails.fails.store(true, Ordering::Relaxed);
    let error = write(&bus, a, 0, 2).unwrap_err();
    assert_eq!(error.to_string(), "page 'c', rule 'sum': it was told to fail (a -> b -> c)");
    assert!(matches!(&error, Error::Rule { path, .. } if path == &["a", "b", "c"]), "{error:?}");
    assert_eq!(error.code(), Code::Rule);
    assert_eq!((bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap()), (epoch, digest));
    bus.audit().unwrap();
    fails.fails.store(false, Ordering::Relaxed);
    write(&bus, a, 0, 7).unwrap();
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (7, 7));
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
}

#[test]
fn what_follows_from_others_is_not_written_and_what_others_follow_from_does_not_go() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let error = write(&bus, b, 0, 1).unwrap_err();
    assert_eq!(error.to_string(), "page 'b' follows from others: its rule says what it holds");
    assert_eq!(error.code(), Code::Follows);
    assert_eq!(bus.resize(b, 9, &Note::default()).unwrap_err().code(), Code::Follows);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    assert_eq!(tx.write(delta(b, 0, 1)).unwrap_err().code(), Code::Follows);
    drop(tx);
    let error = bus.drop_page(a, &Note::default()).unwrap_err();
    assert_eq!(error.to_string(), "page 'a' cannot go: page 'b' follows from it");
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.drop_page(a).unwrap();
    tx.drop_page(b).unwrap();
    tx.commit().unwrap();
    assert!(bus.state().unwrap().is_empty());
    bus.audit().unwrap();
}

#[test]
fn a_way_round_is_refused_with_its_names_and_changes_nothing() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let (c, _) = sum(&bus, "c", &[b]);
    let (d, program) = sum(&bus, "d", &[c]);
    let (epoch, digest) = (bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap());
    let error = bus.rewire(b, derived(&[a, d], &program), &Note::default()).unwrap_err();
    assert_eq!(error.to_string(), "page 'b' would follow from itself: b -> c -> d -> b");
    assert_eq!(error.code(), Code::Cycle);
    assert_eq!((bus.epoch().unwrap(), bus.state().unwrap().digest().unwrap()), (epoch, digest));
    write(&bus, a, 0, 4).unwrap();
    assert_eq!(cells(&bus, d)[0], 4);
    // A function that is refused leaves the one before.
    bus.rewire(b, derived(&[a, d], &Sum::plus(100)), &Note::default()).unwrap_err();
    drop(bus.begin(Isolation::Snapshot, Note::default()).unwrap().rewire(b, derived(&[a], &Sum::plus(50))));
    write(&bus, a, 0, 6).unwrap();
    assert_eq!(cells(&bus, d)[0], 6);
    // What follows from another page from now on is right at once, and the levels with it.
    bus.rewire(d, derived(&[a], &program), &Note::default()).unwrap();
    let epoch = write(&bus, a, 0, 5).unwrap();
    let levels: Vec<u32> = bus.trace(epoch).unwrap().iter().map(|step| step.level()).collect();
    assert_eq!(levels, [1, 1, 2]);
    bus.rewire(b, derived(&[a, d], &program), &Note::default()).unwrap();
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (10, 10));
}

#[test]
fn a_transaction_sees_what_follows_from_its_own_writes() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 2, 6)).unwrap();
    let view = tx.view(b, 0).unwrap();
    assert_eq!(view.bytes()[16..24], 6i64.to_le_bytes());
    tx.write(delta(a, 2, 8)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[16..24], 8i64.to_le_bytes());
    let c = tx.derive("c", derived(&[b], &Sum::plus(1))).unwrap();
    assert_eq!(tx.view(c, 0).unwrap().bytes()[16..24], 9i64.to_le_bytes());
    assert_eq!(cells(&bus, b)[2], 0);
    tx.commit().unwrap();
    assert_eq!(cells(&bus, b)[2], 8);
}

#[test]
fn replay_runs_nothing_and_reopening_finds_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let options = Options { checkpoint_after: None, ..Options::default() };
    let (digest, b, c, runs) = {
        let bus = Bus::open(&path, &options).unwrap();
        let a = source(&bus, "a");
        let (b, program) = sum(&bus, "b", &[a]);
        let (c, _) = sum(&bus, "c", &[b]);
        for i in 0..20 {
            write(&bus, a, i % ROWS, i as i64).unwrap();
        }
        let before = program.runs.load(Ordering::Relaxed);
        let digest = bus.state().unwrap().digest().unwrap();
        assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
        assert_eq!(
            bus.at(Epoch(10)).unwrap().cells::<i64>(c, 0).unwrap(),
            bus.at(Epoch(10)).unwrap().cells::<i64>(b, 0).unwrap()
        );
        assert_eq!(program.runs.load(Ordering::Relaxed), before, "replay and past states run nothing");
        bus.close();
        (digest, b, c, before)
    };
    assert!(runs >= 20);
    for checkpoint in [false, true] {
        let bus = Bus::open(&path, &options).unwrap();
        assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
        assert_eq!(bus.rule(c).unwrap(), Some(Rule::program("sum", &[b])));
        if checkpoint {
            bus.checkpoint(&mut |_| {}).unwrap();
        }
        bus.close();
    }
    let bus = Bus::open(&path, &options).unwrap();
    assert_eq!(bus.rule(c).unwrap(), Some(Rule::program("sum", &[b])));
    let a = bus.state().unwrap().find("a").unwrap();
    // Nobody knows the functions here: what follows is behind, and says so.
    let epoch = write(&bus, a, 0, 100).unwrap();
    assert_eq!(ran(&bus, epoch), [(b, Outcome::Behind), (c, Outcome::Behind)]);
    assert!(bus.state().unwrap().is_behind(b).unwrap() && bus.state().unwrap().is_behind(c).unwrap());
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
    let program = Sum::plus(0);
    bus.rewire(c, derived(&[b], &program), &Note::default()).unwrap();
    assert!(bus.state().unwrap().is_behind(c).unwrap(), "what it follows from is behind still");
    bus.rewire(b, derived(&[a], &program), &Note::default()).unwrap();
    assert!(!bus.state().unwrap().is_behind(b).unwrap() && !bus.state().unwrap().is_behind(c).unwrap());
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (100, 100));
}

#[test]
fn branches_and_reverts_have_the_rules_of_their_states() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, program) = sum(&bus, "b", &[a]);
    let first = write(&bus, a, 0, 1).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    let branch = bus.branch("what-if", None).unwrap();
    write(&branch, a, 0, 50).unwrap();
    assert_eq!((cells(&branch, b)[0], cells(&bus, b)[0]), (50, 1));
    let (c, _) = sum(&bus, "c", &[b]);
    write(&bus, a, 1, 9).unwrap();
    assert_eq!(cells(&bus, c), [1, 9, 0, 0]);
    let runs = program.runs.load(Ordering::Relaxed);
    bus.revert(first, &Note::default()).unwrap();
    assert_eq!(program.runs.load(Ordering::Relaxed), runs, "what was is brought back, not made");
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
    write(&bus, a, 3, 2).unwrap();
    assert_eq!(cells(&bus, b), [1, 0, 0, 2]);
    bus.revert(Epoch(first.0 + 2), &Note::default()).unwrap();
    write(&bus, a, 0, 0).unwrap();
    assert_eq!(cells(&bus, c), [0, 9, 0, 0]);
    bus.audit().unwrap();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
}

#[test]
fn what_is_brought_back_is_all_there_is_whatever_comes_between() {
    let bus =
        Bus::memory(&Options { busy_timeout: Duration::from_millis(100), ..Options::default() }).unwrap();
    let (a, p) = (source(&bus, "a"), source(&bus, "p"));
    let (b, _) = sum(&bus, "b", &[a, p]);
    let then = write(&bus, a, 0, 1).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    write(&bus, a, 0, 2).unwrap();
    let mut others = 0;
    let mut once = |_| {
        others += 1;
        if others == 1 {
            write(&bus, p, 1, 7).unwrap();
        }
    };
    bus.revert_with(then, &Note::default(), &mut once).unwrap().unwrap();
    assert!(others > 2, "it began anew");
    assert_eq!((bus.state().unwrap().digest().unwrap(), cells(&bus, b)), (digest, vec![1, 0, 0, 0]));
    // Where others never cease, it says so, and has changed nothing.
    write(&bus, a, 0, 3).unwrap();
    let mut step = 0;
    let mut always = |_| {
        step += 1;
        write(&bus, p, 1, step).unwrap();
    };
    let error = bus.revert_with(then, &Note::default(), &mut always).unwrap_err();
    assert!(error.to_string().contains("others commit while a past state is brought back"), "{error}");
    assert_eq!((cells(&bus, a)[0], cells(&bus, b)), (3, vec![3, step, 0, 0]));
}

#[test]
fn a_merge_merges_what_is_written_and_makes_what_follows() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, program) = sum(&bus, "b", &[a]);
    let branch = bus.branch("other", None).unwrap();
    write(&bus, a, 0, 1).unwrap();
    write(&branch, a, 1, 2).unwrap();
    let (c, _) = sum(&branch, "c", &[a, b]);
    assert_eq!((cells(&bus, b), cells(&branch, c)), (vec![1, 0, 0, 0], vec![0, 4, 0, 0]));
    bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap();
    assert_eq!((cells(&bus, b), cells(&bus, c)), (vec![1, 2, 0, 0], vec![2, 4, 0, 0]));
    // One side has it follow from something else; then both do.
    let d = source(&bus, "d");
    branch.merge(&bus, OnConflict::Raise, &Note::default()).unwrap();
    branch.rewire(b, derived(&[a, d], &program), &Note::default()).unwrap();
    write(&bus, d, 3, 9).unwrap();
    bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap();
    assert_eq!((cells(&bus, b), cells(&bus, c)), (vec![1, 2, 0, 9], vec![2, 4, 0, 9]));
    bus.rewire(b, derived(&[d], &program), &Note::default()).unwrap();
    branch.release(b, &Note::default()).unwrap();
    write(&branch, b, 0, 77).unwrap();
    let error = bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap_err();
    assert_eq!(error.to_string(), "conflict on page 'b' (both sides had it follow from something else)");
    bus.merge(&branch, OnConflict::Theirs, &Note::default()).unwrap();
    assert_eq!(bus.rule(b).unwrap(), None);
    assert_eq!((cells(&bus, b), cells(&bus, c)[0]), (vec![77, 2, 0, 0], 78));
    bus.audit().unwrap();
    assert!(bus.replay_digest(true).unwrap().iter().all(|found| {
        found.digest == bus.checkout(&found.branch).unwrap().state().unwrap().digest().unwrap()
    }));
}

/// A node that a released page leaves is another page's next.
#[test]
fn what_is_released_and_declared_again_is_followed() {
    let bus = memory();
    let (a, other) = (source(&bus, "a"), source(&bus, "other"));
    let released: Vec<_> = (0..3).map(|i| sum(&bus, &format!("p{i}"), &[a]).0).collect();
    released[..2].iter().for_each(|page| {
        bus.release(*page, &Note::default()).unwrap();
    });
    let (q, _) = sum(&bus, "q", &[other]);
    write(&bus, other, 0, 5).unwrap();
    assert_eq!(cells(&bus, q)[0], 5);
    let no_inputs = bus.derive("none", derived(&[], &Sum::plus(0)), &Note::default()).unwrap_err();
    assert!(no_inputs.to_string().contains("it follows from no page"), "{no_inputs}");
}

/// A page that was written and then got a rule that makes the same of it is another one for what follows from it.
#[test]
fn a_page_that_gets_a_rule_tells_what_follows_from_it() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    write(&bus, d, 3, 9).unwrap();
    let (b, program) = sum(&bus, "b", &[a]);
    let (c, _) = sum(&bus, "c", &[b]);
    let branch = bus.branch("other", None).unwrap();
    branch.rewire(b, derived(&[a, d], &program), &Note::default()).unwrap();
    bus.merge(&branch, OnConflict::Raise, &Note::default()).unwrap();
    assert_eq!((cells(&bus, b), cells(&bus, c)), (vec![0, 0, 0, 9], vec![0, 0, 0, 9]));
    // Both have it follow from something else; each policy settles it.
    let again = bus.branch("again", None).unwrap();
    again.rewire(b, derived(&[d], &program), &Note::default()).unwrap();
    bus.rewire(b, derived(&[a], &program), &Note::default()).unwrap();
    bus.merge(&again, OnConflict::Ours, &Note::default()).unwrap();
    assert_eq!((cells(&bus, b)[3], cells(&bus, c)[3]), (0, 0));
}

/// What is behind is behind in every state that is brought back, and only there.
#[test]
fn reverting_brings_back_what_was_behind() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, ..Options::default() };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    bus.close();
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    let behind = write(&bus, a, 0, 7).unwrap();
    let digest = bus.state().unwrap().digest().unwrap();
    bus.rewire(b, derived(&[a], &Sum::plus(0)), &Note::default()).unwrap();
    assert!(!bus.state().unwrap().is_behind(b).unwrap());
    bus.revert(behind, &Note::default()).unwrap();
    assert!(bus.state().unwrap().is_behind(b).unwrap());
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
}

#[test]
fn a_write_that_is_taken_back_is_not_followed_in_its_transaction() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 1, 6)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[8], 6);
    tx.write(delta(a, 1, 0)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[8], 0);
}

/// Where a page is is not remembered over a time in which nothing followed from it.
#[test]
fn what_was_not_followed_for_a_while_is_followed_as_it_is() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    let (b, program) = sum(&bus, "b", &[a]);
    write(&bus, a, 0, 1).unwrap();
    bus.rewire(b, derived(&[d], &program), &Note::default()).unwrap();
    write(&bus, a, 0, 2).unwrap();
    bus.rewire(b, derived(&[d, a], &program), &Note::default()).unwrap();
    assert_eq!(cells(&bus, b)[0], 2);
    write(&bus, d, 0, 10).unwrap();
    assert_eq!(cells(&bus, b)[0], 12);
}
