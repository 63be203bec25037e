//! Snapshot, view, diff, digest.

use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::Note;
use mmsb::page::delta::Delta;
use mmsb_benches::{KIB, MIB, delta, full, measure, measure_slow, place, quiet};

const LARGE: u64 = 64 * MIB;

fn write(bus: &Bus, delta: Delta<'_>) {
    bus.write(delta, &Note::default()).unwrap();
}

pub fn snapshots(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    full(&bus, "page", 4 * KIB).unwrap();
    let workload = "opened and closed";
    measure(c, "snapshot", workload, "mmsb", |_| drop(bus.state().unwrap()));
    let state = Arc::new(0);
    measure(c, "snapshot", workload, "limit: Arc cloned and dropped", |_| {
        drop(black_box(Arc::clone(&state)))
    });
}

pub fn views(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let (small, large) = (full(&bus, "small", 4 * KIB).unwrap(), full(&bus, "large", LARGE).unwrap());
    let (state, from) = (bus.state().unwrap(), vec![1u8; LARGE as usize]);
    let mut to = from.clone();
    let mut copy = |n: u64| to[..n as usize].copy_from_slice(black_box(&from[..n as usize]));
    let workload = "4 KiB";
    measure(c, "view", workload, "mmsb", |_| drop(state.view(small, 0, None).unwrap()));
    measure(c, "view", workload, "rival: memcpy of it", |_| copy(4 * KIB));
    drop(state);
    let workload = "all 64 MiB, after 256 B written";
    let mut view = None;
    measure(c, "view", workload, "mmsb", |n| {
        write(&bus, delta(large, place(n, LARGE / 256) * 256, &[n as u8; 256]));
        view = Some(bus.state().unwrap().view(large, 0, view.take()).unwrap());
    });
    measure_slow(c, "view", workload, "rival: memcpy of it", |_| (), |()| copy(LARGE));
    // Neighbours far apart in memory, as after a long time of small writes; and the view before is still held.
    let chunk = mmsb::base::limits::CHUNK as u64;
    let scattered = (0..7).flat_map(|from| (from..LARGE / chunk).step_by(7));
    scattered.for_each(|i| write(&bus, delta(large, i * chunk, &[3; 256])));
    let workload = "all 64 MiB of a page written here and there, anew after 256 B written";
    let mut held = None;
    measure(c, "view", workload, "mmsb", |n| {
        write(&bus, delta(large, place(n, LARGE / 256) * 256, &[n as u8; 256]));
        held = Some(bus.state().unwrap().view(large, 0, None).unwrap());
    });
    measure_slow(c, "view", workload, "rival: memcpy of it", |_| (), |()| copy(LARGE));
}

pub fn diffs(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let large = full(&bus, "large", LARGE).unwrap();
    let (one, other) = (vec![1u8; LARGE as usize], vec![1u8; LARGE as usize]);
    let mut before = bus.state().unwrap();
    for (workload, writes) in
        [("64 MiB, 256 B of them changed", 1), ("64 MiB, 1000 times 256 B of them changed", 1000)]
    {
        (0..writes).for_each(|i| write(&bus, delta(large, place(i, LARGE / 256) * 256, &[9; 256])));
        let after = bus.state().unwrap();
        measure(c, "diff", workload, "mmsb", |_| bus.diff(&before, &after).unwrap());
        let equal = |_: &()| assert!(black_box(&one) == black_box(&other));
        measure_slow(c, "diff", workload, "rival: memcmp of 64 MiB", |_| (), equal);
        (0..writes).for_each(|i| write(&bus, delta(large, place(i, LARGE / 256) * 256, &[1; 256])));
        before = bus.state().unwrap();
    }
}

pub fn digests(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let large = full(&bus, "large", LARGE).unwrap();
    let data = vec![3u8; LARGE as usize];
    let limit = "limit: BLAKE3 of the same bytes, one thread";
    let workload = "64 MiB, all new";
    let rewrite = |n: u64| write(&bus, delta(large, 0, &vec![n as u8 | 1; LARGE as usize]));
    measure_slow(c, "digest", workload, "mmsb", rewrite, |()| bus.state().unwrap().digest().unwrap());
    measure_slow(c, "digest", workload, limit, |_| (), |()| blake3::hash(&data));
    let workload = "64 MiB, 256 B new";
    let limit = "limit: BLAKE3 of 4 KiB";
    measure(c, "digest", workload, "mmsb", |n| {
        write(&bus, delta(large, place(n, LARGE / 256) * 256, &[n as u8; 256]));
        bus.state().unwrap().digest().unwrap()
    });
    measure(c, "digest", workload, limit, |_| blake3::hash(black_box(&data[..4096])));
}
