//! Pages that are made in an epoch of their own: behind until then, and right afterwards, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::common::{Sum, cells, delta, derived, memory, ran, source, sum, write};
use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::derive::Derived;
use mmsb::bus::error::Code;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::propagation::rule::{Rule, When};
use mmsb::propagation::trace::Outcome;

fn deferred(inputs: &[PageId], program: &Arc<Sum>) -> Derived {
    let derived = derived(inputs, program);
    Derived { rule: derived.rule.when(When::Deferred), ..derived }
}

/// Waits until the background has made what was put off.
fn wait(bus: &Bus, page: PageId) {
    let end = Instant::now() + Duration::from_secs(20);
    while bus.state().unwrap().is_behind(page).unwrap() {
        assert!(Instant::now() < end, "it is behind still");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A source, a page that follows from it, and its function, which fails from now on.
fn failing(bus: &Bus) -> (PageId, PageId, Arc<Sum>) {
    let a = source(bus, "a");
    let program = Sum::plus(0);
    let b = bus.derive("b", deferred(&[a], &program), &Note::default()).unwrap();
    wait(bus, b);
    program.fails.store(true, Ordering::Relaxed);
    (a, b, program)
}

#[test]
fn it_is_behind_until_an_epoch_of_its_own_makes_it_and_what_follows() {
    let bus = memory();
    let a = source(&bus, "a");
    let program = Sum::plus(1);
    let b = bus.derive("b", deferred(&[a], &program), &Note::default()).unwrap();
    let (c, _) = sum(&bus, "c", &[b, a]);
    wait(&bus, c);
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (1, 1));
    let epoch = write(&bus, a, 0, 5).unwrap();
    assert_eq!(ran(&bus, epoch), [(b, Outcome::Behind), (c, Outcome::Behind)]);
    assert_eq!(bus.at(epoch).unwrap().cells::<i64>(b, 0).unwrap()[0], 1, "as it was");
    assert!(bus.at(epoch).unwrap().is_behind(b).unwrap());
    wait(&bus, c);
    let own = bus.epoch().unwrap();
    assert_eq!(own.0, epoch.0 + 1);
    assert_eq!(ran(&bus, own), [(b, Outcome::Changed), (c, Outcome::Changed)]);
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (6, 11));
    assert_eq!(bus.settle().unwrap(), None, "there is nothing to make");
    assert_eq!(bus.epoch().unwrap(), own);
    // A transaction sees it as it is: behind its own writes.
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    tx.write(delta(a, 0, 9)).unwrap();
    assert_eq!(tx.view(b, 0).unwrap().bytes()[0], 6);
    tx.commit().unwrap();
    bus.settle().unwrap();
    assert_eq!((cells(&bus, b)[0], cells(&bus, c)[0]), (10, 19));
    let runs = program.runs();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
    assert_eq!(program.runs(), runs, "replay runs nothing");
    assert_eq!(bus.rule(b).unwrap().map(|rule| rule.when), Some(When::Deferred));
    assert_eq!(Rule::decode(&bus.state().unwrap().rule(b).unwrap()).unwrap().when, When::Deferred);
    bus.audit().unwrap();
}

#[test]
fn many_commits_are_made_up_for_together() {
    let bus = memory();
    let (a, d) = (source(&bus, "a"), source(&bus, "d"));
    let program = Sum::plus(0);
    let b = bus.derive("b", deferred(&[a, d], &program), &Note::default()).unwrap();
    let c = bus.derive("c", deferred(&[b], &Sum::plus(100)), &Note::default()).unwrap();
    for i in 0..200 {
        write(&bus, if i % 2 == 0 { a } else { d }, i % 4, i as i64).unwrap();
    }
    wait(&bus, c);
    let of = |page| cells(&bus, page);
    let sum: Vec<i64> = of(a).iter().zip(of(d)).map(|(a, d)| a + d).collect();
    assert_eq!(of(b), sum);
    assert_eq!(of(c), sum.iter().map(|cell| cell + 100).collect::<Vec<_>>());
    assert!(program.runs() <= 201, "{} runs", program.runs());
}

