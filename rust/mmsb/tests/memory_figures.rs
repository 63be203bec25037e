//! What the memory room costs, printed: `cargo test -p mmsb --release --test memory_figures -- --ignored --nocapture`.
#![allow(unsafe_code, clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mmsb::base::limits::CHUNK;
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::{Arena, Options};
use mmsb::memory::machine::place::Place;
use mmsb::memory::pinning::guard::PinGuard;
use mmsb::memory::pinning::limbo::{Limbo, Retired};
use mmsb::memory::view::{OwnedBuffer, ViewRange};

const BUDGET: u64 = 1 << 30;

/// The best of seven rounds, in ns an operation.
fn figure(name: &str, n: usize, mut round: impl FnMut(usize)) {
    round(n / 10 + 1);
    let time = |_| {
        let start = Instant::now();
        round(n);
        start.elapsed().as_nanos() as f64 / n as f64
    };
    let best = (0..7).map(time).fold(f64::INFINITY, f64::min);
    println!("{name:<58} {best:>10.1} ns");
}

fn arena() -> Arc<Arena> {
    Arena::new(Place::Memory, BUDGET).unwrap()
}

fn free_chunks(arena: &Arena, addr: Addr, n: usize) {
    (0..n).for_each(|i| unsafe { arena.free_chunk(addr.plus((i * CHUNK) as u64)) });
}

#[test]
#[ignore = "measures"]
fn figures() {
    allocation();
    first_touch();
    pins();
    views();
}

fn allocation() {
    let arena = arena();
    for bytes in [64, 1000, 4000] {
        figure(&format!("alloc + free of {bytes} B"), 1_000_000, |n| {
            (0..n).for_each(|_| unsafe { arena.free(black_box(arena.alloc(bytes).unwrap()), bytes) });
        });
    }
    let mut live = Vec::with_capacity(1000);
    figure("alloc of 200 B, 1000 held, then all freed", 1_000_000, |n| {
        for _ in 0..n / 1000 {
            live.extend((0..1000).map(|_| arena.alloc(200).unwrap()));
            live.drain(..).for_each(|addr| unsafe { arena.free(addr, 200) });
        }
    });
    for n in [1, 8] {
        figure(&format!("alloc_chunks({n}) + free"), 1_000_000, |rounds| {
            (0..rounds).for_each(|_| free_chunks(&arena, black_box(arena.alloc_chunks(n).unwrap()), n));
        });
    }
    let addr = arena.alloc_chunks(1).unwrap();
    figure("read_ptr", 10_000_000, |n| {
        (0..n).for_each(|_| {
            black_box(arena.read_ptr(black_box(addr)));
        });
    });
    figure("chunk_rc", 10_000_000, |n| {
        (0..n).for_each(|_| {
            black_box(arena.chunk_rc(black_box(addr)).load(Ordering::Relaxed));
        });
    });
}

/// A writer that takes a chunk every 20 us, as a busy bus does, and copies into it.
fn first_touch() {
    paced("hot chunk and copy (the machine's own noise)", true, false);
    paced("fresh chunk and copy, nothing made ready", false, false);
    paced("fresh chunk and copy, made ready in the background", false, true);
}

fn paced(name: &str, hot: bool, prefault: bool) {
    let mut times = Vec::new();
    let from = vec![7u8; CHUNK];
    for _ in 0..5 {
        let arena = Arena::with(Place::Memory, Options { budget: BUDGET, prefault }).unwrap();
        for i in 0..4000 {
            let start = Instant::now();
            let addr = arena.alloc_chunks(1).unwrap();
            unsafe { arena.write_ptr(addr).copy_from_nonoverlapping(from.as_ptr(), CHUNK) };
            let took = start.elapsed().as_nanos();
            if i >= 200 {
                times.push(took);
            }
            if hot {
                free_chunks(&arena, addr, 1);
            }
            while start.elapsed().as_nanos() < 20_000 {
                std::hint::spin_loop();
            }
        }
    }
    times.sort_unstable();
    let part = |per_mille: usize| times[(times.len() - 1) * per_mille / 1000];
    println!("{name:<58} median {} ns, 99 % {} ns, 99.9 % {} ns", part(500), part(990), part(999));
}

