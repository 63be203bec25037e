//! The arena against a plain model: no two blocks overlap, nothing is lost, limits are errors and not signals.
#![allow(unsafe_code, clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mmsb::base::limits::{CHUNK, EXTENT_MAX, IDLE, SPAN_FIRST};
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::{Arena, Options};
use mmsb::memory::error::MemoryError;
use mmsb::memory::heap::chunks::Chunks;
use mmsb::memory::heap::classes::{class_of, size_of_class};
use mmsb::memory::machine::place::{Home, Place};
use mmsb::memory::machine::span::Span;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn arena(budget: u64) -> Arc<Arena> {
    Arena::new(Place::Memory, budget).unwrap()
}

/// Fills a block with a value that belongs to it alone.
fn mark(arena: &Arena, addr: Addr, bytes: usize) {
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(addr), bytes) }.fill((addr.0 >> 6) as u8);
}

/// Whether the block still holds what `mark` wrote, seen through the other mapping.
fn marked(arena: &Arena, addr: Addr, bytes: usize) -> bool {
    unsafe { std::slice::from_raw_parts(arena.read_ptr(addr), bytes) }
        .iter()
        .all(|b| *b == (addr.0 >> 6) as u8)
}

fn free(arena: &Arena, addr: Addr, bytes: usize, chunk: bool) {
    unsafe { if chunk { arena.free_chunk(addr) } else { arena.free(addr, bytes) } }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn chunks_stay_as_they_are_while_free_ones_come_and_go(
        steps in prop::collection::vec((0u8..5, any::<prop::sample::Index>(), 1usize..3000), 1..120)
    ) {
        let chunks = Chunks::new(Home::open(&Place::Memory).unwrap(), 256 * MIB);
        let mut live: Vec<(Addr, usize, Arc<Span>)> = Vec::new();
        let word = |span: &Span, addr: Addr, i: usize| {
            let at = addr.offset() as usize + i * CHUNK;
            unsafe { &*span.write().base().add(at).cast::<AtomicU64>() }
        };
        for (what, index, n) in steps {
            match what {
                0 | 1 => match chunks.take(if what == 0 { n } else { 1 + n % 9 }, false) {
                    Ok(taken) => {
                        let n = if what == 0 { n } else { 1 + n % 9 };
                        (0..n).for_each(|i| word(&taken.span, taken.addr, i).store(taken.addr.0 + i as u64, Ordering::Relaxed));
                        live.push((taken.addr, n, taken.span));
                    }
                    Err(error) => prop_assert!(matches!(error, MemoryError::Budget { .. }), "{error}"),
                },
                2 | 3 if !live.is_empty() => {
                    let (addr, n, _) = live.swap_remove(index.index(live.len()));
                    chunks.give(addr, n);
                }
                _ => {
                    // Nobody needed anything between the two.
                    chunks.find_surplus();
                    chunks.find_surplus();
                    while chunks.give_back() {}
                }
            }
            for (addr, n, span) in &live {
                prop_assert!((0..*n).all(|i| word(span, *addr, i).load(Ordering::Relaxed) == addr.0 + i as u64));
            }
            let (stats, used) = (chunks.stats(), live.iter().map(|(_, n, _)| (n * CHUNK) as u64).sum::<u64>());
            prop_assert_eq!(stats.used, used);
            prop_assert!(stats.committed >= used + stats.free && stats.committed <= 256 * MIB, "{:?}", stats);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(usize),
    Chunks(usize),
    Free(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..=CHUNK).prop_map(Step::Alloc),
        4 => (0usize..400).prop_map(Step::Alloc),
        2 => (1usize..200).prop_map(Step::Chunks),
        6 => any::<prop::sample::Index>().prop_map(Step::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn blocks_never_overlap(steps in prop::collection::vec(step(), 1..400)) {
        let arena = arena(512 * MIB);
        // Start -> (bytes, whether it is a chunk).
        let mut live: BTreeMap<Addr, (usize, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Alloc(bytes) => {
                    let addr = arena.alloc(bytes).unwrap();
                    prop_assert!(addr.0.is_multiple_of(64) && !addr.is_null());
                    mark(&arena, addr, bytes);
                    prop_assert!(live.insert(addr, (bytes, false)).is_none());
                }
                Step::Chunks(n) => {
                    let first = arena.alloc_chunks(n).unwrap();
                    for i in 0..n {
                        let addr = first.plus((i * CHUNK) as u64);
                        prop_assert_eq!(addr.0 % CHUNK as u64, 0);
                        prop_assert_eq!(arena.chunk_rc(addr).load(Ordering::Relaxed), 0);
                        arena.chunk_rc(addr).store(7, Ordering::Relaxed);
                        mark(&arena, addr, CHUNK);
                        prop_assert!(live.insert(addr, (CHUNK, true)).is_none());
                    }
                }
                Step::Free(index) if !live.is_empty() => {
                    let addr = *live.keys().nth(index.index(live.len())).unwrap();
                    let (bytes, chunk) = live.remove(&addr).unwrap();
                    prop_assert!(marked(&arena, addr, bytes));
                    free(&arena, addr, bytes, chunk);
                }
                Step::Free(_) => {}
            }
        }
        let mut end = Addr::NULL;
        let mut small = 0;
        for (addr, (bytes, chunk)) in &live {
            prop_assert!(*addr >= end && marked(&arena, *addr, *bytes));
            end = addr.plus(*bytes as u64);
            if !chunk && class_of(*bytes) < class_of(CHUNK) {
                small += size_of_class(class_of(*bytes)) as u64;
            }
        }
        prop_assert_eq!(arena.stats().used_small, small);
        for (addr, (bytes, chunk)) in live {
            free(&arena, addr, bytes, chunk);
        }
        prop_assert_eq!(arena.stats().used_small, 0);
    }
}

#[test]
fn grows_over_many_spans() {
    let arena = arena(1 << 30);
    let n = (20 * MIB) as usize / CHUNK;
    let extents: Vec<Addr> = (0..20).map(|_| arena.alloc_chunks(n).unwrap()).collect();
    for addr in &extents {
        let last = addr.plus(((n - 1) * CHUNK) as u64);
        mark(&arena, *addr, CHUNK);
        mark(&arena, last, CHUNK);
        assert!(marked(&arena, *addr, CHUNK) && marked(&arena, last, CHUNK));
    }
    let stats = arena.stats();
    assert!(stats.spans >= 3 && stats.committed >= 400 * MIB, "{stats:?}");
    for addr in extents {
        (0..n).for_each(|i| free(&arena, addr.plus((i * CHUNK) as u64), CHUNK, true));
    }
    assert_eq!(arena.stats().used_chunks, 0);
    // All of it is used again, and joined, before anything new is.
    let recycled = arena.stats().recycled;
    arena.alloc_chunks((55 * MIB) as usize / CHUNK).unwrap();
    assert_eq!(arena.stats().recycled, recycled + 55 * MIB);
}

#[test]
fn an_extent_larger_than_the_next_span_gets_one_of_its_own() {
    let arena = arena(1 << 30);
    let n = (3 * SPAN_FIRST) as usize / CHUNK;
    let addr = arena.alloc_chunks(n).unwrap();
    let last = addr.plus(((n - 1) * CHUNK) as u64);
    mark(&arena, last, CHUNK);
    assert!(marked(&arena, last, CHUNK));
    assert_eq!(arena.stats().spans, 2);
}

#[test]
fn the_budget_is_a_limit_and_not_a_loss() {
    let arena = arena(8 * MIB);
    let mut live = Vec::new();
    let error = loop {
        match arena.alloc_chunks(3) {
            Ok(addr) => live.push(addr),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, MemoryError::Budget { budget, .. } if budget == 8 * MIB), "{error}");
    let stats = arena.stats();
    assert!(stats.committed <= 8 * MIB && stats.used_chunks > 7 * MIB, "{stats:?}");
    let addr = live.pop().unwrap();
    free(&arena, addr, CHUNK, true);
    assert_eq!(arena.alloc_chunks(1).unwrap(), addr);
    assert!(arena.alloc_chunks(1 << 20).is_err());
}

#[test]
fn small_blocks_give_their_chunks_back_when_there_is_no_other_way() {
    let arena = arena(8 * MIB);
    let mut live = Vec::new();
    while let Ok(addr) = arena.alloc(200) {
        live.push(addr);
    }
    assert!(live.len() > 7 * MIB as usize / 256);
    let keep = live.pop().unwrap();
    mark(&arena, keep, 200);
    live.iter().for_each(|addr| free(&arena, *addr, 200, false));
    // Chunks, and blocks of another class, from what was all one class.
    arena.alloc_chunks(100).unwrap();
    (0..1000).for_each(|_| mark(&arena, arena.alloc(3000).unwrap(), 3000));
    (0..1000).for_each(|_| mark(&arena, arena.alloc(200).unwrap(), 200));
    assert!(marked(&arena, keep, 200));
}

/// What trimming frees wakes the thread that gives back, as what anybody frees does.
#[test]
fn what_small_blocks_gave_back_goes_to_the_machine_when_nobody_needs_it() {
    let arena = arena(96 * MIB);
    let small: Vec<Addr> = (0..64 << 10).map(|_| arena.alloc(1024).unwrap()).collect();
    small.into_iter().for_each(|addr| free(&arena, addr, 1024, false));
    let chunks = (48 * MIB) as usize / CHUNK;
    let large = arena.alloc_chunks(chunks).unwrap();
    (0..chunks).for_each(|i| free(&arena, large.plus((i * CHUNK) as u64), CHUNK, true));
    let end = Instant::now() + 5 * IDLE;
    while arena.stats().given_back == 0 {
        assert!(Instant::now() < end, "nothing goes back: {:?}", arena.stats());
        std::thread::sleep(IDLE / 20);
    }
}

#[test]
fn too_large_is_said() {
    let arena = arena(1 << 30);
    assert!(matches!(arena.alloc(CHUNK + 1), Err(MemoryError::TooLarge { .. })));
    let n = (EXTENT_MAX / CHUNK as u64) as usize;
    assert!(matches!(arena.alloc_chunks(n + 1), Err(MemoryError::TooLarge { .. })));
    assert!(matches!(arena.alloc_chunks(0), Err(MemoryError::TooLarge { .. })));
    assert!(matches!(arena.alloc_chunks(n), Err(MemoryError::Budget { .. })));
    // A small budget cannot hold the control area.
    assert!(matches!(Arena::new(Place::Memory, 1000), Err(MemoryError::Budget { .. })));
}

#[test]
fn threads_share_the_free_lists() {
    let arena = arena(512 * MIB);
    let work = |thread: u64| {
        let mut live: Vec<(Addr, usize)> = Vec::new();
        let mut seed = thread + 1;
        let check = |(addr, bytes): (Addr, usize)| {
            assert_eq!(unsafe { arena.read_ptr(addr).cast::<u64>().read() }, addr.0 ^ bytes as u64);
            free(&arena, addr, bytes, false);
        };
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let bytes = 8 + (seed >> 33) as usize % 900;
            if seed >> 60 < 9 || live.is_empty() {
                let addr = arena.alloc(bytes).unwrap();
                unsafe { arena.write_ptr(addr).cast::<u64>().write(addr.0 ^ bytes as u64) };
                live.push((addr, bytes));
            } else {
                check(live.swap_remove((seed >> 20) as usize % live.len()));
            }
        }
        live.into_iter().for_each(check);
    };
    let work = &work;
    std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    assert_eq!(arena.stats().used_small, 0);
}

#[test]
fn the_background_keeps_fresh_memory_ready_within_the_budget() {
    for budget in [6 * MIB, 256 * MIB] {
        let arena = arena(budget);
        for _ in 0..(5 * MIB) as usize / CHUNK {
            mark(&arena, arena.alloc_chunks(1).unwrap(), CHUNK);
        }
        while !arena.is_idle() {
            std::thread::yield_now();
        }
        let stats = arena.stats();
        assert!(stats.committed <= budget, "{stats:?}");
        assert!(budget < 10 * MIB || stats.committed >= stats.used_chunks + MIB / 2, "{stats:?}");
    }
    let options = Options { budget: 64 * MIB, prefault: false };
    let quiet = Arena::with(Place::Memory, options).unwrap();
    (0..200).for_each(|_| mark(&quiet, quiet.alloc_chunks(1).unwrap(), CHUNK));
    assert!(quiet.is_idle());
}

/// A full tmpfs, where the test may mount one.
#[test]
#[ignore = "needs the right to mount"]
fn a_full_tmpfs_is_an_error() {
    let dir = std::env::temp_dir().join(format!("mmsb-full-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let run =
        |args: &[&str]| std::process::Command::new(args[0]).args(&args[1..]).arg(&dir).status().unwrap();
    assert!(run(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]).success());
    let arena = Arena::new(Place::Tmpfs { dir: dir.clone() }, 1 << 30).unwrap();
    let mut live = Vec::new();
    let error = loop {
        match arena.alloc_chunks(1) {
            Ok(addr) => {
                mark(&arena, addr, CHUNK);
                live.push(addr);
            }
            Err(error) => break error,
        }
    };
    let message = error.to_string();
    let intact = live.iter().all(|addr| marked(&arena, *addr, CHUNK));
    drop(arena);
    let empty = std::fs::read_dir(&dir).unwrap().next().is_none();
    assert!(run(&["umount"]).success());
    std::fs::remove_dir(&dir).unwrap();
    assert!(matches!(error, MemoryError::OutOfSpace { .. }), "{message}");
    assert!(intact && empty && live.len() as u64 > 3 * MIB / CHUNK as u64);
}
