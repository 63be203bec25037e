//! What the size of a chunk changes: the measurements behind `docs/decisions/0004-chunk-size.md`. `limits::CHUNK` is a
//! constant, so build this once for each size, then run the binaries in turn, several times: one busy minute then
//! spoils no size more than another. It prints lines of `CHUNK`, what, value, unit; `limit` says what the machine itself
//! takes for the work of the line before it.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use mmsb::base::ids::PageId;
use mmsb::base::limits::CHUNK;
use mmsb::bus::commit::Change;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb_benches::{delta, page};

const MIB: u64 = 1 << 20;
const LARGE: u64 = 64 * MIB;

fn say(what: &str, value: f64, unit: &str) {
    println!("{CHUNK}\t{what}\t{value:.1}\t{unit}");
}

/// The same places in every run, all over `0..n`.
fn place(i: u64, n: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % n
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The median time in nanoseconds of `rounds` rounds of `each` calls, for one call.
fn time(rounds: u64, each: u64, mut f: impl FnMut(u64)) -> f64 {
    let once = |round| {
        let start = Instant::now();
        (0..each).for_each(|i| f(round * each + i));
        start.elapsed().as_nanos() as f64 / each as f64
    };
    median((0..rounds).map(once).collect())
}

/// A bus that makes no checkpoint unless asked.
fn open(dir: &Path) -> Bus {
    Bus::open(dir.join("bus"), &Options { checkpoint_after: None, ..Options::default() }).unwrap()
}

fn large(bus: &Bus) -> PageId {
    let id = page(bus, "large", LARGE).unwrap();
    bus.write(delta(id, 0, &vec![1; LARGE as usize]), &Note::default()).unwrap();
    id
}

fn commits(dir: &Path) {
    let bus = open(dir);
    let (note, data) = (Note::default(), [7; 1024]);
    let (large, small) = (large(&bus), page(&bus, "small", 4096).unwrap());
    let ns = time(200, 500, |i| {
        bus.write(delta(large, place(i, LARGE / 256) * 256, &data[..256]), &note).unwrap();
    });
    say("commit of 256 B at random in 64 MiB", ns, "ns");
    let ns = time(200, 500, |i| {
        bus.write(delta(small, place(i, 16) * 256, &data[..256]), &note).unwrap();
    });
    say("commit of 256 B into 4 KiB", ns, "ns");
    for (name, size) in [("16 B", 16), ("128 B", 128)] {
        let ns = time(60, 1, |round| {
            let at = |i| place(round * 1000 + i, LARGE / 128) * 128;
            let changes: Vec<_> =
                (0..1000).map(|i| Change::Write(delta(large, at(i), &data[..size]))).collect();
            bus.commit(&changes, &note).unwrap();
        });
        say(&format!("1000 deltas of {name} at random in 64 MiB, one commit"), ns / 1000.0, "us");
    }
    let (mut memory, from) = (vec![1u8; LARGE as usize], vec![2u8; CHUNK]);
    let ns = time(200, 500, |i| {
        let at = place(i, LARGE / CHUNK as u64) as usize * CHUNK;
        memory[at..at + CHUNK].copy_from_slice(black_box(&from));
    });
    say("limit: copy of one chunk to a random place", ns, "ns");
}

fn views(dir: &Path) {
    let bus = open(dir);
    let (note, large) = (Note::default(), large(&bus));
    let mut view = None;
    let mut one = |i: u64| {
        bus.write(delta(large, place(i, LARGE / 256) * 256, &[i as u8; 256]), &note).unwrap();
        view = Some(bus.state().unwrap().view(large, 0, view.take()).unwrap());
    };
    one(0);
    say("256 B written, all 64 MiB viewed", time(30, 40, |i| one(i + 1)) / 1000.0, "us");
    for i in 2000..12_000 {
        bus.write(delta(large, place(i, LARGE / 256) * 256, &[i as u8; 256]), &note).unwrap();
    }
    let read = |bytes: &[u8]| bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>();
    // A view of its own has to place every piece anew; each is let go before the next is made.
    let state = bus.state().unwrap();
    let ns = time(7, 1, |_| drop(black_box(state.view(large, 0, None).unwrap())));
    say("first view of 64 MiB in thousands of pieces", ns / 1e6, "ms");
    let ns = time(7, 1, |_| {
        black_box(read(state.view(large, 0, None).unwrap().bytes()));
    });
    say("first view of it, each 4 KiB touched", ns / 1e6, "ms");
    let whole = state.view(large, 0, None).unwrap();
    let mut out = vec![0u8; LARGE as usize];
    say(
        "copy of all of a view that is there",
        time(15, 1, |_| out.copy_from_slice(whole.bytes())) / 1e6,
        "ms",
    );
    let from = vec![3u8; LARGE as usize];
    say("limit: memcpy of 64 MiB", time(15, 1, |_| out.copy_from_slice(black_box(&from))) / 1e6, "ms");
    black_box(&out);
}

fn whole(dir: &Path) {
    let bus = open(dir);
    let (note, large) = (Note::default(), large(&bus));
    let data: Vec<Vec<u8>> = (0..2).map(|n| vec![n; LARGE as usize]).collect();
    let ns = time(15, 1, |i| {
        bus.write(delta(large, 0, &data[i as usize % 2]), &note).unwrap();
    });
    say("whole page of 64 MiB written", ns / 1e6, "ms");
    let mut mixed = data[0].clone();
    let ns = time(15, 1, |i| {
        (0..262).for_each(|n| mixed[place(n, LARGE / 256) as usize * 256..][..256].fill(i as u8 + 1));
        bus.update(large, 0, &mixed, &note).unwrap();
    });
    say("update of 64 MiB of which 0.1 % differ", ns / 1e6, "ms");
    let mut out = vec![0u8; LARGE as usize];
    say("limit: memcpy of 64 MiB", time(15, 1, |_| out.copy_from_slice(black_box(&mixed))) / 1e6, "ms");
    say(
        "limit: memcmp of 64 MiB",
        time(15, 1, |_| assert!(black_box(&out) == black_box(&mixed))) / 1e6,
        "ms",
    );
}

fn checkpoints(dir: &Path) {
    let bus = open(dir);
    let (note, large) = (Note::default(), large(&bus));
    bus.checkpoint(&mut |_| {}).unwrap();
    let (mut times, mut limits, mut written) = (vec![], vec![], 0);
    for round in 0..5 {
        for i in round * 10_000..(round + 1) * 10_000 {
            bus.write(delta(large, place(i, LARGE / 256) * 256, &[i as u8; 256]), &note).unwrap();
        }
        let start = Instant::now();
        written = bus.checkpoint(&mut |_| {}).unwrap().bytes;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let bytes = vec![1; written as usize];
        let start = Instant::now();
        let mut file = std::fs::File::create(dir.join(format!("limit{round}"))).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        limits.push(start.elapsed().as_secs_f64() * 1e3);
    }
    say("checkpoint after 10,000 scattered 256 B", median(times), "ms");
    say("bytes of that checkpoint", written as f64 / MIB as f64, "MiB");
    say("limit: the same bytes written and synced", median(limits), "ms");
    drop(bus);
    say("opened from that checkpoint", time(5, 1, |_| drop(open(dir))) / 1e6, "ms");
}

fn replay(dir: &Path) {
    let bus = open(dir);
    let (note, large) = (Note::default(), page(&bus, "large", LARGE).unwrap());
    for i in 0..100_000 {
        bus.write(delta(large, place(i, LARGE / 256) * 256, &[i as u8; 256]), &note).unwrap();
    }
    drop(bus);
    say("replay of 100,000 commits of 256 B over 64 MiB", time(5, 1, |_| drop(open(dir))) / 1e6, "ms");
}

/// Bytes of memory that this process has, each once, however often it is mapped. Without pages of files: those are the
/// log's, and the kernel takes them back.
fn resident() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let lines = rollup.lines().filter(|line| line.starts_with("Pss_Anon:") || line.starts_with("Pss_Shmem:"));
    lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024).sum()
}

