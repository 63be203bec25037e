//! The sum of a million numbers, kept while one after the other changes.

use std::hint::black_box;

use mmsb::bus::derive::Derived;
use mmsb::bus::options::Note;
use mmsb::graph::edge::Edge;
use mmsb::page::dtype::DType;
use mmsb::page::select::Select;
use mmsb::propagation::reduction::spec::{Over, Reduce, Reduction};
use mmsb::propagation::rule::{Rule, What};

use crate::flows::ours::{cells, in_memory};
use crate::measure::{Failed, Scale, checked, place, tell, timed};

const CELLS: u64 = 1_000_000;
const NAME: &str = "reduce 1 M";

/// What cell `place` becomes at a step.
fn value(step: u64) -> f64 {
    (step % 1009) as f64 * 0.37 + 0.001
}

/// By everybody.
pub fn all(scale: &Scale) -> Result<(), Failed> {
    ours(scale)?;
    let mut array: Vec<f64> = (0..CELLS).map(value).collect();
    let mut step = 0;
    let took = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            array[place(step, CELLS) as usize] = value(step + 17);
            black_box(array.iter().sum::<f64>());
            step += 1;
        }
        Ok(())
    });
    tell(NAME, "a loop over all, from nothing", "memory", &took?);
    let (mut sum, mut step) = (array.iter().sum::<f64>(), 0);
    let took = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            let cell = &mut array[place(step, CELLS) as usize];
            let new = value(step + 29);
            sum += new - *cell;
            *cell = new;
            step += 1;
        }
        black_box(sum);
        Ok(())
    });
    tell(NAME, "a running sum, which drifts", "memory", &took?);
    Ok(())
}

fn ours(scale: &Scale) -> Result<(), Failed> {
    let (bus, note) = (in_memory()?, Note::default());
    let page = bus.create_page("numbers", cells(DType::F64)?, CELLS, &note)?;
    let mut model: Vec<f64> = (0..CELLS).map(value).collect();
    bus.assign(page, 0, Select::range(0, CELLS), &model, &note)?;
    let what = What::Reduce(Reduce { column: 0, what: Reduction::Sum, over: Over::Whole });
    let rule = Rule { edges: vec![Edge::data(page)], what };
    let derived = || Derived { rule: rule.clone(), shape: None, program: None };
    let sum = bus.derive("sum", derived(), &note)?;
    let mut step = 0;
    let took = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            let row = place(step, CELLS);
            bus.assign(page, 0, Select::range(row, row + 1), &[value(step + 17)], &note)?;
            step += 1;
        }
        Ok(())
    })?;
    for step in 0..step {
        model[place(step, CELLS) as usize] = value(step + 17);
    }
    let anew = bus.derive("anew", derived(), &note)?;
    let state = bus.state()?;
    let (kept, anew) = (state.cells::<f64>(sum, 0)?[0], state.cells::<f64>(anew, 0)?[0]);
    let plain: f64 = model.iter().sum();
    if kept.to_bits() != anew.to_bits() || ((kept - plain) / plain).abs() > 1e-12 {
        return Err(format!("the sum is {kept}, {anew} from nothing, {plain} by a loop").into());
    }
    tell(NAME, "mmsb", "memory", &took);
    checked(&format!(
        "{NAME}, Rust: after all changes the bits of the sum are those of one made from nothing, and a plain loop comes \
         to the same but for its rounding"
    ));
    Ok(())
}
