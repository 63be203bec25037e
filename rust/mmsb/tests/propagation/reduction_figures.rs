//! Figures, printed by `cargo test --release --test propagation -- reduction_figures --ignored --nocapture`. The best of several runs.

use std::hint::black_box;
use std::time::Instant;

use crate::page_maker::Pages;
use mmsb::memory::addr::Addr;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::kernel::{Input, Kernel, Shape, Spec};
use mmsb::propagation::made::Made;
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::runs::Run;

const ROWS: u64 = 1 << 20;

fn noise(i: u64) -> u64 {
    let x = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ x >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11
}

fn floats(salt: u64) -> Vec<u8> {
    (0..ROWS).flat_map(|i| (noise(i ^ salt << 32) as f64 / 1e12 - 4000.0).to_le_bytes()).collect()
}

struct Bench {
    pages: Pages,
    schema: Schema,
    reduce: Reduce,
    made: Made,
}

impl Bench {
    fn kernel(&self) -> Box<dyn Kernel> {
        self.reduce.kernel(&[Shape { schema: &self.schema, rows: ROWS }]).unwrap()
    }

    fn run(&mut self, kernel: &mut dyn Kernel, page: Addr, before: Option<Addr>, changed: &[Vec<Run>]) {
        self.made.clear();
        let before = before.map(|at| self.pages.get(at));
        let input = Input::new(self.pages.get(page), &self.schema, before, changed);
        kernel.run(&[input], &mut self.made).unwrap();
        black_box(&self.made);
        kernel.keep();
    }

    /// Nanoseconds of a build, and of each of `times` runs from one version to the other and back.
    fn figures(&mut self, what: &str, two: [Addr; 2], changed: &[Vec<Run>], times: u32, per: (f64, &str)) {
        let (mut build, mut mend) = (f64::MAX, f64::MAX);
        let mut kernel = self.kernel();
        for _ in 0..5 {
            let start = Instant::now();
            self.run(kernel.as_mut(), two[0], None, &[]);
            build = build.min(start.elapsed().as_nanos() as f64);
        }
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..times / 2 {
                self.run(kernel.as_mut(), two[1], Some(two[0]), changed);
                self.run(kernel.as_mut(), two[0], Some(two[1]), changed);
            }
            mend = mend.min(start.elapsed().as_nanos() as f64 / f64::from(times));
        }
        let (mend, unit) = (mend / per.0, per.1);
        println!("{what:<44} built in {:>9.1} us, mended in {mend:>9.1} ns {unit}", build / 1000.0);
    }
}

#[test]
#[ignore = "prints figures, tests nothing"]
fn figures() {
    let reduce = Reduce { column: 0, what: Reduction::Sum, over: Over::Whole };
    let array = |dtype, inner| Schema::array(dtype, inner, false, None).unwrap();
    let mut bench =
        Bench { pages: Pages::new(), schema: array(DType::F64, vec![]), reduce, made: Made::default() };
    let mut cells = vec![floats(0)];
    let one = bench.pages.page(&bench.schema, ROWS, &cells);
    cells[0][8 * 700_001..8 * 700_002].copy_from_slice(&(-1e9f64).to_le_bytes());
    let other = bench.pages.page(&bench.schema, ROWS, &cells);
    let row = vec![vec![Run::new(700_001, 700_002)]];
    for (what, over) in
        [Reduction::Sum, Reduction::Min, Reduction::Max, Reduction::Mean, Reduction::ArgMin, Reduction::Count]
            .into_iter()
            .flat_map(|what| [(what, Over::Whole), (what, Over::Rows)])
    {
        bench.reduce = Reduce { column: 0, what, over };
        bench.figures(
            &format!("{what} of 2^20 float64, {over:?}"),
            [one, other],
            &row,
            20_000,
            (1.0, "a row"),
        );
    }
    for inner in [vec![8], vec![2, 4]] {
        bench.schema = array(DType::F32, inner.clone());
        let cells: Vec<u8> = (0..8 * ROWS).flat_map(|i| (noise(i) as f32).to_le_bytes()).collect();
        let one = bench.pages.page(&bench.schema, ROWS, &[cells]);
        for over in [Over::Rows, Over::Inner(0)] {
            bench.reduce = Reduce { column: 0, what: Reduction::Sum, over };
            let row = vec![vec![Run::new(700_001, 700_002)]];
            let what = format!("sum of 2^20 float32 {inner:?}, {over:?}");
            bench.figures(&what, [one, one], &row, 2000, (1.0, "a row"));
        }
    }
    by_key(&mut bench);
}

fn by_key(bench: &mut Bench) {
    let half: Vec<Run> = (0..ROWS / 2).map(|row| Run::new(2 * row, 2 * row + 1)).collect();
    let block = vec![Run::new(0, ROWS / 2)];
    for (dtype, what) in [
        (DType::I64, Reduction::Sum),
        (DType::F64, Reduction::Count),
        (DType::F64, Reduction::Sum),
        (DType::F32, Reduction::Mean),
        (DType::F64, Reduction::Min),
        (DType::F64, Reduction::ArgMax),
    ] {
        let columns =
            [Column::new("x", dtype, vec![]).unwrap(), Column::new("k", DType::I32, vec![]).unwrap()];
        bench.schema = Schema::new(Kind::Table, columns.to_vec(), None).unwrap();
        for groups in [10_000u64, 1_000_000] {
            let values = |salt: u64| -> Vec<u8> {
                let value = |i: u64| noise(i ^ salt << 32) as f64 / 1e12 - 4000.0;
                match dtype {
                    DType::F64 => (0..ROWS).flat_map(|i| value(i).to_le_bytes()).collect(),
                    DType::F32 => (0..ROWS).flat_map(|i| (value(i) as f32).to_le_bytes()).collect(),
                    _ => (0..ROWS).flat_map(|i| (value(i) as i64).to_le_bytes()).collect(),
                }
            };
            let keys: Vec<u8> =
                (0..ROWS).flat_map(|i| ((noise(i ^ 77 << 33) % groups) as i32).to_le_bytes()).collect();
            let one = bench.pages.page(&bench.schema, ROWS, &[values(0), keys.clone()]);
            let other = bench.pages.page(&bench.schema, ROWS, &[values(1), keys]);
            bench.reduce = Reduce { column: 0, what, over: Over::Key { column: 1, groups } };
            let name = |how| format!("{what} of {dtype} by {groups} keys, {how}");
            let per = ((ROWS / 2) as f64, "a row");
            bench.figures(&name("half"), [one, other], &[half.clone(), vec![]], 2, per);
            bench.figures(&name("a block"), [one, other], &[block.clone(), vec![]], 2, per);
            let row = [vec![Run::new(700_001, 700_002)], vec![]];
            bench.figures(&name("one"), [one, other], &row, 2000, (1.0, "a row"));
        }
    }
}
