//! Products of matrices and vectors that change, against plain loops and against making them from nothing.

use std::collections::BTreeSet;

use mmsb::algebra::family::Family;
use mmsb::base::codec::{Reader, Writer};
use mmsb::base::ids::PageId;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::cell::Cell;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::kernel::{Shape, Spec};
use mmsb::propagation::product::spec::{Form, Product};
use mmsb::propagation::rule::{Rule, What};

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % n
    }
}

fn memory() -> Bus {
    Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap()
}

fn array(dtype: DType, inner: &[u64]) -> Schema {
    Schema::array(dtype, inner.to_vec(), false, None).unwrap()
}

fn entries(dtype: DType) -> Schema {
    let column = |name, dtype| Column::new(name, dtype, vec![]).unwrap();
    Schema::new(Kind::Table, vec![column("at", DType::U16), column("x", dtype)], None).unwrap()
}

fn page<T: Cell>(bus: &Bus, name: &str, inner: &[u64], cells: &[T]) -> PageId {
    let rows = cells.len() as u64 / inner.iter().product::<u64>();
    let page = bus.create_page(name, array(T::DTYPE, inner), rows, &Note::default()).unwrap();
    put(bus, page, 0, (0, rows), cells);
    page
}

fn put<T: Cell>(bus: &Bus, page: PageId, column: u16, (first, stop): (u64, u64), cells: &[T]) {
    bus.assign(page, column, Select::range(first, stop), cells, &Note::default()).unwrap();
}

fn delta<T: Cell>(page: PageId, column: u16, (first, stop): (u64, u64), cells: &[T]) -> Delta<'static> {
    let mut bytes = Vec::new();
    cells.iter().for_each(|cell| cell.put(&mut bytes));
    let data = Data::Dense(bytes.into());
    Delta::single(page, OperatorId::ASSIGN, Part { column, select: Select::range(first, stop), data })
}

fn product(bus: &Bus, name: &str, inputs: &[PageId], family: Family, matrix: Form) -> PageId {
    let edges = inputs.iter().copied().map(Edge::data).collect();
    let rule = Rule::new(edges, What::Product(Product { family, matrix }));
    assert_eq!(Rule::decode(&rule.encode()).unwrap(), rule);
    bus.derive(name, Derived { rule, shape: None, program: None }, &Note::default()).unwrap()
}

fn bits<T: Cell>(bus: &Bus, page: PageId) -> Vec<u8> {
    let mut bytes = Vec::new();
    bus.state().unwrap().cells::<T>(page, 0).unwrap().iter().for_each(|cell| cell.put(&mut bytes));
    bytes
}

fn finished(bus: &Bus) {
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, bus.state().unwrap().digest().unwrap());
    bus.audit().unwrap();
}

/// A page with the same rule, made from nothing, has the same bits; it goes again.
fn made_anew<T: Cell>(bus: &Bus, made: PageId) {
    let rule = bus.rule(made).unwrap().unwrap();
    let other = bus.derive("anew", Derived { rule, shape: None, program: None }, &Note::default()).unwrap();
    assert_eq!(bits::<T>(bus, made), bits::<T>(bus, other));
    bus.drop_page(other, &Note::default()).unwrap();
}

#[test]
fn dense_products_follow_both_sides() {
    // Rows of 700 doubles lie across chunks.
    for (n, m) in [(1u64, 1u64), (5, 3), (40, 33), (30, 700)] {
        let (bus, mut dice) = (memory(), Dice(n));
        let mut draw =
            |count: u64| -> Vec<f64> { (0..count).map(|_| dice.below(999) as f64 / 7.0).collect() };
        let (mut a, mut x) = (draw(n * m), draw(m));
        let (left, right) = (page(&bus, "a", &[m], &a), page(&bus, "x", &[], &x));
        let sum = product(&bus, "sum", &[left, right], Family::PlusTimes, Form::Dense);
        let least = product(&bus, "least", &[left, right], Family::MinPlus, Form::Dense);
        for turn in 0..12 {
            let at = draw(1)[0] as u64;
            let cell = draw(1);
            if turn % 4 == 3 {
                x[(at % m) as usize] = cell[0];
                put(&bus, right, 0, (at % m, at % m + 1), &cell);
            } else {
                let row = at % n;
                let cells = draw(m);
                a[(row * m) as usize..((row + 1) * m) as usize].copy_from_slice(&cells);
                put(&bus, left, 0, (row, row + 1), &cells);
            }
            let of = |row: &[f64]| row.iter().zip(&x).map(|(a, x)| a + x).fold(f64::INFINITY, f64::min);
            let wanted: Vec<f64> = a.chunks(m as usize).map(of).collect();
            assert_eq!(bus.state().unwrap().cells::<f64>(least, 0).unwrap(), wanted);
            made_anew::<f64>(&bus, sum);
        }
        let step = bus.last_step(sum).unwrap().unwrap().1;
        assert!(u64::from(step.rows_out) <= n);
        finished(&bus);
    }
}

