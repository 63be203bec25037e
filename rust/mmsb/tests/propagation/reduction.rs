//! Reductions mended after any history of runs, undone and kept, have the bits of those made at once; and those are what
//! plain loops make.

use crate::page_maker::Pages;
use half::f16;
use mmsb::algebra::fold::fold;
use mmsb::algebra::operations::Plus;
use mmsb::memory::addr::Addr;
use mmsb::page::dtype::DType;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::propagation::error::RuleError;
use mmsb::propagation::kernel::{Gives, Input, Kernel, Shape, Spec};
use mmsb::propagation::made::Made;
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::runs::{Run, push};
use proptest::prelude::*;

/// A stream of numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n.max(1)
    }
}

/// How strange the cells are: some floats of any bits, or all of them moderate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Taste {
    Moderate,
    Any,
}

fn cell(dtype: DType, taste: Taste, noise: &mut Noise) -> Vec<u8> {
    let moderate = (noise.below(2_000_001) as f64 - 1e6) / 256.0;
    let strange =
        [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, -1e-300];
    let float = match (taste, noise.below(8)) {
        (Taste::Any, 0) => strange[noise.below(9) as usize],
        (Taste::Any, 1) => f64::from_bits(noise.next()),
        _ => moderate,
    };
    match dtype {
        DType::F64 => float.to_le_bytes().to_vec(),
        DType::F32 => (float as f32).to_le_bytes().to_vec(),
        DType::F16 => f16::from_f32(float as f32).to_le_bytes().to_vec(),
        DType::Bool => vec![u8::from(noise.below(9) > 0) * (1 + noise.below(2) as u8)],
        _ => {
            let wide = if taste == Taste::Any { noise.next() } else { noise.below(50) };
            wide.to_le_bytes()[..dtype.size()].to_vec()
        }
    }
}

/// A key from -1 on, as cells of its type have it.
fn key(dtype: DType, groups: u64, noise: &mut Noise) -> Vec<u8> {
    let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64);
    let key = noise.below(groups + u64::from(signed)) as i64 - i64::from(signed);
    key.to_le_bytes()[..dtype.size()].to_vec()
}

/// What a kernel is run on.
struct World {
    pages: Pages,
    schema: Schema,
    rows: u64,
    reduce: Reduce,
    taste: Taste,
    noise: Noise,
}

impl World {
    fn shape(&self) -> [Shape<'_>; 1] {
        [Shape { schema: &self.schema, rows: self.rows }]
    }

    fn fill(&mut self, columns: &mut [Vec<u8>], row: u64) {
        for (i, column) in self.schema.columns().iter().enumerate() {
            let width = column.row_bytes() as usize;
            let to = &mut columns[i][row as usize * width..][..width];
            match (i, self.reduce.over) {
                (1, Over::Key { groups, .. }) => {
                    to.copy_from_slice(&key(column.dtype(), groups, &mut self.noise));
                }
                _ => to
                    .chunks_mut(column.dtype().size())
                    .for_each(|to| to.copy_from_slice(&cell(column.dtype(), self.taste, &mut self.noise))),
            }
        }
    }

    /// Other cells in some rows, and runs that they are in.
    fn change(&mut self, columns: &mut [Vec<u8>], count: u64) -> Vec<Vec<Run>> {
        let mut rows: Vec<u64> = (0..count).map(|_| self.noise.below(self.rows)).collect();
        if self.noise.below(4) == 0 {
            let first = self.noise.below(self.rows);
            rows.extend(first..self.rows.min(first + self.noise.below(200)));
        }
        rows.retain(|row| *row < self.rows);
        rows.sort_unstable();
        let (mut around, mut runs) = (Vec::new(), Vec::new());
        for row in rows {
            self.fill(columns, row);
            // What may have changed is more than what has.
            let (before, behind) = (self.noise.below(3), self.noise.below(3));
            around.push(Run::new(row.saturating_sub(before), (row + 1 + behind).min(self.rows)));
        }
        around.sort_unstable();
        around.iter().for_each(|&run| push(&mut runs, run));
        vec![runs; columns.len()]
    }

