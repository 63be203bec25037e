//! The best ways through graphs that change, against a plain model, through commits that are made and that are not.

use std::fmt::Debug;

use mmsb::algebra::family::Family;
use mmsb::algebra::value::Value;
use mmsb::base::ids::PageId;
use mmsb::bus::commit::Change;
use mmsb::bus::derive::Derived;
use mmsb::bus::handle::Bus;
use mmsb::bus::options::{Note, Options};
use mmsb::bus::transaction::Isolation;
use mmsb::graph::edge::Edge;
use mmsb::page::delta::{Data, Delta, Part};
use mmsb::page::dtype::DType;
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::{Column, Kind, Schema};
use mmsb::page::select::Select;
use mmsb::propagation::closure::spec::{Closure, Starts};
use mmsb::propagation::rule::{Rule, What};

/// A semiring in plain words.
#[derive(Clone, Copy)]
struct Plain<T> {
    family: Family,
    zero: T,
    one: T,
    step: fn(T, T) -> T,
    better: fn(T, T) -> bool,
    weight: fn(&mut Dice) -> T,
    /// A weight that there may not be.
    wrong: Option<T>,
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let x = self.0 ^ self.0 >> 29;
        x.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

type Row<T> = (i32, i64, T);

/// Every way gone, again and again until nothing gets better.
fn model<T: Value>(plain: &Plain<T>, rows: &[Row<T>], vertices: u64, start: u64) -> Vec<T> {
    let mut x = vec![plain.zero; vertices as usize];
    x[start as usize] = plain.one;
    loop {
        let mut any = false;
        for &(source, target, weight) in rows {
            if source < 0 || target < 0 || weight == plain.zero || x[source as usize] == plain.zero {
                continue;
            }
            let value = (plain.step)(x[source as usize], weight);
            if (plain.better)(value, x[target as usize]) {
                x[target as usize] = value;
                any = true;
            }
        }
        if !any {
            return x;
        }
    }
}

fn table(weight: DType) -> Schema {
    let column = |name, dtype| Column::new(name, dtype, vec![]).unwrap();
    let columns = vec![column("from", DType::I32), column("to", DType::I64), column("cost", weight)];
    Schema::new(Kind::Table, columns, None).unwrap()
}

fn memory() -> Bus {
    Bus::memory(&Options { history_budget: None, ..Options::default() }).unwrap()
}

fn part<T: bytemuck::Pod>(column: u16, row: u64, value: T) -> Part<'static> {
    let data = Data::Dense(bytemuck::bytes_of(&value).to_vec().into());
    Part { column, select: Select::range(row, row + 1), data }
}

fn delta<T: Value>(page: PageId, row: u64, (source, target, weight): Row<T>) -> Delta<'static> {
    let parts = vec![part(0, row, source), part(1, row, target), part(2, row, weight)];
    Delta { page, op: OperatorId::ASSIGN, parts }
}

fn closure(bus: &Bus, name: &str, edges: PageId, family: Family, vertices: u64, starts: Starts) -> PageId {
    let rule = Closure { family, source: 0, target: 1, weight: 2, vertices, starts };
    let rule = Rule::new(vec![Edge::data(edges)], What::Closure(rule));
    assert_eq!(Rule::decode(&rule.encode()).unwrap(), rule);
    bus.derive(name, Derived { rule, shape: None, program: None }, &Note::default()).unwrap()
}

/// A bus with a graph, and with its closures by the starts they have.
struct World<T> {
    plain: Plain<T>,
    bus: Bus,
    edges: PageId,
    rows: Vec<Row<T>>,
    vertices: u64,
    pages: Vec<(PageId, Vec<u64>)>,
}

impl<T: Value> World<T> {
    fn new(plain: Plain<T>, dice: &mut Dice) -> Self {
        let (vertices, count) = (3 + dice.below(38), 1 + dice.below(120));
        let bus = memory();
        let edges = bus.create_page("edges", table(T::DTYPE), count, &Note::default()).unwrap();
        let rows = vec![(-1, 0, plain.zero); count as usize];
        let all: Vec<Change<'_>> =
            (0..).zip(&rows).map(|(row, edge)| Change::Write(delta(edges, row, *edge))).collect();
        bus.commit(&all, &Note::default()).unwrap();
        let starts = [vec![dice.below(vertices)], vec![dice.below(vertices), 0, dice.below(vertices)]];
        let mut pages = Vec::new();
        for (name, starts) in ["one", "three"].into_iter().zip(starts) {
            let page = closure(&bus, name, edges, plain.family, vertices, Starts::List(starts.clone()));
            pages.push((page, starts));
        }
        let page = closure(&bus, "all", edges, plain.family, vertices, Starts::All);
        pages.push((page, (0..vertices).collect()));
        Self { plain, bus, edges, rows, vertices, pages }
    }

