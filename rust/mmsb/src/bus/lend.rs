//! Lending a user's function what it reads: views of columns of a state that is not published yet.

use std::sync::{Arc, Weak};

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::handle::Bus;
use crate::bus::line::Line;
use crate::bus::view::View;
use crate::page::column::ColumnRef;

/// Lends views to a user's function. It does not keep the bus.
#[derive(Debug, Clone)]
pub struct Lender {
    core: Weak<Core>,
    line: Weak<Line>,
}

impl Bus {
    /// Who lends views to users' functions.
    #[must_use]
    pub fn lender(&self) -> Lender {
        Lender { core: Arc::downgrade(self.core()), line: Arc::downgrade(self.line()) }
    }
}

impl Lender {
    /// A view of a column that a function was given. Its memory stays for as long as the view; what it shows is right while
    /// the function runs.
    ///
    /// # Errors
    /// No memory, or no bus any more.
    pub fn view(&self, column: ColumnRef<'_>, lasts: bool) -> Result<View, Error> {
        let Some(core) = self.core.upgrade() else {
            return Err(Error::Closed("that a rule was declared on".into()));
        };
        if !lasts {
            return View::copied(column);
        }
        // A pin of any branch keeps what is there now; the one that the rule was declared on may be gone.
        let own = self.line.upgrade().and_then(|line| core.pin_kept(&line).ok());
        let any = || core.living().iter().find_map(|line| core.pin_kept(line).ok());
        let Some((mut pin, _)) = own.or_else(any) else {
            return Err(Error::Closed("that a rule was declared on".into()));
        };
        let kept = pin.hand_over(Arc::clone(&core.arena));
        View::live(&core.arena, column, kept, None)
    }
}
