//! Branch, checkpoint, replay.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::path::Path;

use criterion::Criterion;
use mmsb::base::crc::crc32c;
use mmsb::bus::commit::Change;
use mmsb::bus::options::Note;
use mmsb_benches::{KIB, MIB, delta, full, measure, measure_slow, page, place, quiet};

const LARGE: u64 = 64 * MIB;

pub fn branches(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let note = Note::default();
    let id = full(&bus, "large", 4 * LARGE).unwrap();
    let workload = "of 256 MiB: forked, 64 B written in it, dropped";
    measure(c, "branch", workload, "mmsb", |n| {
        let branch = bus.branch(&n.to_string(), None).unwrap();
        branch.write(delta(id, place(n, 4 * MIB) * 64, &[2; 64]), &note).unwrap();
        branch.drop_branch().unwrap();
    });
    let (from, mut to) = (vec![1u8; 4 * LARGE as usize], vec![1u8; 4 * LARGE as usize]);
    let rival = "rival: memcpy of 256 MiB";
    measure_slow(c, "branch", workload, rival, |_| (), |()| to.copy_from_slice(black_box(&from)));
}

/// Writes and syncs as many bytes as `written` says, to a new file.
fn write_synced(dir: &Path, bytes: &[u8]) {
    let mut file = File::create(dir.join("limit")).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_data().unwrap();
}

pub fn checkpoints(c: &mut Criterion) {
    let limit = "limit: the same bytes written to a new file, fdatasync";
    for (workload, writes) in
        [("64 MiB, 1000 times 256 B new since the last", 1000), ("64 MiB, all new since the last", 0)]
    {
        let dir = tempfile::tempdir().unwrap();
        let bus = quiet(dir.path()).unwrap();
        let (note, id) = (Note::default(), full(&bus, "large", LARGE).unwrap());
        bus.checkpoint(&mut |_| {}).unwrap();
        let mut written = 0;
        let change = |n: u64| {
            // Old checkpoints would fill the disk.
            bus.prune(1, &mut |_| {}).unwrap();
            if writes == 0 {
                bus.write(delta(id, 0, &vec![n as u8; LARGE as usize]), &note).unwrap();
            }
            for i in n * writes..(n + 1) * writes {
                bus.write(delta(id, place(i, LARGE / 256) * 256, &[i as u8; 256]), &note).unwrap();
            }
        };
        measure_slow(c, "checkpoint", workload, "mmsb", change, |()| {
            written = bus.checkpoint(&mut |_| {}).unwrap().bytes;
        });
        let bytes = vec![1; written as usize];
        measure_slow(c, "checkpoint", workload, limit, |_| (), |()| write_synced(dir.path(), &bytes));
    }
}

pub fn replay(c: &mut Criterion) {
    let limit = "limit: a file of as many bytes read and checksummed";
    for (workload, deltas, bytes, batch) in [
        ("opened: 200,000 deltas of 16 B in commits of 1000", 200_000u64, 16, 1000),
        ("opened: 200,000 commits of 16 B", 200_000, 16, 1),
        ("opened: 64,000 deltas of 1 KiB in commits of 100", 64_000, 1024, 100),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let bus = quiet(dir.path()).unwrap();
        let (note, data, id) = (Note::default(), vec![9; bytes], page(&bus, "page", MIB).unwrap());
        for first in (0..deltas).step_by(batch) {
            let at = |i| place(i, KIB) * KIB;
            let changes: Vec<_> =
                (first..first + batch as u64).map(|i| Change::Write(delta(id, at(i), &data))).collect();
            bus.commit(&changes, &note).unwrap();
        }
        let (file, log) = (dir.path().join("limit"), bus.stats().unwrap().log);
        fs::write(&file, vec![5; log as usize]).unwrap();
        drop(bus);
        measure_slow(c, "replay", workload, "mmsb", |_| (), |()| quiet(dir.path()).unwrap());
        let mut buffer = vec![];
        measure_slow(
            c,
            "replay",
            workload,
            limit,
            |_| (),
            |()| {
                buffer.clear();
                File::open(&file).unwrap().read_to_end(&mut buffer).unwrap();
                crc32c(&buffer)
            },
        );
    }
}
