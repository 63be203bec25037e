//! Users' functions: which one makes a page, by branch, page and rule.
//!
//! A rule names its function; what the name stands for is this process's to know. A branch begins with what the one it was
//! forked from knew, and what either is told later is its own. All that was told is kept while the branch lives: going back
//! to a past state goes back to its rules, and so to their functions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::base::ids::{BranchId, PageId};
use crate::base::spread::Spread;
use crate::bus::transaction::Transaction;
use crate::propagation::program::Program;

/// A function that is to make a page from the commit on that gives the page this rule.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub page: PageId,
    /// The rule, in bytes.
    pub rule: Vec<u8>,
    pub program: Arc<dyn Program>,
}

/// The functions of a branch: of each page those of all rules it had.
pub(crate) type OfBranch = HashMap<PageId, Vec<Declared>, Spread>;

/// The functions of all branches.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    by_branch: HashMap<BranchId, Arc<OfBranch>, Spread>,
    /// Branches that this process forked: they took what their origin knew.
    forked: BTreeSet<BranchId>,
    /// Those that others took the place of, and that nobody let go of yet.
    replaced: Vec<Declared>,
}

impl Functions {
    /// Takes what a commit on a branch declared.
    pub fn add(&mut self, branch: BranchId, declared: &[Declared]) {
        if declared.is_empty() {
            return;
        }
        let own = Arc::make_mut(self.by_branch.entry(branch).or_default());
        for new in declared {
            let of_page = own.entry(new.page).or_default();
            self.replaced.extend(of_page.extract_if(.., |old| old.rule == new.rule));
            of_page.push(new.clone());
        }
    }

    /// The function of a page's rule on a branch that was told of it.
    pub fn find(&self, branch: BranchId, page: PageId, rule: &[u8]) -> Option<&Arc<dyn Program>> {
        let of_page = self.by_branch.get(&branch)?.get(&page)?;
        of_page.iter().find(|declared| declared.rule == rule).map(|declared| &declared.program)
    }

    /// A branch is forked off the first of these, each of which has what it was not told itself from the next.
    pub fn fork(&mut self, origins: &[BranchId], child: BranchId) {
        let mut told = origins.iter().filter_map(|origin| self.by_branch.get(origin)).map(Arc::clone);
        match told.next() {
            Some(nearest) => {
                let all = told.fold(nearest, with);
                self.by_branch.insert(child, all);
            }
            // Nobody was told anything so far: it goes on to be looked for where the parent has it from.
            None if !origins.first().is_some_and(|parent| self.forked.contains(parent)) => return,
            None => {}
        }
        self.forked.insert(child);
    }

    /// Whether a branch took what its origin knew when it was forked.
    pub fn is_forked(&self, branch: BranchId) -> bool {
        self.forked.contains(&branch)
    }

    /// A branch goes, and with it its functions.
    #[must_use = "to let go of a function may run code of the user's"]
    pub fn forget(&mut self, branch: BranchId) -> Option<Arc<OfBranch>> {
        self.forked.remove(&branch);
        self.by_branch.remove(&branch)
    }

    /// Those that others took the place of.
    #[must_use = "to let go of a function may run code of the user's"]
    pub fn replaced(&mut self) -> Vec<Declared> {
        std::mem::take(&mut self.replaced)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_branch.is_empty()
    }
}

/// Functions with those of another branch for the rules that they have none for.
fn with(mut ours: Arc<OfBranch>, theirs: Arc<OfBranch>) -> Arc<OfBranch> {
    let all = Arc::make_mut(&mut ours);
    for (page, declared) in theirs.iter() {
        let of_page = all.entry(*page).or_default();
        for one in declared {
            if !of_page.iter().any(|known| known.rule == one.rule) {
                of_page.push(one.clone());
            }
        }
    }
    ours
}

impl Transaction {
    /// Has this process make a page by a user's function, from its commit on.
    pub(crate) fn declare(&mut self, declared: Declared) {
        self.declared.push(declared);
    }

    /// Has this process make a page by the user's function that makes it on another branch, if one does.
    pub(crate) fn adopt(&mut self, page: PageId, rule: &[u8], branch: BranchId) {
        if branch != self.line.id {
            self.declared.extend(self.core.declared(branch, page, rule));
        }
    }
}
