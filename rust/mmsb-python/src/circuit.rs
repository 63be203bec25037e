//! Circuits of provenance: sums and products of sources, worked out in any semiring.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mmsb::algebra::by_name;
use mmsb::algebra::circuit::{Circuit as Core, Gate, Node};
use mmsb::algebra::family::Family;
use mmsb::algebra::why::{Why, Witnesses};
use numpy::PyUntypedArray;
use numpy::npyffi::npy_intp;
use pyo3::prelude::*;

use crate::algebra::cells_of;
use crate::array::filled;
use crate::dtype;
use crate::error::{Fault, Outcome};

/// A gate: its number, its kind, and the source or the two gates that it is of.
type Told = (u32, &'static str, u64, u64);

/// Sums and products of sources, each written down once.
#[pyclass(frozen, module = "mmsb._core", name = "_Circuit")]
pub struct Circuit {
    core: Mutex<Core>,
}

impl Circuit {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn node(core: &Core, number: u32) -> Outcome<Node> {
    core.numbered(number).ok_or_else(|| Fault::invalid(format!("the circuit has no node {number}")))
}

fn nodes(core: &Core, numbers: &[u32]) -> Outcome<Vec<Node>> {
    numbers.iter().map(|number| node(core, *number)).collect()
}

#[pymethods]
impl Circuit {
    #[new]
    fn new() -> Self {
        Circuit { core: Mutex::default() }
    }

    fn __len__(&self) -> usize {
        self.core().len()
    }

    /// The node of a source, by its number.
    fn source(&self, number: u64) -> u32 {
        self.core().variable(number).number()
    }

    /// Either of two nodes.
    fn plus(&self, a: u32, b: u32) -> Outcome<u32> {
        let mut core = self.core();
        let (a, b) = (node(&core, a)?, node(&core, b)?);
        Ok(core.plus(a, b).number())
    }

    /// Both of two nodes.
    fn times(&self, a: u32, b: u32) -> Outcome<u32> {
        let mut core = self.core();
        let (a, b) = (node(&core, a)?, node(&core, b)?);
        Ok(core.times(a, b).number())
    }

    /// The sources that a node depends on, by number, ascending.
    fn sources(&self, number: u32) -> Outcome<Vec<u64>> {
        let core = self.core();
        Ok(core.variables(node(&core, number)?))
    }

    /// The gates that nodes need, each behind those it needs itself.
    fn gates(&self, numbers: Vec<u32>) -> Outcome<Vec<Told>> {
        let core = self.core();
        let told = |(node, gate): (Node, Gate)| {
            let (kind, a, b) = match gate {
                Gate::Zero => ("zero", 0, 0),
                Gate::One => ("one", 0, 0),
                Gate::Variable(number) => ("source", number, 0),
                Gate::Plus(a, b) => ("plus", a.number().into(), b.number().into()),
                Gate::Times(a, b) => ("times", a.number().into(), b.number().into()),
            };
            (node.number(), kind, a, b)
        };
        Ok(core.gates(&nodes(&core, &numbers)?).map(told).collect())
    }

    /// What nodes come to in a semiring, where source `n` has the value of cell `n`.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        semiring: &str,
        numbers: Vec<u32>,
        values: &Bound<'py, PyUntypedArray>,
    ) -> Outcome<Bound<'py, PyAny>> {
        let family = Family::named(semiring)?;
        let (dtype, cells) = cells_of("values", values)?;
        filled(py, &dtype::descr(py, dtype)?, &[numbers.len() as npy_intp], |out| {
            py.detach(|| {
                let core = self.core();
                let nodes = nodes(&core, &numbers)?;
                Ok(by_name::evaluate(&core, &nodes, (family, dtype), cells, out)?)
            })
        })
    }

    /// The sets of sources that each suffice for a node, each ascending.
    fn why(&self, py: Python<'_>, number: u32) -> Outcome<Vec<Vec<u64>>> {
        let found: Outcome<Vec<Witnesses>> = py.detach(|| {
            let core = self.core();
            let nodes = nodes(&core, &[number])?;
            Ok(core.evaluate_in(&Why, &nodes, Why::source))
        });
        let sets = found?.into_iter().flatten();
        Ok(sets.map(|set| set.into_iter().collect()).collect())
    }
}
