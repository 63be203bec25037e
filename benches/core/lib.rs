//! What the benches of the core share: a bus of one kind of page, deltas of one size, and how a benchmark is named.
//!
//! A benchmark is named `operation / workload / who`. Who is `mmsb`, or what it is measured against in the same run and
//! at the same work: `limit: ...`, what the machine itself takes, or `rival: ...`, another way to do it.
//! `benches/report.py` puts them side by side.

use std::borrow::Cow;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use mmsb::base::ids::PageId;
use mmsb::bus::error::Error;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Schema;
use mmsb::page::select::Select;

/// 2^10 bytes.
pub const KIB: u64 = 1 << 10;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

/// A bus on disk, at the default durability: a commit survives `kill -9`.
///
/// # Errors
/// Those of [`Bus::open`].
pub fn bus(dir: &Path) -> Result<Bus, Error> {
    Bus::open(dir.join("bus"), &Options::default())
}

/// As [`bus`], and it makes no checkpoint unless asked.
///
/// # Errors
/// Those of [`Bus::open`].
pub fn quiet(dir: &Path) -> Result<Bus, Error> {
    Bus::open(dir.join("bus"), &Options { checkpoint_after: None, ..Options::default() })
}

/// A page of `bytes` bytes.
///
/// # Errors
/// Those of [`Bus::create_page`].
pub fn page(bus: &Bus, name: &str, bytes: u64) -> Result<PageId, Error> {
    bus.create_page(name, Schema::array(DType::U8, vec![], false, None)?, bytes, &Note::default())
}

/// A page of `bytes` bytes, none of them zero.
///
/// # Errors
/// Those of [`Bus::create_page`] and [`Bus::write`].
pub fn full(bus: &Bus, name: &str, bytes: u64) -> Result<PageId, Error> {
    let id = page(bus, name, bytes)?;
    bus.write(delta(id, 0, &vec![1; bytes as usize]), &Note::default())?;
    Ok(id)
}

/// The delta that assigns `bytes` from byte `at` on.
pub fn delta(page: PageId, at: u64, bytes: &[u8]) -> Delta<'_> {
    let select = Select::range(at, at + bytes.len() as u64);
    let part = Part { column: 0, select, data: Data::Dense(Cow::Borrowed(bytes)) };
    Delta::single(page, OperatorId::ASSIGN, part)
}

/// The place of step `i` among `0..n`: all over it, and the same in every run.
pub fn place(i: u64, n: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % n
}

/// Measures `step` as `operation / workload / who`; it is given 0, 1, 2, ...
pub fn measure<T>(
    c: &mut Criterion,
    operation: &str,
    workload: &str,
    who: &str,
    mut step: impl FnMut(u64) -> T,
) {
    let mut n = 0;
    c.benchmark_group(operation).bench_function(BenchmarkId::new(workload, who), |b| {
        b.iter(|| {
            let made = step(n);
            n += 1;
            made
        });
    });
}

/// As [`measure`], for what takes milliseconds: `prepare` makes what each step works on, outside the clock. It should
/// not take much longer than the step, for criterion knows nothing of it.
pub fn measure_slow<P, T>(
    c: &mut Criterion,
    operation: &str,
    workload: &str,
    who: &str,
    mut prepare: impl FnMut(u64) -> P,
    mut step: impl FnMut(&P) -> T,
) {
    let mut n = 0;
    let mut group = c.benchmark_group(operation);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::new(workload, who), |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let prepared = prepare(n);
                n += 1;
                let start = Instant::now();
                let made = black_box(step(&prepared));
                spent += start.elapsed();
                drop((made, prepared));
            }
            spent
        });
    });
}
