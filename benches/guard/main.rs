//! The hot paths of the core, one at a time, for `benches/guard.py` to count their instructions.
//!
//! `mmsb-guard` lists the operations, each with how many of its units are counted; `mmsb-guard OPERATION FOLDER` carries
//! one out in an empty folder; `mmsb-guard processor` tells which instructions the core finds. What is counted is what happens in [`counted_steps`], on the thread that calls it:
//! `callgrind --toggle-collect` knows it by its name.
#![allow(clippy::unwrap_used, missing_docs)]

use std::env;
use std::path::Path;

mod following;
mod keeping;
mod memory;
mod reading;
mod workload;
mod writing;

/// What is counted: a name, how many steps after as many that are not, the units of a step, and what makes it. A step is
/// given 0, 1, 2, ...
#[derive(Clone)]
pub struct Operation {
    name: &'static str,
    steps: u64,
    units: u64,
    prepare: fn(&Path) -> Step,
}

pub type Step = Box<dyn FnMut(u64)>;

const fn operation(name: &'static str, steps: u64, units: u64, prepare: fn(&Path) -> Step) -> Operation {
    Operation { name, steps, units, prepare }
}

fn operations() -> Vec<Operation> {
    [memory::OPERATIONS, writing::OPERATIONS, following::OPERATIONS, reading::OPERATIONS, keeping::OPERATIONS]
        .concat()
}

/// All that is counted.
#[inline(never)]
fn counted_steps(step: &mut dyn FnMut(u64), from: u64, to: u64) {
    (from..to).for_each(step);
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let operations = operations();
    match arguments.as_slice() {
        [] => operations.iter().for_each(|it| println!("{}\t{}", it.name, it.steps * it.units)),
        [word] if word == "processor" => println!("{}", processor().join(" ")),
        [name, folder] => {
            let found = operations.iter().find(|it| it.name == name).expect("an operation of the list");
            let mut step = (found.prepare)(Path::new(folder));
            (0..found.steps).for_each(&mut step);
            counted_steps(&mut step, found.steps, 2 * found.steps);
        }
        _ => panic!("no argument, `processor`, or an operation and a folder"),
    }
}

/// What the core looks for before it takes an instruction. Under valgrind it is what valgrind knows of the machine.
fn processor() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
        ("pclmulqdq", std::arch::is_x86_feature_detected!("pclmulqdq")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found = [];
    let names = found.into_iter().filter_map(|(name, there): (&str, bool)| there.then_some(name));
    [env::consts::ARCH].into_iter().chain(names).collect()
}