    fn row(&self, dice: &mut Dice, old: Row<T>) -> Row<T> {
        let n = self.vertices;
        let weight = (self.plain.weight)(dice);
        match dice.below(8) {
            0 => (-1, old.1, old.2),
            1 => (old.0, -1, old.2),
            2 => (old.0, old.1, self.plain.zero),
            3..=4 => (old.0, old.1, weight),
            _ => (dice.below(n) as i32, dice.below(n) as i64, weight),
        }
    }

    fn changes(&self, dice: &mut Dice) -> (Vec<Row<T>>, Vec<Change<'static>>) {
        let mut rows = self.rows.clone();
        let most = if dice.below(6) == 0 { rows.len() as u64 } else { 3 };
        let mut changes = Vec::new();
        for _ in 0..1 + dice.below(most) {
            let at = dice.below(rows.len() as u64);
            rows[at as usize] = self.row(dice, rows[at as usize]);
            changes.push(Change::Write(delta(self.edges, at, rows[at as usize])));
        }
        (rows, changes)
    }

    fn check(&self) {
        let state = self.bus.state().unwrap();
        for (page, starts) in &self.pages {
            let view = state.view(*page, 0, None).unwrap();
            let found: &[T] = bytemuck::cast_slice(view.bytes());
            assert_eq!(found.len() as u64, starts.len() as u64 * self.vertices);
            for (start, found) in starts.iter().zip(found.chunks(self.vertices as usize)) {
                let wanted = model(&self.plain, &self.rows, self.vertices, *start);
                let same = found.iter().zip(&wanted).all(|(a, b)| a.same(*b));
                assert!(same, "from {start}: {found:?} and not {wanted:?} of {:?}", self.rows);
            }
        }
    }

    /// A commit that is refused, for the last of what it writes cannot be.
    fn refused(&self, dice: &mut Dice) {
        let (_, mut changes) = self.changes(dice);
        let at = dice.below(self.rows.len() as u64);
        let (row, says) = match self.plain.wrong {
            Some(wrong) if dice.below(2) == 0 => ((0, 1, wrong), format!("of row {at} is")),
            _ => (
                (0, self.vertices as i64, self.plain.one),
                format!(
                    "closure: the target {} of row {at} is none of 0 to {}",
                    self.vertices,
                    self.vertices - 1
                ),
            ),
        };
        changes.push(Change::Write(delta(self.edges, at, row)));
        let error = self.bus.commit(&changes, &Note::default()).unwrap_err().to_string();
        assert!(error.contains(&says), "{error}");
    }

    /// A transaction that looks at what its writes come to, and is not committed.
    fn dropped(&self, dice: &mut Dice) {
        let mut tx = self.bus.begin(Isolation::Snapshot, Note::default()).unwrap();
        for _ in 0..2 {
            for change in self.changes(dice).1 {
                let Change::Write(delta) = change else { panic!("a write") };
                tx.write(delta).unwrap();
            }
            tx.view(self.pages[0].0, 0).unwrap();
        }
    }
}

fn histories<T: Value + Debug>(plain: Plain<T>) {
    for seed in 0..10 {
        let mut dice = Dice(seed * 77 + 5);
        let mut world = World::new(plain, &mut dice);
        for _ in 0..30 {
            match dice.below(8) {
                0 => world.refused(&mut dice),
                1 => world.dropped(&mut dice),
                _ => {}
            }
            let (rows, changes) = world.changes(&mut dice);
            world.bus.commit(&changes, &Note::default()).unwrap();
            world.rows = rows;
            world.check();
        }
        let digest = world.bus.state().unwrap().digest().unwrap();
        assert_eq!(world.bus.replay_digest(true).unwrap()[0].digest, digest);
        world.bus.audit().unwrap();
    }
}

#[test]
fn the_shortest_ways_of_doubles() {
    histories(Plain {
        family: Family::MinPlus,
        zero: f64::INFINITY,
        one: 0.0,
        step: |a, b| a + b,
        better: |a, b| a < b,
        // Ways of as many lengths as sums have orders, and circles of no length, some only by rounding.
        weight: |dice| match dice.below(8) {
            0 => 0.0,
            1 => -0.0,
            2 => 1e16,
            3 => 1e-3,
            4 => 0.1,
            _ => dice.below(1000) as f64 / 7.0,
        },
        wrong: Some(-0.5),
    });
}

#[test]
fn the_shortest_ways_of_singles() {
    histories(Plain {
        family: Family::MinPlus,
        zero: f32::INFINITY,
        one: 0.0,
        step: |a, b| a + b,
        better: |a, b| a < b,
        weight: |dice| [0.1, 0.7, 1e-9, 0.0, 1e7, f32::MAX][dice.below(6) as usize],
        wrong: Some(f32::NAN),
    });
}