#[test]
fn dense_times_dense_follows_both_sides() {
    for (n, k, m) in [(1u64, 1u64, 1u64), (6, 4, 9), (20, 300, 17)] {
        let (bus, mut dice) = (memory(), Dice(m));
        let mut draw = |count: u64| -> Vec<i64> { (0..count).map(|_| dice.below(99) as i64 - 50).collect() };
        let (mut a, mut b) = (draw(n * k), draw(k * m));
        let (left, right) = (page(&bus, "a", &[k], &a), page(&bus, "b", &[m], &b));
        let made = product(&bus, "c", &[left, right], Family::PlusTimes, Form::DenseDense);
        for turn in 0..8 {
            let row = draw(1)[0].unsigned_abs();
            let (page, cells, rows, width) =
                if turn % 3 == 2 { (right, &mut b, k, m) } else { (left, &mut a, n, k) };
            let (row, new) = (row % rows, draw(width));
            cells[(row * width) as usize..((row + 1) * width) as usize].copy_from_slice(&new);
            put(&bus, page, 0, (row, row + 1), &new);
            let mut wanted = vec![0i64; (n * m) as usize];
            for (i, out) in wanted.iter_mut().enumerate() {
                let (row, column) = (i / m as usize, i % m as usize);
                *out = (0..k as usize).map(|j| a[row * k as usize + j] * b[j * m as usize + column]).sum();
            }
            assert_eq!(bus.state().unwrap().cells::<i64>(made, 0).unwrap(), wanted);
        }
        finished(&bus);
    }
}

#[test]
fn sparse_products_follow_every_part() {
    for seed in 0..12 {
        let (bus, mut dice) = (memory(), Dice(seed));
        let (n, m, count) = (1 + dice.below(50), 1 + dice.below(40), dice.below(2500));
        let mut starts: Vec<i32> = (0..=n).map(|_| dice.below(count + 1) as i32).collect();
        starts.sort_unstable();
        let mut at: Vec<u16> = (0..count).map(|_| dice.below(m) as u16).collect();
        let mut values: Vec<f64> = (0..count).map(|_| dice.below(999) as f64 / 7.0).collect();
        let mut x: Vec<f64> = (0..m).map(|_| dice.below(999) as f64 / 3.0).collect();
        let begin = page(&bus, "starts", &[], &starts);
        let table = bus.create_page("entries", entries(DType::F64), count, &Note::default()).unwrap();
        put(&bus, table, 0, (0, count), &at);
        put(&bus, table, 1, (0, count), &values);
        let vector = page(&bus, "x", &[], &x);
        let form = Form::Csr { index: 0, value: 1 };
        let inputs = [begin, table, vector];
        let sum = product(&bus, "sum", &inputs, Family::PlusTimes, form);
        let least = product(&bus, "least", &inputs, Family::MinPlus, form);
        for _ in 0..25 {
            let entry = dice.below(count.max(1));
            match dice.below(6) {
                0 if count > 0 => {
                    at[entry as usize] = dice.below(m) as u16;
                    put(&bus, table, 0, (entry, entry + 1), &[at[entry as usize]]);
                }
                1 => {
                    starts = (0..=n).map(|_| dice.below(count + 1) as i32).collect();
                    starts.sort_unstable();
                    put(&bus, begin, 0, (0, n + 1), &starts);
                }
                2..=3 if count > 0 => {
                    values[entry as usize] = dice.below(999) as f64;
                    put(&bus, table, 1, (entry, entry + 1), &[values[entry as usize]]);
                }
                4 => {
                    let refused = bus.assign(begin, 0, Select::range(n, n + 1), &[-5i32], &Note::default());
                    let says = format!(
                        "page 'sum': product: the start -5 of row {n} is none of 0 to {count} (starts -> sum)"
                    );
                    assert_eq!(refused.unwrap_err().to_string(), says);
                }
                _ => {
                    let cell = dice.below(m);
                    x[cell as usize] = dice.below(99) as f64 / 9.0;
                    put(&bus, vector, 0, (cell, cell + 1), &[x[cell as usize]]);
                }
            }
            let of = |pair: &[i32]| {
                let of = |i: usize| values[i] + x[usize::from(at[i])];
                (pair[0] as usize..pair[1] as usize).map(of).fold(f64::INFINITY, f64::min)
            };
            let wanted: Vec<f64> = starts.windows(2).map(of).collect();
            assert_eq!(bus.state().unwrap().cells::<f64>(least, 0).unwrap(), wanted);
            made_anew::<f64>(&bus, sum);
        }
        finished(&bus);
    }
}

