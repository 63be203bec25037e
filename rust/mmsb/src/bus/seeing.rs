//! Seeing propagation: what ran in several epochs, and how often each page was looked at.

use crate::base::ids::Epoch;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::propagation::trace::Step;

impl Bus {
    /// What ran from one epoch of this branch up to and with another, as far as this process made them and remembers: the
    /// epochs in which something did, and their steps in order.
    ///
    /// # Errors
    /// A closed handle.
    pub fn traces(&self, since: Epoch, until: Epoch) -> Result<Vec<(Epoch, Vec<Step>)>, Error> {
        let writer = self.core().writer_within(self.manner().busy_timeout)?;
        let Some(flow) = writer.flows.of(self.line().id) else { return Ok(Vec::new()) };
        Ok(flow.traces().between(since, until).map(|(epoch, steps)| (epoch, steps.to_vec())).collect())
    }
}
