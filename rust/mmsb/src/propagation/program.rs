//! A rule that is a function of the user's.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use crate::base::ids::PageId;
use crate::page::schema::Schema;
use crate::page::version::PageRef;
use crate::propagation::kernel::Input;
use crate::propagation::made::Made;

/// What a user's function failed with.
pub type Raised = Box<dyn Error + Send + Sync>;

/// One call of a user's function.
#[derive(Debug)]
pub struct Call<'a> {
    /// Its inputs, in the order of the rule.
    pub inputs: &'a [Input<'a>],
    /// The page that it makes, as it was.
    pub page: PageRef<'a>,
    /// That page's columns.
    pub schema: &'a Schema,
    /// Whether what the inputs have stays as it is once the function is through: not in a transaction that reads its own
    /// writes.
    pub lasts: bool,
}

/// A function of the user's. It must give the same cells for the same inputs: it is run when it must be, and not when it
/// need not.
pub trait Program: Debug + Send + Sync {
    /// Makes the cells that may be new, or all.
    ///
    /// # Errors
    /// Whatever it failed with: the commit that asked for it is undone.
    fn run(&self, call: &Call<'_>, made: &mut Made) -> Result<(), Raised>;

    /// Whether any thread may run it, beside others: it asks for nothing but its inputs.
    fn is_native(&self) -> bool {
        false
    }
}

/// Finds the function of a page.
pub trait Programs: Sync {
    /// The function that makes a page by a rule, in bytes, if this process knows it.
    fn program(&self, page: PageId, rule: &[u8]) -> Option<Arc<dyn Program>>;

    /// Is told which page's function is running from now on, if one is.
    fn running(&self, page: Option<PageId>);
}
