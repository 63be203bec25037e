//! Figures, printed by `cargo test --release --test page -- figures --ignored --nocapture`. The best of several runs.

use mmsb::algebra::operator::builtin;
use mmsb::base::codec::{Reader, Writer};
use mmsb::base::crc::crc32c;
use mmsb::base::ids::PageId;
use mmsb::page::compare::{changed_runs, equal};
use mmsb::page::delta::{Data, Delta, Part, read};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Column;
use mmsb::page::select::Select;
use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

/// Prints the nanoseconds of one of `times` calls.
fn figure(what: &str, times: u32, mut f: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        (0..times).for_each(|_| f());
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(times));
    }
    println!("{what:<48} {best:>14.1} ns");
    best
}

#[test]
#[ignore = "prints figures, tests nothing"]
fn figures() {
    let bytes: Vec<u8> =
        (0..65_536u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for length in [64, 128, 1008, 4096, 65_536] {
        figure(&format!("crc32c of {length} B"), 20_000, || {
            black_box(crc32c(black_box(&bytes[..length])));
        });
    }
    small_delta(&bytes);
    index_adds();
    compare();
}

fn small_delta(bytes: &[u8]) {
    let column = Column::new("c", DType::F32, vec![]).expect("valid");
    let mut memory = vec![0u8; 16_384];
    let mut out = Writer::with_capacity(4096);
    let make = || {
        let data = Data::Dense(Cow::Borrowed(black_box(&bytes[..128])));
        Delta::single(
            PageId(5),
            OperatorId::ASSIGN,
            Part { column: 0, select: Select::range(100, 132), data },
        )
    };
    figure("make and encode a delta of 128 B", 200_000, || {
        out.clear();
        make().encode(&mut out);
    });
    figure("decode it", 200_000, || {
        black_box(Delta::decode(&mut Reader::new(out.as_slice())).expect("just written"));
    });
    figure("check and apply it", 200_000, || {
        let delta = make();
        delta.parts[0].check(&column, 4096).expect("fits");
        delta.parts[0].apply(&column, None, memory.as_mut_slice());
    });
    let mut again = Writer::with_capacity(4096);
    figure("make, check, encode and apply it", 200_000, || {
        again.clear();
        let delta = make();
        delta.parts[0].check(&column, 4096).expect("fits");
        delta.encode(&mut again);
        delta.parts[0].apply(&column, None, memory.as_mut_slice());
    });
    let mut gathered = [0; 128];
    figure("read 128 B", 200_000, || {
        read(black_box(&Select::range(100, 132)), &column, memory.as_slice(), black_box(&mut gathered));
    });
}

fn index_adds() {
    const ROWS: u64 = 1 << 20;
    let column = Column::new("c", DType::I64, vec![]).expect("valid");
    let mut memory = vec![0u8; ROWS as usize * 8];
    let shuffled: Vec<u64> = (0..ROWS).map(|place| place * 7_919 % ROWS).collect();
    let shuffled_again = shuffled.clone();
    let one = 1i64.to_le_bytes();
    let part =
        Part { column: 0, select: Select::indices(shuffled.clone()), data: Data::Fill(Cow::Borrowed(&one)) };
    let table = builtin();
    let add = table.named("add").expect("built in");
    figure("1 Mi index adds of one value, int64", 1, || {
        part.apply(&column, Some(add), memory.as_mut_slice());
    });
    let dense = vec![1u8; memory.len()];
    let part = Part { data: Data::Dense(Cow::Borrowed(&dense)), ..part };
    figure("1 Mi index adds, int64", 1, || part.apply(&column, Some(add), memory.as_mut_slice()));
    figure("1 Mi index assigns, int64", 1, || part.apply(&column, None, memory.as_mut_slice()));
    let all = Part { select: Select::range(0, ROWS), ..part };
    figure("the same by a plain loop over a slice", 1, || {
        for (&row, data) in shuffled_again.iter().zip(dense.as_chunks::<8>().0) {
            memory.as_chunks_mut::<8>().0[row as usize] = *data;
        }
    });
    figure("one range add of 1 Mi int64", 1, || all.apply(&column, Some(add), memory.as_mut_slice()));
    let mut out = Writer::with_capacity(64 << 20);
    let delta = Delta::single(PageId(1), add.id(), Part { select: Select::indices(shuffled), ..all });
    figure("encode 1 Mi shuffled indices with data", 1, || {
        out.clear();
        delta.encode(&mut out);
    });
    figure("decode them", 1, || {
        black_box(Delta::decode(&mut Reader::new(out.as_slice())).expect("just written"));
    });
}

fn compare() {
    let old = vec![3u8; 64 << 20];
    let mut new = old.clone();
    for length in [64 << 10, 64 << 20] {
        let times = if length < 1 << 20 { 2000 } else { 1 };
        let plain = figure(&format!("memcmp of {} KiB, equal", length >> 10), times, || {
            assert!(black_box(equal(&old[..length], &new[..length])));
        });
        let ours = figure(&format!("changed_runs of {} KiB, equal", length >> 10), times, || {
            changed_runs(black_box(&old[..length]), &new[..length], 4, 0, |_, _| panic!("nothing changed"));
        });
        println!("{:<48} {:>14.2}", "speed against memcmp", plain / ours);
    }
    new.iter_mut().step_by(4096).for_each(|byte| *byte += 1);
    figure("changed_runs of 64 MiB, a byte a page", 1, || {
        let mut cells = 0;
        changed_runs(black_box(&old), &new, 4, 0, |_, more| cells += more);
        assert_eq!(cells, 16_384);
    });
    new.iter_mut().step_by(8).for_each(|byte| *byte = 77);
    figure("changed_runs of 64 MiB, every other float32", 1, || {
        let mut runs = 0;
        changed_runs(black_box(&old), &new, 4, 0, |_, _| runs += 1);
        assert_eq!(runs, 8 << 20);
    });
}
