//! Page allocation, delta apply, log append, commit.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use criterion::Criterion;
use mmsb::base::ids::{BranchId, Epoch, Seq};
use mmsb::bus::commit::Change;
use mmsb::bus::options::Note;
use mmsb::memory::arena::Arena;
use mmsb::memory::disk::Real;
use mmsb::memory::machine::place::Place;
use mmsb::page::delta::Part;
use mmsb::page::log::{Durability, FrameNotes, Kind, Log, LogConfig, NewFrame};
use mmsb::page::schema::Schema;
use mmsb_benches::{KIB, MIB, bus, delta, full, measure, measure_slow, page, place, quiet};

const APPEND: &str = "limit: pwrite of the same bytes to a file";

/// Appends `bytes` to a file in `dir` that begins anew after 64 MiB: what a program pays that only keeps a log.
fn append(dir: &Path, bytes: usize) -> impl FnMut(u64) {
    let file = File::create(dir.join(format!("append {bytes}"))).unwrap();
    let data = vec![7; bytes];
    move |n| file.write_all_at(&data, n * bytes as u64 % (64 * MIB)).unwrap()
}

pub fn allocation(c: &mut Criterion) {
    let group = "page allocation";
    let arena = Arena::new(Place::Memory, 4 << 30).unwrap();
    for bytes in [256, 4096] {
        let workload = format!("block of {bytes} B allocated and freed");
        measure(c, group, &workload, "mmsb", |_| {
            let at = arena.alloc(black_box(bytes)).unwrap();
            // SAFETY: allocated just now with as many bytes, and known to nobody else.
            #[allow(unsafe_code)]
            unsafe {
                arena.free(at, bytes);
            }
        });
        measure(c, group, &workload, "limit: malloc and free", |_| {
            black_box(Vec::<u8>::with_capacity(black_box(bytes)));
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let workload = "page of 1 KiB created";
    measure(c, group, workload, "mmsb", |n| page(&bus, &n.to_string(), KIB).unwrap());
    let mut kept = vec![];
    let mut log = append(dir.path(), 100);
    measure(c, group, workload, "limit: 1 KiB of zeros kept, pwrite of 100 B", |n| {
        kept.push(vec![0u8; KIB as usize]);
        log(n);
    });
}

pub fn deltas(c: &mut Criterion) {
    let group = "delta apply";
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let (note, data, id) = (Note::default(), vec![7u8; KIB as usize], full(&bus, "page", MIB).unwrap());
    let mut memory = vec![0u8; MIB as usize];
    let schema = Schema::array(mmsb::page::dtype::DType::U8, vec![], false, None).unwrap();
    let column = schema.column(0).unwrap();
    for bytes in [16, 128, 1024] {
        let at = |i| place(i, KIB) * KIB;
        let deltas: Vec<_> = (0..1000).map(|i| delta(id, at(i), &data[..bytes])).collect();
        let changes: Vec<_> = deltas.iter().cloned().map(Change::Write).collect();
        let copies = "limit: memcpy to the same places";
        let mut copy = |_| {
            for i in 0..1000 {
                memory[at(i) as usize..][..bytes].copy_from_slice(black_box(&data[..bytes]));
            }
        };
        let workload = format!("1000 deltas of {bytes} B, one commit");
        measure(c, group, &workload, "mmsb", |_| bus.commit(&changes, &note).unwrap());
        measure(c, group, &workload, copies, &mut copy);
        let workload = format!("1000 deltas of {bytes} B, to plain memory");
        let mut plain = vec![0u8; MIB as usize];
        let parts: Vec<&Part<'_>> = deltas.iter().flat_map(|delta| &delta.parts).collect();
        measure(c, group, &workload, "mmsb", |_| {
            parts.iter().for_each(|part| part.apply(column, None, plain.as_mut_slice()));
        });
        measure(c, group, &workload, copies, copy);
    }
}

pub fn log(c: &mut Criterion) {
    let group = "log append";
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::create(Arc::new(Real::new(dir.path(), false)), LogConfig::default()).unwrap();
    let mut seq = 0;
    for bytes in [200, 4096] {
        let (body, workload) = (vec![7; bytes], format!("frame with {bytes} B"));
        measure(c, group, &workload, "mmsb", |_| {
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
        measure(c, group, &workload, APPEND, append(dir.path(), bytes));
    }
}

pub fn commits(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = bus(dir.path()).unwrap();
    let note = Note::default();
    for (name, bytes) in [("4 KiB", 4 * KIB), ("1 MiB", MIB), ("64 MiB", 64 * MIB)] {
        let (id, workload) = (full(&bus, name, bytes).unwrap(), format!("256 B at random in {name}"));
        measure(c, "commit", &workload, "mmsb", |n| {
            bus.write(delta(id, place(n, bytes / 256) * 256, &[n as u8; 256]), &note).unwrap()
        });
        measure(c, "commit", &workload, APPEND, append(dir.path(), 256));
    }
}

pub fn durable(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let note = Note { durability: Some(Durability::Disk), ..Note::default() };
    let id = full(&bus, "page", 64 * KIB).unwrap();
    let workload = "256 B, survives loss of power";
    measure(c, "commit", workload, "mmsb", |n| {
        bus.write(delta(id, place(n, 256) * 256, &[n as u8; 256]), &note).unwrap()
    });
    let file = File::create(dir.path().join("limit")).unwrap();
    file.write_all_at(&vec![0; MIB as usize], 0).unwrap();
    file.sync_all().unwrap();
    measure(c, "commit", workload, "limit: pwrite of the same bytes, fdatasync", |n| {
        file.write_all_at(&[n as u8; 256], n * 256 % MIB).unwrap();
        file.sync_data().unwrap();
    });
}

pub fn whole(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let bus = quiet(dir.path()).unwrap();
    let (note, bytes) = (Note::default(), 64 * MIB as usize);
    let id = full(&bus, "page", 64 * MIB).unwrap();
    let (data, mut memory) = (vec![3; bytes], vec![2; bytes]);
    // The log would grow by the page with every step.
    let shrink = |_| assert!(bus.squash(&mut |_| {}).is_ok());
    let workload = "all 64 MiB of a page written";
    measure_slow(c, "commit", workload, "mmsb", shrink, |()| bus.write(delta(id, 0, &data), &note).unwrap());
    let file = File::create(dir.path().join("limit")).unwrap();
    let limit = "limit: memcpy, and pwrite to a file, of the same bytes";
    measure_slow(
        c,
        "commit",
        workload,
        limit,
        |_| file.set_len(0).unwrap(),
        |()| {
            memory.copy_from_slice(black_box(&data));
            file.write_all_at(&data, 0).unwrap();
        },
    );
    let workload = "64 MiB given, 0.1 % of it new";
    let mixed = |n: u64| {
        let mut given = data.clone();
        for i in 0..MIB / 4 / 1000 {
            given[place(i, MIB / 4) as usize * 256..][..256].fill(n as u8);
        }
        given
    };
    measure_slow(c, "commit", workload, "mmsb", mixed, |given| bus.update(id, 0, given, &note).unwrap());
    let limit = "limit: memcmp of all of it";
    measure_slow(c, "commit", workload, limit, |_| data.clone(), |given| assert!(black_box(given) == &data));
}
