//! Pages that follow from three others each are declared: 100,000 of them, made once as they are.

use std::sync::Arc;
use std::time::Instant;

use incremental::IncrState;
use mmsb::base::ids::PageId;
use mmsb::bus::options::Note;
use mmsb::bus::transaction::Isolation;
use mmsb::page::dtype::DType;

use crate::flows::ours::{Sum, cells, derived, in_memory};
use crate::flows::with_incremental::sum;
use crate::measure::{Failed, Scale, checked, place, tell};

const INPUTS: usize = 3;
const SOURCES: usize = 100;
/// More levels than such a graph has.
const HEIGHT: usize = 4096;

/// The inputs of page `i`: three of those before it.
fn inputs(i: usize) -> [usize; INPUTS] {
    let first = place(i as u64, i as u64) as usize;
    [first, (first + 1) % i, (first + 2) % i]
}

/// By everybody.
pub fn all(scale: &Scale) -> Result<(), Failed> {
    let count = (scale.epochs / 10) as usize;
    let model = expected(count);
    told("mmsb", count, scale, || ours(count, &model))?;
    told("incremental", count, scale, || incremental(count, &model))?;
    checked(&format!("{count} pages declared, Rust: the last is for everybody what a plain loop comes to"));
    Ok(())
}

fn expected(count: usize) -> i64 {
    let mut values = vec![1i64; SOURCES];
    for i in SOURCES..SOURCES + count {
        values.push(inputs(i).iter().fold(0, |sum, input| sum.wrapping_add(values[*input])));
    }
    *values.last().expect("one at the least")
}

fn told(who: &str, count: usize, scale: &Scale, run: impl Fn() -> Result<f64, Failed>) -> Result<(), Failed> {
    run()?;
    let took = (0..scale.few).map(|_| run()).collect::<Result<Vec<f64>, _>>()?;
    let each = |parts: usize| took.iter().map(|all| all / parts as f64).collect::<Vec<_>>();
    tell("declared, a page", who, "memory", &each(count));
    tell("declared, an edge", who, "memory", &each(count * INPUTS));
    Ok(())
}

fn ours(count: usize, expected: &i64) -> Result<f64, Failed> {
    let (bus, ran) = (in_memory()?, Arc::default());
    let mut tx = bus.begin(Isolation::Snapshot, Note::default())?;
    let mut pages: Vec<PageId> = Vec::with_capacity(SOURCES + count);
    for i in 0..SOURCES {
        pages.push(tx.create_page(&i.to_string(), cells(DType::I64)?, 1)?);
    }
    tx.commit()?;
    for page in &pages {
        bus.assign(*page, 0, mmsb::page::select::Select::range(0, 1), &[1i64], &Note::default())?;
    }
    let names: Vec<String> = (0..SOURCES + count).map(|i| i.to_string()).collect();
    let program = Sum::new(0, &ran);
    let start = Instant::now();
    let mut tx = bus.begin(Isolation::Snapshot, Note::default())?;
    for i in SOURCES..SOURCES + count {
        let from = inputs(i).map(|input| pages[input]);
        pages.push(tx.derive(&names[i], derived(&from, 1, Arc::clone(&program))?)?);
    }
    tx.commit()?;
    let took = start.elapsed().as_secs_f64();
    let last = bus.state()?.cells::<i64>(pages[pages.len() - 1], 0)?[0];
    if last == *expected { Ok(took) } else { Err("the last page is not what a loop comes to".into()) }
}

fn incremental(count: usize, expected: &i64) -> Result<f64, Failed> {
    let state = IncrState::new_with_height(HEIGHT);
    let mut nodes: Vec<_> = (0..SOURCES).map(|_| state.var(1i64).watch()).collect();
    let start = Instant::now();
    for i in SOURCES..SOURCES + count {
        let from = inputs(i).map(|input| nodes[input].clone());
        nodes.push(sum(&state, &from, 0));
    }
    // All of them, for pages are there whether somebody looks at them or not.
    let seen: Vec<_> = nodes.iter().map(|node| node.observe()).collect();
    state.stabilise();
    let took = start.elapsed().as_secs_f64();
    let last = seen.last().ok_or("no node")?.value();
    if last == *expected { Ok(took) } else { Err("the last node is not what a loop comes to".into()) }
}
