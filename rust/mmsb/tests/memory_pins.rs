//! Pins and limbo over a real arena: thousands of pins, readers and a writer on threads.
#![allow(unsafe_code, clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use mmsb::base::limits::CHUNK;
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::Arena;
use mmsb::memory::machine::place::Place;
use mmsb::memory::pinning::guard::PinGuard;
use mmsb::memory::pinning::limbo::{Limbo, Retired};
use mmsb::memory::pinning::pins::{PIN_BLOCK, Pinned};

fn arena() -> Arc<Arena> {
    Arena::new(Place::Memory, 256 << 20).unwrap()
}

#[test]
fn there_is_no_end_of_places_for_pins() {
    let arena = arena();
    let n = 3 * PIN_BLOCK as u64 + 10;
    let guards: Vec<PinGuard> =
        (1..=n).map(|seq| PinGuard::new(Arc::clone(&arena), || seq).unwrap()).collect();
    let mut found = Vec::new();
    assert!(arena.pins().scan(&mut found));
    let mut seqs: Vec<u64> = found.iter().map(|pin| pin.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=n).collect::<Vec<_>>());
    drop(guards);
    assert!(arena.pins().scan(&mut found) && found.is_empty());
    // Places are used again before there are more.
    let used = arena.stats().used_chunks;
    let guards: Vec<PinGuard> =
        (1..=n).map(|seq| PinGuard::new(Arc::clone(&arena), || seq).unwrap()).collect();
    assert_eq!(arena.stats().used_chunks, used);
    drop(guards);
}

#[test]
fn a_guard_says_what_it_covers_and_keeps_the_arena() {
    let arena = arena();
    let snapshot = PinGuard::new(Arc::clone(&arena), || 9).unwrap();
    let view = snapshot.again(Arc::clone(&arena), 4).unwrap();
    assert_eq!((snapshot.seq(), view.seq()), (9, 9));
    drop(snapshot);
    let expected = Pinned { seq: 9, page: 4, pin: view.pin(), leased: false };
    assert_eq!(arena.list_pins(), [(expected, u64::from(std::process::id()))]);
    view.narrow(5);
    assert_eq!(arena.list_pins()[0].0.page, 5);
    let addr = arena.alloc(8).unwrap();
    let read = arena.read_ptr(addr);
    drop(arena);
    // The guard is the last to hold the arena: its memory can still be read.
    let _ = unsafe { read.read_volatile() };
}

/// A chunk of which every word is `seq`, published as the head.
fn publish(arena: &Arena, head: &AtomicU64, seq: u64) -> Addr {
    let addr = arena.alloc_chunks(1).unwrap();
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(addr).cast::<u64>(), CHUNK / 8) }.fill(seq);
    head.store(addr.0, Ordering::Release);
    fence(Ordering::SeqCst);
    addr
}

#[test]
fn readers_never_see_a_chunk_change() {
    const COMMITS: u64 = 100_000;
    let (arena, head, over) = (arena(), AtomicU64::new(0), AtomicBool::new(false));
    let mut last = publish(&arena, &head, 1);
    let words = |addr: u64| unsafe {
        std::slice::from_raw_parts(arena.read_ptr(Addr(addr)).cast::<AtomicU64>(), CHUNK / 8)
    };
    let read = || {
        let mut reads = 0u64;
        while !over.load(Ordering::Relaxed) || reads == 0 {
            let mut root = 0;
            let guard = PinGuard::new(Arc::clone(&arena), || {
                root = head.load(Ordering::Acquire);
                words(root)[0].load(Ordering::Relaxed)
            });
            let mut guard = guard.unwrap();
            if reads.is_multiple_of(3) {
                let view = guard.again(Arc::clone(&arena), 7).unwrap();
                guard = view;
            }
            let seq = guard.seq();
            assert!(words(root).iter().all(|word| word.load(Ordering::Relaxed) == seq));
            reads += 1;
        }
    };
    let mut limbo = Limbo::default();
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(read)));
        for seq in 2..=COMMITS {
            let new = publish(&arena, &head, seq);
            limbo.retire([Retired { addr: last, bytes: 0, page: 7, born: seq - 1, died: seq }]);
            unsafe { limbo.reclaim(&arena, None, &mut Vec::new()) };
            last = new;
        }
        over.store(true, Ordering::Relaxed);
    });
    unsafe { limbo.reclaim(&arena, None, &mut Vec::new()) };
    assert_eq!(limbo.held_bytes(), 0);
    let stats = arena.stats();
    assert_eq!(stats.used_chunks, CHUNK as u64);
    assert!(stats.recycled > COMMITS * CHUNK as u64 / 2, "{stats:?}");
}
