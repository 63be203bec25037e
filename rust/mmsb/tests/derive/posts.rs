//! What many threads post: nothing is lost or doubled, the order is who posted and when, and nobody waits for the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::{cells, delta, memory, schema, source, sum, write};
use mmsb::algebra::operator::Builtin;
use mmsb::base::ids::PageId;
use mmsb::base::limits::POSTED_MAX;
use mmsb::bus::derive::Derived;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::past::history::Filter;
use mmsb::bus::posts::{Collected, OnRefused};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::operator::{Merge, OperatorId};
use mmsb::page::select::Select;
use mmsb::propagation::made::Made;
use mmsb::propagation::program::{Call, Program, Raised};
use mmsb::propagation::rule::Rule;
use proptest::prelude::*;

fn collect(bus: &Bus) -> Result<Collected, Error> {
    bus.collect(OnRefused::Raise, &Note::default())
}

fn add(page: PageId, row: u64, value: i64) -> Delta<'static> {
    let data = Data::Dense(value.to_le_bytes().to_vec().into());
    let part = Part { column: 0, select: Select::range(row, row + 1), data };
    Delta::single(page, Builtin::Add.id(), part)
}

fn sources_of(bus: &Bus) -> Vec<Option<String>> {
    let mut sources = Vec::new();
    let each = |commit: mmsb::bus::past::history::Commit| {
        sources.push(commit.source);
        true
    };
    bus.log(&Filter::default(), each).unwrap();
    sources
}

#[test]
fn they_are_in_one_commit_in_the_order_of_their_producers() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, program) = sum(&bus, "b", &[a]);
    let (ran, epoch) = (program.runs(), bus.epoch().unwrap());
    let (left, right) = (bus.producer("left", None).unwrap(), bus.producer("right", None).unwrap());
    assert_eq!(bus.post(&right, delta(a, 0, 7)).unwrap(), 0);
    assert_eq!(bus.post(&left, delta(a, 0, 5)).unwrap(), 0);
    assert_eq!(bus.post(&left, delta(a, 0, 6)).unwrap(), 1);
    assert_eq!(bus.post(&left, delta(a, 1, 1)).unwrap(), 2);
    assert_eq!((left.waiting(), right.waiting()), (3, 1));
    assert_eq!((cells(&bus, a), bus.epoch().unwrap()), (vec![0; 4], epoch), "nobody has collected them");
    let collected = collect(&bus).unwrap();
    assert_eq!((collected.posts, collected.refused.len()), (4, 0));
    assert_eq!(collected.committed.unwrap().epoch.0, epoch.0 + 1);
    assert_eq!(cells(&bus, a), [7, 1, 0, 0], "the right one's is the last, though it came first");
    assert_eq!((cells(&bus, b), program.runs()), (vec![7, 1, 0, 0], ran + 1));
    assert_eq!((left.waiting(), right.waiting()), (0, 0));
    assert_eq!(sources_of(&bus).last().unwrap().as_deref(), Some("left, right"));
    let nothing = collect(&bus).unwrap();
    assert!(nothing.committed.is_none() && nothing.posts == 0);
    assert_eq!(bus.post(&left, delta(a, 0, 1)).unwrap(), 3, "its posts are counted on");
}

#[test]
fn one_name_is_one_producer_and_a_branch_has_its_own() {
    let bus = memory();
    let a = source(&bus, "a");
    let branch = bus.branch("other", None).unwrap();
    let (one, same) = (bus.producer("one", None).unwrap(), bus.producer("one", None).unwrap());
    assert_eq!((bus.post(&one, delta(a, 0, 1)).unwrap(), bus.post(&same, delta(a, 1, 2)).unwrap()), (0, 1));
    assert_eq!(branch.post(&branch.producer("one", None).unwrap(), delta(a, 0, 9)).unwrap(), 0);
    assert_eq!(collect(&branch).unwrap().posts, 1);
    assert_eq!((cells(&branch, a), cells(&bus, a)), (vec![9, 0, 0, 0], vec![0; 4]));
    assert_eq!(collect(&bus).unwrap().posts, 2);
    assert_eq!(cells(&bus, a), [1, 2, 0, 0]);
    let error = branch.post(&one, delta(a, 0, 1)).unwrap_err();
    assert_eq!(error.to_string(), "producer 'one' posts on branch 'main', not on 'other'");
    let one_there = branch.producer("one", None).unwrap();
    branch.post(&one_there, delta(a, 0, 9)).unwrap();
    branch.drop_branch().unwrap();
    assert_eq!(branch.post(&one_there, delta(a, 0, 9)).unwrap_err().code(), Code::BranchNotFound);
    assert_eq!(branch.producer("one", None).unwrap_err().code(), Code::BranchNotFound);
}

