//! The writer's lock under every interleaving that loom finds, with holders that die:
//! `RUSTFLAGS="--cfg mmsb_loom" cargo test -p mmsb --test loom_lock --release`.
#![cfg(mmsb_loom)]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use mmsb::memory::shared::lock::{Lock, Taken, Waits};

/// What several processes share: a lock, what it guards, and who of them died.
struct World {
    lock: Lock,
    /// Two words that a holder changes one after the other.
    guarded: UnsafeCell<(u32, u32)>,
    dead: [AtomicBool; 3],
}

/// One process's way to wait: it never sleeps for long, as one that wakes by itself to see who is dead.
struct Process(Arc<World>);

impl Waits for Process {
    fn sleep(&self, word: &AtomicU64, low: u32, _at_most: Duration) {
        if word.load(Ordering::Relaxed) as u32 == low {
            thread::yield_now();
        }
    }

    fn wake(&self, _word: &AtomicU64) {}

    fn is_dead(&self, slot: u32) -> bool {
        self.0.dead[slot as usize].load(Ordering::Acquire)
    }
}

impl Process {
    fn take(&self, slot: u32) -> Taken {
        self.0.lock.take(slot, self, Duration::MAX).unwrap()
    }

    /// Changes both words as one. `found` says how the lock was found.
    fn change(&self, found: Taken) {
        self.0.guarded.with_mut(|words| {
            // SAFETY: loom fails the test where another thread has the cell meanwhile.
            let words = unsafe { &mut *words };
            if let Taken::FromDead(_) = found {
                // As the log says it: the second word is the truth.
                words.0 = words.1;
            }
            assert_eq!(words.0, words.1, "half of a change is seen");
            words.0 += 1;
            words.1 += 1;
        });
    }

    fn give(&self, slot: u32) {
        self.0.lock.give(slot, self);
    }
}

fn world() -> Arc<World> {
    Arc::new(World {
        lock: Lock::new(),
        guarded: UnsafeCell::new((0, 0)),
        dead: [(); 3].map(|()| AtomicBool::new(false)),
    })
}

fn words(world: &World) -> (u32, u32) {
    // SAFETY: the threads are joined.
    world.guarded.with(|words| unsafe { *words })
}

/// A lock whose sleepers sleep until somebody wakes them, however long that is: a waking that is lost is a deadlock, which
/// loom reports.
struct Patient {
    lock: Lock,
    asleep: Mutex<()>,
    changed: Condvar,
}

impl Waits for Patient {
    fn sleep(&self, word: &AtomicU64, low: u32, _at_most: Duration) {
        let asleep = self.asleep.lock().unwrap();
        if word.load(Ordering::Relaxed) as u32 == low {
            drop(self.changed.wait(asleep).unwrap());
        }
    }

    fn wake(&self, _word: &AtomicU64) {
        let _asleep = self.asleep.lock().unwrap();
        self.changed.notify_one();
    }

    fn is_dead(&self, _slot: u32) -> bool {
        false
    }
}

#[test]
fn nobody_is_left_asleep() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let patient =
            Arc::new(Patient { lock: Lock::new(), asleep: Mutex::new(()), changed: Condvar::new() });
        assert!(patient.lock.try_take(0));
        let waiting: Vec<_> = (1..3)
            .map(|slot| {
                let patient = Arc::clone(&patient);
                thread::spawn(move || {
                    assert_eq!(patient.lock.take(slot, &*patient, Duration::MAX), Ok(Taken::Free));
                    patient.lock.give(slot, &*patient);
                })
            })
            .collect();
        patient.lock.give(0, &*patient);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(patient.lock.holder(), None);
    });
}

#[test]
fn one_at_a_time() {
    loom::model(|| {
        let world = world();
        let threads: Vec<_> = (0..2)
            .map(|slot| {
                let process = Process(Arc::clone(&world));
                thread::spawn(move || {
                    let found = process.take(slot);
                    assert_eq!(found, Taken::Free);
                    process.change(found);
                    process.give(slot);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((words(&world), world.lock.holder()), ((2, 2), None));
    });
}

#[test]
fn a_dead_holders_lock_is_taken_once_and_what_it_wrote_is_seen() {
    loom::model(|| {
        let world = world();
        let dying = thread::spawn({
            let process = Process(Arc::clone(&world));
            move || {
                if !process.0.lock.try_take(2) {
                    return;
                }
                // SAFETY: as in `change`.
                process.0.guarded.with_mut(|words| unsafe { (*words).0 += 1 });
                process.0.dead[2].store(true, Ordering::Release);
            }
        });
        let process = Process(Arc::clone(&world));
        let found = process.take(0);
        process.change(found);
        process.give(0);
        dying.join().unwrap();
        let (first, second) = words(&world);
        assert_eq!(second, 1);
        // It died before, and was put right, or it came afterwards and lies there.
        match world.lock.holder() {
            None => assert_eq!(first, 1),
            Some(holder) => assert_eq!((found, holder.slot, first), (Taken::Free, 2, 2)),
        }
    });
}

#[test]
fn of_two_who_find_it_dead_one_takes_it_from_there() {
    loom::model(|| {
        let world = world();
        assert!(world.lock.try_take(2));
        // SAFETY: nobody else runs yet.
        world.guarded.with_mut(|words| unsafe { (*words).0 += 1 });
        world.dead[2].store(true, Ordering::Release);
        let from_dead = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|slot| {
                let (process, from_dead) = (Process(Arc::clone(&world)), Arc::clone(&from_dead));
                thread::spawn(move || {
                    let found = process.take(slot);
                    if found == Taken::FromDead(2) {
                        from_dead.fetch_add(1, Ordering::Relaxed);
                    }
                    process.change(found);
                    process.give(slot);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((words(&world), from_dead.load(Ordering::Relaxed)), ((2, 2), 1));
        assert_eq!(world.lock.holder(), None);
    });
}