/// Rows, columns and entries of a sparse matrix, and how many cells of its vector change at once, each so far from the one
/// before.
#[derive(Copy, Clone)]
struct Sizes(u64, u64, u64, (u64, u64));

/// Products by a semiring that chooses, of a vector and of rows of three, are what they are from nothing, whatever cells of the
/// vector and values change together, and after commits that were not made. In all there are so many different cells.
fn terms_are_exchanged<T: Cell>(family: Family, sizes: Sizes, kinds: usize, draw: impl Fn(&mut Dice) -> T) {
    let (bus, mut dice) = (memory(), Dice(family as u64));
    let Sizes(n, m, count, (many, step)) = sizes;
    let mut cells = |count: u64| -> Vec<T> { (0..count).map(|_| draw(&mut dice)).collect() };
    let mut places = Dice(count);
    // Some entries stand before the first row and behind the last one.
    let mut starts: Vec<u64> = (0..=n).map(|_| 30 + places.below(count - 60)).collect();
    starts.sort_unstable();
    let at: Vec<u16> = (0..count).map(|_| places.below(m) as u16).collect();
    let begin = page(&bus, "starts", &[], &starts);
    let table = bus.create_page("entries", entries(T::DTYPE), count, &Note::default()).unwrap();
    put(&bus, table, 0, (0, count), &at);
    put(&bus, table, 1, (0, count), &cells(count));
    let (vector, wide) = (page(&bus, "x", &[], &cells(m)), page(&bus, "xs", &[3], &cells(3 * m)));
    let form = Form::Csr { index: 0, value: 1 };
    let one = product(&bus, "y", &[begin, table, vector], family, form);
    let three = product(&bus, "ys", &[begin, table, wide], family, form);
    let mut seen = BTreeSet::new();
    for turn in 0..24 {
        let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
        // All of it at once is another way; nothing of it leaves values alone.
        let some = if turn % 6 == 5 { 0..m } else { 0..turn % 5 * many / 4 };
        for i in some {
            let cell = (turn * 7 + i * step) % m;
            tx.write(delta(vector, 0, (cell, cell + 1), &cells(1))).unwrap();
            let rows = (cell, (cell + turn % 3 + 1).min(m));
            tx.write(delta(wide, 0, rows, &cells((rows.1 - rows.0) * 3))).unwrap();
        }
        // Across both ends of what belongs to rows, and of a piece.
        for first in [starts[0] - 4, starts[n as usize] - 4, 1020, turn * 61 % (count - 9)] {
            if turn % 3 == 0 {
                tx.write(delta(table, 1, (first, first + 9), &cells(9))).unwrap();
            }
        }
        if turn % 7 == 4 {
            // What is looked at is made.
            tx.view(one, 0).unwrap();
            tx.view(three, 0).unwrap();
        } else {
            tx.commit().unwrap();
        }
        made_anew::<T>(&bus, one);
        made_anew::<T>(&bus, three);
        seen.extend(bits::<T>(&bus, one).chunks(T::DTYPE.size()).map(<[u8]>::to_vec));
    }
    assert!(seen.len() >= kinds, "{family} on {}: {} different cells", T::DTYPE, seen.len());
    finished(&bus);
}

/// A truth.
#[derive(Copy, Clone)]
struct Flag(bool);

impl Cell for Flag {
    const DTYPE: DType = DType::Bool;

    fn put(self, to: &mut Vec<u8>) {
        to.push(self.0.into());
    }

    fn get(bytes: &[u8]) -> Self {
        Self(bytes[0] != 0)
    }
}

#[test]
fn terms_are_exchanged_whatever_changes_together() {
    /// Many are alike, some are nothing or a zero with a sign, and very few are no number.
    fn float(dice: &mut Dice) -> f64 {
        match dice.below(800) {
            0 => f64::NAN,
            1..5 => f64::INFINITY,
            5..9 => f64::NEG_INFINITY,
            9..20 => -0.0,
            n => (n % 50) as f64 / 16.0,
        }
    }
    // Cells in many rows, a few at once; and in two or three rows, so many that some are told ahead.
    for sizes in [Sizes(200, 60, 2_000, (5, 13)), Sizes(1_500, 1_000, 3_000, (48, 20))] {
        for family in [Family::MinPlus, Family::MaxPlus, Family::MaxTimes, Family::Viterbi, Family::MaxMin] {
            terms_are_exchanged(family, sizes, 30, float);
        }
        terms_are_exchanged(Family::MinPlus, sizes, 30, |dice| dice.below(99) as i32 - 9);
        terms_are_exchanged(Family::MaxMin, sizes, 30, |dice| float(dice) as f32);
        terms_are_exchanged(Family::Boolean, sizes, 2, |dice| Flag(dice.below(9) == 0));
    }
}

