//! What follows from a transaction's writes, for itself: all of it when it reads, or page by page for somebody who looks on.

use crate::base::ids::PageId;
use crate::bus::error::Error;
use crate::bus::follow::{Unpublished, concerns, follow_unpublished};
use crate::bus::transaction::Transaction;
use crate::page::catalog::RootRef;
use crate::propagation::flow::Flow;
use crate::propagation::trace::Step;

/// How far somebody came who makes what follows page by page.
#[derive(Debug, Default)]
pub(super) struct Stepping {
    /// None where nothing was made since the last write.
    flow: Option<Flow>,
}

impl Transaction {
    /// Makes what follows from its own writes.
    pub(super) fn follow_up(&mut self) -> Result<(), Error> {
        if self.stepping.is_some() || self.followed == self.changes.len() || !self.has_followers() {
            return Ok(());
        }
        if self.followed > 0 {
            // What followed from writes that are taken back by now must not stay.
            (self.private, self.applied, self.followed) = (None, 0, 0);
            self.catch_up()?;
        }
        let Some(private) = &mut self.private else { return Ok(()) };
        let done = private.edit(|draft| {
            let asked = (self.changes.as_slice(), self.declared.as_slice());
            follow_unpublished(&self.core, self.line.id, asked, draft, self.root)
        });
        if done.is_err() {
            // Some of it may be made: it starts over, and has what was written itself.
            (self.private, self.applied, self.followed) = (None, 0, 0);
            self.catch_up()?;
        } else {
            self.followed = self.changes.len();
        }
        done
    }

    /// Whether anything may follow from its writes.
    fn has_followers(&self) -> bool {
        !self.restores && concerns(RootRef::new(&self.core.arena, self.root), &self.changes)
    }

    /// From now on what follows from its writes is made by [`Transaction::step`] alone: reading a page shows how far that
    /// is. Its commit makes all of it, anew.
    pub fn step_by_step(&mut self) {
        if self.stepping.is_none() {
            self.stepping = Some(Box::default());
            // What was made for readers is to be made in steps.
            if self.followed > 0 {
                (self.private, self.applied, self.followed) = (None, 0, 0);
            }
        }
    }

    /// The pages that will be looked at next, in their order: what is left of the lowest level that has any. Each step may
    /// add some of higher levels.
    ///
    /// # Errors
    /// What writing failed with, or a page that cannot be read.
    pub fn pending(&mut self) -> Result<Vec<PageId>, Error> {
        Ok(self.stepped(|flow, _| Ok(flow.upcoming().collect()))?.unwrap_or_default())
    }

    /// Looks at one page, and says what came of it; nothing where all is made. What was written since the last step has it
    /// begin anew.
    ///
    /// # Errors
    /// What the page's rule failed with: the next step begins anew.
    pub fn step(&mut self) -> Result<Option<Step>, Error> {
        Ok(self.stepped(|flow, unpublished| unpublished.step(flow))?.flatten())
    }

    /// Does something with what is being made.
    fn stepped<T>(
        &mut self,
        work: impl FnOnce(&mut Flow, &mut Unpublished<'_, '_, '_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.step_by_step();
        self.catch_up()?;
        let follows = self.has_followers();
        let (Some(private), Some(stepping)) = (&mut self.private, &mut self.stepping) else {
            return Ok(None);
        };
        if !follows {
            return Ok(None);
        }
        let begun = stepping.flow.take();
        let done = private.edit(|draft| {
            let asked = (self.changes.as_slice(), self.declared.as_slice());
            let mut unpublished = Unpublished::new(&self.core, self.line.id, asked, draft, self.root);
            let mut flow = begun.map_or_else(|| unpublished.begin(), Ok)?;
            let done = work(&mut flow, &mut unpublished)?;
            Ok((flow, done))
        });
        match done {
            Ok((flow, done)) => {
                stepping.flow = Some(flow);
                Ok(Some(done))
            }
            Err(error) => {
                (self.private, self.applied) = (None, 0);
                Err(error)
            }
        }
    }

    /// Before more of its writes are applied: what was made for those before goes.
    pub(super) fn step_anew(&mut self) {
        if self.stepping.as_mut().is_some_and(|stepping| stepping.flow.take().is_some()) {
            (self.private, self.applied) = (None, 0);
        }
    }
}
