//! Memory that a burst needed goes back to the machine, and can be had again. The one test of its process, whose memory it
//! measures.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mmsb::base::limits::{AHEAD_MAX, CHUNK, IDLE, KEEP_FREE};
use mmsb::memory::addr::Addr;
use mmsb::memory::arena::{Arena, ArenaStats};
use mmsb::memory::machine::place::Place;

const MIB: u64 = 1 << 20;
const BURST: u64 = 128 * MIB;

/// Bytes of shared memory that are present in this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssShmem:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[allow(unsafe_code)]
fn fill(arena: &Arena, addr: Addr, bytes: usize, value: u8) {
    // SAFETY: chunks that this test has, and nobody else looks at.
    unsafe { arena.write_ptr(addr).write_bytes(value, bytes) };
}

#[allow(unsafe_code)]
fn holds(arena: &Arena, addr: Addr, bytes: usize, value: u8) -> bool {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(arena.read_ptr(addr), bytes) }
        .iter()
        .step_by(512)
        .all(|byte| *byte == value)
}

#[allow(unsafe_code)]
fn free(arena: &Arena, addr: Addr, chunks: usize) {
    for i in 0..chunks {
        // SAFETY: chunks that were taken in a row and are not used any more.
        unsafe { arena.free_chunk(addr.plus((i * CHUNK) as u64)) };
    }
}

/// Extents of many sizes.
fn burst(arena: &Arena) -> Vec<(Addr, usize)> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while bytes < BURST {
        let chunks = 1 + taken.len() * 37 % 300;
        taken.push((arena.alloc_chunks(chunks).unwrap(), chunks));
        bytes += (chunks * CHUNK) as u64;
    }
    taken
}

fn settled(arena: &Arena, is: impl Fn(&ArenaStats) -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if is(&arena.stats()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn what_a_burst_needed_goes_back_and_can_be_had_again() {
    let arena: Arc<Arena> = Arena::new(Place::Memory, 2 * BURST).unwrap();
    let kept = arena.alloc_chunks(100).unwrap();
    fill(&arena, kept, 100 * CHUNK, 77);
    for round in 0..2 {
        let taken = burst(&arena);
        for (i, (addr, chunks)) in taken.iter().enumerate() {
            fill(&arena, *addr, chunks * CHUNK, i as u8);
        }
        let most = resident();
        assert!(most >= BURST, "round {round}: {most} bytes of a burst are present");
        // A tenth stays, here and there.
        let (stays, goes): (Vec<_>, Vec<_>) = taken.iter().enumerate().partition(|(i, _)| i % 10 == 0);
        let before = arena.stats();
        goes.iter().for_each(|(_, (addr, chunks))| free(&arena, *addr, *chunks));
        let freed = arena.stats();
        assert!(freed.committed >= before.committed, "whoever frees does not give back");
        assert!(
            settled(&arena, |now| now.free <= now.used_chunks / 4 + KEEP_FREE + MIB),
            "{:?}",
            arena.stats()
        );
        let now = arena.stats();
        let given_back = now.given_back - freed.given_back;
        // Fresh memory is made ready meanwhile.
        assert!(now.committed + given_back <= freed.committed + AHEAD_MAX, "{now:?}");
        assert!(now.free >= KEEP_FREE, "the next burst finds something: {now:?}");
        assert!(given_back > BURST / 2, "round {round}: {now:?}");
        let rest = resident();
        let then = arena.stats();
        let (given_back, made) = (
            then.given_back - freed.given_back,
            then.committed + then.given_back - freed.committed - freed.given_back,
        );
        assert!(
            rest + given_back <= most + made + 4 * MIB,
            "round {round}: {rest} bytes of {most} are present, though {given_back} went back and {made} were made ready"
        );
        for (i, (addr, chunks)) in &stays {
            assert!(holds(&arena, *addr, chunks * CHUNK, *i as u8), "round {round}: extent {i}");
        }
        // All of it at once, in one piece that is larger than any gap.
        let again = arena.alloc_chunks((BURST / 2) as usize / CHUNK).unwrap();
        fill(&arena, again, (BURST / 2) as usize, 200 + round);
        for (i, (addr, chunks)) in &stays {
            assert!(holds(&arena, *addr, chunks * CHUNK, *i as u8), "round {round}: extent {i}");
        }
        assert!(holds(&arena, again, (BURST / 2) as usize, 200 + round));
        free(&arena, again, (BURST / 2) as usize / CHUNK);
        stays.iter().for_each(|(_, (addr, chunks))| free(&arena, *addr, *chunks));
    }
    assert!(holds(&arena, kept, 100 * CHUNK, 77));
    let reserved = arena.stats().reserved;
    assert!(
        reserved <= 4 * BURST,
        "{reserved} bytes of addresses: what went back is used before what never was"
    );

    // A burst that comes again within a moment pays nothing.
    let taken = burst(&arena);
    taken.iter().for_each(|(addr, chunks)| free(&arena, *addr, *chunks));
    let given_back = arena.stats().given_back;
    for _ in 0..8 {
        std::thread::sleep(IDLE / 5);
        let taken = burst(&arena);
        taken.iter().for_each(|(addr, chunks)| free(&arena, *addr, *chunks));
    }
    let more = arena.stats().given_back - given_back;
    assert!(more <= BURST / 2, "{more} bytes went back between bursts");
}
