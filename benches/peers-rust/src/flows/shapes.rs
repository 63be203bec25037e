//! One source of a graph of small pages is written, and all that follows is made.

use std::path::Path;

use crate::flows::net::{Kept, Net, all as nets};
use crate::flows::ours::{Made, Small};
use crate::flows::with_incremental::Incremental;
use crate::flows::with_salsa;
use crate::measure::{Failed, Scale, checked, tell, timed};
use crate::store::Level;

/// Every graph by everybody.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    for net in nets() {
        let shape = net.parts == 1;
        let ours = |level, rows, by| Small::new(&net, folder, level, rows, by);
        measured(scale, &net, "mmsb", "memory", ours(Level::Memory, 1, Made::Function)?)?;
        measured(scale, &net, "mmsb: pages of 64 B", "memory", ours(Level::Memory, 8, Made::Function)?)?;
        if shape {
            measured(scale, &net, "mmsb", "process", ours(Level::Process, 1, Made::Function)?)?;
        } else {
            measured(scale, &net, "mmsb: expressions", "memory", ours(Level::Memory, 1, Made::Expression)?)?;
        }
        measured(scale, &net, "incremental", "memory", Incremental::new(&net))?;
        if !shape {
            measured(scale, &net, "salsa", "memory", with_salsa::Salsa::new(&net))?;
        }
        checked(&format!(
            "{}: one write runs {} nodes for everybody, and all leaves are what adding up from nothing gives",
            net.name, net.runs
        ));
    }
    Ok(())
}

fn measured(scale: &Scale, net: &Net, who: &str, level: &str, mut kept: impl Kept) -> Result<(), Failed> {
    let mut step = 0;
    for _ in 0..3 {
        let runs = kept.runs();
        let (source, value) = net.write(step);
        kept.write(source, value);
        step += 1;
        let ran = (kept.runs() - runs) as usize;
        if ran != net.runs {
            return Err(format!("{}: {ran} nodes of {who} ran, and not {}", net.name, net.runs).into());
        }
    }
    let took = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            let (source, value) = net.write(step);
            kept.write(source, value);
            step += 1;
        }
        Ok(())
    })?;
    if kept.leaves() != net.expected(step) {
        return Err(format!("{}: the leaves of {who} are not what they must be", net.name).into());
    }
    let each: Vec<f64> = took.into_iter().map(|one| one / net.parts as f64).collect();
    tell(&net.name, who, level, &each);
    Ok(())
}
