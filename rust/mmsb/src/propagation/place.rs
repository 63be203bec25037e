//! Where the pages of a flow are and what changed of them, side by side, so that nobody looks them up again.

use std::sync::Arc;

use crate::base::ids::PageId;
use crate::graph::edge::EdgeKind;
use crate::graph::network::{Network, Slot, unpacked};
use crate::memory::addr::Addr;
use crate::memory::arena::Arena;
use crate::page::schema::Schema;
use crate::page::version::PageRef;
use crate::propagation::changes::{Changes, Listed};
use crate::propagation::kernel::Input;

/// What is known of a node's page: a cache line of it, for whoever goes over the inputs of a node.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Place {
    /// The page, where its version is known.
    pub page: PageId,
    /// Its version in the state that is being made; null where that is not known.
    pub at: Addr,
    /// Its version before, where it changed in the run that goes on.
    pub before: Addr,
    /// Its columns, where its version is known.
    pub schema: Option<Arc<Schema>>,
    /// What of it changed in the run that goes on, and how many rows, no more than a `u32`
    /// holds: one that changed in two columns counts twice.
    pub changed: Option<Listed>,
    pub rows_changed: u32,
    /// Its rows and marks, and whether its columns lie behind its version's header, where that is known.
    pub rows: u64,
    pub marks: u8,
    pub packed: bool,
}

const _: () = assert!(size_of::<Place>() == 64);

impl Place {
    /// A page's place, as the state that is being made has it.
    pub fn of(page: PageRef<'_>, schema: &Arc<Schema>, before: Addr) -> Self {
        let (rows, marks, packed) = (page.rows(), page.marks(), page.is_packed());
        let schema = Some(Arc::clone(schema));
        Place { page: page.id(), at: page.at, before, schema, rows, marks, packed, ..Place::default() }
    }

    /// Notes that the page has another version now.
    #[inline]
    pub fn move_to(&mut self, at: Addr) {
        if self.before.is_null() && at != self.at {
            self.before = self.at;
        }
        self.at = at;
    }

    /// Notes what changed of it.
    #[inline]
    pub fn set_changed(&mut self, listed: Listed, rows: u64) {
        (self.changed, self.rows_changed) = (Some(listed), u32::try_from(rows).unwrap_or(u32::MAX));
    }

    /// Forgets what changed of it.
    pub fn settle(&mut self) {
        (self.before, self.changed, self.rows_changed) = (Addr::NULL, None, 0);
    }
}

/// What the nodes of a level find when they are looked at: nothing of it changes meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'f> {
    pub arena: &'f Arena,
    pub network: &'f Network,
    pub places: &'f [Place],
    pub changes: &'f Changes,
}

impl<'f> Table<'f> {
    /// A node's page, whose place is known, and its columns.
    #[inline]
    pub fn page(&self, slot: Slot) -> Option<(PageRef<'f>, &'f Schema)> {
        let place = &self.places[slot as usize];
        let schema = place.schema.as_deref()?;
        Some((PageRef::new(self.arena, place.at), schema))
    }

    /// Puts the inputs of a node that carry cells behind others: as they are, as they were before, and what changed. Where
    /// its page is to be made whole, `whole` has the lists of everything.
    #[inline]
    pub fn inputs(&self, slot: Slot, whole: Option<&[Listed]>, into: &mut Vec<Input<'f>>) {
        let edges = self.network.packed_inputs(slot).iter().map(|&edge| unpacked(edge));
        if self.network.takes_all(slot) {
            into.extend(edges.enumerate().map(|(i, (input, _))| self.input(input, whole.map(|all| all[i]))));
        } else {
            let carry = edges.filter(|(_, kind)| *kind == EdgeKind::Data).enumerate();
            into.extend(carry.map(|(i, (input, _))| self.input(input, whole.map(|all| all[i]))));
        }
    }

    #[inline(always)]
    fn input(&self, input: Slot, whole: Option<Listed>) -> Input<'f> {
        let place = &self.places[input as usize];
        let schema = place.schema.as_deref().expect("the inputs of what is to be made are known");
        let (before, changed) = match (whole, place.changed) {
            (Some(all), _) => (Addr::NULL, self.changes.get(all)),
            (None, Some(changed)) => (place.before, self.changes.get(changed)),
            (None, None) => (place.at, &[][..]),
        };
        let before = (!before.is_null()).then(|| PageRef::new(self.arena, before));
        let (page, rows, packed) = (PageRef::new(self.arena, place.at), place.rows, place.packed);
        Input { page, schema, rows, packed, before, changed }
    }
}
