//! Seeing propagation: what ran in several epochs, and how often each page was looked at.

use crate::base::ids::{Epoch, PageId};
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::propagation::counters::{Counters, Counts};
use crate::propagation::trace::Step;

impl Bus {
    /// What ran from one epoch of this branch up to and with another, as far as this process made them and remembers: the
    /// epochs in which something did, and their steps in order.
    ///
    /// # Errors
    /// A closed handle.
    pub fn traces(&self, since: Epoch, until: Epoch) -> Result<Vec<(Epoch, Vec<Step>)>, Error> {
        let writer = self.core().writer_here(self.manner().busy_timeout)?;
        let Some(traces) = writer.flows.traces(self.line().id) else { return Ok(Vec::new()) };
        Ok(traces.between(since, until).map(|(epoch, steps)| (epoch, steps.to_vec())).collect())
    }

    /// How often pages of this branch were looked at since the bus was opened, and what came of it. What was made for commits
    /// that failed is in it, what was made for transactions that read is not.
    ///
    /// # Errors
    /// A closed handle.
    pub fn counters(&self) -> Result<Vec<(PageId, Counts)>, Error> {
        let writer = self.core().writer_here(self.manner().busy_timeout)?;
        Ok(writer.flows.counters(self.line().id).map_or_else(Vec::new, Counters::all))
    }
}