#[test]
fn one_that_fails_stays_behind_and_says_why() {
    let bus = memory();
    let (a, b, program) = failing(&bus);
    let epoch = write(&bus, a, 0, 3).unwrap();
    let error = bus.settle().unwrap_err();
    assert_eq!(error.to_string(), "page 'b', rule 'sum': it was told to fail");
    assert_eq!(error.code(), Code::Rule);
    assert_eq!(bus.settle_failed(None).unwrap(), Some(error.to_string()));
    assert_eq!(bus.epoch().unwrap(), epoch);
    assert!(bus.state().unwrap().is_behind(b).unwrap());
    program.fails.store(false, Ordering::Relaxed);
    // The background, which was woken by the write, may come first.
    bus.settle().unwrap();
    assert_eq!(bus.epoch().unwrap().0, epoch.0 + 1);
    assert_eq!((cells(&bus, b)[0], bus.settle_failed(None).unwrap()), (3, None));
    bus.audit().unwrap();
}

#[test]
fn the_others_are_made_without_one_that_fails() {
    let bus = memory();
    let a = source(&bus, "a");
    let programs: Vec<Arc<Sum>> = (0..4).map(Sum::plus).collect();
    let made: Vec<PageId> = (0..4)
        .map(|i| {
            // The last follows from one that fails.
            let inputs = if i == 3 { vec![a, PageId(a.0 + 2)] } else { vec![a] };
            bus.derive(&format!("p{i}"), deferred(&inputs, &programs[i]), &Note::default()).unwrap()
        })
        .collect();
    assert_eq!(made[1], PageId(a.0 + 2));
    made.iter().for_each(|page| wait(&bus, *page));
    let before: Vec<i64> = made.iter().map(|page| cells(&bus, *page)[0]).collect();
    programs[1].fails.store(true, Ordering::Relaxed);
    let epoch = write(&bus, a, 0, 100).unwrap();
    wait(&bus, made[0]);
    let error = bus.settle().unwrap_err();
    assert_eq!(error.to_string(), "page 'p1', rule 'sum': it was told to fail");
    assert_eq!(bus.settle_failed(None).unwrap(), Some(error.to_string()));
    assert_eq!(bus.epoch().unwrap().0, epoch.0 + 1, "they are made once, together");
    let found: Vec<i64> = made.iter().map(|page| cells(&bus, *page)[0]).collect();
    assert_eq!(found, [100, before[1], 102, before[3]]);
    // Another fails as well: each says why.
    programs[2].fails.store(true, Ordering::Relaxed);
    write(&bus, a, 0, 101).unwrap();
    wait(&bus, made[0]);
    bus.settle().unwrap_err();
    let why = |page| bus.settle_failed(Some(page)).unwrap().unwrap();
    assert!(why(made[1]).starts_with("page 'p1'") && why(made[2]).starts_with("page 'p2'"));
    programs[2].fails.store(false, Ordering::Relaxed);
    write(&bus, a, 0, 100).unwrap();
    wait(&bus, made[2]);
    let epoch = Epoch(bus.epoch().unwrap().0 - 1);
    let behind = made.iter().map(|page| bus.state().unwrap().is_behind(*page).unwrap());
    assert_eq!(behind.collect::<Vec<_>>(), [false, true, false, true]);
    // Nobody tries again and again what fails.
    let tried = programs[0].runs();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((programs[0].runs(), bus.epoch().unwrap().0), (tried, epoch.0 + 1));
    programs[1].fails.store(false, Ordering::Relaxed);
    bus.settle().unwrap().unwrap();
    let found: Vec<i64> = made.iter().map(|page| cells(&bus, *page)[0]).collect();
    assert_eq!(found, [100, 101, 102, 204]);
    assert_eq!(bus.settle_failed(None).unwrap(), None);
    bus.audit().unwrap();
}

