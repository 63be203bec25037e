//! What the operations of the core cost, by size, beside what the machine itself takes for the same work. Run with
//! `make bench`; the method is in `docs/testing.md`, the figures are in `docs/measurements.md`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

mod keeping;
mod reading;
mod writing;

/// Short, because the whole is repeated: three short runs at different minutes say more on a busy machine than a long one.
fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
}

criterion_group!(
    name = benches;
    config = short();
    targets = writing::allocation, writing::deltas, writing::log, writing::commits, writing::durable, writing::whole,
        reading::snapshots, reading::views, reading::diffs, reading::digests,
        keeping::branches, keeping::checkpoints, keeping::replay
);
criterion_main!(benches);
