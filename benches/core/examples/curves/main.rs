//! How time and memory grow with each thing that grows: `curves SCALE [FAMILY]`, with SCALE `full` or `quick`.
//!
//! A family varies one thing, x, over decades. Each point is measured in a process of its own, on a new bus, so that no
//! point inherits the memory of another. Prints lines of family, x, what, unit, median, lower and upper quartile, samples,
//! between tabs. `benches/curves/` draws them and says what grows that should not.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use crate::measure::{Point, Scale};

mod branches;
mod churn;
mod columns;
mod deltas;
mod epochs;
mod measure;
mod page_size;
mod pages;
mod snapshots;
mod threads;

/// What varies, over which x, and what is measured at one of them.
struct Family {
    name: &'static str,
    xs: fn(&Scale) -> Vec<u64>,
    run: fn(&Point),
}

const FAMILIES: [Family; 9] = [
    Family { name: "page size", xs: page_size::xs, run: page_size::run },
    Family { name: "delta", xs: deltas::xs, run: deltas::run },
    Family { name: "pages", xs: pages::xs, run: pages::run },
    Family { name: "epochs", xs: epochs::xs, run: epochs::run },
    Family { name: "threads", xs: threads::xs, run: threads::run },
    Family { name: "snapshots", xs: snapshots::xs, run: snapshots::run },
    Family { name: "branches", xs: branches::xs, run: branches::run },
    Family { name: "columns", xs: columns::xs, run: columns::run },
    Family { name: "churn", xs: churn::xs, run: churn::run },
];

/// Measures all points of a family, each in a process of its own.
fn measure_all(family: &Family, scale: &str) {
    let me = std::env::current_exe().unwrap();
    for x in (family.xs)(&Scale::new(scale)) {
        let status = Command::new(&me).args([scale, family.name, &x.to_string()]).status().unwrap();
        assert!(status.success(), "{} at {x}: {status}", family.name);
    }
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let family = |name: &str| FAMILIES.iter().find(|family| family.name == name).expect("a family's name");
    match given[..] {
        [scale] => FAMILIES.iter().for_each(|family| measure_all(family, scale)),
        [scale, name] => measure_all(family(name), scale),
        [scale, name, x] => {
            let family = family(name);
            (family.run)(&Point::new(family.name, x.parse().expect("a number"), Scale::new(scale)));
        }
        _ => panic!("curves full|quick [FAMILY [X]]"),
    }
}