    fn run(
        &self,
        kernel: &mut dyn Kernel,
        page: Addr,
        before: Option<Addr>,
        changed: &[Vec<Run>],
    ) -> (Made, Result<(), RuleError>) {
        let (mut made, schema) = (Made::default(), &self.schema);
        let before = before.map(|at| self.pages.get(at));
        let input = Input::new(self.pages.get(page), schema, before, changed);
        let done = kernel.run(&[input], &mut made);
        (made, done)
    }

    /// What a kernel makes that has seen nothing.
    fn at_once(&self, gives: &Gives, page: Addr) -> Vec<u8> {
        let mut kernel = self.reduce.kernel(&self.shape()).unwrap();
        let mut out = vec![0xAA; (gives.columns[0].row_bytes() * gives.rows) as usize];
        let (made, done) = self.run(kernel.as_mut(), page, None, &[]);
        done.unwrap();
        write(&made, gives, &mut out);
        out
    }
}

fn write(made: &Made, gives: &Gives, out: &mut [u8]) {
    for (piece, bytes) in made.pieces() {
        let first = piece.first as usize * gives.columns[0].dtype().size();
        out[first..first + bytes.len()].copy_from_slice(bytes);
    }
}

const KEYS: [DType; 8] =
    [DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U16, DType::U32, DType::U64];