fn pages(dir: &Path, name: &str, bytes: u64) {
    let bus = open(dir);
    let (before, note, data) = (resident(), Note::default(), vec![5; bytes as usize]);
    for n in 0..100_000u64 {
        let id = page(&bus, &n.to_string(), bytes).unwrap();
        bus.write(delta(id, 0, &data), &note).unwrap();
    }
    say(&format!("memory for 100,000 pages of {name}"), (resident() - before) as f64 / MIB as f64, "MiB");
    say("limit: their bytes", 100_000.0 * bytes as f64 / MIB as f64, "MiB");
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // Memory is measured in a process of its own for each part, which this one starts.
    match std::env::args().nth(1).as_deref() {
        Some("commits") => commits(dir),
        Some("views") => views(dir),
        Some("whole") => whole(dir),
        Some("checkpoints") => checkpoints(dir),
        Some("replay") => replay(dir),
        Some("1 KiB") => pages(dir, "1 KiB", 1024),
        Some("16 KiB") => pages(dir, "16 KiB", 16384),
        _ => {
            for part in ["commits", "views", "whole", "checkpoints", "replay", "1 KiB", "16 KiB"] {
                let me = std::env::current_exe().unwrap();
                assert!(std::process::Command::new(me).arg(part).status().unwrap().success(), "{part}");
            }
        }
    }
}