#[test]
fn what_cannot_be_is_refused_when_it_is_posted() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, _) = sum(&bus, "b", &[a]);
    let one = bus.producer("one", None).unwrap();
    assert_eq!(bus.post(&one, delta(a, 4, 1)).unwrap_err().code(), Code::IndexOutOfRange);
    assert_eq!(bus.post(&one, delta(b, 0, 1)).unwrap_err().code(), Code::Follows);
    assert_eq!(bus.post(&one, delta(PageId(99), 0, 1)).unwrap_err().code(), Code::PageNotFound);
    assert_eq!(bus.producer("", None).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!((one.waiting(), bus.post(&one, delta(a, 0, 1)).unwrap()), (0, 0), "none of them counts");
    bus.close();
    assert_eq!(bus.post(&one, delta(a, 0, 1)).unwrap_err().code(), Code::Closed);
}

#[test]
fn one_that_fits_no_more_keeps_all_waiting_or_is_left_out() {
    let bus = memory();
    let (a, c) = (source(&bus, "a"), source(&bus, "c"));
    let one = bus.producer("one", None).unwrap();
    bus.post(&one, delta(a, 0, 1)).unwrap();
    bus.post(&one, delta(c, 3, 2)).unwrap();
    bus.post(&one, delta(a, 1, 3)).unwrap();
    bus.resize(c, 2, &Note::default()).unwrap();
    let epoch = bus.epoch().unwrap();
    for _ in 0..2 {
        let error = collect(&bus).unwrap_err();
        assert_eq!(error.code(), Code::IndexOutOfRange);
        let said = error.to_string();
        assert!(said.starts_with("post 1 of producer 'one': page 'c'"), "{said}");
        assert_eq!((bus.epoch().unwrap(), one.waiting()), (epoch, 3));
    }
    let collected = bus.collect(OnRefused::Drop, &Note::default()).unwrap();
    assert_eq!((collected.posts, collected.refused.len(), one.waiting()), (2, 1, 0));
    let refused = &collected.refused[0];
    assert_eq!((&*refused.producer, refused.number, refused.page), ("one", 1, c));
    assert_eq!((cells(&bus, a), cells(&bus, c)), (vec![1, 3, 0, 0], vec![0, 0]));
}

#[test]
fn a_rule_that_fails_keeps_all_waiting() {
    let bus = memory();
    let a = source(&bus, "a");
    let (b, program) = sum(&bus, "b", &[a]);
    let one = bus.producer("one", None).unwrap();
    bus.post(&one, delta(a, 0, 1)).unwrap();
    program.fails.store(true, Ordering::Relaxed);
    assert_eq!(collect(&bus).unwrap_err().code(), Code::Rule);
    bus.post(&one, delta(a, 1, 2)).unwrap();
    assert_eq!((one.waiting(), cells(&bus, a)), (2, vec![0; 4]));
    program.fails.store(false, Ordering::Relaxed);
    assert_eq!(collect(&bus).unwrap().posts, 2);
    assert_eq!(cells(&bus, b), [1, 2, 0, 0]);
}

#[test]
fn no_more_waits_than_the_limit() {
    let bus = memory();
    let a = source(&bus, "a");
    let one = bus.producer("one", Some(1000)).unwrap();
    let error = loop {
        if let Err(error) = bus.post(&one, delta(a, 0, 1)) {
            break error;
        }
    };
    assert_eq!(error.code(), Code::MemoryBudget);
    assert!(error.to_string().contains("producer 'one' has") && error.to_string().contains("1000 may wait"));
    let waiting = one.waiting();
    assert!(waiting > 1, "some fit");
    collect(&bus).unwrap();
    for _ in 0..waiting {
        bus.post(&one, delta(a, 0, 1)).unwrap();
    }
    assert_eq!(bus.post(&one, delta(a, 0, 1)).unwrap_err().code(), Code::MemoryBudget);
    bus.producer("one", Some(POSTED_MAX)).unwrap();
    bus.post(&one, delta(a, 0, 1)).unwrap();
}

/// Says when it runs, and runs until it is told to end.
#[derive(Debug)]
struct Slow(mpsc::SyncSender<()>, std::sync::Mutex<mpsc::Receiver<()>>, AtomicBool);

impl Program for Slow {
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised> {
        if self.2.load(Ordering::Relaxed) {
            self.0.send(()).unwrap();
            self.1.lock().unwrap().recv().unwrap();
        }
        made.put(0, 0, &vec![1i64; call.page.rows() as usize]);
        Ok(())
    }
}

/// A bus with a page, and another that follows from it by a rule that runs until it is told to end.
fn slow() -> (Bus, PageId, Arc<Slow>, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
    let bus = memory();
    let a = source(&bus, "a");
    let ((runs, running), (end, ended)) = (mpsc::sync_channel(0), mpsc::sync_channel(0));
    let slow = Arc::new(Slow(runs, ended.into(), AtomicBool::new(false)));
    let program: Arc<dyn Program> = Arc::clone(&slow) as _;
    let derived =
        Derived { rule: Rule::program("slow", &[a]), shape: Some((schema(), 4)), program: Some(program) };
    bus.derive("b", derived, &Note::default()).unwrap();
    slow.2.store(true, Ordering::Relaxed);
    (bus, a, slow, running, end)
}