fn world() -> impl Strategy<Value = World> {
    let rows = prop_oneof![0u64..4, 14u64..18, 250u64..260, 1000u64..5000];
    let dtype = prop::sample::select(DType::FIXED.to_vec());
    let inner =
        prop::sample::select(vec![vec![], vec![3], vec![2, 5], vec![4, 1, 3], vec![2, 37], vec![300]]);
    let what = prop::sample::select(Reduction::all().collect::<Vec<_>>());
    let taste = prop_oneof![Just(Taste::Moderate), Just(Taste::Any)];
    (rows, dtype, inner, what, 0u8..5, (0usize..8, 1u64..100), taste, any::<u64>()).prop_map(
        |(rows, dtype, mut inner, what, over, (keys, groups), taste, seed)| {
            let over = match over {
                0 => Over::Whole,
                1 => Over::Rows,
                2 if !inner.is_empty() => Over::Inner((seed % inner.len() as u64) as u16),
                _ => {
                    inner.clear();
                    Over::Key { column: 1, groups }
                }
            };
            let rows = if inner.len() == 2 || inner == [300] { rows / 8 } else { rows };
            let columns =
                vec![Column::new("x", dtype, inner).unwrap(), Column::new("k", KEYS[keys], vec![]).unwrap()];
            let schema = Schema::new(Kind::Table, columns, None).unwrap();
            let reduce = Reduce { column: 0, what, over };
            World { pages: Pages::new(), schema, rows, reduce, taste, noise: Noise(seed | 1) }
        },
    )
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows, {:?}, {:?}", self.rows, self.reduce, self.schema.columns())
    }
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Keep,
    Undo,
    More,
    /// It is told to make everything, whatever it remembers.
    Anew,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Then)>> {
    let count = prop_oneof![Just(0u64), Just(1), 1u64..6, 30u64..90, 3000u64..4000];
    let then = prop_oneof![3 => Just(Then::Keep), 3 => Just(Then::Undo), 2 => Just(Then::More), 1 => Just(Then::Anew)];
    prop::collection::vec((count, then), 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_mended_has_the_bits_of_what_is_made_at_once(mut world in world(), steps in steps()) {
        let gives = world.reduce.gives(&world.shape()).unwrap();
        let mut kernel = world.reduce.kernel(&world.shape()).unwrap();
        let mut cells: Vec<Vec<u8>> =
            world.schema.columns().iter().map(|c| vec![0; (c.row_bytes() * world.rows) as usize]).collect();
        (0..world.rows).for_each(|row| world.fill(&mut cells, row));
        let out = vec![0x55; (gives.columns[0].row_bytes() * gives.rows) as usize];
        // The cells, the version that the kernel ran on, and what it made: as they were kept, and as they are.
        let mut kept = (cells, None, out);
        let mut now = kept.clone();
        for (count, then) in steps {
            let changed = world.change(&mut now.0, count);
            let page = world.pages.page(&world.schema, world.rows, &now.0);
            let before = now.1.filter(|_| !matches!(then, Then::Anew));
            let (made, done) = world.run(kernel.as_mut(), page, before, &changed);
            prop_assert_eq!(done, Ok(()));
            now.1 = Some(page);
            write(&made, &gives, &mut now.2);
            let wanted = world.at_once(&gives, page);
            prop_assert!(now.2 == wanted, "{:?}: {:?} is not {:?}", world, now.2, wanted);
            match then {
                Then::Keep | Then::Anew => {
                    kernel.keep();
                    kept = now.clone();
                }
                Then::Undo => {
                    kernel.undo();
                    now = kept.clone();
                }
                Then::More => {}
            }
        }
    }

    #[test]
    fn what_is_made_at_once_is_what_plain_loops_make(mut world in world()) {
        let gives = world.reduce.gives(&world.shape()).unwrap();
        let mut cells: Vec<Vec<u8>> =
            world.schema.columns().iter().map(|c| vec![0; (c.row_bytes() * world.rows) as usize]).collect();
        (0..world.rows).for_each(|row| world.fill(&mut cells, row));
        let page = world.pages.page(&world.schema, world.rows, &cells);
        let made = world.at_once(&gives, page);
        let column = &world.schema.columns()[0];
        let lists = lists(&world, column, &cells);
        let dtype = gives.columns[0].dtype();
        prop_assert_eq!(lists.len() * dtype.size(), made.len());
        for (made, list) in made.chunks(dtype.size()).zip(&lists) {
            check(&world, column.dtype(), number(dtype, made), list)?;
        }
    }
}

/// A cell as a whole number or as a float.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

fn number(dtype: DType, bytes: &[u8]) -> Number {
    macro_rules! int {
        ($type:ty) => {
            Number::Int(<$type>::from_le_bytes(bytes.try_into().unwrap()).into())
        };
    }
    match dtype {
        DType::Bool => Number::Int(i128::from(bytes[0] != 0)),
        DType::I8 => int!(i8),
        DType::I16 => int!(i16),
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::U8 => int!(u8),
        DType::U16 => int!(u16),
        DType::U32 => int!(u32),
        DType::U64 => int!(u64),
        DType::F16 => Number::Float(f16::from_le_bytes(bytes.try_into().unwrap()).into()),
        DType::F32 => Number::Float(f32::from_le_bytes(bytes.try_into().unwrap()).into()),
        DType::F64 => Number::Float(f64::from_le_bytes(bytes.try_into().unwrap())),
        DType::Bytes(_) => unreachable!("not made here"),
    }
}

/// What goes into each cell of the result, with its place.
fn lists(world: &World, column: &Column, cells: &[Vec<u8>]) -> Vec<Vec<(i64, Number)>> {
    let numbers: Vec<Number> =
        cells[0].chunks(column.dtype().size()).map(|bytes| number(column.dtype(), bytes)).collect();
    let width = column.cells_per_row() as usize;
    let gather = |count: usize, place: &dyn Fn(usize) -> Option<(usize, usize)>| {
        let mut lists = vec![Vec::new(); count];
        for (i, number) in numbers.iter().enumerate() {
            if let Some((list, place)) = place(i) {
                lists[list].push((place as i64, *number));
            }
        }
        lists
    };
    match world.reduce.over {
        Over::Whole => gather(1, &|i| Some((0, i))),
        Over::Rows => gather(width, &|i| Some((i % width, i / width))),
        Over::Inner(axis) => {
            let behind: usize = column.inner()[usize::from(axis) + 1..].iter().product::<u64>() as usize;
            let along = column.inner()[usize::from(axis)] as usize;
            let list = |i: usize| (i / (along * behind) * behind + i % behind, i / behind % along);
            gather(numbers.len() / along, &|i| Some(list(i)))
        }
        Over::Key { groups, .. } => {
            let dtype = world.schema.columns()[1].dtype();
            let keys: Vec<i128> = cells[1]
                .chunks(dtype.size())
                .map(|bytes| match number(dtype, bytes) {
                    Number::Int(key) => key,
                    Number::Float(_) => unreachable!("keys are integers"),
                })
                .collect();
            gather(groups as usize, &|i| (keys[i] >= 0).then(|| (keys[i] as usize, i)))
        }
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Int(int) => int as f64,
        Number::Float(float) => float,
    }
}

/// The first of the best, what is not a number before all; -0.0 is 0.0.
fn first(list: &[(i64, Number)], most: bool) -> Option<(i64, Number)> {
    let better = |a: Number, b: Number| match (a, b) {
        (Number::Int(a), Number::Int(b)) => {
            if most {
                a > b
            } else {
                a < b
            }
        }
        (a, b) => {
            let (a, b) = (float(a), float(b));
            a.is_nan() && !b.is_nan() || if most { a > b } else { a < b }
        }
    };
    let mut list = list.iter().copied();
    let start = list.next()?;
    Some(list.fold(start, |best, next| if better(next.1, best.1) { next } else { best }))
}

fn check(world: &World, dtype: DType, made: Number, list: &[(i64, Number)]) -> Result<(), TestCaseError> {
    let ints = || {
        list.iter().map(|(_, number)| match number {
            Number::Int(int) => *int,
            Number::Float(_) => 0,
        })
    };
    let truths = || list.iter().map(|(_, number)| float(*number) != 0.0);
    let same = |made: Number, wanted: f64| float(made).to_bits() == wanted.to_bits();
    let says = |wanted: &dyn std::fmt::Debug| format!("{world:?}: {made:?}, wanted {wanted:?}, of {list:?}");
    let is_int = |wanted: i128| match made {
        Number::Int(made) if made == wanted => Ok(()),
        _ => Err(TestCaseError::fail(says(&wanted))),
    };
    match world.reduce.what {
        Reduction::Any => is_int(truths().any(|truth| truth).into()),
        Reduction::All => is_int(truths().all(|truth| truth).into()),
        Reduction::Count => {
            is_int(list.iter().filter(|(_, number)| !float(*number).is_nan()).count() as i128)
        }
        Reduction::ArgMin => is_int(first(list, false).map_or(-1, |(place, _)| place.into())),
        Reduction::ArgMax => is_int(first(list, true).map_or(-1, |(place, _)| place.into())),
        Reduction::Min | Reduction::Max if dtype.is_float() => {
            let most = world.reduce.what == Reduction::Max;
            let none = if most { f64::NEG_INFINITY } else { f64::INFINITY };
            let mut wanted = first(list, most).map_or(none, |(_, best)| float(best));
            if wanted == 0.0 {
                let negative = |(_, number): &(i64, Number)| float(*number).to_bits() == (-0.0f64).to_bits();
                let zeros: Vec<_> = list.iter().filter(|(_, number)| float(*number) == 0.0).collect();
                let minus =
                    if most { zeros.into_iter().all(negative) } else { zeros.into_iter().any(negative) };
                wanted = if minus { -0.0 } else { 0.0 };
            }
            prop_assert!(same(made, if wanted.is_nan() { f64::NAN } else { wanted }), "{}", says(&wanted));
            Ok(())
        }
        Reduction::Min | Reduction::Max => {
            let most = world.reduce.what == Reduction::Max;
            let signed = !matches!(dtype, DType::Bool | DType::U8 | DType::U16 | DType::U32 | DType::U64);
            let bits = if dtype == DType::Bool { 1 } else { 8 * dtype.size() as u32 };
            let none = match (most, signed) {
                (true, true) => -(1i128 << (bits - 1)),
                (true, false) => 0,
                (false, true) => (1i128 << (bits - 1)) - 1,
                (false, false) => (1i128 << bits) - 1,
            };
            is_int(if most { ints().max() } else { ints().min() }.unwrap_or(none))
        }
        Reduction::Sum if !dtype.is_float() => {
            let sum = ints().sum::<i128>() as u64;
            is_int(if Reduction::Sum.gives(dtype) == Some(DType::I64) {
                i128::from(sum as i64)
            } else {
                sum.into()
            })
        }
        Reduction::Mean if !dtype.is_float() => {
            let wanted = ints().sum::<i128>() as f64 / list.len() as f64;
            prop_assert!(same(made, if list.is_empty() { f64::NAN } else { wanted }), "{}", says(&wanted));
            Ok(())
        }
        Reduction::Sum | Reduction::Mean => check_floats(world, dtype, made, list),
    }
}

fn check_floats(
    world: &World,
    dtype: DType,
    made: Number,
    list: &[(i64, Number)],
) -> Result<(), TestCaseError> {
    let mut floats: Vec<f64> = list.iter().map(|(_, number)| float(*number)).collect();
    let count = floats.len() as f64;
    // A single one is brought together with zeros too.
    if floats.len() == 1 {
        floats.push(0.0);
    }
    let by_key = matches!(world.reduce.over, Over::Key { .. });
    if by_key && world.taste == Taste::Any {
        // Of large terms, the exact sum may be finite where others overflow: unit tests see to those.
        return Ok(());
    }
    // Moderate numbers are multiples of 1/256 below 4096: their sum is exact in any order.
    let mut wanted = fold::<f64, Plus>(&floats) + 0.0;
    if world.reduce.what == Reduction::Mean {
        wanted /= count;
    }
    let wanted = match dtype {
        _ if wanted.is_nan() => f64::NAN,
        DType::F32 => f64::from(wanted as f32),
        DType::F16 => f64::from(f16::from_f32(wanted as f32)),
        _ => wanted,
    };
    let made = float(made);
    // Exact sums go to half precision at once, the others by way of single.
    let near = by_key && dtype == DType::F16 && (made - wanted).abs() <= wanted.abs() / 1024.0;
    prop_assert!(
        near || made.to_bits() == wanted.to_bits() || made.is_nan() && wanted.is_nan(),
        "{world:?}: {made:e}, wanted {wanted:e}, of {list:?}"
    );
    Ok(())
}

/// A key out of its groups ends the run; undone, the next one goes on from what was kept.
#[test]
fn a_key_of_no_group_is_told_and_leaves_nothing() {
    let columns =
        [("x", DType::I64), ("k", DType::I16)].map(|(name, dtype)| Column::new(name, dtype, vec![]).unwrap());
    let schema = Schema::new(Kind::Table, columns.to_vec(), None).unwrap();
    for what in Reduction::all() {
        let reduce = Reduce { column: 0, what, over: Over::Key { column: 1, groups: 3 } };
        let (pages, noise) = (Pages::new(), Noise(5));
        let mut world = World { pages, schema: schema.clone(), rows: 600, reduce, taste: Taste::Any, noise };
        let gives = reduce.gives(&world.shape()).unwrap();
        let mut cells = vec![vec![0; 8 * 600], vec![0; 2 * 600]];
        (0..600).for_each(|row| world.fill(&mut cells, row));
        let first = world.pages.page(&schema, 600, &cells);
        let mut kernel = reduce.kernel(&world.shape()).unwrap();
        let (made, done) = world.run(kernel.as_mut(), first, None, &[]);
        assert_eq!(done, Ok(()));
        kernel.keep();
        let mut out = vec![0; (gives.columns[0].row_bytes() * 3) as usize];
        write(&made, &gives, &mut out);
        for key in [3i16, -2, i16::MAX] {
            let mut wrong = cells.clone();
            (0..600).for_each(|row| world.fill(&mut wrong, row));
            wrong[1][2 * 577..2 * 578].copy_from_slice(&key.to_le_bytes());
            let page = world.pages.page(&schema, 600, &wrong);
            let changed = vec![vec![Run::new(0, 600)]; 2];
            let (_, done) = world.run(kernel.as_mut(), page, Some(first), &changed);
            let says = format!("reduce: the key {key} of row 577 is none of 0 to 2");
            assert_eq!(done.unwrap_err().to_string(), says);
            kernel.undo();
        }
        world.fill(&mut cells, 7);
        let next = world.pages.page(&schema, 600, &cells);
        let changed = vec![vec![Run::new(7, 8)]; 2];
        let (made, done) = world.run(kernel.as_mut(), next, Some(first), &changed);
        assert_eq!(done, Ok(()));
        write(&made, &gives, &mut out);
        assert_eq!(out, world.at_once(&gives, next));
    }
}