#[test]
fn the_shortest_ways_of_whole_numbers() {
    histories(Plain {
        family: Family::MinPlus,
        zero: i64::MAX,
        one: 0,
        step: i64::saturating_add,
        better: |a, b| a < b,
        weight: |dice| match dice.below(20) {
            0 => i64::MAX - 3,
            _ => dice.below(5) as i64,
        },
        wrong: Some(-1),
    });
}

#[test]
fn the_longest_ways_down() {
    histories(Plain {
        family: Family::MaxPlus,
        zero: i32::MIN,
        one: 0,
        step: i32::saturating_add,
        better: |a, b| a > b,
        weight: |dice| -(dice.below(9) as i32),
        wrong: Some(2),
    });
}

#[test]
fn the_widest_ways() {
    histories(Plain {
        family: Family::MaxMin,
        zero: f64::NEG_INFINITY,
        one: f64::INFINITY,
        step: |a, b| if a.total_cmp(&b).is_lt() { a } else { b },
        better: |a, b| a.total_cmp(&b).is_gt(),
        weight: |dice| [0.0, -0.0, 1.5, -7.25, 3.0, 3.5, f64::INFINITY][dice.below(7) as usize],
        wrong: Some(f64::NAN),
    });
}

#[test]
fn the_likeliest_ways() {
    histories(Plain {
        family: Family::Viterbi,
        zero: 0.0,
        one: 1.0,
        step: |a, b| a * b,
        better: |a, b| a > b,
        weight: |dice| match dice.below(6) {
            0 => 1.0,
            1 => 1e-200,
            2 => 1.0 - f64::EPSILON,
            _ => dice.below(1000) as f64 / 1000.0,
        },
        wrong: Some(1.5),
    });
}

#[test]
fn whether_there_is_a_way() {
    use mmsb::algebra::value::Truth;
    histories(Plain {
        family: Family::Boolean,
        zero: Truth::NO,
        one: Truth::YES,
        step: |a, b| Truth::from(a.is_true() && b.is_true()),
        better: |a, b| a.is_true() && !b.is_true(),
        weight: |dice| Truth::from(dice.below(5) > 0),
        wrong: None,
    });
}

#[test]
fn what_cannot_be_is_told_by_name() {
    use mmsb::propagation::kernel::{Shape, Spec};
    let of = |weight, rule: Closure| {
        let schema = table(weight);
        let shape = Shape { schema: &schema, rows: 4 };
        let wrong = rule.gives(&[shape]).unwrap_err();
        assert_eq!(rule.kernel(&[shape]).unwrap_err(), wrong);
        wrong.to_string()
    };
    let rule = Closure {
        family: Family::MinPlus,
        source: 0,
        target: 1,
        weight: 2,
        vertices: 9,
        starts: Starts::List(vec![3]),
    };
    let says = |rule: Closure| of(DType::F64, rule);
    assert_eq!(
        says(Closure { family: Family::PlusTimes, ..rule.clone() }),
        "closure needs what the semiring plus_times on float64 is not: idempotent, selective, absorptive, total order"
    );
    assert_eq!(
        of(DType::U64, Closure { family: Family::Boolean, ..rule.clone() }),
        "closure needs what the semiring boolean on uint64 is not: selective, total order"
    );
    assert_eq!(of(DType::Bool, rule.clone()), "'min_plus' is not for cells of bool");
    assert_eq!(
        says(Closure { source: 2, ..rule.clone() }),
        "closure: the column 'cost' is float64, where a type of integers is needed"
    );
    assert_eq!(
        says(Closure { target: 7, ..rule.clone() }),
        "closure: column 7 is out of range: the page has 3"
    );
    assert_eq!(
        says(Closure { starts: Starts::List(vec![2, 9]), ..rule.clone() }),
        "closure: the start 9 is none of 9 vertices"
    );
    assert_eq!(
        says(Closure { starts: Starts::List(vec![]), ..rule.clone() }),
        "closure: no starts, where at least one is needed"
    );
    for vertices in [0, 1 << 20, u64::MAX] {
        assert_eq!(
            says(Closure { vertices, starts: Starts::All, ..rule.clone() }),
            format!(
                "closure: {vertices} starts and {vertices} vertices, where 1 to 268435456 cells are possible"
            )
        );
    }
    let schema = table(DType::F64);
    let shape = Shape { schema: &schema, rows: 4 };
    assert_eq!(rule.gives(&[shape, shape]).unwrap_err().to_string(), "closure has 2 inputs where it takes 1");
    let gives = rule.gives(&[shape]).unwrap();
    assert_eq!((gives.rows, gives.columns[0].inner()), (9, &[][..]));
    let gives = Closure { starts: Starts::All, ..rule }.gives(&[shape]).unwrap();
    assert_eq!((gives.rows, gives.columns[0].inner(), gives.columns[0].dtype()), (9, &[9][..], DType::F64));
}