#[test]
fn whoever_posts_does_not_wait_for_the_writer() {
    let (bus, a, slow, running, end) = slow();
    let one = bus.producer("one", None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| write(&bus, a, 0, 1).unwrap());
        running.recv().unwrap();
        // The writer is in the middle of a commit and goes on only when it is told to, below.
        bus.post(&one, delta(a, 1, 5)).unwrap();
        assert_eq!(one.waiting(), 1);
        slow.2.store(false, Ordering::Relaxed);
        end.send(()).unwrap();
    });
    collect(&bus).unwrap();
    assert_eq!(cells(&bus, a), [1, 5, 0, 0]);
}

/// What one thread took out to commit is committed before what another takes out later.
#[test]
fn one_collects_at_a_time() {
    for _ in 0..5 {
        let (bus, a, slow, running, end) = slow();
        let one = bus.producer("one", None).unwrap();
        bus.post(&one, delta(a, 1, 5)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| write(&bus, a, 0, 1).unwrap());
            running.recv().unwrap();
            scope.spawn(|| collect(&bus).unwrap());
            thread::sleep(Duration::from_millis(10));
            bus.post(&one, delta(a, 1, 6)).unwrap();
            scope.spawn(|| collect(&bus).unwrap());
            thread::sleep(Duration::from_millis(10));
            slow.2.store(false, Ordering::Relaxed);
            end.send(()).unwrap();
        });
        assert_eq!((cells(&bus, a)[1], one.waiting()), (6, 0));
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_threads_post_and_one_collects() {
    const EACH: i64 = 2000;
    let bus = memory();
    let a = source(&bus, "a");
    let (total, _) = sum(&bus, "b", &[a]);
    let over = AtomicBool::new(false);
    let mut collected = 0;
    thread::scope(|scope| {
        let posting: Vec<_> = (0..4)
            .map(|thread: u64| {
                let one = bus.producer(&format!("thread {thread}"), None).unwrap();
                let bus = &bus;
                scope.spawn(move || {
                    for value in 0..EACH {
                        bus.post(&one, add(a, thread, value)).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            posting.into_iter().for_each(|thread| thread.join().unwrap());
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) {
            collected += collect(&bus).unwrap().posts;
        }
    });
    collected += collect(&bus).unwrap().posts;
    assert_eq!(collected, 4 * EACH as usize);
    assert_eq!(cells(&bus, a), [EACH * (EACH - 1) / 2; 4]);
    assert_eq!(cells(&bus, total), cells(&bus, a));
}

/// Posts of three producers over three pages: assignments, additions and greatest cells.
fn any_post() -> impl Strategy<Value = (usize, usize, u64, u8, i64)> {
    (0..3usize, 0..3usize, 0..4u64, 0..3u8, -5..5i64)
}

fn made(page: PageId, (row, op, value): (u64, u8, i64)) -> Delta<'static> {
    let op = match op {
        0 => OperatorId::ASSIGN,
        1 => Builtin::Add.id(),
        _ => Builtin::Max.id(),
    };
    Delta { op, ..delta(page, row, value) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However threads are scheduled, the state is that of committing each producer's posts one after the other.
    #[test]
    fn the_state_is_that_of_the_producers_one_after_the_other(posts in prop::collection::vec(any_post(), 0..40)) {
        let of = |bus: &Bus| -> Vec<PageId> { ["a", "b", "c"].iter().map(|name| source(bus, name)).collect() };
        let options = || Options { history_budget: None, ..Options::default() };
        let (bus, plain) = (Bus::memory(&options()).unwrap(), Bus::memory(&options()).unwrap());
        let (pages, plain_pages) = (of(&bus), of(&plain));
        let (_, program) = sum(&bus, "sum", &pages);
        thread::scope(|scope| {
            for number in 0..3 {
                let one = bus.producer(&format!("{number}"), None).unwrap();
                let (bus, posts, pages) = (&bus, &posts, &pages);
                scope.spawn(move || {
                    for &(_, page, row, op, value) in posts.iter().filter(|post| post.0 == number) {
                        bus.post(&one, made(pages[page], (row, op, value))).unwrap();
                    }
                });
            }
        });
        let ran = program.runs();
        let collected = collect(&bus).unwrap();
        prop_assert_eq!(collected.posts, posts.len());
        prop_assert!(program.runs() <= ran + 1);
        for number in 0..3 {
            for &(_, page, row, op, value) in posts.iter().filter(|post| post.0 == number) {
                plain.write(made(plain_pages[page], (row, op, value)), &Note::default()).unwrap();
            }
        }
        for (page, plain_page) in pages.iter().zip(&plain_pages) {
            prop_assert_eq!(cells(&bus, *page), cells(&plain, *plain_page));
        }
        prop_assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
    }
}