#[test]
fn a_change_makes_the_rows_that_have_it() {
    let bus = memory();
    let starts: Vec<i32> = (0..=1000).collect();
    let (begin, count) = (page(&bus, "starts", &[], &starts), 1000);
    let table = bus.create_page("entries", entries(DType::I64), count, &Note::default()).unwrap();
    put(&bus, table, 0, (0, count), &(0..1000).map(|i| i % 100).collect::<Vec<u16>>());
    put(&bus, table, 1, (0, count), &[1i64; 1000]);
    let vector = page(&bus, "x", &[], &[0i64; 100]);
    let form = Form::Csr { index: 0, value: 1 };
    let made = product(&bus, "y", &[begin, table, vector], Family::PlusTimes, form);
    put(&bus, vector, 0, (7, 8), &[5i64]);
    assert_eq!(bus.last_step(made).unwrap().unwrap().1.rows_out, 10);
    put(&bus, table, 1, (107, 108), &[3i64]);
    assert_eq!(bus.last_step(made).unwrap().unwrap().1.rows_out, 1);
    let cells = bus.state().unwrap().cells::<i64>(made, 0).unwrap();
    assert_eq!((cells[7], cells[107], cells[8], cells.iter().sum::<i64>()), (5, 15, 0, 60));
    let error = bus.assign(begin, 0, Select::range(3, 4), &[9i32], &Note::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "page 'y': product: row 3 of the matrix starts at 9 and ends at 4 (starts -> y)"
    );
}

#[test]
fn what_cannot_be_is_told_by_name_and_bytes_come_back() {
    let (matrix, vector) = (array(DType::F64, &[3]), array(DType::F64, &[]));
    let (single, table) = (array(DType::F32, &[]), entries(DType::F64));
    let says = |matrix, family, shapes: &[(&Schema, u64)]| {
        let shapes: Vec<Shape<'_>> = shapes.iter().map(|&(schema, rows)| Shape { schema, rows }).collect();
        Product { family, matrix }.gives(&shapes).unwrap_err().to_string()
    };
    let plus = Family::PlusTimes;
    assert_eq!(says(Form::Dense, plus, &[(&matrix, 2)]), "product has 1 inputs where it takes 2");
    assert_eq!(
        says(Form::Dense, plus, &[(&matrix, 2), (&vector, 4)]),
        "product: rows of the matrix have 3 cells, and the vector has 4"
    );
    assert_eq!(
        says(Form::Dense, plus, &[(&vector, 2), (&vector, 4)]),
        "product: the matrix has 0 inner axes, where it must have 1"
    );
    assert_eq!(
        says(Form::Dense, plus, &[(&matrix, 2), (&single, 3)]),
        "product: the vector is float32, where float64, as the matrix has, is needed"
    );
    assert_eq!(
        says(Form::Dense, Family::Boolean, &[(&matrix, 2), (&vector, 3)]),
        "'boolean' is not for cells of float64"
    );
    assert_eq!(
        says(Form::DenseDense, plus, &[(&matrix, 2), (&table, 3)]),
        "product: the right matrix has 2 columns, where it must have one"
    );
    assert_eq!(
        says(Form::Csr { index: 1, value: 1 }, plus, &[(&vector, 2), (&table, 3), (&vector, 3)]),
        "product: the column 'value' is float64, where a type of integers is needed"
    );
    let starts = array(DType::I64, &[]);
    assert_eq!(
        says(Form::Csr { index: 1, value: 1 }, plus, &[(&starts, 2), (&table, 3), (&vector, 3)]),
        "product: the column 'x' is float64, where a type of integers is needed"
    );
    for (family, matrix) in Family::all().flat_map(|family| {
        [Form::Dense, Form::Csr { index: 3, value: 700 }, Form::DenseDense].map(|form| (family, form))
    }) {
        let (rule, mut out) = (Product { family, matrix }, Writer::new());
        rule.encode(&mut out);
        assert_eq!(Product::decode(&mut Reader::new(out.as_slice())), Ok(rule));
        for end in 0..out.len() {
            assert!(Product::decode(&mut Reader::new(&out.as_slice()[..end])).is_err());
        }
    }
    let says = |bytes: &[u8]| Product::decode(&mut Reader::new(bytes)).unwrap_err().to_string();
    assert_eq!(says(&[1, 3]), "the bytes of a rule cannot be read: no form of a matrix has the code 3");
    assert_eq!(says(&[77, 0]), "the bytes of a rule cannot be read: no semiring has the code 77");
}
