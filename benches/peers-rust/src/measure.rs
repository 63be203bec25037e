//! How something is timed and told.

use std::error::Error;
use std::time::Instant;

/// Anything that goes wrong ends the run.
pub type Failed = Box<dyn Error>;

/// How much is done: `quick` only shows that everything works.
#[derive(Clone)]
pub struct Scale {
    /// Seconds that one sample takes, about.
    pub seconds: f64,
    /// Samples of each figure.
    pub samples: usize,
    /// Samples of what takes milliseconds or more.
    pub few: usize,
    /// Seconds of a sample of what must be kept up.
    pub sustained: f64,
    /// Deltas that are replayed, epochs that are written.
    pub epochs: u64,
    /// Bytes of a large page.
    pub large: usize,
    /// Bytes of a page that is branched.
    pub branched: usize,
}

impl Scale {
    /// One of the two.
    pub fn new(quick: bool) -> Self {
        if quick {
            Scale {
                seconds: 0.002,
                samples: 5,
                few: 3,
                sustained: 0.3,
                epochs: 100_000,
                large: 64 << 20,
                branched: 128 << 20,
            }
        } else {
            Scale {
                seconds: 0.01,
                samples: 15,
                few: 5,
                sustained: 2.0,
                epochs: 1_000_000,
                large: 64 << 20,
                branched: 1 << 30,
            }
        }
    }

    /// The same with fewer samples at a time.
    pub fn shorter(&self, turns: usize) -> Self {
        Scale { samples: self.samples.div_ceil(turns), few: self.few.div_ceil(turns), ..self.clone() }
    }
}

/// Seconds for one of many: `run` does as many as it is told. What finds out how many fill a sample is the warm-up.
pub fn timed(
    seconds: f64,
    samples: usize,
    mut run: impl FnMut(u64) -> Result<(), Failed>,
) -> Result<Vec<f64>, Failed> {
    let mut clock = |n: u64| {
        let start = Instant::now();
        run(n)?;
        Ok::<f64, Failed>(start.elapsed().as_secs_f64())
    };
    let mut n = 1;
    let mut took = clock(n)?;
    while took < seconds / 4.0 {
        n *= 2;
        // Twice, for once may have been held up by somebody else.
        took = clock(n)?.min(clock(n)?);
    }
    n = ((n as f64 * seconds / took) as u64).max(1);
    (0..samples).map(|_| Ok(clock(n)? / n as f64)).collect()
}

/// Seconds for each of what takes long; `prepare` makes what it works on, outside the clock. The first is the warm-up.
pub fn each<P>(
    samples: usize,
    mut prepare: impl FnMut(u64) -> Result<P, Failed>,
    mut run: impl FnMut(&P) -> Result<(), Failed>,
) -> Result<Vec<f64>, Failed> {
    let mut took = Vec::new();
    for n in 0..=samples as u64 {
        let prepared = prepare(n)?;
        let start = Instant::now();
        run(&prepared)?;
        took.push(start.elapsed().as_secs_f64());
    }
    Ok(took.split_off(1))
}

/// Tells a figure: seconds for each sample.
pub fn tell(workload: &str, who: &str, level: &str, samples: &[f64]) {
    let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.4e}")).collect();
    println!(
        r#"{{"workload": "{workload}", "who": "{who}", "level": "{level}", "language": "Rust", "samples": [{}]}}"#,
        samples.join(", ")
    );
}

/// The place of step `i` among `0..n`: all over it, and the same in every run.
pub fn place(i: u64, n: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % n
}

/// Tells what was compared and found equal.
pub fn checked(what: &str) {
    println!(r#"{{"check": "{what}"}}"#);
}