#[test]
fn weights_that_cannot_be_are_told_by_row() {
    let bus = memory();
    let edges = bus.create_page("edges", table(DType::F64), 3, &Note::default()).unwrap();
    let page = closure(&bus, "far", edges, Family::MinPlus, 3, Starts::List(vec![0]));
    let says = |weight: f64| {
        let error = bus.commit(&[Change::Write(delta(edges, 2, (0, 1, weight)))], &Note::default());
        error.unwrap_err().to_string()
    };
    assert_eq!(
        says(-1.5),
        "page 'far': closure: the weight -1.5 of row 2 is better than 0.0, so by min_plus a way could go round and \
         get better each time (edges -> far)"
    );
    assert_eq!(
        says(f64::NAN),
        "page 'far': closure: the weight NaN of row 2 is not between inf and 0.0 of min_plus (edges -> far)"
    );
    assert_eq!(bus.state().unwrap().cells::<f64>(page, 0).unwrap(), [0.0, f64::INFINITY, f64::INFINITY]);
}

#[test]
fn rules_come_back_from_bytes_and_others_are_refused() {
    use mmsb::base::codec::{Reader, Writer};
    let mut dice = Dice(9);
    for (i, family) in Family::all().enumerate() {
        let starts = if i % 2 == 0 { Starts::All } else { Starts::List(vec![0, 1 << 40, 7]) };
        let rule = Closure { family, source: 0, target: 300, weight: u16::MAX, vertices: 1 << 33, starts };
        let mut out = Writer::new();
        rule.encode(&mut out);
        assert_eq!(Closure::decode(&mut Reader::new(out.as_slice())), Ok(rule));
        for end in 0..out.len() {
            assert!(Closure::decode(&mut Reader::new(&out.as_slice()[..end])).is_err());
        }
        for _ in 0..500 {
            let mut bytes = out.as_slice().to_vec();
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = dice.next() as u8;
            let _ = Closure::decode(&mut Reader::new(&bytes));
        }
    }
    let says = |bytes: &[u8]| Closure::decode(&mut Reader::new(bytes)).unwrap_err().to_string();
    assert_eq!(says(&[10]), "the bytes of a rule cannot be read: no semiring has the code 10");
    assert_eq!(says(&[1, 0, 0, 0, 9, 4, 1]), "the bytes of a rule cannot be read: 4 starts in 1 bytes");
    assert!(says(&[1, 0x80, 0x80, 4]).contains("65536 is past 16 bits"));
}

/// Prints what a graph of 100,000 vertices and 400,000 edges takes: `--ignored --nocapture`.
#[test]
#[ignore = "prints figures, tests nothing"]
fn figures() {
    use std::time::Instant;
    const VERTICES: u64 = 100_000;
    const EDGES: u64 = 400_000;
    let mut dice = Dice(1);
    let bus = memory();
    let edges = bus.create_page("edges", table(DType::F64), EDGES, &Note::default()).unwrap();
    let ends: Vec<(i32, i64)> =
        (0..EDGES).map(|_| (dice.below(VERTICES) as i32, dice.below(VERTICES) as i64)).collect();
    let weights: Vec<f64> = (0..EDGES).map(|_| 1.0 + dice.below(1000) as f64).collect();
    let all = || Select::range(0, EDGES);
    bus.assign(edges, 0, all(), &ends.iter().map(|end| end.0).collect::<Vec<_>>(), &Note::default()).unwrap();
    bus.assign(edges, 1, all(), &ends.iter().map(|end| end.1).collect::<Vec<_>>(), &Note::default()).unwrap();
    bus.assign(edges, 2, all(), &weights, &Note::default()).unwrap();
    let start = Instant::now();
    let page = closure(&bus, "far", edges, Family::MinPlus, VERTICES, Starts::List(vec![0]));
    println!("made from nothing, a page with it: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let mut times: [Vec<(u32, u32)>; 2] = Default::default();
    for i in 0..400 {
        let row = dice.below(EDGES);
        for (kind, weight) in [(0, 0.5), (1, weights[row as usize] + 100.0 * f64::from(i % 2))] {
            let epoch = bus.assign(edges, 2, Select::range(row, row + 1), &[weight], &Note::default());
            let steps = bus.trace(epoch.unwrap().epoch).unwrap();
            let step = steps.iter().find(|step| step.page == page).unwrap();
            times[kind].push((step.ns, step.rows_out));
        }
    }
    for (what, mut times) in ["an edge better", "an edge worse"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        println!("{what}: (ns, cells) median {:?}, 90 of 100 {:?}, most {:?}", at(50), at(90), at(100));
    }
}
