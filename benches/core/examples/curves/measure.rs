//! How a point of a curve is timed, weighed and told.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use mmsb::bus::handle::Bus;
use tempfile::TempDir;

/// How much is done: `quick` only shows that everything works.
pub struct Scale {
    /// Whether it is the small one.
    pub quick: bool,
    /// Seconds that one sample takes, about.
    seconds: f64,
    /// Samples of each figure.
    samples: usize,
}

impl Scale {
    /// `full` or `quick`.
    pub fn new(name: &str) -> Self {
        match name {
            "full" => Scale { quick: false, seconds: 0.004, samples: 21 },
            "quick" => Scale { quick: true, seconds: 0.0005, samples: 5 },
            _ => panic!("a scale is full or quick, not {name}"),
        }
    }

    /// 1, 3, 10, 30 and so on, up to `full` or, in a quick run, `quick`.
    pub fn decades(&self, quick: u64, full: u64) -> Vec<u64> {
        let end = if self.quick { quick } else { full };
        let steps = (0..20).flat_map(|n| [10u64.pow(n / 2) * if n % 2 == 0 { 1 } else { 3 }]);
        steps.take_while(|x| *x <= end).collect()
    }

    /// `from` and its multiples by powers of `by`, up to `full` or, in a quick run, `quick`.
    pub fn powers(&self, from: u64, by: u64, quick: u64, full: u64) -> Vec<u64> {
        let end = if self.quick { quick } else { full };
        std::iter::successors(Some(from), |x| Some(x * by)).take_while(|x| *x <= end).collect()
    }
}

/// One point of the curves of a family.
pub struct Point {
    family: &'static str,
    /// What varies.
    pub x: u64,
    /// How much is done.
    pub scale: Scale,
    dir: TempDir,
}

impl Point {
    /// A point, with a folder of its own.
    pub fn new(family: &'static str, x: u64, scale: Scale) -> Self {
        Point { family, x, scale, dir: tempfile::tempdir().unwrap() }
    }

    /// Where its bus is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Tells a figure by its samples.
    pub fn tell(&self, what: &str, unit: &str, samples: Vec<f64>) {
        self.tell_at(self.x, what, unit, samples);
    }

    /// Tells a number of bytes, or of something else that is counted, at another x.
    pub fn at(&self, x: u64, what: &str, bytes: f64) {
        self.tell_at(x, what, "bytes", vec![bytes]);
    }

    fn tell_at(&self, x: u64, what: &str, unit: &str, mut samples: Vec<f64>) {
        samples.sort_by(f64::total_cmp);
        let quartile = |n: usize| samples[(samples.len() - 1) * n / 4];
        let (family, number) = (self.family, samples.len());
        let [low, median, high] = [1, 2, 3].map(quartile);
        println!("{family}\t{x}\t{what}\t{unit}\t{median:.1}\t{low:.1}\t{high:.1}\t{number}");
    }

    /// Tells a number of bytes.
    pub fn bytes(&self, what: &str, bytes: f64) {
        self.tell(what, "bytes", vec![bytes]);
    }

    /// Times `run`, which is given 0, 1, 2, ...: many in a sample where it is short.
    pub fn time<T>(&self, what: &str, run: impl FnMut(u64) -> T) {
        self.tell(what, "ns", self.samples(u64::MAX, run));
    }

    /// As [`Point::time`], for what may be run so many times at most.
    pub fn time_at_most<T>(&self, what: &str, most: u64, run: impl FnMut(u64) -> T) {
        self.tell(what, "ns", self.samples(most, run));
    }

    fn samples<T>(&self, most: u64, mut run: impl FnMut(u64) -> T) -> Vec<f64> {
        let (mut done, mut each) = (0, 1);
        let mut clock = |each: u64| {
            let start = Instant::now();
            (0..each).for_each(|_| {
                black_box(run(done));
                done += 1;
            });
            (start.elapsed().as_secs_f64(), done)
        };
        let wanted = self.scale.seconds;
        // The first of all is often the dearest.
        let (mut took, mut done) = clock(1);
        while took < wanted / 4.0 && done + 2 * each < most / 4 {
            each *= 2;
            (took, done) = clock(each);
        }
        let fill = (each as f64 * wanted / took.max(1e-9)) as u64;
        let each = fill.clamp(1, (most.saturating_sub(done) / self.scale.samples as u64).max(1));
        let samples = (self.scale.samples as u64).min(most.saturating_sub(done) / each).max(1);
        // What takes a tenth of a second is not done twenty times.
        let samples = if took / each as f64 > 0.02 { samples.min(5) } else { samples };
        (0..samples).map(|_| clock(each).0 * 1e9 / each as f64).collect()
    }

    /// Times `run` on what `prepare` makes outside the clock; the clock's own time, some 25 ns, is part of the figure.
    pub fn after<P, T>(&self, what: &str, mut prepare: impl FnMut(u64) -> P, mut run: impl FnMut(P) -> T) {
        let mut samples = Vec::new();
        let (start, most) = (Instant::now(), if self.scale.quick { 40 } else { 400 });
        let limit = self.scale.seconds * self.scale.samples as f64 * 4.0;
        for n in 0..most {
            let prepared = prepare(n);
            let clock = Instant::now();
            let made = black_box(run(prepared));
            samples.push(clock.elapsed().as_secs_f64() * 1e9);
            drop(made);
            if samples.len() >= 12 && start.elapsed().as_secs_f64() > limit
                || samples.len() >= 5 && start.elapsed().as_secs_f64() > 10.0 * limit
            {
                break;
            }
        }
        // The first ones warm up.
        let warm = samples.len() / 5;
        self.tell(what, "ns", samples.split_off(warm));
    }
}

/// Bytes of a bus's memory that hold something: chunks, of which those cut into small blocks count by what these hold.
pub fn used(bus: &Bus) -> f64 {
    bus.stats().unwrap().arena.used_chunks as f64
}

/// Bytes of memory that this process has, each once, however often it is mapped. Without pages of files: those are the
/// log's, and the kernel takes them back.
pub fn resident() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let lines = rollup.lines().filter(|line| line.starts_with("Pss_Anon:") || line.starts_with("Pss_Shmem:"));
    lines.map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0).sum()
}
