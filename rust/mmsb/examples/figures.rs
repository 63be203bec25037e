//! What the core's operations cost on this machine: prints nanoseconds. `cargo run --release --example figures`.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use mmsb::base::ids::PageId;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

/// The median of five runs of `n` calls, in nanoseconds a call.
fn time(name: &str, n: u64, mut call: impl FnMut(u64)) {
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            (0..n).for_each(&mut call);
            start.elapsed().as_nanos() as f64 / n as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:48} {:12.1} ns  ({:.1} to {:.1})", runs[2], runs[0], runs[4]);
}

fn delta(page: PageId, from: u64, bytes: &[u8]) -> Delta<'_> {
    let select = Select::range(from, from + bytes.len() as u64);
    Delta::single(page, OperatorId::ASSIGN, Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) })
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let bus = Bus::open(dir.path().join("bus"), &Options::default()).unwrap();
    let note = Note::default();
    let page = |name: &str, rows: u64| {
        let schema = Schema::array(DType::U8, vec![], false, None).unwrap();
        bus.create_page(name, schema, rows, &note).unwrap()
    };
    let (small, medium, large) = (page("small", 4096), page("medium", 1 << 20), page("large", 64 << 20));
    let data = [7u8; 256];
    time("commit of 256 B into a 4 KiB page", 50_000, |i| {
        bus.write(delta(small, i % 15 * 256, &data), &note).unwrap();
    });
    time("commit of 256 B into a 1 MiB page", 50_000, |i| {
        bus.write(delta(medium, i * 7919 % 4000 * 256, &data), &note).unwrap();
    });
    time("state: open and close", 200_000, |_| drop(black_box(bus.state().unwrap())));
    let state = bus.state().unwrap();
    time("view of a 4 KiB page", 200_000, |_| drop(black_box(state.view(small, 0, None).unwrap())));
    let whole = vec![3u8; 64 << 20];
    time("whole 64 MiB page written", 3, |_| {
        bus.write(delta(large, 0, &whole), &note).unwrap();
    });
    let mut copy = vec![1u8; 64 << 20];
    time("  one memcpy of 64 MiB", 3, |_| copy.copy_from_slice(black_box(&whole)));
    let mut view = Some(bus.state().unwrap().view(large, 0, None).unwrap());
    time("one row of 64 MiB written, then viewed", 2000, |i| {
        bus.write(delta(large, i * 7919 % 200_000 * 256, &data), &note).unwrap();
        view = Some(bus.state().unwrap().view(large, 0, view.take()).unwrap());
        black_box(view.as_ref().unwrap().bytes()[0]);
    });
    println!("{:48} {}", "  how it is viewed", view.as_ref().unwrap().kind());
    let mut n = 0;
    time("branch made and dropped", 1000, |_| {
        n += 1;
        bus.branch(&format!("branch {n}"), None).unwrap().drop_branch().unwrap();
    });
    println!("{:48} {}", "digest", bus.state().unwrap().digest().unwrap());
}
