//! What the operations of the core cost, by size. Run with `make bench`; the method is in `docs/testing.md`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mmsb::base::ids::{BranchId, Epoch, Seq};
use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::memory::arena::Arena;
use mmsb::memory::disk::Real;
use mmsb::memory::place::Place;
use mmsb::page::delta::Delta;
use mmsb::page::log::{Durability, FrameNotes, Kind, Log, LogConfig, NewFrame};
use mmsb_benches::{bus, delta, page};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

fn allocation(c: &mut Criterion) {
    let arena = Arena::new(Place::Memory, 4 << 30).unwrap();
    let mut group = c.benchmark_group("arena: allocate and free");
    for bytes in [64, 256, 1088, 4096] {
        group.bench_function(BenchmarkId::from_parameter(bytes), |b| {
            b.iter(|| {
                let at = arena.alloc(black_box(bytes)).unwrap();
                // SAFETY: allocated just now with as many bytes, and known to nobody else.
                #[allow(unsafe_code)]
                unsafe {
                    arena.free(at, bytes);
                }
            });
        });
    }
    group.finish();
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let mut n = 0;
    c.bench_function("page of 1 KiB created", |b| {
        b.iter(|| {
            n += 1;
            page(&bus, &n.to_string(), KIB).unwrap()
        });
    });
}

fn log(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut log =
        Log::create(std::sync::Arc::new(Real::new(dir.path(), false)), LogConfig::default()).unwrap();
    let body = [7; 200];
    let mut seq = 0;
    c.bench_function("log: 200 B appended", |b| {
        b.iter(|| {
            seq += 1;
            let frame = NewFrame {
                seq: Seq(seq),
                epoch: Epoch(seq),
                branch: BranchId(0),
                durability: Durability::Process,
                kind: Kind::Commit,
                time: seq,
            };
            log.append(frame, &[&body], FrameNotes::default()).unwrap()
        });
    });
}

fn commits(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let note = Note::default();
    let data = vec![7u8; MIB as usize];
    let mut group = c.benchmark_group("commit of 256 B into a page of");
    for (name, bytes) in [("4 KiB", 4 * KIB), ("1 MiB", MIB), ("64 MiB", 64 * MIB)] {
        let id = page(&bus, name, bytes).unwrap();
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                bus.write(delta(id, n * 7919 % (bytes / 256) * 256, &data[..256]), &note).unwrap()
            });
        });
    }
    group.finish();
    let id = bus.state().unwrap().find("1 MiB").unwrap();
    let mut group = c.benchmark_group("deltas applied, 1000 in a commit");
    for bytes in [16, 128, 1024] {
        group.throughput(Throughput::Elements(1000));
        let changes: Vec<Change<'_>> =
            (0..1000).map(|i| Change::Write(delta(id, i * 7919 % 1000 * 1024, &data[..bytes]))).collect();
        group.bench_function(BenchmarkId::from_parameter(bytes), |b| {
            b.iter(|| bus.commit(&changes, &note).unwrap());
        });
    }
    group.finish();
}

fn reading(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let note = Note::default();
    let small = page(&bus, "small", 4 * KIB).unwrap();
    let large = page(&bus, "large", 64 * MIB).unwrap();
    c.bench_function("snapshot: open and close", |b| b.iter(|| bus.state().unwrap()));
    let state = bus.state().unwrap();
    c.bench_function("view of 4 KiB", |b| b.iter(|| state.view(small, 0, None).unwrap()));
    drop(state);
    bus.write(delta(large, 0, &vec![1; 64 * MIB as usize]), &note).unwrap();
    let mut view = None;
    let mut n = 0;
    c.bench_function("256 B written, then all of 64 MiB viewed", |b| {
        b.iter(|| {
            n += 1;
            bus.write(delta(large, n * 7919 % (MIB / 4) * 256, &[n as u8; 256]), &note).unwrap();
            view = Some(bus.state().unwrap().view(large, 0, view.take()).unwrap());
        });
    });
    let before = bus.state().unwrap();
    bus.write(delta(large, 99, b"changed"), &note).unwrap();
    let after = bus.state().unwrap();
    c.bench_function("diff of two epochs of 64 MiB", |b| b.iter(|| bus.diff(&before, &after).unwrap()));
    let mut n = 0u64;
    c.bench_function("256 B written, then the digest of 64 MiB", |b| {
        b.iter(|| {
            n += 1;
            bus.write(delta(large, n * 7919 % (MIB / 4) * 256, &[n as u8; 256]), &note).unwrap();
            bus.state().unwrap().digest().unwrap()
        });
    });
}

fn branches(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let note = Note::default();
    let id = page(&bus, "large", 256 * MIB).unwrap();
    bus.write(delta(id, 0, &vec![1; 256 * MIB as usize]), &note).unwrap();
    let mut n = 0;
    c.bench_function("branch of 256 MiB, a write of 64 B in it, dropped", |b| {
        b.iter(|| {
            n += 1;
            let branch = bus.branch(&n.to_string(), None).unwrap();
            branch.write(delta(id, n % MIB * 64, &[2; 64]), &note).unwrap();
            branch.drop_branch().unwrap();
        });
    });
}

fn replay(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let made = bus(dir.path()).unwrap();
    let note = Note::default();
    let id = page(&made, "page", MIB).unwrap();
    let data = [9; 16];
    let deltas = 200_000;
    let changes: Vec<Delta<'_>> = (0..1000).map(|i| delta(id, i * 7919 % 60_000 * 16, &data)).collect();
    let changes: Vec<Change<'_>> = changes.into_iter().map(Change::Write).collect();
    (0..deltas / 1000).for_each(|_| {
        made.commit(&changes, &note).unwrap();
    });
    drop(made);
    let mut group = c.benchmark_group("opened by replay");
    group.sample_size(10).throughput(Throughput::Elements(deltas));
    group.bench_function("200,000 deltas of 16 B", |b| {
        b.iter(|| Bus::open(dir.path().join("bus"), &Options::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, allocation, log, commits, reading, branches, replay);
criterion_main!(benches);