fn pins() {
    let arena = arena();
    let head = AtomicU64::new(5);
    let load = || head.load(Ordering::Acquire);
    figure("pin + unpin", 1_000_000, |n| (0..n).for_each(|_| arena.unpin(arena.pin(load).unwrap())));
    figure("PinGuard, new + drop", 1_000_000, |n| {
        (0..n).for_each(|_| drop(PinGuard::new(Arc::clone(&arena), load).unwrap()));
    });
    figure("pin_at + unpin", 1_000_000, |n| {
        (0..n).for_each(|_| arena.unpin(arena.pin_at(5, 1).unwrap()));
    });
    let mut found = Vec::new();
    for held in [0, 10, 1000] {
        let guards: Vec<PinGuard> =
            (0..held).map(|_| PinGuard::new(Arc::clone(&arena), load).unwrap()).collect();
        figure(&format!("scan of {held} pins"), 20_000, |n| {
            (0..n).for_each(|_| {
                black_box(arena.pins().scan(&mut found));
            });
        });
        drop(guards);
    }
    // After this the high-water mark is 1000 entries: what a scan of nothing costs then.
    figure("scan of 0 pins where there were 1000", 20_000, |n| {
        (0..n).for_each(|_| {
            black_box(arena.pins().scan(&mut found));
        });
    });
    let (quiet, mut limbo) = (self::arena(), Limbo::default());
    figure("retire + reclaim of a commit of 4 blocks, alloc included", 200_000, |n| {
        for _ in 0..n {
            let blocks = [300, 300, 600, 0];
            limbo.retire(blocks.map(|bytes| Retired {
                addr: if bytes == 0 { quiet.alloc_chunks(1) } else { quiet.alloc(bytes as usize) }.unwrap(),
                bytes,
                page: 1,
                born: 3,
                died: 4,
            }));
            unsafe { limbo.reclaim(&quiet, None, &mut Vec::new()) };
        }
    });
}

fn views() {
    let arena = arena();
    const CHUNKS: usize = (64 << 20) / CHUNK;
    let extent = arena.alloc_chunks(CHUNKS).unwrap();
    let spare = arena.alloc_chunks(2).unwrap();
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(extent), CHUNKS * CHUNK) }.fill(1);
    unsafe { std::slice::from_raw_parts_mut(arena.write_ptr(spare), 2 * CHUNK) }.fill(2);
    let mut view = ViewRange::new(CHUNKS * CHUNK).unwrap();
    view.map_piece(0, &arena, extent, CHUNKS * CHUNK).unwrap();
    let sum = |bytes: *const u8, len: usize| {
        unsafe { std::slice::from_raw_parts(bytes.cast::<u64>(), len / 8) }
            .iter()
            .fold(0u64, |a, b| a.wrapping_add(*b))
    };
    figure("scan of a rewired view of 64 MiB", 3, |n| {
        (0..n).for_each(|_| {
            black_box(sum(view.as_ptr(), CHUNKS * CHUNK));
        });
    });
    let mut at = 0;
    figure("copy a chunk, remap it in a view of 64 MiB, read it", 2000, |n| {
        for _ in 0..n {
            at = (at + 1234) % CHUNKS;
            let from = arena.read_ptr(extent.plus((at * CHUNK) as u64));
            let to = spare.plus((at % 2 * CHUNK) as u64);
            unsafe { arena.write_ptr(to).copy_from_nonoverlapping(from, CHUNK) };
            view.map_piece(at * CHUNK, &arena, to, CHUNK).unwrap();
            black_box(sum(view.as_ptr().wrapping_add(at * CHUNK), CHUNK));
        }
    });
    let source = unsafe { std::slice::from_raw_parts(arena.read_ptr(extent), CHUNKS * CHUNK) };
    figure("gather 64 MiB", 2, |n| {
        (0..n).for_each(|_| {
            black_box(OwnedBuffer::build(source.len(), |to| to.copy_from_slice(source)).unwrap());
        });
    });
    for bytes in [1000, 16 << 10] {
        figure(&format!("gather {bytes} B"), 20_000, |n| {
            (0..n).for_each(|_| {
                black_box(OwnedBuffer::build(bytes, |to| to.copy_from_slice(&source[..bytes])).unwrap());
            });
        });
    }
}