/// A page that follows at once from one that is put off fails: those that have nothing to do with it are made.
#[test]
fn a_follower_that_fails_keeps_back_only_what_it_follows_from() {
    let bus = memory();
    let a = source(&bus, "a");
    let (slow, other) = (Sum::plus(0), Sum::plus(0));
    let d = bus.derive("d", deferred(&[a], &slow), &Note::default()).unwrap();
    let (e, program) = sum(&bus, "e", &[d]);
    let d2 = bus.derive("d2", deferred(&[a], &other), &Note::default()).unwrap();
    [d, e, d2].iter().for_each(|page| wait(&bus, *page));
    program.fails.store(true, Ordering::Relaxed);
    write(&bus, a, 0, 5).unwrap();
    wait(&bus, d2);
    assert_eq!(bus.settle().unwrap_err().to_string(), "page 'e', rule 'sum': it was told to fail (d -> e)");
    assert_eq!([d, e, d2].map(|page| cells(&bus, page)[0]), [0, 0, 5]);
    program.fails.store(false, Ordering::Relaxed);
    bus.settle().unwrap().unwrap();
    assert_eq!([d, e, d2].map(|page| cells(&bus, page)[0]), [5, 5, 5]);
    bus.audit().unwrap();
}

#[test]
fn it_is_behind_after_reopening_until_its_function_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: None, ..Options::default() };
    let (a, b) = {
        let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
        let (a, b, _) = failing(&bus);
        write(&bus, a, 0, 3).unwrap();
        bus.close();
        (a, b)
    };
    let bus = Bus::open(dir.path().join("bus"), &options).unwrap();
    assert!(bus.state().unwrap().is_behind(b).unwrap());
    assert_eq!(bus.settle().unwrap(), None, "nobody knows its function");
    bus.rewire(b, deferred(&[a], &Sum::plus(0)), &Note::default()).unwrap();
    wait(&bus, b);
    assert_eq!(cells(&bus, b)[0], 3);
    // On a branch it is made there.
    let branch = bus.branch("other", None).unwrap();
    write(&branch, a, 0, 8).unwrap();
    wait(&branch, b);
    assert_eq!((cells(&branch, b)[0], cells(&bus, b)[0]), (8, 3));
    assert!(bus.replay_digest(true).unwrap().iter().all(|found| {
        found.digest == bus.checkout(&found.branch).unwrap().state().unwrap().digest().unwrap()
    }));
}

/// Whoever is forked while a page is put off, or goes back to then, has it made as well.
#[test]
fn forks_and_reverts_make_up_for_what_was_put_off() {
    let bus = memory();
    let (a, b, program) = failing(&bus);
    let stale = write(&bus, a, 0, 3).unwrap();
    bus.settle().unwrap_err();
    let branch = bus.branch("other", None).unwrap();
    branch.settle().unwrap_err();
    // Once the background has tried as well, nobody tries again: the next branch is forked when the rule works.
    std::thread::sleep(Duration::from_millis(200));
    program.fails.store(false, Ordering::Relaxed);
    let works = bus.branch("works", None).unwrap();
    wait(&works, b);
    assert_eq!((cells(&works, b)[0], bus.state().unwrap().is_behind(b).unwrap()), (3, true));
    bus.settle().unwrap().unwrap();
    let past = bus.branch("past", Some(stale)).unwrap();
    wait(&past, b);
    assert_eq!(cells(&past, b)[0], 3);
    bus.rewire(b, derived(&[a], &Sum::plus(0)), &Note::default()).unwrap();
    bus.revert(stale, &Note::default()).unwrap();
    wait(&bus, b);
    assert_eq!(cells(&bus, b)[0], 3);
    branch.settle().unwrap();
    wait(&branch, b);
    assert_eq!(cells(&branch, b)[0], 3);
}
